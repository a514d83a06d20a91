"""A bank dies at any durable step of its report, and runs it again: one receipt, the same counts, nothing sealed twice.

One bank reports the same loan book for many quarters; in each it dies at another point. In the first nobody dies, which
tells how many steps there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from adapters.bank.lending.kept import KeptTable, KeptTables
from adapters.party.home import Home
from tests.bank.lending.loan_files import loan, write_csv
from tests.crash.programs import Job, Point, points
from tests.flows.test_rights import entries
from tests.lending import list_reports
from tests.world import World, city
from xinyi.lending import parse_period
from xinyi.v1 import lending_pb2

#: Points tried.
SAMPLES = 16
LOANS = 40


@dataclass(frozen=True)
class Reporter:
    home: Home
    file: Path

    def job(self, period: str) -> Job:
        how = (self.file, "--period", period, "--profile", "loans", "--yes", "--wait", 20)
        return Job(self.home.path, "xinyi-bank", "report", how)

    def kept(self, period: str) -> list[KeptTable]:
        return [kept for kept in KeptTables(self.home).all() if kept.message.period == parse_period(period)]

    def die(self, period: str, point: Point) -> bool:
        job = self.job(period)
        died = job.die(point)
        sealed = [kept.digest for kept in self.kept(period)]
        assert len(sealed) <= 1, f"sealed twice {point}"
        job.finish()
        [kept] = self.kept(period)
        assert sealed in ([], [kept.digest]), f"another table in the place of a sealed one, {point}"
        assert kept.receipt is not None
        assert kept.receipt.state == lending_pb2.REPORT_STATE_COUNTED
        assert kept.log_index is not None
        assert (kept.path / "rows.db").exists()
        assert not (kept.path / "staging.db").exists()
        assert not (kept.path.parent / ".making").exists()
        return died


def quarters() -> Iterator[str]:
    """That are over, from 2014 on."""
    for year in count(2014):
        yield from (f"{year}-Q{quarter}" for quarter in range(1, 5))


async def test_a_report_may_die_anywhere(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "loans.csv", [loan(number, 放款日期="2013-12-02") for number in range(1, LOANS + 1)])
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        reporter = Reporter(bank, file)
        periods = quarters()
        first = next(periods)
        where = points(await asyncio.to_thread(reporter.job(first).count), SAMPLES)
        later = dict(zip(periods, where, strict=False))
        deaths = 0
        for period, point in later.items():
            deaths += await asyncio.to_thread(reporter.die, period, point)
        assert deaths > len(where) / 2, "most of these points were never reached"
        await counted_once(world, reporter, [first, *later])


async def counted_once(world: World, reporter: Reporter, periods: list[str]) -> None:
    """At the gateway there is one table a period, that of the bank's receipt, with the same sums."""
    stand = dict(await list_reports(reporter.home))
    assert len(stand) == len(periods) == len(entries(world, "lending.counted"))
    margins = set()
    for period in periods:
        [kept] = reporter.kept(period)
        assert stand[kept.digest] == "COUNTED"
        total = kept.message.margins[0].cells[0].sums
        assert (kept.message.rows, kept.message.firms) == (LOANS, LOANS)
        margins.add((total.outstanding_loans, total.balance))
    assert margins == {(LOANS, LOANS * 90_000_050)}
