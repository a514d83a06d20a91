"""Landing an edition in a CSV file (UTF-8 or GB18030): written beside, renamed into place.

    FILE                 the accepted records, header first; what DELTAs and CORRECTIONS changed stands at the end
    FILE.disputes.csv    taxpayer_id and disputed_since of records under objection
    FILE.recalls.csv     every row that a CORRECTION took back
    FILE.landing.json    which edition it is; written last
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, fields
from pathlib import Path
from typing import IO, Any

from adapters.tables.columns import Value
from adapters.tables.target import GONE, Columns, Landed, Recall, Recalled, Row, Shown
from xinyi import files
from xinyi.errors import Conflict, Invalid

ENCODINGS = ("utf-8", "utf-8-sig", "gb18030")
_RECALLED = tuple(field.name for field in fields(Recalled))


class CsvTarget:
    """Holds one edition, without the records that the bank's rules refused.

    Of an edition of changes the identifiers are kept in memory while the file is written anew.
    """

    def __init__(self, path: Path, encoding: str, columns: Columns) -> None:
        if encoding not in ENCODINGS:
            raise Invalid("the encoding is one of " + ", ".join(ENCODINGS), basis="landing.encoding")
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._merged = path.with_name(f"{path.name}.merged.part")
        self._state = path.with_name(f"{path.name}.landing.json")
        self._disputes = path.with_name(f"{path.name}.disputes.csv")
        self._recalls = path.with_name(f"{path.name}.recalls.csv")
        self._encoding = encoding
        self._columns = columns.all
        self._own = len(columns.own)
        self._reading = path
        #: Lines before the first that `rows` gives.
        self._skipped = 0
        #: identifier → why its staged row is not shown
        self._hidden: dict[str, str] = {}
        self._begun = False
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

    def lost(self, product: str) -> str:
        return str(self._path) if self._state.exists() and not self._path.exists() else ""

    def stage(self, sequence: int) -> None:
        self._begin(self._part)
        self._hidden = {}

    def _begin(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding=self._encoding, newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow([c.name for c in self._columns])
        self._reading, self._skipped = path, 0
        self._begun = True

    def write(self, rows: Sequence[Row]) -> None:
        self._hidden.update((shown[0], refused) for _, refused, shown in rows if refused is not None)
        with files.named(self._reading):
            self._writer.writerows((*shown[:-1], *shown[-1]) for _, refused, shown in rows if refused is None)

    def written(self) -> None:
        if self._file is None:
            return
        with files.named(self._reading):
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()
        self._file = None

    def reopen(self, landed: Landed) -> None:
        self._reading, self._skipped = self._path, 0

    def merge(self, base: Landed) -> int:
        told = {line[0] for line in self._lines(self._part)}.union(self._hidden)
        self._begin(self._merged)
        with files.named(self._merged):
            for line in self._lines(self._path):
                if line[0] not in told:
                    self._writer.writerow(line)
                    self._skipped += 1
            self._writer.writerows(self._lines(self._part))
        self.written()
        # Not counted: a crash in `publish` left the merged file and the state before it, of which this is the answer.
        return base.accepted - self._skipped

    def rows(self) -> Iterator[Shown]:
        numbers = [place for place, column in enumerate(self._columns) if column.kind == "integer"]
        for place, line in enumerate(self._lines(self._reading)):
            if place < self._skipped:
                continue
            values: list[Value] = [value or None for value in line]
            for number in numbers:
                values[number] = int(values[number] or 0) or None
            yield (*values[: self._own], tuple(values[self._own :]))

    def _lines(self, path: Path) -> Iterator[list[str]]:
        with path.open(encoding=self._encoding, newline="") as file:
            reader = csv.reader(file)
            if next(reader, None) != [c.name for c in self._columns]:
                raise Conflict(f"{path} has other columns", basis="landing.table")
            yield from reader

    def recall(self, recall: Recall) -> None:
        before = list(self.recalled(recall.product))
        known = {(row.taxpayer_id, row.correction) for row in before}
        told = dict.fromkeys(line[0] for line in self._lines(self._part)) | self._hidden
        added = (
            Recalled(
                recall.product, name, recall.correction, recall.corrects, recall.sequence,
                "gone" if why == GONE else "changed", recall.received_at_ms,
            )
            for name, why in told.items()
            if (name, recall.correction) not in known
        )  # fmt: skip
        rows = [*map(astuple, added), *map(astuple, before)]
        self._keep(self._recalls, _RECALLED, rows)

    def publish(self, landed: Landed, disputes: Mapping[str, str] | None) -> None:
        """A crash behind the rename leaves the new file and the old state: the next run writes it again."""
        self._reading.replace(self._path)
        files.sync(self._path.parent)
        self._reading = self._path
        if disputes is not None:
            self._keep(self._disputes, ("taxpayer_id", "disputed_since"), disputes.items())
        state = json.dumps(vars(landed), ensure_ascii=False, indent=2).encode()
        files.write_atomically(self._state, state + b"\n")

    def _keep(self, path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([header, *rows])
        files.write_atomically(path, text.getvalue().encode(self._encoding))

    def recalled(self, product: str) -> Iterator[Recalled]:
        if not self._recalls.exists():
            return
        with self._recalls.open(encoding=self._encoding, newline="") as file:
            for row in csv.DictReader(file):
                whole: dict[str, Any] = row | {n: int(row[n]) for n in ("sequence", "received_at_ms")}
                yield Recalled(**whole)

    def discard(self) -> None:
        for part in (self._part, self._merged):
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """What was staged here names taxpayers: it goes, whatever kept it from being published."""
        if self._file is not None:
            with suppress(OSError):  # a full disk said so before
                self._file.close()
            self._file = None
        if self._begun:
            self.discard()
