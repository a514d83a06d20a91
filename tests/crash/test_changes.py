"""Banks die while DELTAs and CORRECTIONs come to them by each channel, and recalls to one that is suspended.

In a first DELTA and a first CORRECTION nobody dies, which tells how many steps each program has; with each later one
every bank dies once in each program, every time at another point. At the end the suspended bank is let in again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from tests.crash.accounts import check_table, check_taken
from tests.crash.banks import Bank, plan
from tests.crash.city import City, Edition
from tests.crash.founding import FOLDER, PULL, PUSH
from tests.crash.programs import COUNTING, Job, Point, points
from tests.crash.year import Kind, Year, recalled

ROWS = 1100
KINDS: tuple[Kind, ...] = ("delta", "correction")
#: Banks at work at one time.
TOGETHER = 3
#: Points tried in each program of each bank, with each kind of edition.
SAMPLES = 2


class Months:
    """A city behind its FULL, whose last bank is suspended."""

    def __init__(self, city: City, banks: Sequence[Bank]) -> None:
        self._city = city
        self._year = Year(city, told=60)
        *self._active, self._suspended = self._banks = banks
        self.corrections: list[Edition] = []

    def begin(self, kind: Kind, rota: Mapping[str, Sequence[Point]]) -> Sequence[Bank]:
        """Publishes an edition. The banks that it has reached, or that may ask for it.

        Args: rota — name of a bank → where each of its programs dies; an inbox, which is the first, does so here.
        """
        for bank in self._active:
            bank.arm(rota[bank.name][0] if rota else COUNTING)
        edition = self._year.publish(kind)
        if kind == "correction":
            self.corrections.append(edition)
        told = self._banks if kind == "correction" else self._active
        for bank in told:
            bank.wait_for(edition)
        return told

    def end(self) -> None:
        """Everybody holds what has come to it, once."""
        first, newest = self._city.editions[0], self._city.editions[-1]
        for bank in self._active:
            bank.check(newest)
        if self.corrections:
            shown = recalled(first, self.corrections)
            home, recall = self._suspended.home, self.corrections[-1].digest
            check_table(home, first.digest, shown, rejected=len(first.list.stands) - len(shown))
            check_taken(home, self._city.account.delivery(recall, self._suspended.name))


def test_changes_and_recalls_land_once_wherever_a_bank_dies(tmp_path: Path) -> None:
    """Every edition is applied and receipted once by every bank, every recall confirmed once."""
    channels = {"pull": PULL, "folder": FOLDER, "push": PUSH, "suspended": PULL}
    plans = [plan(name, channel, tmp_path) for name, channel in channels.items()]
    with City(tmp_path, plans, rows=ROWS) as city, ExitStack() as stack:
        banks = [Bank(city, plan) for plan in plans]
        for bank in banks:
            if bank.inbox is not None:
                stack.enter_context(bank.inbox)
        workers = stack.enter_context(ThreadPoolExecutor(TOGETHER))
        first = city.publish()
        list(workers.map(lambda bank: bank.live(first), banks))
        suspended = banks[-1]
        city.decide("suspend", suspended.name)
        months = Months(city, banks)
        places = {}
        for kind in KINDS:
            told = months.begin(kind, {})
            steps = workers.map(Bank.count, told)
            places[kind] = {
                b.name: [points(n, SAMPLES) for n in many] for b, many in zip(told, steps, strict=True)
            }
            months.end()
        most = max(len(where) for of_kind in places.values() for many in of_kind.values() for where in many)
        deaths = planned = 0
        for number, kind in product(range(most), KINDS):
            rota = {
                name: [where[number % len(where)] for where in many] for name, many in places[kind].items()
            }
            told = months.begin(kind, rota)
            own = [rota[bank.name][-len(bank.jobs) :] for bank in told]
            deaths += sum(workers.map(Bank.die, told, own))
            planned += sum(map(len, own))
            months.end()
        assert deaths > planned / 2, "most of these points were never reached"
        assert all(bank.inbox.deaths for bank in banks if bank.inbox is not None)
        city.account.check_recalls([edition.digest for edition in months.corrections], list(channels))
        city.decide("activate", suspended.name)
        Job(suspended.home, "xinyi-bank", "catch-up").finish()
        suspended.live(city.editions[-1])
        suspended.check(city.editions[-1])
        city.check(delivered=city.editions)
