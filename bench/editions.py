"""Job: one edition of a whole city, from the bureau's file to the banks' tables; then ten times as many rows.

The floors of a delivery stream the very chunks that the gateway holds.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.city import NAME, City
from bench.job import Bench, floor_server
from bench.processes import Run, Server, program, python, run, serving
from bench.report import Line

BANKS = 50
TENFOLD = 10
MEMORY_MIB = 300
#: Column of the identifier in the generated file.
IDENTIFIER = 0
#: Profile of a file that holds what changes alone.
CHANGES = "city-changes"


@dataclass(frozen=True)
class Travelled:
    """One edition's way through real programs, in seconds."""

    publish: float
    deliver: float


def editions(bench: Bench) -> Iterator[Line]:
    """Publishing, delivering, one bank more, and memory at one and at ten times the city."""
    bench.say(f"editions: a city of {bench.rows:,} rows and {BANKS} banks is made")
    source = generate(bench, "city.csv", bench.rows)
    founded = City.found(bench.place / "founded", BANKS)
    travels, floors = [], []
    chunks = bench.place / "city.chunks"
    for turn in range(bench.repeat):
        bench.say(f"editions: turn {turn + 1} of {bench.repeat}")
        publish_floor = _publish_floor(bench, source)
        city = founded.copy(bench.place / "city")
        travels.append(travel(city, source))
        run(python("bench.floors", "dump", city.gateway / "gateway.db", chunks))
        floors.append((publish_floor, _deliver_floor(bench, chunks)))
    best = Travelled(min(t.publish for t in travels), min(t.deliver for t in travels))
    publish_floor, deliver_floor = (min(of) for of in zip(*floors, strict=True))
    yield _line("publish: file → durable edition", best.publish, publish_floor, 2.5, 2.0)
    yield _line("deliver: stored edition → landed in SQLite", best.deliver, deliver_floor, 1.5, 1.2)
    yield from _further_banks(bench, city, chunks)
    yield from _memory(bench, source)


def _line(job: str, seconds: float, floor: float, target: float, aim: float | None = None) -> Line:
    return Line(job, f"{seconds:.2f} s", f"{floor:.2f} s", seconds / floor, target, aim)


def generate(bench: Bench, name: str, rows: int, *options: object) -> Path:
    source = bench.place / name
    run(python("examples.generate", source, "--rows", rows, "--seed", 1, *options))
    return source


def _publish(city: City, source: Path, period: str = "2018-04", profile: str = "city-grades") -> Run:
    return run(
        program(
            "xinyi-bureau",
            *("publish", source, "--profile", profile, "--product", "grade-a"),
            *("--period", period, "--home", city.maker, "--json"),
            *(["--changes"] if profile == CHANGES else []),
        )
    )


def travel(city: City, source: Path, **how: str) -> Travelled:
    """File → gateway → approval → bank 1: fetched, verified, landed, signed for. Args: how — as for `_publish`."""
    bank = city.bank(1)
    with city.serving():
        published = _publish(city, source, **how)
        edition = published.json["manifest"]
        run(program("xinyi-bureau", "approve", edition, "--yes", "--home", city.approver))
        received = run(program("xinyi-bank", "receive", "--home", bank))
    return Travelled(published.seconds, received.seconds)


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


def _memory(bench: Bench, source: Path) -> Iterator[Line]:
    """Peak memory of every program that touches an edition, at one and at ten times the rows."""
    founded = City.found(bench.place / "memory", 1, with_inbox=True)
    bench.say("editions: memory, once the rows")
    once = _peaks(bench, founded.copy(bench.place / "city"), source)
    bench.say(f"editions: memory, {TENFOLD} times the rows")
    larger = generate(bench, "cities.csv", bench.rows * TENFOLD)
    many = _peaks(bench, founded.copy(bench.place / "city"), larger)
    for name in once:
        job = f"peak memory of {name}: ten times the rows against one"
        yield Line(job, f"{many[name]:.0f} MiB", f"{once[name]:.0f} MiB", many[name] / once[name], 1.25)
    largest = max([*once.values(), *many.values()])
    yield Line("largest process of all, MiB", f"{largest:.0f} MiB", "", largest, MEMORY_MIB)


def _peaks(bench: Bench, city: City, source: Path) -> dict[str, float]:
    """Program → MiB. A pull, a push, and an auditor who takes everything away and verifies it."""
    pulling, pushed = city.bank(1), city.bank(2)
    policy, export = bench.fresh("policy.toml"), bench.place / "export"
    shutil.rmtree(export, ignore_errors=True)
    peaks: dict[str, float] = {}

    def step(name: str, *command: object) -> Run:
        done = run(program(*map(str, command)))
        peaks[name] = done.peak_mib
        return done

    inbox = program("xinyi-bank", "inbox", "--home", pushed)
    with city.serving() as gateway, serving(inbox, ready="inbox.serving") as receiving:
        published = _publish(city, source)
        peaks["publish"] = published.peak_mib
        edition = published.json["manifest"]
        step("approve", "xinyi-bureau", "approve", edition, "--yes", "--home", city.approver)
        step("fetch", "xinyi-bank", "fetch", "--home", pulling)
        step("land", "xinyi-bank", "land", "--home", pulling)
        step("confirm", "xinyi-bank", "confirm", "--home", pulling)
        _await_received(pushed)
        trusted = ("--bureau", f"{NAME}/tax-bureau", "-o", policy)
        run(program("xinyi-audit", "policy", *trusted, "--home", city.auditor))
        purpose = ("--records", "--purpose", "bench")
        step("export", "xinyi-audit", "export", export, *purpose, "--home", city.auditor)
        step("verify", "xinyi-audit", "verify", export, "--policy", policy)
    return {"gateway": gateway.peak_mib, "inbox": receiving.peak_mib, **peaks}


def _await_received(bank: Path, patience_s: float = 600) -> None:
    """Until the push has arrived whole."""
    until = time.monotonic() + patience_s
    while not any((bank / "spool/ready").glob("*")):
        if time.monotonic() > until:
            raise RuntimeError(f"nothing was pushed to {bank}")
        time.sleep(0.2)
