"""All rows of one table: what becomes of each, and the records in the order of the tree.

Reads the table once; memory does not grow with it. Used alike by `inspect` and by `publish`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from adapters.bureau.assessment import Assessed, Assessor, Draft
from adapters.bureau.merging import merge
from adapters.bureau.organisations import Organisations
from adapters.bureau.partitions import Partitions
from adapters.bureau.quality import Tally
from adapters.bureau.rules import ACCEPTED, QUARANTINED, RULES, outcome_word
from adapters.tables.reading import Table
from xinyi.v1 import records_pb2

#: Called with the number of rows read so far.
Progress = Callable[[int], None]


class Rows:
    """Args:
    workplace: private, empty directory for what memory should not hold.
    mend: CSV to write of all rows that did not simply become records; it names taxpayers.
    blind: blinded key of an identifier.
    """

    def __init__(self, table: Table, blind: Callable[[bytes], bytes], workplace: Path, mend: Path) -> None:
        self.table = table
        self.tally = Tally()
        self.organisations = Organisations()
        self._blind = blind
        self._partitions = Partitions(workplace)
        self._mend = _MendFile(mend)
        self._grades: dict[int, int] = {}

    def read(self, progress: Progress) -> None:
        """Assesses every row. Raises Invalid where the table as a whole cannot be read."""
        blocks = self.table.blocks()
        _, [headings] = next(blocks)
        assessor = Assessor(self.table.profile, headings, self._blind)
        self._mend.begin(headings)
        for first, rows in blocks:
            drafts, others = assessor.block(first, rows)
            self.tally.count_clean(len(drafts))
            for row in others:
                self.tally.count(row)
                if row.draft is not None:
                    drafts.append(row.draft)
                if row.outcome != ACCEPTED:
                    self._mend.write(row)
            self._partitions.add(drafts)
            self.organisations.look(map(itemgetter(4), drafts))
            progress(first + len(rows))
        self._grades = dict(assessor.grades)

    def records(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """256 lists of (blinded key, serialised record), ascending from the first to the last."""
        for drafts in self._partitions:
            if len({draft[0] for draft in drafts}) == len(drafts):
                records = [(draft[0], draft[4]) for draft in drafts]
            else:
                records = list(self._merged(drafts))
            self.organisations.keep(map(itemgetter(1), records))
            yield records
        self._mend.close()

    def _merged(self, drafts: list[Draft]) -> Iterator[tuple[bytes, bytes]]:
        for key, same in groupby(drafts, key=itemgetter(0)):
            rows = list(same)
            if len(rows) == 1:
                yield key, rows[0][4]
                continue
            record, rule = merge([row[4] for row in rows])
            self.tally.count_repeated(rows, rule)
            grades = [records_pb2.GradeRecord.FromString(row[4]).grade for row in rows]
            for grade in grades if rule else grades[1:]:
                self._grades[grade] -= 1
            if rule:
                for row in rows:
                    self._mend.write_quarantined(row, rule)
            else:
                yield key, record

    @property
    def grades(self) -> dict[int, int]:
        """Grade number → records, in ascending order; whole after `records` was exhausted."""
        return {grade: count for grade, count in sorted(self._grades.items()) if count}


class _MendFile:
    """CSV of rows to mend, for the bureau's own operator. UTF-8 with a mark: spreadsheets then read it."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)

    def begin(self, headings: list[str]) -> None:
        self._writer.writerow(["row", "outcome", "rules", "what to do", *headings])

    def write(self, row: Assessed) -> None:
        says = "; ".join(RULES[rule].says for rule in row.rules)
        self._writer.writerow([row.number, outcome_word(row.outcome), " ".join(row.rules), says, *row.shown])

    def write_quarantined(self, draft: Draft, rule: str) -> None:
        record = records_pb2.GradeRecord.FromString(draft[4])
        rules = [*draft[3].split(), rule]
        told = (draft[1], outcome_word(QUARANTINED), " ".join(rules), RULES[rule].says)
        self._writer.writerow(
            [*told, record.taxpayer_id, *record.names, records_pb2.Grade.Name(record.grade)]
        )

    def close(self) -> None:
        self._file.close()
