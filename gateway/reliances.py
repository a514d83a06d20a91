"""What a reported loan relied on: whether an edition really told it, and what is true since.

A Reliance names an edition, a record in it and what that told. The true grade is what the CORRECTIONS behind it tell of
the same taxpayer and year; a wrong CORRECTION is answered by a later one, and the last one counts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from audit.records import CHUNK_RECORDS, blinder, commitments, split_chunk
from gateway.rules.editions import DELIVERABLE
from gateway.rules.outcomes import BEFORE, EDITION, RELIANCE
from gateway.store import editions
from gateway.store.rows import Row
from xinyi.days import day_of
from xinyi.errors import Unavailable
from xinyi.grade_columns import GradeColumns
from xinyi.lending import true_grade
from xinyi.v1 import exchange_pb2, lending_pb2

#: Chunks whose records are kept at hand, each about 120 KiB.
KEPT_CHUNKS = 512


class Relied(NamedTuple):
    """What a row says that it relied on, and of whom."""

    taxpayer_id: str
    manifest_digest: bytes
    blinded_key: bytes
    grade: int
    evaluation_year: int

    @classmethod
    def of(cls, outcome: lending_pb2.LendingOutcome) -> Relied | None:
        """None where no grade was relied on."""
        if not outcome.loan.HasField("reliance"):
            return None
        told = outcome.loan.reliance
        return cls(
            outcome.taxpayer_id, told.manifest_digest, told.blinded_key, told.grade, told.evaluation_year
        )


class Truth(NamedTuple):
    """What is true of a grade that was relied on."""

    #: A CORRECTION took it back.
    recalled: bool
    #: The true one; 0 where no CORRECTION tells it: the taxpayer is not among the records any more.
    grade: int


#: What a record of an edition says: its commitment, the grade and the year. Both are 0 of a taxpayer that is gone.
Told = tuple[bytes, int, int]


@dataclass(frozen=True)
class Known:
    """An edition that was published."""

    digest: bytes
    row: Row
    published_at_ms: int
    #: The same as a day in China, an ISO date.
    published_on: str
    #: Last blinded key of each chunk.
    last_keys: list[bytes]
    #: Blinded key of an identifier.
    blind: Callable[[bytes], bytes]


class _Records:
    """The records of one chunk, found by blinded key."""

    def __init__(self, data: bytes, blinding_key: bytes) -> None:
        salts, raw = split_chunk(data)
        columns = GradeColumns(raw)
        self._keys = list(map(blinder(blinding_key), columns.keys()))
        self._commitments = b"".join(commitments(raw, salts))
        # The same few decisions stand in thousands of records.
        kept: dict[tuple[int, int], tuple[int, int]] = {}
        told: dict[int, tuple[int, int]]
        told = {place: (r.grade, r.evaluation_year) for place, r in columns.others.items()}
        for place, decision in zip(columns.places, columns.decisions, strict=True):
            said: tuple[int, int] = (decision.record.grade, decision.record.evaluation_year)
            told[place] = kept.setdefault(said, said)
        self._told = [told[place] for place in range(columns.size)]

    def find(self, key: bytes) -> Told | None:
        place = bisect_left(self._keys, key)
        if place == len(self._keys) or self._keys[place] != key:
            return None
        return self._commitments[place * 32 : place * 32 + 32], *self._told[place]


class Editions:
    """Published editions and their records, as one caller asks for them again and again. Not for several threads."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}
        self._chunks: OrderedDict[tuple[bytes, int], _Records] = OrderedDict()
        #: (edition, moment) → corrections: what was published until a moment that is over stays what it was.
        self._behind: dict[tuple[bytes, int], list[Known]] = {}

    def find(self, conn: Connection, manifest_digest: bytes) -> Known | None:
        """None where no such edition was published. That one was published never changes; that none was, may."""
        if (known := self._known.get(manifest_digest)) is None:
            row = editions.find_edition(conn, manifest_digest)
            if row is None or row["approval"] is None:
                return None
            keys = editions.last_keys(conn, manifest_digest)
            at_ms = published_at(conn, row)
            known = Known(manifest_digest, row, at_ms, day_of(at_ms).isoformat(), keys, blinder(row["blinding_key"]))
            self._known[manifest_digest] = known
        return known

    def record(self, conn: Connection, known: Known, key: bytes) -> Told | None:
        """What the edition itself tells under a blinded key. Raises Unavailable where the store lost its chunks."""
        number = bisect_left(known.last_keys, key)
        if number == len(known.last_keys):
            if number != -(-known.row["record_count"] // CHUNK_RECORDS):
                raise Unavailable("chunks of an edition are missing at the gateway", basis="edition.chunks")
            return None
        place = (known.digest, number)
        if (held := self._chunks.get(place)) is None:
            [(_, data)] = editions.read_chunks(conn, place[0], number, number + 1)
            held = self._chunks[place] = _Records(data, known.row["blinding_key"])
            if len(self._chunks) > KEPT_CHUNKS:
                self._chunks.popitem(last=False)
        else:
            self._chunks.move_to_end(place)
        return held.find(key)

    def corrections(self, conn: Connection, edition: Known, until_ms: int) -> list[Known]:
        """Those of an edition that were published until a moment and not stopped; the oldest first."""
        place = (edition.digest, until_ms)
        if place not in self._behind:
            found = []
            for row in editions.corrections_of(conn, edition.row, (*DELIVERABLE, "STOPPED")):
                stopped = row["state"] == "STOPPED" and row["changed_at_ms"] <= until_ms
                correction = self.find(conn, row["manifest_digest"])
                if correction is not None and correction.published_at_ms <= until_ms and not stopped:
                    found.append(correction)
            self._behind[place] = found
        return self._behind[place]


def find_fault(
    conn: Connection, known: Editions, relied: Relied, commitment: bytes, event_date: str, *, own: bool = False
) -> str:
    """The rule by which what a row relied on is in question; empty where it is not.

    Args:
        commitment: of the record, as the row cites it.
        event_date: in China.
        own: the blinded key is known to be that of the taxpayer.
    """
    edition = known.find(conn, relied.manifest_digest)
    if edition is None:
        return EDITION
    if not own and edition.blind(relied.taxpayer_id.encode()) != relied.blinded_key:
        return RELIANCE  # another taxpayer's record
    if known.record(conn, edition, relied.blinded_key) != (commitment, relied.grade, relied.evaluation_year):
        return RELIANCE
    return BEFORE if event_date < edition.published_on else ""


def published_at(conn: Connection, edition: Row) -> int:
    """When an edition that has an approval was published, in milliseconds since 1970."""
    sealed = editions.find_answer(conn, edition["approval"])
    if sealed is None:
        raise LookupError("the answer to an approval is missing from the store")
    return exchange_pb2.Acknowledgement.FromString(sealed.payload).recorded_at_ms


def true_grades(
    conn: Connection, relied: Iterable[Relied], until_ms: int, known: Editions | None = None
) -> dict[tuple[bytes, bytes], Truth]:
    """(edition, blinded key) → what was true at a moment of the grade that was relied on.

    Args:
        relied: of editions that were published; others are left out of the answer.
        until_ms: corrections that were published until then count, stopped ones until they were stopped.
        known: kept where more are asked for later.
    """
    known = known or Editions()
    found: dict[tuple[bytes, bytes], Truth] = {}
    for one in relied:
        edition = known.find(conn, one.manifest_digest)
        if edition is None:
            continue
        told = []
        for correction in known.corrections(conn, edition, until_ms):
            same = correction.row["blinding_key"] == edition.row["blinding_key"]
            key = one.blinded_key if same else correction.blind(one.taxpayer_id.encode())
            if (record := known.record(conn, correction, key)) is not None:
                told.append(record[1:])
        grade = true_grade(one.grade, one.evaluation_year, told)
        found[one.manifest_digest, one.blinded_key] = Truth(grade != one.grade, grade)
    return found
