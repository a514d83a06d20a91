"""Job: a month's changes, from the bureau's file to the bank's table, against the FULL they build on.

Once as whole programs, and once less what the same two programs take where there is nothing to do: to start, to read
the file, to dial the gateway and to be told so. A DELTA's own work is shorter than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.city import City
from bench.editions import CHANGES, Travelled, generate, publish, receive, travel
from bench.job import Bench
from bench.report import Line

#: DELTAs told one after the other; the fastest counts.
MONTHS = 3
TARGET = 0.05
#: How a program ends that had nothing to do.
NOTHING = 7


def deltas(bench: Bench) -> Iterator[Line]:
    """One taxpayer in a hundred is new, gone, or has another record."""
    bench.say(f"deltas: a FULL of {bench.rows:,} rows, then {MONTHS} DELTAs of 1 %")
    founded, source = City.found(bench.place / "deltas", 1), generate(bench, "city.csv", bench.rows)
    fulls, changed, nothing = [], [], []
    for _ in range(bench.repeat):
        city = founded.copy(bench.place / "city")
        fulls.append(travel(city, source))
    for month in range(2, MONTHS + 2):
        source = generate(bench, "changes.csv", bench.rows, "--month", month, "--changes")
        told = {"period": f"2018-{month + 3:02}", "profile": CHANGES}
        changed.append(travel(city, source, **told))
        nothing.append(_idle(city, source, **told))
    short, long, idle = (min(map(_seconds, runs)) for runs in (changed, fulls, nothing))
    yield _line("DELTA of 1 %: file → landed, against its FULL", short, long)
    if short > idle:
        yield _line("the same, each less its two programs with nothing to do", short - idle, long - idle)
    else:
        bench.say("deltas: nothing to do took longer than a DELTA, so this machine is too busy to tell its own work")


def _line(job: str, short: float, long: float) -> Line:
    return Line(job, f"{short:.2f} s", f"{long:.2f} s", short / long, TARGET)


def _seconds(travelled: Travelled) -> float:
    return travelled.publish + travelled.deliver


def _idle(city: City, source: Path, **how: str) -> Travelled:
    """A file that is published already, and a bank that holds it."""
    with city.serving():
        published = publish(city, source, expect=NOTHING, **how)
        return Travelled(published.seconds, receive(city, expect=NOTHING).seconds)
