"""Job: single loans with consent, from a bank's first call to the receipt.

The floor parses the same records, makes the leaves and the tree, and inserts them into SQLite by their ids.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.city import City
from bench.job import Bench
from bench.processes import python, run
from bench.report import Line

ROWS = 1_000_000
#: Share of a whole city's taxpayers that rows are measured with, where the bench runs with fewer.
_PER_TAXPAYER = ROWS / 321_680


def outcomes(bench: Bench) -> Iterator[Line]:
    rows = min(ROWS, int(bench.rows * _PER_TAXPAYER))
    bench.say(f"outcomes: a batch of {rows:,} rows is made")
    city = City.found(bench.place / "lending", 1)
    run(python("bench.consented", "terms", city.place))
    chunks = bench.place / "outcomes.chunks"
    with city.serving():
        run(python("bench.consented", "prepare", city.place, rows, bench.rows, chunks))
    taken, floors, peak = [], [], 0.0
    for turn in range(bench.repeat):
        bench.say(f"outcomes: turn {turn + 1} of {bench.repeat}")
        floors.append(run(python("bench.floors", "outcomes", chunks, bench.fresh("floor.db"))).seconds)
        copy = city.copy(bench.place / "city")
        with copy.serving() as gateway:
            taken.append(run(python("bench.consented", "send", copy.place, chunks)).json)
        peak = max(peak, gateway.peak_mib)
    seconds, floor = min(taken), min(floors)
    job = f"{rows:,} loans with consent: sent → durable, receipted"
    yield Line(job, f"{seconds:.1f} s", f"{floor:.1f} s", seconds / floor, 2.0, peaks={"gateway": peak})
