"""`receive`: fetch and land in one go, and what an interruption leaves to the next run."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver
from adapters.bank.landing import Landing, Result
from adapters.bank.receiving import receive_from_gateway
from adapters.bank.rows import COLUMNS
from adapters.bank.sending import send_by_network
from adapters.party.home import Home
from adapters.tables.landing import SqlTarget
from tests.world import city
from xinyi.errors import Unavailable


def receive(home: Home, client: BankClient, url: str) -> list[Result]:
    landing = Landing(home, lambda _: SqlTarget(url, "grade_a", COLUMNS))
    return receive_from_gateway(Receiver(home), landing, client, ["grade-a"])


class Cut(BankClient):
    """A line that breaks after some chunks."""

    whole = 0

    def chunks(self, package: Any, from_chunk: int) -> Any:
        for number, data in super().chunks(package, from_chunk):
            if number == self.whole:
                raise Unavailable("the line broke")
            yield number, data


@pytest.mark.parametrize("whole", [0, 1, 3])
async def test_an_edition_is_received_in_one_go_also_after_a_broken_line(
    tmp_path: Path, database_url: str, whole: int
) -> None:
    """Cut behind any chunk, the next run lands all of it, signs three receipts and finds nothing new after."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(3500))

        def month() -> Any:
            if whole:
                with Cut(bank) as broken:
                    broken.whole = whole
                    with pytest.raises(Unavailable):
                        receive(bank, broken, database_url)
            with BankClient(bank) as client:
                results = receive(bank, client, database_url)
                assert receive(bank, client, database_url) == []
                return results, send_by_network(bank, client, wait_s=10)

        results, (done, waiting) = await asyncio.to_thread(month)
        assert [(r.stage, r.accepted, r.rejected) for r in results] == [("accepted", 3500, 0)]
        assert ([c.stage for c in done], waiting) == (["received", "accepted", "applied"], 0)


async def test_what_lies_ready_is_landed_first(tmp_path: Path) -> None:
    """An edition that `fetch` brought is landed by `receive` as well, and the next one behind it."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        url = f"sqlite:///{tmp_path}/bank.db"
        first = world.seal(1500)
        await world.publish(first)

        def fetch() -> None:
            from adapters.bank.fetch import fetch_from_gateway

            with BankClient(bank) as client:
                fetch_from_gateway(Receiver(bank), client, ["grade-a"])

        await asyncio.to_thread(fetch)
        await world.publish(world.seal(20, month=2, sequence=2, predecessor=first.digest))

        def month() -> list[Result]:
            with BankClient(bank) as client:
                return receive(bank, client, url)

        assert [r.sequence for r in await asyncio.to_thread(month)] == [1, 2]
        with sqlite3.connect(tmp_path / "bank.db") as conn:
            assert conn.execute("SELECT count(*) FROM grade_a").fetchone()[0] == 20
