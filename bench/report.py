"""What was measured, as a table on the terminal and in docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Line:
    """One job against its target."""

    job: str
    measured: str
    #: What it is compared with, as measured in the same run; "" where the target is absolute.
    floor: str
    #: The number that the target is about.
    figure: float
    target: float
    aim: float | None = None
    #: Whether the figure must not exceed (True) or not fall below (False) the target.
    at_most: bool = True
    #: Process → peak resident memory in MiB.
    peaks: Mapping[str, float] = field(default_factory=dict)

    def reaches(self, bound: float) -> bool:
        return self.figure <= bound if self.at_most else self.figure >= bound

    @property
    def verdict(self) -> str:
        if not self.reaches(self.target):
            return "missed"
        return "met" if self.aim is None or not self.reaches(self.aim) else "aim met"

    def cells(self) -> list[str]:
        sign = "≤" if self.at_most else "≥"
        wanted = f"{sign} {self.target:g}" + (f" (aim {self.aim:g})" if self.aim is not None else "")
        peaks = ", ".join(f"{name} {mib:.0f}" for name, mib in self.peaks.items())
        return [self.job, self.floor, self.measured, f"{self.figure:.2f}", wanted, self.verdict, peaks]


HEADINGS = ["job", "floor", "measured", "ratio or figure", "target", "", "peak MiB"]


def markdown(lines: Sequence[Line], machine: Mapping[str, str], conditions: str) -> str:
    rows = [HEADINGS, ["---"] * len(HEADINGS), *(line.cells() for line in lines)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    where = "; ".join(f"{name}: {value}" for name, value in machine.items())
    return f"{conditions}\n\nMachine: {where}.\n\n{table}\n"


def plain(lines: Sequence[Line]) -> str:
    rows = [HEADINGS, *(line.cells() for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(row).rstrip() for row in padded)


def write(page: Path, text: str) -> None:
    """Replaces what stands between the markers; the words around them are a person's."""
    old = page.read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        raise ValueError(f"{page} has no place for measurements: {BEGIN} … {END}")
    between = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    page.write_text(between.sub(lambda _: f"{BEGIN}\n{text}{END}", old))
