"""make bench: runs the jobs, prints the table, and writes it into docs/performance.md.

    python -m bench [JOB …] [--rows N] [--repeat N] [--no-write]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, report
from bench.asof import asof
from bench.deltas import deltas
from bench.editions import editions
from bench.job import Bench
from bench.outcomes import outcomes
from bench.receipts import receipts
from bench.reporting import reporting

JOBS: dict[str, Callable[[Bench], Iterator[report.Line]]] = {
    "editions": editions,
    "deltas": deltas,
    "receipts": receipts,
    "asof": asof,
    "outcomes": outcomes,
    "reporting": reporting,
}

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".bench"
WHOLE_CITY = 321_680


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("jobs", nargs="*", choices=[[], *JOBS], help="all without any")
    parser.add_argument("--rows", type=int, default=WHOLE_CITY, help="taxpayers of the city")
    parser.add_argument("--repeat", type=int, default=3, help="times each; the fastest counts")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md as it is")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)

    here = machine.describe(PLACE)
    bench = Bench(PLACE, arguments.rows, arguments.repeat, say)
    lines = []
    for name in arguments.jobs or JOBS:
        for line in JOBS[name](bench):
            say("  ".join(cell for cell in line.cells() if cell))
            lines.append(line)
    print("\n" + report.plain(lines))
    if not arguments.jobs and not arguments.no_write:
        conditions = (
            f"{datetime.now(UTC):%Y-%m-%d}, {arguments.rows:,} rows, "
            f"the fastest of {arguments.repeat} runs of floor and job each."
        )
        report.write(ROOT / "docs/performance.md", report.markdown(lines, here, conditions))
        print("\nwritten: docs/performance.md")
    shutil.rmtree(PLACE)
    # A missed target is said, not hidden behind an exit code: the machine decides it as well.
    return 0


if __name__ == "__main__":
    sys.exit(main())
