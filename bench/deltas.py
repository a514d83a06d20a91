"""Job: a month's changes, from the bureau's file to the bank's table, against the FULL they build on.

Both as whole programs, and without what a program costs before it does anything: a DELTA's work is short enough that
starting two interpreters outweighs it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.city import City
from bench.editions import CHANGES, generate, travel
from bench.job import Bench
from bench.processes import program, run
from bench.report import Line

#: DELTAs told one after the other; the fastest counts.
MONTHS = 3
TARGET = 0.05


def deltas(bench: Bench) -> Iterator[Line]:
    """One taxpayer in a hundred is new, gone, or has another record."""
    bench.say(f"deltas: a FULL of {bench.rows:,} rows, then {MONTHS} DELTAs of 1 %")
    city = City.found(bench.place / "deltas", 1)
    full = travel(city, generate(bench, "city.csv", bench.rows))
    changed = []
    for month in range(2, MONTHS + 2):
        source = generate(bench, "changes.csv", bench.rows, "--month", month, "--changes")
        changed.append(travel(city, source, period=f"2018-{month + 3:02}", profile=CHANGES))
    delta = min(changed, key=lambda one: one.publish + one.deliver)
    starts = _start("xinyi-bureau", bench) + _start("xinyi-bank", bench)
    long, short = full.publish + full.deliver, delta.publish + delta.deliver
    yield _line("DELTA of 1 %: file → landed, against its FULL", short, long)
    yield _line("the same without the two programs' starts", short - starts, long - starts)


def _line(job: str, short: float, long: float) -> Line:
    return Line(job, f"{short:.2f} s", f"{long:.2f} s", short / long, TARGET)


def _start(name: str, bench: Bench) -> float:
    """Seconds until a program could begin."""
    return min(run(program(name, "--version")).seconds for _ in range(bench.repeat))
