"""Push, pull and folder carry the same bytes to a bank's own programs, which land and confirm them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver, fetch_from_folder, fetch_from_gateway
from adapters.bank.folder import Folder
from adapters.bank.inbox import Inbox
from adapters.bank.landing import Landing
from adapters.bank.rows import COLUMNS
from adapters.bank.sending import send_by_folder, send_by_network
from adapters.party.home import Home
from adapters.tables.landing import SqlTarget
from gateway.store import deliveries, tables
from tests.world import World, city
from xinyi.server import serve
from xinyi.v1 import exchange_pb2, inbox_service_pb2_grpc


@asynccontextmanager
async def inbox(home: Home, port: int) -> AsyncIterator[None]:
    """A bank's inbox, serving."""
    register = inbox_service_pb2_grpc.add_InboxServiceServicer_to_server
    server, _ = await serve(f"127.0.0.1:{port}", home.tls(), [(register, Inbox(home))])
    try:
        yield
    finally:
        await server.stop(0)


def land(home: Home) -> list[Any]:
    return Landing(
        home, lambda _: SqlTarget(f"sqlite:///{home.path}/bank.db", "grade_a", COLUMNS)
    ).land_all()


def landed_rows(home: Home) -> int:
    with sqlite3.connect(home.path / "bank.db") as conn:
        count: int = conn.execute("SELECT count(*) FROM grade_a").fetchone()[0]
    return count


async def states(world: World, digest: bytes) -> dict[str, str]:
    with world.gateway.database.reading() as conn:
        return {row["recipient"]: row["state"] for row in deliveries.deliveries_of_edition(conn, digest)}


def deliveries_in(conn: Connection, state: str) -> int:
    return conn.scalar(select(func.count()).where(tables.deliveries.c.state == state)) or 0


async def until(holds: Callable[[], Any], patience_s: float = 20) -> None:
    """Waits for what another thread brings about."""
    for _ in range(int(patience_s / 0.1)):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come about in time")


async def test_pull_lands_and_confirms(tmp_path: Path) -> None:
    """fetch, land, confirm by the bank's own code; every stage has its log proof."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(2500)
        await world.publish(edition)

        def month() -> list[Any]:
            with BankClient(bank) as client:
                assert [f.records for f in fetch_from_gateway(Receiver(bank), client, ["grade-a"])] == [2500]
                assert [r.stage for r in land(bank)] == ["accepted"]
                done, waiting = send_by_network(bank, client, wait_s=10)
                assert waiting == 0
                return done

        done = await asyncio.to_thread(month)
        assert [c.stage for c in done] == ["received", "accepted", "applied"]
        assert all(c.log_index is not None for c in done)
        assert landed_rows(bank) == 2500
        assert await states(world, edition.digest) == {bank.party: "APPLIED"}


async def test_push_reaches_an_inbox_and_survives_its_absence(
    tmp_path: Path, database_url: str, free_port: int
) -> None:
    """The bank is away at first: attempts fail and are logged, then one delivery arrives, once."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1", exchange_pb2.CHANNEL_PUSH, f"127.0.0.1:{free_port}")
        edition = world.seal(1500)
        await world.publish(edition)

        async def tried() -> bool:
            with world.gateway.database.reading() as conn:
                return any(row["attempts"] for row in deliveries.deliveries_of_edition(conn, edition.digest))

        await until(tried)
        async with inbox(bank, free_port):

            async def received() -> bool:
                return await states(world, edition.digest) == {bank.party: "RECEIVED"}

            await until(received, 40)
        assert [r.stage for r in await asyncio.to_thread(land, bank)] == ["accepted"]

        def confirm() -> tuple[list[Any], int]:
            with BankClient(bank) as client:
                return send_by_network(bank, client, wait_s=10)

        done, waiting = await asyncio.to_thread(confirm)
        assert ([c.stage for c in done], waiting) == (["received", "accepted", "applied"], 0)
        assert landed_rows(bank) == 1500


async def test_folder_carries_the_same_bytes_both_ways(tmp_path: Path, database_url: str) -> None:
    """Files out, receipts in, answers out; no connection between bank and gateway."""
    async with city(tmp_path, database_url=database_url) as world:
        folder = tmp_path / "front-end-node"
        bank = await world.bank("bank-3", exchange_pb2.CHANNEL_FOLDER, str(folder))
        edition = world.seal(1500)
        await world.publish(edition)

        async def complete() -> bool:
            return bool(list((folder / "outgoing").glob("*.complete")))

        await until(complete)
        fetched = await asyncio.to_thread(lambda: fetch_from_folder(Receiver(bank), Folder(folder), bank))
        assert [f.records for f in fetched] == [1500]
        assert [r.stage for r in await asyncio.to_thread(land, bank)] == ["accepted"]
        done, waiting = await asyncio.to_thread(lambda: send_by_folder(bank, folder, wait_s=20))
        assert ([c.stage for c in done], waiting) == (["received", "accepted", "applied"], 0)
        assert all(c.log_index is not None for c in done)
        assert await states(world, edition.digest) == {bank.party: "APPLIED"}
