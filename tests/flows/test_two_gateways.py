"""Two gateway processes on one PostgreSQL: one delivery, one log, and the survivor finishes the other's work."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.party.home import Home
from audit.log import log_entries
from gateway.app import Gateway, Service
from gateway.office.founding import Plan, found
from gateway.store import deliveries
from gateway.store.db import Database, open_engine
from gateway.workflows import DEAD_AFTER_S
from tests.flows.programs import Program, run, serving
from tests.flows.test_audit import auditor
from tests.flows.test_delivery import until
from tests.postgres import Server
from tests.world import GATEWAY, Clock, SealedEdition, World
from xinyi.v1 import exchange_pb2, log_pb2

WORKERS = ("gateway-north", "gateway-south")


@asynccontextmanager
async def founded(path: Path, urls: list[str]) -> AsyncIterator[World]:
    """A city whose three stores are PostgreSQL, served from this process while its parties are admitted."""
    database, head_store, workflows = urls
    plan = Plan(GATEWAY, "demo", "127.0.0.1:0", "127.0.0.1:1", database, head_store, workflows)
    clock = Clock()
    gateway = Gateway(await asyncio.to_thread(found, path / "gateway", plan), clock)
    service = Service(gateway)
    await service.start()
    world = World(path, gateway, service, clock)
    try:
        await world.bureau()
        yield world
    finally:
        await service.stop(grace_s=0.2)
        await asyncio.to_thread(gateway.close)


class City:
    """The founded city, served by programs."""

    def __init__(self, world: World, ports: dict[str, int]) -> None:
        self.world = world
        self._ports = ports
        self._database = Database(world.gateway.settings.database_url, threads=1)
        self._workflows = open_engine(world.gateway.settings.workflows_url)

    def close(self) -> None:
        self._database.close()
        self._workflows.dispose()

    @contextmanager
    def gateway(self, worker: str) -> Iterator[Program]:
        env = {
            "XINYI_LISTEN": f"127.0.0.1:{self._ports[worker]}",
            "XINYI_DELIVERY__WORKER": worker,
            "XINYI_DELIVERY__BACKOFF_S": "0.5",
            "XINYI_DELIVERY__MAX_ATTEMPTS": "20",
        }
        words = ("xinyi-gateway", "serve", "--home", self.world.path / "gateway")
        with serving(self.world.path / f"{worker}.log", "gateway.serving", *words, env=env) as program:
            yield program

    @contextmanager
    def inbox(self, home: Home) -> Iterator[Program]:
        words = ("xinyi-bank", "inbox", "--home", home.path)
        with serving(self.world.path / "inbox.log", "inbox.serving", *words) as program:
            yield program

    def state(self, edition: SealedEdition) -> str:
        """State of the edition's one delivery."""
        with self._database.reading() as conn:
            (row,) = deliveries.deliveries_of_edition(conn, edition.digest)
        return str(row["state"])

    def kinds(self, edition: SealedEdition) -> Counter[str]:
        """Kinds of the log's entries about an edition."""
        with self._database.reading() as conn:
            openings = conn.execute(log_entries.select()).mappings()
            entries = [log_pb2.LogEntry.FromString(row["opening"]) for row in openings]
        return Counter(entry.kind for entry in entries if entry.manifest_digest == edition.digest)

    def busy(self) -> list[str]:
        """Workers with a delivery under way, as the workflow engine has it."""
        query = text("SELECT executor_id FROM dbos.workflow_status WHERE status = 'PENDING'")
        with self._workflows.connect() as conn:
            return list(conn.execute(query).scalars())

    def silence(self, worker: str) -> None:
        """What half a minute of silence makes of a worker's lease, without the waiting."""
        with self._database.writing() as conn:
            conn.execute(
                text("UPDATE workers SET seen_at_ms = seen_at_ms - :ms WHERE worker = :worker"),
                {"ms": int(DEAD_AFTER_S * 1000), "worker": worker},
            )


@pytest.mark.postgresql
@pytest.mark.processes
async def test_two_gateways_make_one_delivery_and_one_outlives_the_other(
    tmp_path: Path, postgresql_server: Server, free_port: int
) -> None:
    """Also where one takes the other for dead, and where it is: each bank gets each edition once, in one log."""
    urls = [postgresql_server.create() for _ in range(3)]
    inbox = f"127.0.0.1:{free_port}"
    async with founded(tmp_path, urls) as world:
        bank = await world.bank("bank-1", exchange_pb2.CHANNEL_PUSH, inbox)
        home = await auditor(world)
        (bank.path / "party.toml").write_text(
            (bank.path / "party.toml").read_text() + f'\n[bank.inbox]\nlisten = "{inbox}"\n'
        )
    city = City(world, {WORKERS[0]: world.service.port, WORKERS[1]: 0})
    with ExitStack() as stack:
        stack.callback(city.close)
        gateways = {worker: stack.enter_context(city.gateway(worker)) for worker in WORKERS}

        first = world.seal(1500)
        with city.inbox(bank):
            await world.publish(first)
            await until(_reached(city, first, "RECEIVED"), 60)
        assert _once(city.kinds(first))

        second = world.seal(1500, month=2, sequence=2, predecessor=first.digest)
        silent = stack.enter_context(_silent(inbox))
        await world.publish(second)
        await until(_under_way(city), 60)
        (worker,) = city.busy()
        (other,) = set(WORKERS) - {worker}
        await until(_taken_over(city, worker, gateways[other]), 60)  # while it lives and goes on trying
        silent.close()
        with city.inbox(bank):
            await until(_reached(city, second, "RECEIVED"), 60)
        assert _once(city.kinds(second))

        third = world.seal(2500, month=3, sequence=3, predecessor=second.digest)
        silent = stack.enter_context(_silent(inbox))
        await world.publish(third)
        await until(_under_way(city), 60)
        (worker,) = city.busy()
        (other,) = set(WORKERS) - {worker}
        resumed = gateways[other].said.count("workflows.resumed")
        gateways[worker].kill()
        silent.close()
        city.silence(worker)
        with city.inbox(bank):
            await until(_reached(city, third, "RECEIVED"), 60)
        assert gateways[other].said.count("workflows.resumed") == resumed + 1
        assert _once(city.kinds(third))
        spool = Spool(BankSettings.of(bank).spool)
        assert len(spool.editions("ready")) == 3

        stack.enter_context(city.gateway(worker))  # back under its own name
        words = ("export", tmp_path / "export", "--home", home.path, "--records", "--purpose", "audit")
        done = await asyncio.to_thread(run, "xinyi-audit", *words)
        assert done.returncode == 0, done.stderr
        words = ("verify", tmp_path / "export", "--policy", tmp_path / "policy.toml")
        verdict = await asyncio.to_thread(run, "xinyi-audit", *words)
        assert verdict.returncode == 0, verdict.stdout
        said = "".join(gateway.said for gateway in gateways.values())
        assert "alarm." not in said
        assert "Traceback" not in said
    for url in urls:
        postgresql_server.drop(url)


def _once(kinds: Counter[str]) -> bool:
    """One offer, one receipt, one publication, however many attempts there were."""
    return [kinds[k] for k in ("edition.published", "delivery.offered", "receipt.received")] == [1, 1, 1]


def _reached(city: City, edition: SealedEdition, state: str) -> Any:
    async def reached() -> bool:
        return city.state(edition) == state

    return reached


def _silent(address: str) -> socket.socket:
    """A bank whose port is open and which says nothing: an attempt is under way for as long as that lasts."""
    host, _, port = address.rpartition(":")
    return socket.create_server((host, int(port)))


def _under_way(city: City) -> Any:
    async def under_way() -> bool:
        return len(city.busy()) == 1

    return under_way


def _taken_over(city: City, worker: str, other: Program) -> Any:
    before = other.said.count("workflows.resumed")

    async def taken_over() -> bool:
        city.silence(worker)
        return other.said.count("workflows.resumed") > before

    return taken_over
