"""Job: signed and logged receipts, against a bare echo of the same size."""

from __future__ import annotations

from collections.abc import Iterator

from bench.city import City, postgresql
from bench.job import Bench, floor_server
from bench.processes import python, run
from bench.report import Line

CONCURRENCY = 50
#: Bytes of a call with a sealed receipt and a log head.
CALL_BYTES = 900
BANKS, EDITIONS = 5, 300
STAGES = 3


def receipts(bench: Bench) -> Iterator[Line]:
    """50 callers at once, and a lone one, on SQLite and on PostgreSQL."""
    yield from _on(bench, "SQLite", "sqlite:///gateway.db", target=0.40)
    with postgresql() as url:
        if url is None:
            bench.say("no PostgreSQL here: its lines are left out")
            return
        yield from _on(bench, "PostgreSQL", url, target=0.35)


def _on(bench: Bench, name: str, database: str, target: float) -> Iterator[Line]:
    bench.say(f"receipts, {name}: {BANKS * EDITIONS} deliveries are prepared")
    city = City.found(bench.place / f"receipts-{name}", BANKS, database)
    prepared = bench.fresh(f"{name}.receipts")
    with city.serving() as gateway:
        run(python("bench.unary", "prepare", city.place, BANKS, EDITIONS, prepared))
        # Echo, receipts, echo: what else the machine does meanwhile falls on both.
        before = _echo(bench)
        result = run(python("bench.unary", "submit", city.place, prepared, CONCURRENCY)).json
        floor = max(before, _echo(bench))
    yield Line(
        f"receipts, signed and logged, {CONCURRENCY} at once, {name}",
        f"{result['rate']:.0f}/s",
        f"{floor:.0f}/s bare echo",
        result["rate"] / floor,
        target,
        0.5,
        at_most=False,
        peaks={"gateway": gateway.peak_mib},
    )
    yield Line(f"lone caller's receipt, {name}: median ms", "", "", result["median_ms"], 3.0)


def _echo(bench: Bench) -> float:
    """Calls per second of the bare echo."""
    with floor_server() as port:
        command = python("bench.floors", "echo", port, BANKS * EDITIONS * STAGES, CONCURRENCY, CALL_BYTES)
        return max(run(command).json for _ in range(bench.repeat))
