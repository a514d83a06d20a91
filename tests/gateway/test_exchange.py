"""The one door: what shares a transaction, what fails in it, and what is left when it closes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from audit.log import log_entries
from gateway.exchange import Door, Exchange
from gateway.store import migrations, tables
from gateway.store.db import Database
from xinyi.errors import Conflict, NotEntitled, Unavailable

Work = Callable[[Exchange], Any]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrations.upgrade(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def door(database: Database) -> Iterator[Door]:
    opened = Door(database)
    yield opened
    opened.close()


def party(name: str, count: int = 0) -> dict[str, Any]:
    return {
        "party": name, "kind": "BANK", "display_name": str(count), "state": "ACTIVE", "changed_at_ms": 0
    }  # fmt: skip


def add(name: str) -> Work:
    def work(x: Exchange) -> str:
        x.add(tables.parties, party(name))
        x.log("party.added", actor="a")
        return name

    return work


def refuse(x: Exchange) -> None:
    x.add(tables.parties, party("refused"))
    x.remove(tables.intakes, b"staged")
    x.log("party.added", actor="a")
    raise NotEntitled("no", basis="a.rule")


def stumble(x: Exchange) -> None:
    x.conn.execute(text("SELECT * FROM nowhere"))


def shown(database: Database) -> tuple[set[str], int]:
    """Parties that are there, and how many exchanges were logged."""
    with database.reading() as conn:
        names = set(conn.execute(select(tables.parties.c.party)).scalars())
        return names, conn.execute(select(func.count()).select_from(log_entries)).scalar_one()


async def together(door: Door, *works: tuple[Work, str | None]) -> list[Any]:
    """All of them in one transaction: the door is busy while they are handed in."""
    free = threading.Event()
    busy = asyncio.create_task(door.run(lambda _: free.wait(10)))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(door.run(work, key=key)) for work, key in works]
    await asyncio.sleep(0.05)
    free.set()
    await busy
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_one_bad_exchange_takes_no_other_along(database: Database, door: Door) -> None:
    """A refusal, a row whose place is taken and a broken statement fail alone; the others are logged whole."""
    door.run_sync(add("taken"))
    with database.writing() as conn:
        row = {"manifest_digest": b"staged", "envelope": b"", "blinding_key": b"", "begun_at_ms": 0}
        conn.execute(tables.intakes.insert().values(row))
    outcomes = await together(
        door,
        (add("first"), "1"),
        (add("alone"), None),
        (refuse, "2"),
        (add("taken"), "3"),
        (add("second"), "4"),
        (stumble, "5"),
        (add("third"), "6"),
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds[:5] == [str, str, NotEntitled, Conflict, str]
    assert isinstance(outcomes[5], SQLAlchemyError)
    assert outcomes[3].basis == "unique"
    assert shown(database) == ({"taken", "first", "alone", "second", "third"}, 5)
    with database.reading() as conn:
        assert conn.execute(select(tables.intakes.c.manifest_digest)).scalar_one() == b"staged"


async def test_a_broken_statement_does_not_lose_what_came_before_it(database: Database, door: Door) -> None:
    """PostgreSQL gives up the whole transaction, and would end it as if all were well."""
    outcomes = await together(door, (add("before"), None), (stumble, None))
    assert outcomes[0] == "before"
    assert shown(database) == ({"before"}, 1)


@pytest.mark.parametrize("needed", [False, True])
async def test_exchanges_of_one_key_see_each_others_writes(
    database: Database, door: Door, needed: bool
) -> None:
    """Each reads what the one before it left, in one transaction or in several, read ahead or not."""
    door.run_sync(add("counted"))

    def count(x: Exchange) -> int:
        row = x.get(tables.parties, "counted")
        assert row is not None
        number = int(row["display_name"]) + 1
        x.replace(tables.parties, party("counted", number))
        x.log("party.counted", actor="a")
        return number

    needs = [(tables.parties, ("counted",))] if needed else []
    numbers = await asyncio.gather(*(door.run(count, key="counted", needs=needs) for _ in range(60)))
    assert sorted(numbers) == list(range(1, 61))
    assert shown(database)[1] == 61


async def test_a_removed_row_is_gone_for_who_comes_next(database: Database, door: Door) -> None:
    """Also within one transaction; and rows that the log vouches for are never removed."""
    with database.writing() as conn:
        row = {"manifest_digest": b"staged", "envelope": b"", "blinding_key": b"", "begun_at_ms": 0}
        conn.execute(tables.intakes.insert().values(row))

    def take(x: Exchange) -> bool:
        if x.get(tables.intakes, b"staged") is None:
            return False
        x.remove(tables.intakes, b"staged")
        x.log("party.took", actor="a")
        return True

    assert sorted(await together(door, (take, "1"), (take, "2"))) == [False, True]
    chunk = {"manifest_digest": b"staged", "data": b"", "last_key": b"", "grades": ""}
    with database.writing() as conn:
        conn.execute(tables.chunks.insert(), [chunk | {"number": n} for n in range(3)])
        conn.execute(tables.chunks.insert().values(chunk | {"number": 0, "manifest_digest": b"stays"}))

    def take_all(x: Exchange) -> bool:
        found = x.get(tables.chunks, b"staged", 1) is not None
        x.remove(tables.chunks, b"staged")
        return found

    assert await together(door, (take_all, "1"), (take_all, "2")) == [True, False]
    with database.reading() as conn:
        assert conn.execute(select(tables.chunks.c.manifest_digest)).scalars().all() == [b"stays"]
    with pytest.raises(ValueError, match="never deleted"):
        door.run_sync(lambda x: x.remove(tables.parties, "counted"))


def test_business_rows_without_an_entry_are_refused(database: Database, door: Door) -> None:
    """Whoever forgets to log, or writes after logging, writes nothing."""

    def silent(x: Exchange) -> None:
        x.add(tables.parties, party("silent"))

    def late(x: Exchange) -> None:
        x.log("party.added", actor="a")
        x.add(tables.parties, party("late"))

    for work in (silent, late):
        with pytest.raises(ValueError, match="logged"):
            door.run_sync(work)
    with pytest.raises(ValueError, match="written whole"):
        door.run_sync(lambda x: x.add(tables.parties, {"party": "half"}))
    assert shown(database) == (set(), 0)


def test_whoever_comes_while_the_door_closes_gets_an_answer(database: Database) -> None:
    """Committed, or told that the gateway is stopping; nobody waits for ever."""
    door = Door(database)
    told: list[str] = []

    def knock(number: int) -> None:
        try:
            for n in range(10_000):
                door.run_sync(add(f"{number}-{n}"), key=f"{number}-{n}")
        except Unavailable:
            told.append("stopping")

    threads = [threading.Thread(target=knock, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    door.close()
    for thread in threads:
        thread.join(10)
    assert told == ["stopping"] * 8


def test_entries_ascend_in_time_where_clocks_differ_a_little(database: Database) -> None:
    """What was recorded until a moment stays what it was, although another process's clock is behind.

    A clock that was set to next month holds nobody there.
    """
    now_ms = 1_541_030_400_000
    for clock, wanted in (
        (now_ms, now_ms),
        (now_ms - 2_000, now_ms),
        (now_ms + 1, now_ms + 1),
        (now_ms - 40 * 86_400_000, now_ms - 40 * 86_400_000),
    ):
        door = Door(database, lambda clock=clock: clock)  # type: ignore[misc]

        def work(x: Exchange) -> int:
            x.log("party.added", actor="a")
            return x.now_ms

        try:
            assert door.run_sync(work) == wanted
        finally:
            door.close()
