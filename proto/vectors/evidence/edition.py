"""One edition of five fictitious taxpayers of the division 999999, which does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit import buckets, envelope, merkle, records
from proto.vectors.evidence.cast import (
    APPROVER,
    BUREAU,
    MAKER,
    PERIOD,
    TIME,
    TestSigner,
    seed,
)
from xinyi.identifiers import organisation_check_character, uscc_check_character
from xinyi.v1 import edition_pb2, envelope_pb2, records_pb2


def uscc(number: int) -> str:
    """A code that holds, of the division 999999, which does not exist."""
    organisation = f"{number:08d}"
    head = f"91999999{organisation}{organisation_check_character(organisation)}"
    return head + uscc_check_character(head)


def record(number: int) -> records_pb2.GradeRecord:
    return records_pb2.GradeRecord(
        taxpayer_id=uscc(number),
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=[f"示例{number}有限公司"],
        tax_offices=["示例市税务局"] if number % 2 else [],
        evaluation_year=2018,
        grade=records_pb2.GRADE_A,
    )


BLINDING_KEY = seed("blinding key")


@dataclass(frozen=True)
class Row:
    identifier: str
    blinded_key: bytes
    salt: bytes
    record: bytes

    @property
    def entry(self) -> bytes:
        return self.blinded_key + records.commitment(self.salt, self.record)

    @property
    def leaf(self) -> bytes:
        return records.leaf(self.blinded_key, records.commitment(self.salt, self.record))


def rows(count: int) -> list[Row]:
    blind = records.blinder(BLINDING_KEY)
    made = [
        Row(
            r.taxpayer_id,
            blind(r.taxpayer_id.encode()),
            seed(f"salt {n}"),
            r.SerializeToString(deterministic=True),
        )
        for n, r in enumerate(map(record, range(count)))
    ]
    return sorted(made, key=lambda row: row.blinded_key)


def chunk(chosen: Iterable[Row]) -> bytes:
    return records.chunk_bytes((row.salt, row.record) for row in chosen)


ROWS = rows(5)
STATE = buckets.state_of([row.entry for row in ROWS])
HASHES = [merkle.leaf_hash(row.leaf) for row in ROWS]
CHUNK = chunk(ROWS)


def manifest_of(hashes_: Sequence[bytes]) -> edition_pb2.Manifest:
    count, size = len(hashes_), records.CHUNK_RECORDS
    return edition_pb2.Manifest(
        origin=BUREAU,
        issued_by=MAKER.holder,
        product="grade-a",
        period=PERIOD,
        kind=edition_pb2.EDITION_KIND_FULL,
        sequence=1,
        record_schema="xinyi.v1.GradeRecord",
        record_count=count,
        root=merkle.root(hashes_),
        chunk_roots=[merkle.root(hashes_[i : i + size]) for i in range(0, count, size)],
        blinding_key_commitment=records.blinding_key_commitment(BLINDING_KEY),
        source=edition_pb2.SourceFile(
            sha256=seed("source"), size_bytes=1000, encoding="utf-8", profile_sha256=seed("profile"),
            coverage=edition_pb2.SOURCE_COVERAGE_WHOLE,
        ),
        quality=edition_pb2.Quality(rows=count, accepted=count, rule_set="grade-rules/1"),
        grade_counts=[edition_pb2.GradeCount(grade=records_pb2.GRADE_A, records=count)],
        issued_at_ms=TIME,
        state_root=STATE.root(),
        state_count=count,
    )


MANIFEST = manifest_of(HASHES)
SEALED = envelope.seal(MANIFEST, MAKER)
EDITION = envelope.digest(SEALED)


def approval_of(signer: TestSigner, edition: bytes = EDITION) -> envelope_pb2.Envelope:
    decision = edition_pb2.Approval(
        manifest_digest=edition, origin=BUREAU, approved_by=signer.holder, approved_at_ms=TIME + 1000
    )
    return envelope.seal(decision, signer)


APPROVAL = approval_of(APPROVER)
