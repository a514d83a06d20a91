"""What other processes do for an edition: pieces of the table to drafts, parts of the drafts to leaves.

Both functions take and return plain values. What all their calls share lies in one file of the workplace, so that
it does not travel with every call.
"""

from __future__ import annotations

import os
import pickle
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from adapters.bureau.assessment import Assessed, Assessor, Draft
from adapters.bureau.comparison import Compared, compare
from adapters.bureau.merging import merge
from adapters.bureau.organisations import marks_of, sharing
from adapters.bureau.quality import Tally
from adapters.bureau.rules import ACCEPTED
from adapters.bureau.runs import read_part, write_run
from adapters.tables.profile import Profile
from adapters.tables.reading import Piece
from audit import buckets, records
from xinyi.v1 import records_pb2


@dataclass(frozen=True)
class Workplace:
    """A private folder of one build, and what its calls share."""

    path: Path
    profile: Profile
    headings: list[str]
    blinding_key: bytes
    #: Whether the predecessor's records lie in `previous`, and whether unchanged ones keep their salts.
    compared: bool = False
    keeps_salts: bool = False
    #: False where nobody wants leaves: the table is only looked at.
    sealed: bool = True

    @property
    def drafts(self) -> Path:
        return self.path / "drafts"

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
    return Assessor(place.profile, place.headings, records.blinder(place.blinding_key))


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
    rows, tally = piece.rows(), Tally()
    drafts, others, grades = _assessor(file).block(first, rows)
    tally.count_clean(len(drafts))
    for row in others:
        tally.count(row)
        if row.draft is not None:
            drafts.append(row.draft)
    write_run(_opened(file).drafts, number, drafts)
    mend = [row._replace(draft=None) for row in others if row.outcome != ACCEPTED]
    return AssessedPiece(tally, grades, mend, marks_of(map(itemgetter(4), drafts)))


@dataclass
class MergedPart:
    tally: Tally = field(default_factory=Tally)
    #: What merging took away from the records by grade.
    fewer: Counter[int] = field(default_factory=Counter)
    #: Rows that contradict another row of their identifier: number → rule.
    quarantined: dict[int, str] = field(default_factory=dict)
    #: (organisation code, identifier) of suspects.
    sharing: list[tuple[bytes, str]] = field(default_factory=list)
    compared: Compared | None = None
    #: In the order of the tree: wire form inside a Chunk, and RFC 6962 leaf hash.
    entries: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    #: Bucket → digest; those without records are left out.
    buckets: dict[int, bytes] = field(default_factory=dict)


def merge_part(file: str, number: int) -> MergedPart:
    """The records of one of the 256 parts, compared with the predecessor's, salted and hashed."""
    place, part = _opened(file), MergedPart()
    drafts: list[Draft] = read_part(place.drafts, number)
    if len({draft[0] for draft in drafts}) == len(drafts):
        items = [(draft[0], draft[4]) for draft in drafts]
    else:
        items = _merged(drafts, part)
    part.sharing = sharing(str(place.suspects), map(itemgetter(1), items))
    if not place.sealed:
        return part
    salts = _new_salts(len(items))
    if place.compared:
        part.compared = compare(read_part(place.previous, number), items, salts, keep_salts=place.keeps_salts)
    raw = [record for _, record in items]
    part.entries = list(map(records.chunk_entry, salts, raw))
    entries = [key + sealed for (key, _), sealed in zip(items, records.commitments(raw, salts), strict=True)]
    part.hashes = records.leaf_hashes(entries)
    # A part begins and ends with its own buckets.
    for bucket, own in buckets.cut([key for key, _ in items], b"".join(entries)):
        part.buckets[bucket] = buckets.digest(own)
    return part


def _merged(drafts: list[Draft], part: MergedPart) -> list[tuple[bytes, bytes]]:
    items = []
    for key, same in groupby(drafts, key=itemgetter(0)):
        rows = list(same)
        if len(rows) == 1:
            items.append((key, rows[0][4]))
            continue
        record, rule = merge([row[4] for row in rows])
        part.tally.count_repeated(rows, rule)
        grades = [records_pb2.GradeRecord.FromString(row[4]).grade for row in rows]
        part.fewer.update(grades if rule else grades[1:])
        if rule:
            part.quarantined.update((row[1], rule) for row in rows)
        else:
            items.append((key, record))
    return items


def write_previous(directory: str, number: int, blinding_key: bytes, chunks: list[bytes]) -> None:
    """Records of the predecessor's chunks as run `number`: (blinded key now, salt, record)."""
    blind, items = records.blinder(blinding_key), []
    for data in chunks:
        salts, raw = records.split_chunk(data)
        # A serialised GradeRecord begins with its identifier: tag, length, characters.
        items += [(blind(r[2 : 2 + r[1]]), salt, r) for salt, r in zip(salts, raw, strict=True)]
    write_run(Path(directory), number, items)


def _new_salts(count: int) -> list[bytes]:
    """Randomness of the operating system, 32 bytes each."""
    random = os.urandom(records.SALT_BYTES * count)
    return [random[i : i + records.SALT_BYTES] for i in range(0, len(random), records.SALT_BYTES)]
