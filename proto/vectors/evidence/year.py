"""A year of one product: a FULL, a DELTA, a CORRECTION of the FULL with its recall, and an objection to it.

October's FULL is the edition of the other vectors. November tells of one taxpayer that is new, one with another
name, one that is gone. December's CORRECTION takes one back, to whom an objection was upheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from audit import buckets, envelope, merkle, records
from proto.vectors.evidence.cast import (
    APPROVER,
    ASKER,
    BANK,
    BUREAU,
    MAKER,
    THE_BANK,
    THE_GATEWAY,
    TIME,
    seed,
)
from proto.vectors.evidence.city import City, found
from proto.vectors.evidence.edition import (
    BLINDING_KEY,
    CHUNK,
    EDITION,
    MANIFEST,
    ROWS,
    SEALED,
    Row,
    approval_of,
    chunk,
    record,
    uscc,
)
from xinyi import checks
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, notice_pb2, objection_pb2, records_pb2

DELTA, CORRECTION = edition_pb2.EDITION_KIND_DELTA, edition_pb2.EDITION_KIND_CORRECTION


def row_of(shown: records_pb2.GradeRecord, salt: str) -> Row:
    blinded = records.blinder(BLINDING_KEY)(shown.taxpayer_id.encode())
    return Row(shown.taxpayer_id, blinded, seed(salt), shown.SerializeToString(deterministic=True))


def gone(number: int) -> records_pb2.GradeRecord:
    return records_pb2.GradeRecord(
        taxpayer_id=uscc(number), identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, gone=True
    )


def renamed(number: int) -> records_pb2.GradeRecord:
    other = record(number)
    other.names[0] = f"新名称{number}有限公司"
    return other


@dataclass(frozen=True)
class Sealed:
    """One edition, and the state it leads to."""

    name: str
    manifest: edition_pb2.Manifest
    envelope: envelope_pb2.Envelope
    chunk: bytes
    #: blinded key → row, after it
    state: dict[bytes, Row] = field(repr=False)

    @property
    def digest(self) -> bytes:
        return envelope.digest(self.envelope)

    @property
    def approval(self) -> envelope_pb2.Envelope:
        return approval_of(APPROVER, self.digest)

    @property
    def digests(self) -> buckets.Digests:
        return buckets.state_of([self.state[key].entry for key in sorted(self.state)])

    def bucket(self, blinded_key: bytes) -> bytes:
        number = buckets.number_of(blinded_key)
        return b"".join(self.state[key].entry for key in sorted(self.state) if buckets.number_of(key) == number)


def follow(
    before: Sealed,
    name: str,
    told: Sequence[records_pb2.GradeRecord],
    kind: edition_pb2.EditionKind,
    corrects: bytes = b"",
    **changes: Any,
) -> Sealed:
    """Args: changes — fields of the manifest that are to say something else."""
    rows = sorted((row_of(one, f"{name} {one.taxpayer_id}") for one in told), key=lambda row: row.blinded_key)
    leaving = {row_of(one, "").blinded_key for one in told if one.gone}
    state = {key: row for key, row in before.state.items() if key not in leaving}
    state |= {row.blinded_key: row for row in rows if row.blinded_key not in leaving}
    stays = len(rows) - len(leaving)
    added = len(state.keys() - before.state.keys())
    hashes = [merkle.leaf_hash(row.leaf) for row in rows]
    month = before.manifest.period.month + 1
    manifest = edition_pb2.Manifest()
    manifest.CopyFrom(MANIFEST)
    manifest.MergeFrom(
        edition_pb2.Manifest(
            period=edition_pb2.Period(month=month),
            kind=kind,
            sequence=before.manifest.sequence + 1,
            predecessor=before.digest,
            record_count=len(rows),
            root=merkle.root(hashes),
            state_count=len(state),
            gone_count=len(leaving),
            corrects=corrects,
            reason="a rule was not applied" if corrects else "",
            comparison=edition_pb2.Comparison(
                added=added,
                gone=len(leaving if kind == DELTA else before.state.keys() & leaving),
                renamed=stays - added,
                unchanged=len(state) - stays,
            ),
        )
    )
    manifest.chunk_roots[:] = [merkle.root(hashes)]
    manifest.source.coverage = edition_pb2.SOURCE_COVERAGE_CHANGES
    manifest.quality.CopyFrom(edition_pb2.Quality(rows=len(rows), accepted=len(rows), rule_set="grade-rules/1"))
    del manifest.grade_counts[:]
    if stays:
        manifest.grade_counts.add(grade=records_pb2.GRADE_A, records=stays)
    manifest.issued_at_ms = TIME + month
    manifest.state_root = Sealed(name, manifest, envelope_pb2.Envelope(), b"", state).digests.root()
    for label, value in changes.items():
        setattr(manifest, label, value)
    return Sealed(name, manifest, envelope.seal(manifest, MAKER), chunk(rows), state)


OCTOBER = Sealed("october", MANIFEST, SEALED, CHUNK, {row.blinded_key: row for row in ROWS})
NOVEMBER = follow(OCTOBER, "november", [record(7), renamed(1), gone(2)], DELTA)
DECEMBER = follow(NOVEMBER, "december", [gone(4)], CORRECTION, EDITION)
CHAIN = (OCTOBER, NOVEMBER, DECEMBER)

OBJECTION = objection_pb2.Objection(
    number="2018-1",
    origin=BUREAU,
    product="grade-a",
    manifest_digest=EDITION,
    blinded_key=row_of(record(4), "").blinded_key,
    filed_on="2018-11-05",
    due_on="2018-11-26",
    term=objection_pb2.Term(
        nature=objection_pb2.TERM_NATURE_STATUTORY_DUTY,
        basis="made up, art. 1",
        amount=15,
        unit=objection_pb2.TERM_UNIT_WORKING_DAYS,
        calendar="cn-2018.1",
    ),
    received_by=MAKER.holder,
    received_at_ms=TIME,
)
OBJECTED = envelope.seal(OBJECTION, MAKER)
DECISION = envelope.seal(
    objection_pb2.ObjectionDecision(
        objection=envelope.digest(OBJECTED),
        outcome=objection_pb2.OBJECTION_OUTCOME_UPHELD,
        correction=DECEMBER.digest,
        decided_by=APPROVER.holder,
        decided_at_ms=TIME,
    ),
    APPROVER,
)
MARK = exchange_pb2.DisputeMark(
    blinded_key=OBJECTION.blinded_key,
    objection=envelope.digest(OBJECTED),
    filed_on=OBJECTION.filed_on,
    due_on=OBJECTION.due_on,
)


@dataclass(frozen=True)
class Told:
    """The log of the year; each field is something that may be told otherwise."""

    chain: tuple[Sealed, ...] = CHAIN
    decision: envelope_pb2.Envelope = field(default_factory=lambda: DECISION)
    decided: str = "objection.upheld"
    marks: tuple[exchange_pb2.DisputeMark, ...] = (MARK,)
    recalled: tuple[str, ...] = (BANK,)
    ground: exchange_pb2.DeliveryGround = exchange_pb2.DELIVERY_GROUND_RECALL
    confirmed: bool = True

    def city(self) -> City:
        city, (october, november, december) = found(), self.chain
        city.chunks = [(edition.digest, edition.chunk) for edition in self.chain]
        self._bring_out(city, october)
        self._deliver(city, october, exchange_pb2.DELIVERY_GROUND_AGREEMENT)
        row = {"objection": envelope.digest(OBJECTED), "number": OBJECTION.number, "state": "OPEN"}
        about: dict[str, Any] = {"product": "grade-a", "manifest_digest": EDITION}
        leaf = city.log("objection.filed", MAKER.holder, [OBJECTED], [("objections", row)], **about)
        city.acknowledge(OBJECTED, "objection.filed", leaf)
        self._bring_out(city, november)
        self._deliver(city, november, exchange_pb2.DELIVERY_GROUND_AGREEMENT, self.marks)
        self._bring_out(city, december, self.recalled)
        row = row | {"state": "UPHELD"}
        leaf = city.log(self.decided, APPROVER.holder, [self.decision], [("objections", row)], **about)
        city.acknowledge(self.decision, self.decided, leaf)
        self._deliver(city, december, self.ground)
        self._look(city)
        return city

    def _bring_out(self, city: City, edition: Sealed, recalled: Sequence[str] = ()) -> None:
        about = _about(edition)
        row = {"manifest_digest": edition.digest, "product": "grade-a", "sequence": edition.manifest.sequence}
        rows = [("editions", row | {"state": "READY", "approval": None})]
        leaf = city.log("edition.ready", MAKER.holder, [edition.envelope], rows, **about)
        city.acknowledge(edition.envelope, "edition.ready", leaf)
        rows = [("editions", row | {"state": "PUBLISHED", "approval": envelope.digest(edition.approval)})]
        rows += [("recalls", _recall(edition, party, "OPEN")) for party in recalled]
        leaf = city.log("edition.published", APPROVER.holder, [edition.approval], rows, **about)
        city.acknowledge(edition.approval, "edition.published", leaf)

    def _deliver(
        self,
        city: City,
        edition: Sealed,
        ground: exchange_pb2.DeliveryGround,
        marks: Sequence[exchange_pb2.DisputeMark] = (),
    ) -> None:
        delivery = _delivery(edition, ground, marks, city.now)
        sealed = envelope.seal(delivery, THE_GATEWAY)
        about = _about(edition) | {
            "counterparty": BANK,
            "agreement_id": delivery.agreement_id,
            "delivery_id": delivery.delivery_id,
        }
        row = {"delivery_id": delivery.delivery_id, "recipient": BANK, "state": "OFFERED"}
        city.log("delivery.offered", THE_GATEWAY.holder, [sealed], [("deliveries", row)], **about)
        for stage, word in ((1, "received"), (2, "accepted"), (5, "applied")):
            receipt = envelope.seal(_receipt(edition, sealed, stage, city.now), THE_BANK)
            given = {"delivery_id": delivery.delivery_id, "stage": stage, "document": envelope.digest(receipt)}
            rows = [("receipts", given), ("deliveries", row | {"state": word.upper()})]
            if edition.manifest.corrects and stage == 5 and BANK in self.recalled and self.confirmed:
                rows.append(("recalls", _recall(edition, BANK, "CONFIRMED")))
            leaf = city.log(f"receipt.{word}", THE_BANK.holder, [receipt], rows, **about)
            city.acknowledge(receipt, f"receipt.{word}", leaf)

    def _look(self, city: City) -> None:
        """An answer for rows, a notice, a query about a subject."""
        answer = edition_pb2.RowAnswer(
            manifest_digest=EDITION, rows=[2, 4], outcome=edition_pb2.ROW_ANSWER_OUTCOME_MENDED,
            reason="the source was put right", answered_by=MAKER.holder, answered_at_ms=TIME,
        )  # fmt: skip
        sealed = envelope.seal(answer, MAKER)
        leaf = city.log("edition.rows_answered", MAKER.holder, [sealed], manifest_digest=EDITION)
        city.acknowledge(sealed, "edition.rows_answered", leaf)
        notice = notice_pb2.ChangeNotice(
            number="contract-2", kind=notice_pb2.NOTICE_KIND_CONTRACT, effective_on="2019-03-01",
            text_zh="合同版本变更", text_en="another version of the contract", announced_at_ms=TIME,
        )  # fmt: skip
        city.log("notice.announced", THE_GATEWAY.holder, [envelope.seal(notice, THE_GATEWAY)])
        query = exchange_pb2.SubjectQuery(
            asked_by=ASKER.holder, purpose="a complaint", requested_at_ms=TIME, nonce=seed("nonce")[:16],
            subject_commitment=checks.subject_commitment(seed("subject salt"), uscc(4)),
        )  # fmt: skip
        city.log("subject.queried", ASKER.holder, [envelope.seal(query, ASKER)], detail=query.purpose)


def _about(edition: Sealed) -> dict[str, Any]:
    manifest = edition.manifest
    return {
        "product": manifest.product,
        "period": manifest.period,
        "manifest_digest": edition.digest,
        "record_count": manifest.record_count,
    }


def _recall(edition: Sealed, recipient: str, state: str) -> dict[str, Any]:
    return {"correction": edition.digest, "recipient": recipient, "state": state, "changed_at_ms": TIME}


def _delivery(
    edition: Sealed,
    ground: exchange_pb2.DeliveryGround,
    marks: Sequence[exchange_pb2.DisputeMark],
    now_ms: int,
) -> exchange_pb2.Delivery:
    return exchange_pb2.Delivery(
        delivery_id=checks.delivery_id(edition.digest, BANK),
        recipient=BANK,
        manifest_digest=edition.digest,
        approval_digest=envelope.digest(edition.approval),
        product=edition.manifest.product,
        period=edition.manifest.period,
        agreement_id="0123456789ab",
        disclosure_class=exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
        offered_at_ms=now_ms,
        expires_at_ms=now_ms + 30 * 86_400_000,
        ground=ground,
        disputes=marks,
    )


def _receipt(
    edition: Sealed, delivery: envelope_pb2.Envelope, stage: int, now_ms: int
) -> exchange_pb2.DeliveryReceipt:
    return exchange_pb2.DeliveryReceipt(
        delivery_id=checks.delivery_id(edition.digest, BANK),
        delivery_digest=envelope.digest(delivery),
        manifest_digest=edition.digest,
        stage=stage,  # type: ignore[arg-type]
        root=edition.manifest.root,
        accepted=edition.manifest.record_count,
        signed_by=THE_BANK.holder,
        signed_at_ms=now_ms,
    )
