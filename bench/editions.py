"""Job: one edition of a whole city, from the bureau's file to the banks' tables; then ten times as many rows.

The floors of a delivery stream the very chunks that the gateway holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.city import City
from bench.job import Bench, floor_server
from bench.processes import Run, Server, program, python, run
from bench.report import Line

BANKS = 50
TENFOLD = 10
MEMORY_MIB = 300
#: Column of the identifier in the generated file.
IDENTIFIER = 0


@dataclass(frozen=True)
class Travelled:
    """One edition's way through real programs: seconds of each part, peak memory of each program."""

    publish: float
    deliver: float
    peaks: dict[str, float]


def editions(bench: Bench) -> Iterator[Line]:
    """Publishing, delivering, one bank more, and memory at one and at ten times the city."""
    bench.say(f"editions: a city of {bench.rows:,} rows and {BANKS} banks is made")
    source = _generate(bench, "city.csv", bench.rows)
    founded = City.found(bench.place / "founded", BANKS)
    travels, floors = [], []
    chunks = bench.place / "city.chunks"
    for turn in range(bench.repeat):
        bench.say(f"editions: turn {turn + 1} of {bench.repeat}")
        publish_floor = _publish_floor(bench, source)
        city = founded.copy(bench.place / "city")
        travels.append(_travel(city, source))
        run(python("bench.floors", "dump", city.gateway / "gateway.db", chunks))
        floors.append((publish_floor, _deliver_floor(bench, chunks)))
    best = Travelled(
        min(t.publish for t in travels), min(t.deliver for t in travels), _largest([t.peaks for t in travels])
    )
    publish_floor, deliver_floor = (min(of) for of in zip(*floors, strict=True))
    yield _line("publish: file → durable edition", best.publish, publish_floor, 2.5, 2.0)
    yield _line("deliver: stored edition → landed in SQLite", best.deliver, deliver_floor, 1.5, 1.2)
    yield from _further_banks(bench, city, chunks)
    yield from _tenfold(bench, founded, best)


def _line(job: str, seconds: float, floor: float, target: float, aim: float | None = None) -> Line:
    return Line(job, f"{seconds:.2f} s", f"{floor:.2f} s", seconds / floor, target, aim)


def _generate(bench: Bench, name: str, rows: int) -> Path:
    source = bench.place / name
    run(python("examples.generate", source, "--rows", rows, "--seed", 1))
    return source


def _publish(city: City, source: Path) -> Run:
    return run(
        program(
            "xinyi-bureau",
            *("publish", source, "--profile", "city-grades", "--product", "grade-a"),
            *("--period", "2018-04", "--home", city.maker, "--json"),
        )
    )


def _travel(city: City, source: Path) -> Travelled:
    """File → gateway → approval → bank 1: fetched, verified, landed, signed for."""
    bank = city.bank(1)
    with city.serving() as gateway:
        published = _publish(city, source)
        edition = published.json["manifest"]
        approved = run(program("xinyi-bureau", "approve", edition, "--yes", "--home", city.approver))
        fetched = run(program("xinyi-bank", "fetch", "--home", bank))
        landed = run(program("xinyi-bank", "land", "--home", bank))
    peaks = {
        "gateway": gateway.peak_mib,
        "publish": published.peak_mib,
        "approve": approved.peak_mib,
        "fetch": fetched.peak_mib,
        "land": landed.peak_mib,
    }
    return Travelled(published.seconds, fetched.seconds + landed.seconds, peaks)


def _largest(all_peaks: list[dict[str, float]]) -> dict[str, float]:
    return {name: max(peaks[name] for peaks in all_peaks) for name in all_peaks[0]}


def _publish_floor(bench: Bench, source: Path) -> float:
    return run(python("bench.floors", "publish", source, bench.fresh("floor.db"), IDENTIFIER)).seconds


def _deliver_floor(bench: Bench, chunks: Path) -> float:
    with floor_server(chunks) as port:
        return run(python("bench.floors", "deliver", port, bench.fresh("floor.db"))).seconds


def _further_banks(bench: Bench, city: City, chunks: Path) -> Iterator[Line]:
    """What a bank more costs, and whether the gateway grows by it. Bank 1 has the edition already."""
    bench.say(f"editions: {BANKS - 1} further banks")
    with floor_server(chunks, city.gateway / "keys") as port:
        floor = run(python("bench.floors", "receive", port, city.bank(1) / "keys", BANKS - 1)).json
    with city.serving() as gateway:
        run(python("bench.banks", city.place, 2, 2))
        before = _high_water(gateway)
        seconds = run(python("bench.banks", city.place, 3, BANKS)).json
        after = _high_water(gateway)
    yield _line(f"each further bank of {BANKS}, s", seconds, floor, 1.3)
    job = f"gateway's peak memory after {BANKS} banks against 2"
    yield Line(job, f"{after:.0f} MiB", f"{before:.0f} MiB", after / before, 1.1)


def _high_water(server: Server) -> float:
    """Peak resident memory of a program that still runs, in MiB."""
    lines = Path(f"/proc/{server.child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def _tenfold(bench: Bench, founded: City, once: Travelled) -> Iterator[Line]:
    bench.say(f"editions: {TENFOLD} times the rows, once")
    source = _generate(bench, "cities.csv", bench.rows * TENFOLD)
    many = _travel(founded.copy(bench.place / "city"), source)
    for name in once.peaks:
        yield Line(
            f"peak memory of {name}: ten times the rows against one",
            f"{many.peaks[name]:.0f} MiB",
            f"{once.peaks[name]:.0f} MiB",
            many.peaks[name] / once.peaks[name],
            1.25,
        )
    largest = max([*once.peaks.values(), *many.peaks.values()])
    yield Line("largest process of all, MiB", f"{largest:.0f} MiB", "", largest, MEMORY_MIB)
