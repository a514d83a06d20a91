"""An edition beside its predecessor: who is new, gone, renamed or changed, and which salts go on.

An unchanged record keeps its salt within a year, so that its leaf stays the same from edition to edition.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from xinyi.v1 import edition_pb2, records_pb2


class Standing(NamedTuple):
    """A record as it stands in some edition."""

    salt: bytes
    record: bytes


@dataclass
class Compared:
    """How some taxpayers differ, and their lines of comparison.csv."""

    added: int = 0
    gone: int = 0
    renamed: int = 0
    changed: int = 0
    unchanged: int = 0
    lines: list[tuple[str, str, str, str]] = field(default_factory=list)

    def look(self, before: Standing | None, record: bytes) -> bool:
        """Whether a record that stands now differs from the one before."""
        if before is None:
            self.added += 1
            self.tell("new", b"", record)
        elif before.record == record:
            self.unchanged += 1
            return False
        elif _names(before.record) != _names(record):
            self.renamed += 1
            self.tell("renamed", before.record, record)
        else:
            self.changed += 1
            self.tell("changed", before.record, record)
        return True

    def lose(self, before: Standing, change: str = "gone") -> None:
        self.gone += 1
        self.tell(change, before.record, b"")

    def tell(self, change: str, before: bytes, now: bytes) -> None:
        identifier = records_pb2.GradeRecord.FromString(now or before).taxpayer_id
        self.lines.append((change, identifier, _words(before), _words(now)))


def compare(
    before: dict[bytes, Standing],
    items: Sequence[tuple[bytes, bytes]],
    salts: list[bytes],
    *,
    keep_salts: bool,
) -> tuple[Compared, list[int]]:
    """Compares records with those that stood under the same keys; gives unchanged ones their old salt back.

    Args:
        before: blinded key → what stood; those that `items` names are taken out.
        items: (blinded key, serialised record) of the new edition.
        salts: fresh ones, for the same items; changed in place.

    Returns how they differ, and which items do.
    """
    found, differing = Compared(), []
    for i, (key, record) in enumerate(items):
        old = before.pop(key, None)
        if found.look(old, record):
            differing.append(i)
        elif keep_salts and old is not None:
            salts[i] = old.salt
    return found, differing


class ComparisonFile:
    """comparison.csv, and the sums that the manifest seals. Names taxpayers, so it is private."""

    def __init__(self, path: Path) -> None:
        self.counts = edition_pb2.Comparison()
        path.touch(mode=0o600)
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["change", "identifier", "before", "now"])

    def add(self, part: Compared) -> None:
        for count in self.counts.DESCRIPTOR.fields:
            name = count.name
            setattr(self.counts, name, getattr(self.counts, name) + getattr(part, name))
        self._writer.writerows(part.lines)

    def close(self) -> None:
        self._file.close()


def _names(record: bytes) -> list[str]:
    return list(records_pb2.GradeRecord.FromString(record).names)


def _words(record: bytes) -> str:
    if not record:
        return ""
    parsed = records_pb2.GradeRecord.FromString(record)
    if parsed.gone:
        return "gone"
    grade = records_pb2.Grade.Name(parsed.grade).removeprefix("GRADE_")
    return "; ".join([*parsed.names, f"{grade} {parsed.evaluation_year}", *parsed.tax_offices])
