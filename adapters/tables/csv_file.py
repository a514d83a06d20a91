"""Landing an edition in a CSV file (UTF-8 or GB18030): written beside, renamed into place.

FILE                 the accepted records, header first
FILE.landing.json    which edition it is; written after the rename
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from adapters.tables.columns import Value
from adapters.tables.target import Columns, Landed, Row, Shown
from xinyi import files
from xinyi.errors import Conflict, Invalid

ENCODINGS = ("utf-8", "utf-8-sig", "gb18030")


class CsvTarget:
    """Holds one edition, without the records that the bank's rules refused."""

    def __init__(self, path: Path, encoding: str, columns: Columns) -> None:
        if encoding not in ENCODINGS:
            raise Invalid("the encoding is one of " + ", ".join(ENCODINGS), basis="landing.encoding")
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._state = path.with_name(f"{path.name}.landing.json")
        self._encoding = encoding
        self._columns = columns.all
        self._own = len(columns.own)
        self._reading = path
        self._file: IO[str] | None = None
        self._writer: Any = None

    def landed(self, product: str) -> Landed | None:
        try:
            landed = Landed(**json.loads(self._state.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        if landed.product != product:
            raise Conflict(f"{self._path} holds {landed.product}; name another file", basis="landing.table")
        return landed if self._path.exists() else None

    def stage(self, sequence: int) -> None:
        self._part.unlink(missing_ok=True)
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding=self._encoding, newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow([c.name for c in self._columns])
        self._reading = self._part

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.writerows((*shown[:-1], *shown[-1]) for _, refused, shown in rows if refused is None)

    def written(self) -> None:
        if self._file is None:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def reopen(self, landed: Landed) -> None:
        self._reading = self._path

    def rows(self) -> Iterator[Shown]:
        numbers = [place for place, column in enumerate(self._columns) if column.kind == "integer"]
        with self._reading.open(encoding=self._encoding, newline="") as file:
            reader = csv.reader(file)
            if next(reader, None) != [c.name for c in self._columns]:
                raise Conflict(f"{self._reading} has other columns", basis="landing.table")
            for line in reader:
                values: list[Value] = [value or None for value in line]
                for place in numbers:
                    values[place] = int(values[place] or 0) or None
                yield (*values[: self._own], tuple(values[self._own :]))

    def publish(self, landed: Landed) -> None:
        """A crash after the rename leaves the new file and the old state: the next run writes it again."""
        self._part.replace(self._path)
        files.sync_directory(self._path.parent)
        state = json.dumps(vars(landed), ensure_ascii=False, indent=2).encode()
        files.write_atomically(self._state, state + b"\n")

    def discard(self) -> None:
        self._part.unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
