"""mend.csv: every row that did not simply become a record, with what to do about it, for the bureau's operator.

It shows the cells as they stand in the source; of a person the masked identifier alone. Which rows contradict each
other, or what stood before, is known only at the end, so the rows wait in a file until then.
"""

from __future__ import annotations

import csv
import marshal
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO

from adapters.bureau.assessment import Assessed
from adapters.bureau.rules import RULES, outcome_of
from adapters.tables.reading import Table
from adapters.tables.rules import ACCEPTED, outcome_word
from xinyi.v1 import edition_pb2

#: (row number, outcome, rules, cells)
_Row = tuple[int, edition_pb2.RowOutcome, tuple[str, ...], tuple[str, ...]]


class MendFile:
    """Args: waiting — path of a file that does not exist yet, in a private folder."""

    def __init__(self, waiting: Path) -> None:
        self._path = waiting
        waiting.touch(mode=0o600, exist_ok=False)
        self._waiting: BinaryIO = waiting.open("wb")

    def add(self, rows: Iterable[Assessed]) -> None:
        """Rows in the order of the table."""
        for row in rows:
            marshal.dump((row.number, int(row.outcome), row.rules, tuple(map(str, row.shown))), self._waiting)

    def write(self, path: Path, table: Table, headings: list[str], later: Mapping[int, Sequence[str]]) -> None:
        """The CSV, in UTF-8 with a mark: spreadsheets then read it.

        Args:
            later: row number → the rules it ended under beside other rows, or what stood before.
        """
        self._waiting.close()
        accepted = later.keys() - {number for number, *_ in self._rows()}
        path.touch(mode=0o600)
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "outcome", "rules", "what to do", *headings])
            for number, outcome, rules, shown in merge(self._rows(), _read_again(table, accepted)):
                rules = (*rules, *later.get(number, ()))
                outcome = max(outcome, outcome_of(rules))
                says = "; ".join(RULES[rule].says for rule in rules)
                writer.writerow([number, outcome_word(outcome), " ".join(rules), says, *shown])

    def _rows(self) -> Iterator[_Row]:
        with self._path.open("rb") as file:
            while True:
                try:
                    yield marshal.load(file)  # noqa: S302 - our own private file
                except EOFError:
                    return


def _read_again(table: Table, numbers: set[int]) -> Iterator[_Row]:
    """Rows that were accepted at first: their cells were not kept. Parses only the pieces that hold any."""
    if not numbers:
        return
    wanted = sorted(numbers)
    for (first, piece), (following, _) in pairwise(chain(table.pieces(), [(sys.maxsize, None)])):
        here = wanted[bisect_left(wanted, first) : bisect_left(wanted, following)]
        rows = piece.rows() if here and piece is not None else []
        for number in here:
            yield number, ACCEPTED, (), tuple(map(str, rows[number - first]))
