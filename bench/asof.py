"""Job: what a bank knew of one subject on a day, over 36 monthly editions; and the subject's report.

The floor reads the same rows by primary key: no question is logged, nothing is proven, sealed or verified.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.city import City
from bench.job import Bench
from bench.processes import python, run
from bench.report import Line

BANKS = 12
QUESTIONS = 400
TARGET_MS = 50.0
REPORT_S = 1.0


def asof(bench: Bench) -> Iterator[Line]:
    """Three FULLs and 33 DELTAs of 1 %, told to twelve banks; one bank and one day are asked for."""
    bench.say(f"as-of: three years of {bench.rows:,} rows and {BANKS} banks are told")
    city = City.found(bench.place / "years", BANKS, with_inbox=True)
    subjects = bench.fresh("subjects")
    with city.serving():
        run(python("bench.years", "prepare", city.place, BANKS, bench.rows, subjects))
    bench.say(f"as-of: {QUESTIONS} questions")
    database = city.gateway / "gateway.db"
    with city.serving() as gateway:
        found = run(python("bench.years", "ask", city.place, QUESTIONS, subjects)).json
        floor = run(python("bench.floors", "lookup", database, "bench-city/bank-1", QUESTIONS)).json
    of = f"{floor:.1f} ms"
    peaks = {"gateway": gateway.peak_mib}
    measured = f"{found['p99_ms']:.1f} ms (median {found['median_ms']:.1f}, first {found['first_ms']:.0f})"
    yield Line("as-of, 36 editions, one bank: call, p99 ms", measured, of, found["p99_ms"], TARGET_MS, peaks=peaks)
    whole = f"{found['verified_ms']:.1f} ms"
    yield Line("the same with every seal and proof verified, p99 ms", whole, of, found["verified_ms"], 3 * TARGET_MS)
    report = f"{found['report_s']:.2f} s"
    yield Line(f"subject report, 36 editions, {BANKS} banks, as HTML: s", report, "", found["report_s"], REPORT_S)
