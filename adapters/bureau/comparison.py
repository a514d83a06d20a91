"""An edition beside its predecessor: who is new, gone, renamed or changed, and which salts go on.

An unchanged record keeps its salt within a year, so that its leaf stays the same from edition to edition.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from adapters.bureau.editions import Edition
from adapters.bureau.partitions import Partitions
from xinyi.v1 import edition_pb2, records_pb2


class Predecessor:
    """Args:
    blind: blinded key of an identifier, as the new edition has it.
    workplace: private, empty directory.
    told: CSV to write of every taxpayer that is not unchanged.
    """

    def __init__(
        self, edition: Edition, blind: Callable[[bytes], bytes], workplace: Path, told: Path
    ) -> None:
        self.counts = edition_pb2.Comparison()
        self._partitions = self._partition(edition, blind, workplace)
        told.touch(mode=0o600)
        self._file = told.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["change", "identifier", "before", "now"])

    def compare(self, items: Sequence[tuple[bytes, bytes]], salts: list[bytes], *, keep_salts: bool) -> None:
        """Compares the next of the 256 parts; gives unchanged records their old salt back.

        Args:
            items: (blinded key, serialised record) of the new edition.
            salts: fresh ones, for the same items.
        """
        old = {key: (salt, record) for key, salt, record in next(self._partitions)}
        counts = self.counts
        for i, (key, record) in enumerate(items):
            before = old.pop(key, None)
            if before is None:
                counts.added += 1
                self._tell("new", b"", record)
            elif before[1] == record:
                counts.unchanged += 1
                if keep_salts:
                    salts[i] = before[0]
            else:
                self._tell(self._judge(before[1], record), before[1], record)
        for _, record in old.values():
            counts.gone += 1
            self._tell("gone", record, b"")

    def close(self) -> None:
        self._file.close()

    def _judge(self, before: bytes, now: bytes) -> str:
        parse = records_pb2.GradeRecord.FromString
        if list(parse(before).names) != list(parse(now).names):
            self.counts.renamed += 1
            return "renamed"
        self.counts.changed += 1
        return "changed"

    def _tell(self, change: str, before: bytes, now: bytes) -> None:
        identifier = records_pb2.GradeRecord.FromString(now or before).taxpayer_id
        self._writer.writerow([change, identifier, _words(before), _words(now)])

    @staticmethod
    def _partition(
        edition: Edition, blind: Callable[[bytes], bytes], workplace: Path
    ) -> Iterator[list[tuple[bytes, bytes, bytes]]]:
        partitions = Partitions(workplace)
        for _, data in edition.chunks():
            partitions.add(
                [
                    (blind(salted.record[2 : 2 + salted.record[1]]), salted.salt, salted.record)
                    for salted in records_pb2.Chunk.FromString(data).records
                ]
            )
        return iter(partitions)


def _words(record: bytes) -> str:
    if not record:
        return ""
    parsed = records_pb2.GradeRecord.FromString(record)
    grade = records_pb2.Grade.Name(parsed.grade).removeprefix("GRADE_")
    return "; ".join([*parsed.names, f"{grade} {parsed.evaluation_year}", *parsed.tax_offices])
