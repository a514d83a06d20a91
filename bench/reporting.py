"""Job: a bank's loan file of a quarter to a sealed table with its sum tree, nothing sent; and memory at ten times it.

    python -m bench.reporting HOME FILE    the job itself, as its own process
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.job import Bench
from bench.processes import Run, python, run
from bench.report import Line

ROWS = 1_000_000
TENTH = ROWS // 10


def reporting(bench: Bench) -> Iterator[Line]:
    """A million rows against the floor; their peak memory against a tenth of them."""
    bench.say(f"reporting: a bank's file of {ROWS:,} loans is made")
    file, tenth = bench.fresh("loans.csv"), bench.fresh("tenth.csv")
    run(python("bench.loans", file, ROWS))
    run(python("bench.loans", tenth, TENTH))
    jobs, floors = [], []
    for turn in range(bench.repeat):
        bench.say(f"reporting: turn {turn + 1} of {bench.repeat}")
        floors.append(run(python("bench.floors", "table", file, bench.fresh("floor.db"))).seconds)
        jobs.append(_report(bench, file))
    best, floor = min(jobs, key=lambda job: job.seconds), min(floors)
    job = f"report: {ROWS:,} loans, file → sealed table"
    yield Line(
        job, f"{best.seconds:.1f} s", f"{floor:.1f} s", best.seconds / floor, 2.0, peaks={"report": best.peak_mib}
    )
    few = _report(bench, tenth)
    job = "peak memory of report: ten times the loans against one"
    yield Line(job, f"{best.peak_mib:.0f} MiB", f"{few.peak_mib:.0f} MiB", best.peak_mib / few.peak_mib, 1.25)


def _report(bench: Bench, file: Path) -> Run:
    home = bench.place / "reporting"
    shutil.rmtree(home, ignore_errors=True)
    return run(python("bench.reporting", home, file))


def _seal(path: Path, file: Path) -> None:
    """What `xinyi-bank report` does until the table is sealed; what the agreement wants is told here."""
    from adapters.bank.lending.kept import KeptTables
    from adapters.bank.lending.reporting import Order, seal_once
    from adapters.bank.lending.source import open_rows
    from adapters.party.home import Home
    from bench.floors import DIMENSIONS
    from xinyi.lending import parse_period
    from xinyi.processes import collect_seldom
    from xinyi.v1.lending_service_pb2 import ReportingTerms

    collect_seldom()
    home = Home.create(path, "xinyi://bench-city/bank-1/machine/main", "127.0.0.1:1", "bench-city/gateway")
    period, tables = parse_period("2018-Q1"), KeptTables(home)
    terms = ReportingTerms(agreement_id="1", currency="CNY", months=3, dimensions=sorted(DIMENSIONS.keys() - {"total"}))
    with tables.lock(), open_rows(home, str(file), "loans", period) as rows:
        kept = seal_once(tables, home, Order(terms, period), rows, lambda table: True)
    assert kept is not None
    print(kept.message.rows)


if __name__ == "__main__":
    _seal(Path(sys.argv[1]), Path(sys.argv[2]))
