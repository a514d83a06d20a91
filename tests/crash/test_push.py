"""The gateway is killed while a delivery's durable workflow is under way, or before it has begun."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from adapters.bureau.editions import Editions
from gateway.intake import STAGE_CHUNKS
from gateway.store import editions
from tests.crash.banks import Bank, plan
from tests.crash.city import City
from tests.crash.founding import PUSH
from tests.crash.programs import AGAIN, COUNTING, PATIENCE_S, Point, steps_noted

#: Durable step of `publish` that gives a small first edition its name; a larger one has more before it.
SEALED_STEP = 19


@contextmanager
def _city(place: Path, rows: int) -> Iterator[tuple[City, Bank]]:
    """A city with one bank that has an inbox."""
    plans = [plan("bank-1", PUSH, place)]
    with City(place, plans, rows=rows) as city:
        bank = Bank(city, plans[0])
        assert bank.inbox is not None
        with bank.inbox:
            yield city, bank


def _until(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not come():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def _check(city: City, bank: Bank) -> None:
    bank.live(city.editions[-1])
    bank.check(city.editions[-1])
    city.check(delivered=city.editions)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_push_under_way_is_finished_by_the_next_life(tmp_path: Path, number: signal.Signals) -> None:
    """The gateway is ended while its bank stands still at the second chunk; the next life delivers."""
    with _city(tmp_path, 6 * 1024) as (city, bank):
        assert bank.inbox is not None
        bank.inbox.arm(COUNTING)
        bank.live(city.publish())
        second = next(n for n, step in enumerate(steps_noted(bank.inbox.notes), 1) if "000001.chunk" in step)
        bank.inbox.arm(Point(second, "after", "SIGSTOP"))
        city.publish()
        _until(bank.inbox.is_paused)
        city.gateway.send(number)
        city.gateway.wait_for_death(1)
        bank.inbox.send(signal.SIGCONT)
        _check(city, bank)


def test_a_death_between_publication_and_its_workflow_loses_no_delivery(tmp_path: Path) -> None:
    """The publication is durable, its delivery queued, no workflow there: the next life's sweep begins it."""
    with _city(tmp_path, 1500) as (city, bank):
        published = city.next_list()
        city.publish_job(published).finish()
        digest = city.sealed()
        approve = city.approve_job(digest)
        city.gateway.reviving.clear()
        city.account.wait_for_log()
        city.gateway.arm(Point(1, "after"))
        assert approve.start() == AGAIN
        city.gateway.wait_for_death(1)
        assert city.account.states(digest) == {bank.name: "QUEUED"}
        assert _workflows(city) == 0
        city.gateway.reviving.set()
        approve.finish()
        city.published(published)
        _check(city, bank)


def _workflows(city: City) -> int:
    with sqlite3.connect(city.place / "gateway/workflows.db") as conn:
        count: int = conn.execute("SELECT count(*) FROM workflow_status").fetchone()[0]
    conn.close()
    return count


def test_an_intake_goes_on_behind_what_was_staged(tmp_path: Path) -> None:
    """The gateway dies between two stagings of one upload, which then becomes one edition nevertheless."""
    with _city(tmp_path, 20 * 1024) as (city, bank):
        published = city.next_list()
        publish = city.publish_job(published)
        for step in count(SEALED_STEP):  # sealed, and nothing has left the house
            publish.die(Point(step, "after"))
            if Editions(city.maker / "state").all():
                break
        digest = city.sealed()
        city.account.wait_for_log()
        # Its commits: the intake, sixteen chunks, the other four, the edition.
        city.gateway.arm(Point(3, "before"))
        assert publish.start() == AGAIN
        city.gateway.wait_for_death(1)
        with city.account.reading() as conn:
            assert editions.staged(conn, digest)[0] == STAGE_CHUNKS
        publish.finish()
        city.approve_job(digest).finish()
        city.published(published)
        _check(city, bank)
