"""What one row of the source says, and under which rules it ends. Knows nothing of other rows.

`row` is the one truth. `block` is its shortcut for rows in which nothing has to be decided: it works on whole
columns and hands every row that is not surely clean to `row`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import compress, repeat
from operator import attrgetter
from typing import Any, NamedTuple

from adapters.bureau import decisions
from adapters.bureau.decisions import Decision, Decisions
from adapters.bureau.persons import is_personal_name, mask
from adapters.bureau.rules import outcome_of
from adapters.tables.identity import KINDS, find_doubtful, identify
from adapters.tables.profile import Profile
from adapters.tables.rules import ACCEPTED, WARNED, WITHHELD
from xinyi import checks, identifiers
from xinyi.errors import Invalid
from xinyi.fields import LAST_YEAR, is_text
from xinyi.v1 import edition_pb2, records_pb2

#: A row that becomes a record, alone or merged with others of its identifier:
#: (blinded key, row number, fingerprint, its warnings between blanks, GradeRecord of this row alone, how it says
#: that it changes what stands: a key of CHANGES, "" in a whole file).
#: Fingerprints are equal for rows that are wholly identical in the source. Plain values, to spill to disk.
Draft = tuple[bytes, int, bytes, str, bytes, str]

FIELDS = frozenset(("taxpayer_id", "name", "change", *decisions.FIELDS))
#: What the column `change` may say.
CHANGES = NEW, CHANGED, GONE = "new", "changed", "gone"
_REQUIRED = frozenset(("taxpayer_id", "name", "evaluation_year", "grade"))
#: Shorter names may be a person's; longer ones need a longer length prefix.
_SHORT, _LONG = 5, 42
_DOTS = re.compile("[·•]")

#: GradeRecord{taxpayer_id, identifier_kind USCC, one name} as protobuf serialises it, then the decision.
_USCC_RECORD = b"\x0a\x12%b\x10\x01\x1a%c%b%b"


class Assessed(NamedTuple):
    """How one row ends."""

    number: int
    outcome: edition_pb2.RowOutcome
    rules: tuple[str, ...]
    #: What the identifier is: a key of quality.GROUPS.
    group: str
    draft: Draft | None
    #: Blinded key of whom the row is about, where it decides nothing and can be told; otherwise empty.
    doubt: bytes
    #: The cells as they stand in the source; of a person the masked identifier alone.
    shown: tuple[str, ...]


class Assessor:
    """Assesses the rows of one table.

    Args:
        headings: of the table, as its first block gives them.
        blind: blinded key of an identifier.
        product: in a file of changes, a grade that this product does not hold says that the taxpayer is gone.
        year: of the edition; no evaluation comes after it.
    """

    def __init__(
        self,
        profile: Profile,
        headings: list[str],
        blind: Callable[[bytes], bytes],
        product: str = "",
        year: int = LAST_YEAR,
    ) -> None:
        given = profile.columns.keys() | profile.fixed.keys()
        if given - FIELDS or _REQUIRED - given or not {"taxpayer_id", "name"} <= profile.columns.keys():
            raise Invalid(
                f"profile {profile.name}: unknown fields {sorted(given - FIELDS)}, missing fields "
                f"{sorted(_REQUIRED - given)}; identifier and name need columns",
                basis="profile.columns",
            )
        positions = profile.positions(headings)
        self._profile = profile
        self._blind = blind
        self._width = len(headings)
        self._id, self._name = positions["taxpayer_id"], positions["name"]
        self._declared = profile.identifiers.get("taxpayer_id", "undeclared")
        self._decisions = Decisions(profile, positions, year)
        self._change = positions.get("change")
        held = [f"GRADE_{grade}" for grade in profile.grades.get(product, ())]
        if unknown := set(held).difference(records_pb2.Grade.keys()):
            raise Invalid(f"profile {profile.name}: no such grades: {sorted(unknown)}", basis="profile.grades")
        self._held = set(map(records_pb2.Grade.Value, held))
        self._grades: Counter[int] = Counter()

    # Many rows at once

    def block(
        self, first: int, rows: Sequence[Sequence[str]]
    ) -> tuple[list[Draft], list[Assessed], Counter[int]]:
        """(drafts of the clean rows, how all others end, drafts by grade). Empty rows are passed over.

        Args:
            first: number of the first row.
        """
        numbers: Sequence[int] = range(first, first + len(rows))
        whole, odd = rows, []
        if set(map(len, rows)) != {self._width}:
            fits = [len(row) == self._width for row in rows]
            odd = [number for number, fit in zip(numbers, fits, strict=True) if not fit]
            numbers, whole = list(compress(numbers, fits)), list(compress(rows, fits))
        drafts: list[Draft] = []
        if whole:
            columns = list(zip(*whole, strict=True))
            decided = self._decisions.of_columns(columns, len(whole))
            ids, names = columns[self._id], columns[self._name]
            doubtful = find_doubtful(ids) | self._doubtful_names(names)
            doubtful.update(i for i, decision in enumerate(decided) if decision.rules)
            if self._change is not None or self._held:
                # Files of changes are small: row by row.
                doubtful.update(range(len(whole)))
            clean = bytearray(b"\1") * len(whole)
            for i in doubtful:
                clean[i] = 0
            drafts = self._drafts(*(list(compress(c, clean)) for c in (numbers, whole, ids, names, decided)))
            odd = sorted(odd + [numbers[i] for i in doubtful])
        others = [self.row(number, rows[number - first]) for number in odd if any(rows[number - first])]
        grades, self._grades = self._grades, Counter()
        return drafts, others, grades

    def _drafts(
        self,
        numbers: list[int],
        rows: list[Sequence[str]],
        ids: list[str],
        names: list[str],
        decided: list[Decision],
    ) -> list[Draft]:
        """Of rows with a valid USCC, one clean name and a clean decision."""
        self._grades.update(map(attrgetter("grade"), decided))
        encoded = list(map(str.encode, ids))
        records = [
            _USCC_RECORD % (identifier, len(name), name, decision.tail)
            for identifier, name, decision in zip(encoded, map(str.encode, names), decided, strict=True)
        ]
        keys, fingerprints = map(self._blind, encoded), map(_fingerprint, rows)
        return list(zip(keys, numbers, fingerprints, repeat(""), records, repeat(""), strict=False))

    def _doubtful_names(self, names: Sequence[str]) -> set[int]:
        """Names that are short, long, not clean inside or at their ends, or have a middle dot."""
        joined = "".join(names)
        if (
            _SHORT <= min(map(len, names)) <= max(map(len, names)) <= _LONG
            and joined.isprintable()
            and not _DOTS.search(joined)
            and "name" not in self._profile.drop_suffixes
            and list(map(str.strip, names)) == list(names)
        ):
            return set()
        return {
            i
            for i, name in enumerate(names)
            if not _SHORT <= len(name) <= _LONG
            or not name.isprintable()
            or _DOTS.search(name)
            or self._profile.tidy("name", name) != name
        }

    # One row

    def row(self, number: int, cells: Sequence[str]) -> Assessed:
        """How this row ends, whatever it holds."""
        if len(cells) != self._width:
            return _broken(number, cells, self._blind)
        raw = cells[self._id]
        identifier = identifiers.normalise(raw)
        reading, rules, group = identify(raw, identifier, self._declared)
        change = self._profile.word("change", cells[self._change].strip()) if self._change is not None else ""
        # Of a taxpayer that is gone, or has left the product, nothing but its identifier is told.
        told: dict[str, Any] = {"gone": True}
        tail = b""
        if change != GONE:
            name = self._profile.tidy("name", cells[self._name])
            decision = self._decisions.of_row(cells)
            rules = [*rules, *_name_rules(name), *decision.rules]
            if not self._held or decision.grade in self._held:
                told, tail = {"names": [name]}, decision.tail
        if self._change is not None and change not in CHANGES:
            rules = [*rules, "change.unknown"]
        if outcome_of(rules) not in (ACCEPTED, WARNED):
            return _ended(number, cells, rules, group, identifier, doubt=self._blind(identifier.encode()))
        head = records_pb2.GradeRecord(taxpayer_id=identifier, identifier_kind=KINDS[reading], **told)
        record = head.SerializeToString(deterministic=True) + tail
        key = self._blind(identifier.encode())
        if tail:
            self._grades[decision.grade] += 1
        draft = (key, number, _fingerprint(cells), " ".join(rules), record, change)
        return _ended(number, cells, rules, group, identifier, draft)


def _broken(number: int, cells: Sequence[str], blind: Callable[[bytes], bytes]) -> Assessed:
    """A row whose cells cannot be told apart: withheld where any of them may name a natural person."""
    texts = [identifiers.normalise(cell) for cell in cells]
    doubt = next((blind(t.encode()) for t in texts if len(t) in (15, 18) and identifiers.readings(t)), b"")
    if any(identifiers.is_resident_like(t) or identifiers.may_have_been_resident(t) for t in texts):
        return _ended(number, cells, ["person.identifier", "row.columns"], "none", doubt=doubt)
    if any(is_personal_name(cell.strip()) for cell in cells):
        return _ended(number, cells, ["person.name", "row.columns"], "none", doubt=doubt)
    return _ended(number, cells, ["row.columns"], "none", doubt=doubt)


def _name_rules(name: str) -> list[str]:
    if not name:
        return ["name.missing"]
    if is_personal_name(name):
        return ["person.name"]
    return [] if is_text(name, checks.MAX_TEXT) else ["name.form"]


def _fingerprint(cells: Sequence[str]) -> bytes:
    return sha256("\x1f".join(cells).encode()).digest()[:16]


def _ended(
    number: int,
    cells: Sequence[str],
    rules: Sequence[str],
    group: str,
    identifier: str = "",
    draft: Draft | None = None,
    doubt: bytes = b"",
) -> Assessed:
    outcome = outcome_of(rules)
    shown = (mask(identifier),) if outcome == WITHHELD else tuple(cells)
    return Assessed(number, outcome, tuple(rules), group, draft, doubt, shown)
