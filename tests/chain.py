"""Editions over time, sealed without the bureau's programs: a FULL, then what differs.

Keeps the records it has told as a plain dictionary, so that a test can compare what others made of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from adapters.party.home import Home
from audit import buckets, envelope, merkle, records
from gateway.exchange import wall_clock
from tests.world import SealedEdition
from xinyi.v1 import edition_pb2, records_pb2


@dataclass
class Chain:
    """The editions of one product, one behind the other. Every method seals the next one."""

    home: Home
    product: str = "grade-a"
    year: int = 2018
    month: int = 1
    sequence: int = 0
    last: bytes = b""
    blinding_key: bytes = b""
    #: identifier → its record now
    truth: dict[str, records_pb2.GradeRecord] = field(default_factory=dict)
    #: identifier → salt of that record
    salts: dict[str, bytes] = field(default_factory=dict)
    #: manifest digest → the truth as it was after that edition
    history: dict[bytes, dict[str, records_pb2.GradeRecord]] = field(default_factory=dict)

    def full(self, subjects: Iterable[records_pb2.GradeRecord], *, anew: bool = False) -> SealedEdition:
        """Args: anew — blinds and salts afresh, as the first FULL of a year does (and the first of all)."""
        before, old_salts = self.truth, self.salts
        anew = anew or not self.last
        if anew:
            self.blinding_key = os.urandom(32)
        self.truth = {record.taxpayer_id: record for record in subjects}
        self.salts = {
            name: old_salts[name] if not anew and before.get(name) == record else os.urandom(32)
            for name, record in self.truth.items()
        }
        return self._seal(edition_pb2.EDITION_KIND_FULL, self.truth, before)

    def delta(
        self, told: Iterable[records_pb2.GradeRecord] = (), gone: Iterable[str] = ()
    ) -> SealedEdition:
        """Args: told — records that are new or otherwise; gone — identifiers."""
        return self._change(edition_pb2.EDITION_KIND_DELTA, told, gone)

    def correction(
        self,
        corrects: bytes,
        told: Iterable[records_pb2.GradeRecord] = (),
        gone: Iterable[str] = (),
        reason: str = "wrong rule set",
    ) -> SealedEdition:
        """Args: corrects — manifest digest of the edition that was wrong first."""
        return self._change(edition_pb2.EDITION_KIND_CORRECTION, told, gone, corrects, reason)

    def _change(
        self,
        kind: edition_pb2.EditionKind,
        told: Iterable[records_pb2.GradeRecord],
        gone: Iterable[str],
        corrects: bytes = b"",
        reason: str = "",
    ) -> SealedEdition:
        before = dict(self.truth)
        content = {record.taxpayer_id: record for record in told}
        self.truth = before | content
        self.salts = self.salts | {name: os.urandom(32) for name in content}
        for name in gone:
            kind_of = before[name].identifier_kind if name in before else records_pb2.IDENTIFIER_KIND_USCC
            content[name] = records_pb2.GradeRecord(taxpayer_id=name, identifier_kind=kind_of, gone=True)
            self.truth.pop(name, None)
            self.salts.pop(name, None)
        return self._seal(kind, content, before, corrects, reason)

    def _seal(
        self,
        kind: edition_pb2.EditionKind,
        content: Mapping[str, records_pb2.GradeRecord],
        before: Mapping[str, records_pb2.GradeRecord],
        corrects: bytes = b"",
        reason: str = "",
    ) -> SealedEdition:
        blind, full = records.blinder(self.blinding_key), kind == edition_pb2.EDITION_KIND_FULL
        rows = sorted(
            (blind(name.encode()), self.salts.get(name) or os.urandom(32), serialised(record))
            for name, record in content.items()
        )
        hashes = records.leaf_hashes(key + records.commitment(salt, raw) for key, salt, raw in rows)
        size = records.CHUNK_RECORDS
        now = self.truth
        added = sum(name not in before for name in now)
        unchanged = sum(before.get(name) == record for name, record in now.items())
        renamed = sum(
            name in before and list(before[name].names) != list(record.names) for name, record in now.items()
        )
        gone = sum(record.gone for record in content.values())
        grades: dict[records_pb2.Grade, int] = {}
        for record in content.values():
            if not record.gone:
                grades[record.grade] = grades.get(record.grade, 0) + 1
        self.sequence += 1
        manifest = edition_pb2.Manifest(
            origin=self.home.party,
            issued_by=self.home.settings.holder,
            product=self.product,
            period=edition_pb2.Period(year=self.year, month=self.month),
            kind=kind,
            sequence=self.sequence,
            predecessor=self.last,
            record_schema="xinyi.v1.GradeRecord",
            record_count=len(rows),
            root=merkle.root(hashes),
            chunk_roots=[merkle.root(hashes[i : i + size]) for i in range(0, len(hashes), size)],
            blinding_key_commitment=records.blinding_key_commitment(self.blinding_key),
            source=edition_pb2.SourceFile(
                sha256=os.urandom(32), size_bytes=1, encoding="utf-8", profile_sha256=b"\2" * 32,
                coverage=edition_pb2.SOURCE_COVERAGE_WHOLE if full else edition_pb2.SOURCE_COVERAGE_CHANGES,
            ),
            quality=edition_pb2.Quality(rows=len(rows), accepted=len(rows), rule_set="grade-rules/1"),
            grade_counts=[edition_pb2.GradeCount(grade=g, records=n) for g, n in sorted(grades.items())],
            issued_at_ms=wall_clock(),
            state_root=buckets.state_of(self.entries()).root(),
            state_count=len(now),
            gone_count=gone,
            corrects=corrects,
            reason=reason,
        )  # fmt: skip
        if self.last:
            manifest.comparison.CopyFrom(
                edition_pb2.Comparison(
                    added=added,
                    gone=sum(name not in now for name in before),
                    renamed=renamed,
                    changed=len(now) - added - unchanged - renamed,
                    unchanged=unchanged,
                )
            )
        sealed = envelope.seal(manifest, self.home.signer())
        chunks = [
            records.chunk_bytes((salt, raw) for _, salt, raw in rows[i : i + size])
            for i in range(0, len(rows), size)
        ]
        edition = SealedEdition(sealed, self.blinding_key, chunks)
        self.last = edition.digest
        self.history[edition.digest] = dict(now)
        return edition

    def entries(self) -> list[bytes]:
        """The state now: blinded key ‖ commitment, ascending."""
        blind = records.blinder(self.blinding_key)
        return sorted(
            blind(name.encode()) + records.commitment(self.salts[name], serialised(record))
            for name, record in self.truth.items()
        )


def serialised(record: records_pb2.GradeRecord) -> bytes:
    return record.SerializeToString(deterministic=True)
