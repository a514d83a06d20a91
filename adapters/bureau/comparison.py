"""An edition beside its predecessor: who is new, gone, renamed or changed, and which salts go on.

An unchanged record keeps its salt within a year, so that its leaf stays the same from edition to edition.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xinyi.v1 import edition_pb2, records_pb2


@dataclass
class Compared:
    """How some taxpayers differ, and their lines of comparison.csv."""

    added: int = 0
    gone: int = 0
    renamed: int = 0
    changed: int = 0
    unchanged: int = 0
    lines: list[tuple[str, str, str, str]] = field(default_factory=list)

    def tell(self, change: str, before: bytes, now: bytes) -> None:
        identifier = records_pb2.GradeRecord.FromString(now or before).taxpayer_id
        self.lines.append((change, identifier, _words(before), _words(now)))


def compare(
    previous: Sequence[tuple[bytes, bytes, bytes]],
    items: Sequence[tuple[bytes, bytes]],
    salts: list[bytes],
    *,
    keep_salts: bool,
) -> Compared:
    """Compares records with the predecessor's of the same keys; gives unchanged ones their old salt back.

    Args:
        previous: (blinded key, salt, serialised record).
        items: (blinded key, serialised record) of the new edition.
        salts: fresh ones, for the same items; changed in place.
    """
    old = {key: (salt, record) for key, salt, record in previous}
    found = Compared()
    for i, (key, record) in enumerate(items):
        before = old.pop(key, None)
        if before is None:
            found.added += 1
            found.tell("new", b"", record)
        elif before[1] == record:
            found.unchanged += 1
            if keep_salts:
                salts[i] = before[0]
        elif _names(before[1]) != _names(record):
            found.renamed += 1
            found.tell("renamed", before[1], record)
        else:
            found.changed += 1
            found.tell("changed", before[1], record)
    for _, record in old.values():
        found.gone += 1
        found.tell("gone", record, b"")
    return found


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
    grade = records_pb2.Grade.Name(parsed.grade).removeprefix("GRADE_")
    return "; ".join([*parsed.names, f"{grade} {parsed.evaluation_year}", *parsed.tax_offices])
