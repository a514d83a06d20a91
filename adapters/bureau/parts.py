"""What other processes do for an edition: pieces of the table to drafts, parts of the drafts to leaves.

Both functions take and return plain values. What all their calls share lies in one file of the workplace, so that
it does not travel with every call.
"""

from __future__ import annotations

import os
import pickle
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from adapters.bureau import content
from adapters.bureau.assessment import Assessed, Assessor, Draft
from adapters.bureau.comparison import Compared, Standing
from adapters.bureau.content import Content, Judge
from adapters.bureau.merging import merge
from adapters.bureau.organisations import marks_of, sharing
from adapters.bureau.quality import Tally
from adapters.bureau.rules import KEPT, LOST, RULES
from adapters.bureau.runs import read_parts, write_run
from adapters.bureau.serialised import grade_of, identifier_of, is_gone
from adapters.bureau.states import State
from adapters.tables.profile import Profile
from adapters.tables.reading import Piece
from adapters.tables.rules import ACCEPTED, WARNED
from audit import records
from xinyi.fields import LAST_YEAR
from xinyi.v1 import edition_pb2

FULL = edition_pb2.EDITION_KIND_FULL


@dataclass(frozen=True)
class Workplace:
    """A private folder of one build, and what its calls share."""

    path: Path
    profile: Profile
    headings: list[str]
    blinding_key: bytes
    #: None where nobody wants leaves: the table is only looked at.
    kind: edition_pb2.EditionKind | None = None
    #: In a file of changes, whom a grade that it does not hold takes out; empty for a whole file.
    product: str = ""
    #: Of the edition; no evaluation comes after it.
    year: int = LAST_YEAR
    #: Whether what stood before lies in `previous`, and whether unchanged records keep their salts.
    compared: bool = False
    keeps_salts: bool = False
    #: What a file of changes changes; None for a whole file.
    state: State | None = None
    #: What stood after the edition that a CORRECTION corrects, and that edition's blinding key.
    corrected: tuple[State, bytes] | None = None

    @property
    def drafts(self) -> Path:
        return self.path / "drafts"

    @property
    def doubts(self) -> Path:
        """Of rows that decide nothing: blinded key of whom they are about, row number."""
        return self.path / "doubts"

    @property
    def previous(self) -> Path:
        return self.path / "previous"

    @property
    def suspects(self) -> Path:
        """Marks of organisation codes that may stand twice."""
        return self.path / "suspects"

    def save(self, name: str) -> str:
        """Path of the file that calls name."""
        file = self.path / name
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            pickle.dump(self, out)
        return str(file)


@lru_cache(maxsize=2)
def _opened(file: str) -> Workplace:
    workplace: Workplace = pickle.loads(Path(file).read_bytes())  # noqa: S301 - our own private file
    return workplace


@lru_cache(maxsize=2)
def _assessor(file: str) -> Assessor:
    place = _opened(file)
    return Assessor(place.profile, place.headings, records.blinder(place.blinding_key), place.product, place.year)


@dataclass
class AssessedPiece:
    tally: Tally
    #: Records by grade, before any are merged.
    grades: Counter[int]
    #: Rows that did not simply become records, in order, without their drafts.
    others: list[Assessed]
    #: One for each draft; equal for equal organisation codes.
    marks: bytes


def assess_piece(file: str, number: int, first: int, piece: Piece) -> AssessedPiece:
    """Assesses the rows of one piece and writes its drafts as run `number`. Raises Invalid."""
    place, rows, tally = _opened(file), piece.rows(), Tally()
    drafts, others, grades = _assessor(file).block(first, rows)
    tally.count_clean(len(drafts))
    for row in others:
        tally.count(row)
        if row.draft is not None:
            drafts.append(row.draft)
    write_run(place.drafts, number, drafts)
    if doubts := [(row.doubt, row.number) for row in others if row.doubt]:
        write_run(place.doubts, number, doubts)
    mend = [row._replace(draft=None) for row in others if row.outcome != ACCEPTED]
    return AssessedPiece(tally, grades, mend, marks_of(map(itemgetter(4), drafts)))


@dataclass
class MergedPart:
    tally: Tally = field(default_factory=Tally)
    #: What merging took away from the records by grade.
    fewer: Counter[int] = field(default_factory=Counter)
    #: Row number → rules it ended under beside other rows of its taxpayer, or what stood before.
    later: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: (organisation code, identifier) of suspects.
    sharing: list[tuple[bytes, str]] = field(default_factory=list)
    compared: Compared | None = None
    #: Of what a DELTA or CORRECTION tells: records by grade, those that are gone under 0.
    grades: Counter[int] = field(default_factory=Counter)
    #: What the edition tells, in the order of the tree: wire form inside a Chunk, and RFC 6962 leaf hash.
    entries: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    #: As Content.buckets.
    buckets: dict[int, bytes] = field(default_factory=dict)


def merge_parts(file: str, numbers: range) -> MergedPart:
    """The records of some of the 256 parts, compared with what stood, salted and hashed."""
    place, part = _opened(file), MergedPart()
    drafts: list[Draft] = read_parts(place.drafts, numbers)
    standing = place.state.find({draft[0] for draft in drafts}) if place.state is not None else {}
    judge = _judge(place, standing, drafts) if place.state is not None else None
    if judge is None and len({draft[0] for draft in drafts}) == len(drafts):
        items = [(draft[0], draft[4]) for draft in drafts]
    else:
        items = _merged(drafts, part, judge)
    part.sharing = sharing(str(place.suspects), map(itemgetter(1), items))
    if place.kind is None:
        return part
    if place.state is not None:
        told = content.changes(items, place.state, standing, correction=place.corrected is not None)
        part.tally.unchanged = len(items) - len(told.told)
    else:
        told = _content(place, numbers, items, part)
    if place.kind != FULL:
        part.grades.update(0 if is_gone(record) else grade_of(record) for *_, record in told.told)
    part.compared, part.buckets = told.compared, told.buckets
    part.entries = [records.chunk_entry(salt, record) for _, salt, record in told.told]
    part.hashes = records.leaf_hashes(told.entries)
    return part


def _judge(place: Workplace, standing: Mapping[bytes, Standing], drafts: Sequence[Draft]) -> Judge:
    if place.corrected is None:
        return content.judge_changes(standing)
    return content.judge_correction(standing, *place.corrected, drafts)


def _merged(drafts: list[Draft], part: MergedPart, judge: Judge | None) -> list[tuple[bytes, bytes]]:
    items = []
    for key, same in groupby(drafts, key=itemgetter(0)):
        rows = list(same)
        record, rule = merge([row[4] for row in rows]) if len(rows) > 1 else (rows[0][4], "")
        if not rule and judge is not None:
            rule = judge(key, rows, record)
        taken = not rule or RULES[rule].outcome == WARNED
        if len(rows) > 1 or not taken:
            grades = [grade_of(row[4]) for row in rows if not is_gone(row[4])]
            part.fewer.update(grades[1:] if taken else grades)
        if len(rows) > 1:
            part.tally.count_repeated(rows, "" if taken else rule)
        if rule:
            part.tally.recount(rows, rule)
            for row in rows:
                part.later[row[1]].append(rule)
        if taken:
            items.append((key, record))
    return items


def _content(
    place: Workplace, numbers: range, items: Sequence[tuple[bytes, bytes]], part: MergedPart
) -> Content:
    """Of a whole file."""
    doubts: dict[bytes, int] = {}
    for key, row in read_parts(place.doubts, numbers):
        doubts.setdefault(key, row)
    for key, row, *_ in read_parts(place.drafts, numbers) if part.later else ():
        if row in part.later:
            doubts.setdefault(key, row)
    before = _previous(place, numbers) if place.compared else None
    if place.kind == FULL:
        told, rule = content.full(items, before, doubts, keep_salts=place.keeps_salts), LOST
    else:
        told, rule = content.delta(items, before or {}, doubts), KEPT
        part.tally.kept = len(told.undecided)
    # One row of each taxpayer, the first: so the rule counts taxpayers.
    for key in told.undecided:
        part.tally.count_rule(rule, doubts[key])
        part.later[doubts[key]].append(rule)
    return told


def _previous(place: Workplace, numbers: range) -> dict[bytes, Standing]:
    """What stood: of each key what the last edition of the chain says."""
    stood = {key: Standing(salt, record) for key, _, salt, record in read_parts(place.previous, numbers)}
    return {key: standing for key, standing in stood.items() if not is_gone(standing.record)}


def write_previous(directory: str, number: int, sequence: int, blinding_key: bytes, chunks: list[bytes]) -> None:
    """Records of an edition's chunks as run `number`: (blinded key now, sequence, salt, record)."""
    blind, items = records.blinder(blinding_key), []
    for data in chunks:
        for salt, record in zip(*records.split_chunk(data), strict=True):
            items.append((blind(identifier_of(record)), sequence, salt, record))
    write_run(Path(directory), number, items)
