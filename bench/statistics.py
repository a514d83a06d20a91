"""Job: a quarter's statistics over the tables of 500 banks and 1,000,000 rows with consent.

The floor is the plain SQL GROUP BYs that give the same margins, on the same database.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.city import City, postgresql
from bench.job import Bench
from bench.processes import python, run
from bench.report import Line

BANKS, ROWS = 500, 1_000_000
TARGET = 1.5


def statistics(bench: Bench) -> Iterator[Line]:
    """Both versions: added up, suppressed, sealed, logged."""
    yield from _on(bench, "SQLite", "sqlite:///gateway.db")
    with postgresql() as url:
        if url is None:
            bench.say("statistics: no PostgreSQL here, left out")
        else:
            yield from _on(bench, "PostgreSQL", url)


def _on(bench: Bench, name: str, url: str) -> Iterator[Line]:
    bench.say(f"statistics, {name}: tables of {BANKS} banks and {ROWS:,} rows are put in")
    city = City.found(bench.place / f"quarter-{name.lower()}", 0, url)
    run(python("bench.quarter", "seed", city.gateway, BANKS, ROWS))
    bench.say(f"statistics, {name}: runs")
    floor = run(python("bench.quarter", "floor", city.gateway, bench.repeat))
    job = run(python("bench.quarter", "run", city.gateway, bench.repeat))
    title = f"a quarter's statistics, {BANKS} banks, {ROWS:,} rows with consent, {name}: s"
    yield Line(
        title, f"{job.json:.2f} s", f"{floor.json:.2f} s", job.json / floor.json, TARGET,
        peaks={"gateway": job.peak_mib, "floor": floor.peak_mib},
    )  # fmt: skip
