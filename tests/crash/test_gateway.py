"""The gateway dies at any durable step of a month: intake, decision, offer, push, folder, receipts, log.

Three banks, one of each channel. The first month counts the gateway's steps; in each later one it dies once, at
another point, and in every third month again while it recovers. The others give their commands again until
they are done, as their schedulers would.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import postgres
from tests.crash.banks import Bank, plan
from tests.crash.city import City
from tests.crash.founding import FOLDER, PULL, PUSH, BankPlan
from tests.crash.programs import COUNTING, Point, points, steps_noted

#: Two chunks: enough to be cut between them.
ROWS = 1500


def _live(city: City, plans: Sequence[BankPlan], samples: int) -> None:
    """Month after month, and what must be true after the last."""
    with city, ExitStack() as stack:
        banks = [Bank(city, plan) for plan in plans]
        workers = stack.enter_context(ThreadPoolExecutor(len(banks)))
        for bank in banks:
            if bank.inbox is not None:
                stack.enter_context(bank.inbox)
        starting = len(steps_noted(city.gateway.notes))

        def month(point: Point) -> None:
            city.gateway.arm(point)
            edition = city.publish()
            list(workers.map(lambda bank: bank.live(edition), banks))
            for bank in banks:
                bank.check(edition)

        month(COUNTING)
        where = points(len(steps_noted(city.gateway.notes)), samples)
        for number, point in enumerate(where):
            again = Point(1 + number // 3 % starting, "before" if number % 2 else "after")
            city.gateway.next_lives = [again] if number % 3 == 0 else []
            month(point)
        assert city.gateway.deaths >= len(where), "most of these points were never reached"
        city.check(delivered=city.editions)


def test_the_gateway_may_die_anywhere(tmp_path: Path) -> None:
    """Nothing is lost, every effect is logged once, and the log of all its lives verifies."""
    plans = [plan(f"bank-{n}", channel, tmp_path) for n, channel in enumerate((PULL, PUSH, FOLDER), 1)]
    _live(City(tmp_path, plans, rows=ROWS), plans, samples=12)


@pytest.mark.postgresql
def test_the_gateway_may_die_anywhere_on_postgresql(
    tmp_path: Path, postgresql_server: postgres.Server, postgresql_url: str
) -> None:
    """The same, where a killed process leaves its connections and locks to the server."""
    plans = [plan(f"bank-{n}", channel, tmp_path) for n, channel in enumerate((PULL, PUSH), 1)]
    _live(City(tmp_path, plans, rows=ROWS, database=postgresql_url), plans, samples=5)
