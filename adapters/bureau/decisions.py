"""What the cells besides identifier and name come to: tax office, year, grade, kind, dates.

The same few combinations stand in thousands of rows, so each is read once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.tables.profile import Profile
from xinyi import checks
from xinyi.fields import FIRST_YEAR, LAST_YEAR, is_text
from xinyi.v1 import records_pb2

FIELDS = (
    "tax_office",
    "evaluation_year",
    "grade",
    "decision_kind",
    "decided_on",
    "valid_from",
    "valid_to",
)

_YEAR = re.compile(r"(20[0-9]{2})(?:年|年度)?")
_GRADES = frozenset(records_pb2.Grade.keys()[1:])
_KINDS = frozenset(records_pb2.DecisionKind.keys()[1:])
_MAX_CACHED = 50_000


@dataclass(frozen=True, eq=False)
class Decision:
    #: The end of every record with these cells: the fields after the names, serialised.
    tail: bytes
    grade: records_pb2.Grade
    rules: tuple[str, ...]


class Decisions:
    """Reads decisions through one profile.

    Args:
        positions: field → column number, as Profile.positions gives it.
        year: of the edition; no evaluation comes after it.
    """

    def __init__(self, profile: Profile, positions: dict[str, int], year: int = LAST_YEAR) -> None:
        self._profile = profile
        self._fields = [field for field in FIELDS if field in positions]
        self._places = [positions[field] for field in self._fields]
        self._year = year
        self._known: dict[tuple[str, ...], Decision] = {}

    def of_columns(self, columns: Sequence[Sequence[str]], size: int) -> list[Decision]:
        """The decision of each of `size` rows, given as columns of the whole table."""
        own = [columns[place] for place in self._places]
        combinations = list(zip(*own, strict=True)) if own else [()] * size
        if len(self._known) > _MAX_CACHED:
            self._known.clear()
        for cells in set(combinations).difference(self._known):
            self._known[cells] = self._read(cells)
        return list(map(self._known.__getitem__, combinations))

    def of_row(self, row: Sequence[str]) -> Decision:
        return self.of_columns([(cell,) for cell in row], 1)[0]

    def _read(self, cells: tuple[str, ...]) -> Decision:
        profile = self._profile
        given = dict(zip(self._fields, cells, strict=True))
        value = {
            field: profile.word(field, profile.tidy(field, given.get(field, profile.fixed.get(field, ""))))
            for field in FIELDS
        }
        rules = []
        if value["tax_office"] and not is_text(value["tax_office"], checks.MAX_TEXT):
            rules.append("office.form")
        year = _YEAR.fullmatch(value["evaluation_year"])
        if not year or not FIRST_YEAR <= int(year[1]) <= LAST_YEAR:
            rules.append("year.form")
        elif int(year[1]) > self._year:
            rules.append("year.later")
        if (grade := f"GRADE_{value['grade']}") not in _GRADES:
            rules.append("grade.unknown")
        kind = f"DECISION_KIND_{value['decision_kind'] or 'UNSPECIFIED'}"
        if value["decision_kind"] and kind not in _KINDS:
            rules.append("decision.unknown")
        dates = self._read_dates(value)
        if dates is None:
            rules.append("date.form")
        if not year or dates is None or rules:
            return Decision(b"", records_pb2.GRADE_UNSPECIFIED, tuple(rules))
        record = records_pb2.GradeRecord(
            tax_offices=[value["tax_office"]] if value["tax_office"] else [],
            evaluation_year=int(year[1]),
            grade=grade,
            decision_kind=kind,
            decided_on=dates["decided_on"],
            valid_from=dates["valid_from"],
            valid_to=dates["valid_to"],
        )
        return Decision(record.SerializeToString(), record.grade, ())

    def _read_dates(self, value: dict[str, str]) -> dict[str, str] | None:
        """ISO dates, "" where absent; None where one cannot be read or a validity ends before it begins."""
        try:
            dates = {
                field: self._profile.date(value[field]) if value[field] else ""
                for field in ("decided_on", "valid_from", "valid_to")
            }
        except ValueError:
            return None
        backwards = dates["valid_to"] and dates["valid_from"] > dates["valid_to"]
        return None if backwards else dates
