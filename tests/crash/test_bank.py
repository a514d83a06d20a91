"""A bank dies at any durable step of fetch, land, confirm or inbox, and is started again.

A city with several banks of one channel. In the first month nobody dies, which tells how many steps each
program has; in each later one every bank dies once in each program, every time at another point.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count, takewhile
from pathlib import Path

import pytest

from tests.crash.accounts import check_bank
from tests.crash.city import City, Edition
from tests.crash.founding import FOLDER, PULL, PUSH, BankPlan
from tests.crash.programs import COUNTING, Job, Point, Service, free_port, points, steps_noted

BANKS = 4
#: Banks at work at one time.
TOGETHER = 3
SAMPLES = 12


class Bank:
    """A bank's programs; `inbox` where the gateway dials it."""

    def __init__(self, place: Path, plan: BankPlan) -> None:
        self.name = plan.name
        self.home = place / plan.name
        folder = ("--folder", plan.target) if plan.channel == FOLDER else ()
        self.jobs = [
            Job(self.home, "xinyi-bank", "fetch", folder),
            Job(self.home, "xinyi-bank", "land"),
            Job(self.home, "xinyi-bank", "confirm", folder),
        ]
        self.inbox: Service | None = None
        if plan.channel == PUSH:
            del self.jobs[0]
            port = int(plan.target.rpartition(":")[2])
            self.inbox = Service(self.home, "xinyi-bank", "inbox", port)

    def arm(self, point: Point) -> None:
        if self.inbox is not None:
            self.inbox.arm(point)

    def count(self) -> list[int]:
        """Durable steps of each program, an inbox first, in a month without a death."""
        received = [len(steps_noted(self.inbox.notes))] if self.inbox is not None else []
        return received + [job.count() for job in self.jobs]

    def die(self, where: Sequence[Point]) -> None:
        """Dies once in every job, and does all its work nevertheless."""
        for job, point in zip(self.jobs, where, strict=True):
            job.die(point)
            job.finish()


def _plans(channel: int, place: Path) -> list[BankPlan]:
    def target(n: int) -> str:
        if channel == PUSH:
            return f"127.0.0.1:{free_port()}"
        return str(place / f"front-end-node-{n}") if channel == FOLDER else ""

    return [BankPlan(f"bank-{n}", channel, target(n)) for n in range(1, BANKS + 1)]  # type: ignore[arg-type]


def _publish(city: City, channel: int) -> Edition:
    """A month's edition, come as far as the gateway brings it."""
    edition = city.publish()
    for bank in city.banks:
        if channel == PUSH:
            city.account.wait_for(edition.digest, bank.name, "RECEIVED")
        if channel == FOLDER:
            city.account.wait_for_transfer(edition.digest, bank.name)
    return edition


@pytest.mark.parametrize("channel", [PULL, FOLDER, PUSH], ids=["pull", "folder", "push"])
def test_a_bank_may_die_anywhere(tmp_path: Path, channel: int) -> None:
    """Every edition is landed once and receipted once, whichever program died where."""
    with City(tmp_path, _plans(channel, tmp_path)) as city, ExitStack() as stack:
        banks = [Bank(tmp_path, plan) for plan in city.banks]
        for bank in banks:
            if bank.inbox is not None:
                stack.enter_context(bank.inbox)
            bank.arm(COUNTING)
        workers = stack.enter_context(ThreadPoolExecutor(TOGETHER))
        _publish(city, channel)
        steps = list(workers.map(Bank.count, banks))[0]
        places = [points(number, SAMPLES) for number in steps]
        for month in takewhile(lambda m: m * BANKS < max(map(len, places)), count()):
            rota = [[p[(month * BANKS + n) % len(p)] for p in places] for n in range(BANKS)]
            for bank, where in zip(banks, rota, strict=True):
                bank.arm(where[0])
            _publish(city, channel)
            list(workers.map(Bank.die, banks, [where[-len(banks[0].jobs) :] for where in rota]))
        for bank in banks:
            check_bank(bank.home, city.editions[-1].digest, city.editions[-1].list, proofs=channel != FOLDER)
        city.check(delivered=city.editions)
