"""Rows on their way into a table: one SQLite file, so that they can be put in order whatever their number.

It holds taxpayers: private as everything in a home, and gone once the table is built.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import groupby, starmap
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from adapters.bank.lending.reading import LoanLine
from adapters.bank.lending.scratch import open_scratch
from audit.lending_tree import SALT_BYTES, commitment
from audit.records import varint
from xinyi.errors import Invalid
from xinyi.lending import MAX_CELLS
from xinyi.margins import SUMS, TOTAL, pack_row, value_of
from xinyi.v1 import lending_pb2

_CACHE_KIB = 16 << 10
#: Tag of FirmLending.rows.
_ROWS_FIELD = b"\x1a"

#: Rules that rows break beside others, or beside the agreement.
REPEATED, CURRENCY = "row.repeated", "row.currency"


class Leaf(NamedTuple):
    """One enterprise of the table. `counted`: for `unpack_counted`."""

    commitment: bytes
    salt: bytes
    record: bytes
    counted: bytes


class Staging:
    """Use as a context manager: take, settle, group, leaves. Memory stays flat.

    Args:
        path: folder of the file, which goes with the context.
        dimensions: of the table, "total" not among them, ascending.
        currency: of the table; a row in another one breaks a rule.
    """

    def __init__(self, path: Path, dimensions: Sequence[str], currency: str) -> None:
        self._path = path / "staging.db"
        self._currency = currency
        self.dimensions = [TOTAL, *dimensions]
        self._values = [value_of(name) for name in self.dimensions]
        #: By dimension: value → number of the cell; those that occur, numbered as they do.
        self._numbers: list[dict[str, int]] = [{} for _ in self.dimensions]
        self.cells: list[tuple[str, str]] = []
        #: Rows were taken out again, and cells with them, perhaps.
        self._gone = False
        self._form = _form(len(self.dimensions))

    def __enter__(self) -> Staging:
        self._db = open_scratch(self._path, _CACHE_KIB)
        self._db.execute(
            "CREATE TABLE rows (taxpayer TEXT, kind INTEGER, reference TEXT, line INTEGER, record BLOB, counted BLOB)"
        )
        self._db.execute("CREATE TABLE broken (line INTEGER, rule TEXT)")
        self._db.execute("CREATE TABLE firms (commitment BLOB, salt BLOB, record BLOB, counted BLOB)")
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._path.unlink(missing_ok=True)

    def take(self, lines: Iterable[LoanLine]) -> None:
        """Raises Invalid where the rows have more cells than a table can."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", self._counted(lines))
        self._db.execute("COMMIT")

    def _counted(self, lines: Iterable[LoanLine]) -> Iterator[tuple[str, int, str, int, bytes, bytes]]:
        pack, size = self._form.pack, 8 * len(SUMS)
        for line in lines:
            row = line.row
            loan = row.loan
            if loan.currency != self._currency:
                self._db.execute("INSERT INTO broken VALUES (?, ?)", (line.line, CURRENCY))
                continue
            added = pack_row(row)
            # A row in which nothing is has no cells.
            cells = self._cells(row) if added else [0] * len(self._values)
            record = row.SerializeToString(deterministic=True)
            counted = pack(*cells, added.to_bytes(size, "little"))
            yield line.taxpayer_id, line.identifier_kind, loan.reference, line.line, record, counted

    def _cells(self, row: lending_pb2.LoanRow) -> list[int]:
        values = [value(row) for value in self._values]
        try:
            return [known[value] for known, value in zip(self._numbers, values, strict=True)]
        except KeyError:
            for dimension, known, value in zip(self.dimensions, self._numbers, values, strict=True):
                if value not in known:
                    known[value] = len(self.cells)
                    self.cells.append((dimension, value))
            if len(self.cells) > MAX_CELLS:
                raise Invalid(
                    f"the rows have more than {MAX_CELLS:,} different values: is a column of names or numbers mapped "
                    "to a field that has few?",
                    basis="margin.cells",
                ) from None
            return [known[value] for known, value in zip(self._numbers, values, strict=True)]

    def settle(self) -> None:
        """Of a loan that comes several times, each time the same, the first row stays. Where they differ nobody can
        tell which one is right: none does."""
        self._db.execute("CREATE INDEX by_reference ON rows (reference)")
        self._db.execute("BEGIN")
        self._db.execute(
            "CREATE TABLE several AS SELECT reference FROM rows GROUP BY reference HAVING count(*) > 1"
        )
        for (reference,) in self._db.execute("SELECT reference FROM several"):
            found = self._db.execute(
                "SELECT rowid, line, taxpayer, kind, record FROM rows WHERE reference = ? ORDER BY rowid", (reference,)
            ).fetchall()
            gone = found[1:] if len({row[2:] for row in found}) == 1 else found
            self._db.executemany("INSERT INTO broken VALUES (?, ?)", [(row[1], REPEATED) for row in gone])
            self._db.executemany("DELETE FROM rows WHERE rowid = ?", [row[:1] for row in gone])
            self._gone = True
        self._db.execute("COMMIT")

    def occurring(self) -> set[tuple[str, str]]:
        """Cells that a row is in, behind `settle`."""
        if not self._gone:
            return set(self.cells)
        many = len(self.dimensions)
        found = self._db.execute("SELECT counted FROM rows")
        rows = (row for (counted,) in found for row in unpack_counted(many, counted))
        return {self.cells[number] for cells, added in rows if added for number in cells}

    def broken(self) -> Iterator[tuple[int, str]]:
        """Rows that are not in the table after all: line of the source, and rule."""
        with closing(self._db.cursor()) as cursor:
            yield from cursor.execute("SELECT line, rule FROM broken ORDER BY line")

    def group(self) -> tuple[int, int]:
        """Puts the rows of each enterprise together, under a salt of its own; how many rows, and enterprises."""
        total = [0, 0]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO firms VALUES (?, ?, ?, ?)", self._grouped(total))
        self._db.execute("COMMIT")
        return total[0], total[1]

    def _grouped(self, total: list[int]) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
        found = self._db.execute(
            "SELECT taxpayer, kind, record, counted FROM rows ORDER BY taxpayer, kind, reference"
        )
        for (taxpayer, kind), rows in groupby(found, itemgetter(0, 1)):
            own = list(rows)
            total[0] += len(own)
            total[1] += 1
            head = lending_pb2.FirmLending(taxpayer_id=taxpayer, identifier_kind=kind)
            # As a FirmLending with these rows would be serialised: its fields in order, the rows as they were read.
            fields = [_ROWS_FIELD + varint(len(row[2])) + row[2] for row in own]
            record = b"".join((head.SerializeToString(deterministic=True), *fields))
            salt = os.urandom(SALT_BYTES)
            yield commitment(salt, record), salt, record, b"".join([row[3] for row in own])

    def leaves(self) -> Iterator[Leaf]:
        """In the order of commitments."""
        with closing(self._db.cursor()) as cursor:
            found = cursor.execute("SELECT commitment, salt, record, counted FROM firms ORDER BY commitment")
            yield from starmap(Leaf, found)


@lru_cache(maxsize=4)
def _form(dimensions: int) -> struct.Struct:
    """Of what is staged of a row for counting: numbers of its cells, and what it adds to each."""
    return struct.Struct(f"<{dimensions}H{8 * len(SUMS)}s")


def unpack_counted(dimensions: int, counted: bytes) -> Iterator[tuple[Sequence[int], int]]:
    """Of each row of an enterprise: numbers of its cells, and what it adds to them, packed."""
    for row in _form(dimensions).iter_unpack(counted):
        yield row[:dimensions], int.from_bytes(row[dimensions], "little")
