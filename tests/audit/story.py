"""A log made by hand: parties with keys, exchanges with documents and rows, and the export of it all.

The gateway's part is played here with the proof kit alone, so that a test may tell any lie a gateway could tell,
under the right keys or under others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit import buckets, checkpoint, entries, envelope, export, merkle, records
from audit.keys import FileSigner, Signer, generate_private_key, keyid
from audit.verification.policy import Policy
from tests.world import SealedEdition, made_up_uscc
from xinyi import calendar as holidays
from xinyi import checks
from xinyi.v1 import (
    edition_pb2,
    envelope_pb2,
    exchange_pb2,
    log_pb2,
    notice_pb2,
    objection_pb2,
    party_pb2,
    records_pb2,
)

CITY = "test-city"
GATEWAY, BUREAU, BANK, AUDITOR = (f"{CITY}/{name}" for name in ("gateway", "tax-bureau", "bank-1", "auditor"))
BANK_2 = f"{CITY}/bank-2"
ORIGIN = f"{GATEWAY}/log"
NOW_MS = 1_525_000_000_000
PERIOD = edition_pb2.Period(year=2018, month=4)

#: Primary keys as the gateway has them.
KEYS = {
    "parties": ["party"],
    "keys": ["keyid"],
    "editions": ["manifest_digest"],
    "deliveries": ["delivery_id"],
    "receipts": ["document"],
    "recalls": ["correction", "recipient"],
    "objections": ["objection"],
    "notices": ["number"],
    "lending_tables": ["document"],
    "outcome_batches": ["document"],
    "challenges": ["document"],
    "statistics": ["document"],
    "statistics_deliveries": ["document", "recipient"],
}
Row = dict[str, Any]


def make_signer(folder: Path, holder: str, purpose: party_pb2.KeyPurpose, name: str = "") -> FileSigner:
    path = folder / (holder.removeprefix("xinyi://").replace("/", "_") + f"-{purpose}{name}.pem")
    generate_private_key(path)
    return FileSigner.load(path, holder=holder, purpose=purpose)


class Cast:
    """The parties and their keys."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        document, log = party_pb2.KEY_PURPOSE_DOCUMENT, party_pb2.KEY_PURPOSE_LOG
        self.folder = folder
        self.log = make_signer(folder, f"xinyi://{GATEWAY}/machine/main", log)
        self.gateway = make_signer(folder, f"xinyi://{GATEWAY}/machine/main", document)
        self.maker = make_signer(folder, f"xinyi://{BUREAU}/person/li-wei", document)
        self.approver = make_signer(folder, f"xinyi://{BUREAU}/person/wang-fang", document)
        self.bank = make_signer(folder, f"xinyi://{BANK}/machine/main", document)
        self.bank_2 = make_signer(folder, f"xinyi://{BANK_2}/machine/main", document)
        self.teller = make_signer(folder, f"xinyi://{BANK}/person/zhou-yan", document)
        self.auditor = make_signer(folder, f"xinyi://{AUDITOR}/person/zhao-min", document)

    def signer(self, holder: str, name: str) -> FileSigner:
        """One more key."""
        return make_signer(self.folder, holder, party_pb2.KEY_PURPOSE_DOCUMENT, name)

    def policy(self) -> Policy:
        return Policy(
            log_key=checkpoint.VerifierKey.of(ORIGIN, self.log),
            gateway=GATEWAY,
            bureaus=frozenset({BUREAU}),
            keys=(self.gateway.key, self.maker.key, self.approver.key),
        )


@dataclass
class Edition(SealedEdition):
    approval: envelope_pb2.Envelope | None = None

    @classmethod
    def of(cls, sealed: SealedEdition) -> Edition:
        return cls(sealed.manifest, sealed.blinding_key, sealed.chunks)

    @property
    def message(self) -> edition_pb2.Manifest:
        return edition_pb2.Manifest.FromString(self.manifest.payload)


@dataclass
class Story:
    cast: Cast
    entries: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    documents: dict[bytes, envelope_pb2.Envelope] = field(default_factory=dict)
    state: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in KEYS})
    answers: list[Row] = field(default_factory=list)
    refusals: list[Row] = field(default_factory=list)
    editions: list[Edition] = field(default_factory=list)
    #: (batch digest, number, chunk as it is kept)
    outcomes: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    #: How far the gateway's clock has run on.
    later_ms: int = 0

    # ── what a gateway does ────────────────────────────────────────────────────────────────────────────

    def log(
        self,
        kind: str,
        documents: Iterable[envelope_pb2.Envelope] = (),
        rows: Iterable[tuple[str, Row]] = (),
        *,
        keep: bool = True,
        **fields: Any,
    ) -> bytes:
        """One exchange: rows written, documents kept, an entry that commits to both. Returns the leaf."""
        changes = []
        for table, row in rows:
            key = entries.canonical_json({name: row[name] for name in KEYS[table]})
            self.state[table][key] = row
            changes.append(log_pb2.RowChange(table=table, key=key, row_sha256=entries.row_digest(row)))
        named = [envelope.digest(document) for document in documents]
        if keep:
            self.documents |= dict(zip(named, documents, strict=True))
        entry = log_pb2.LogEntry(
            kind=kind,
            recorded_at_ms=NOW_MS + self.later_ms + len(self.entries),
            actor=fields.pop("actor", self.cast.gateway.key.holder),
            documents=named,
            changes=changes,
            **fields,
        )
        salt, opening = os.urandom(32), entry.SerializeToString(deterministic=True)
        leaf = entries.leaf(salt, opening)
        self.entries.append((leaf, salt, opening))
        return leaf

    def acknowledge(self, document: envelope_pb2.Envelope, leaf: bytes) -> None:
        digest = envelope.digest(document)
        answer = envelope.seal(
            exchange_pb2.Acknowledgement(
                document_digest=digest, outcome="done", leaf=leaf, recorded_at_ms=NOW_MS
            ),
            self.cast.gateway,
        )
        self.documents[envelope.digest(answer)] = answer
        self.answers.append({"document": digest, "answer": envelope.digest(answer)})

    def register(
        self, signer: FileSigner, *beside: Signer, kind: party_pb2.PartyKind
    ) -> envelope_pb2.Envelope:
        registration = envelope.seal(
            party_pb2.KeyRegistration(key=signer.key, party_kind=kind, requested_at_ms=NOW_MS),
            signer,
            *beside,
        )
        row = {"keyid": keyid(signer.key), "holder": signer.key.holder, "state": "ACTIVE"}
        self.log("key.registered", [registration], [("keys", row)], counterparty=signer.key.party)
        return registration

    def end_key(self, signer: FileSigner, kind: str = "key.retired", since_ms: int = 0) -> None:
        row = {"keyid": keyid(signer.key), "holder": signer.key.holder, "state": kind}
        self.log(kind, rows=[("keys", row)], since_ms=since_ms)

    def take_in(self, edition: Edition) -> None:
        manifest = edition.message
        row = {
            "manifest_digest": edition.digest, "state": "READY", "approval": None, "count": manifest.record_count
        }  # fmt: skip
        self.editions.append(edition)
        leaf = self.log(
            "edition.ready",
            [edition.manifest],
            [("editions", row)],
            actor=manifest.issued_by,
            product=manifest.product,
            period=manifest.period,
            manifest_digest=edition.digest,
            record_count=manifest.record_count,
        )
        self.acknowledge(edition.manifest, leaf)

    def seal(self, signer: FileSigner, count: int = 3, *signers: Signer) -> Edition:
        """A FULL behind the one that was taken in last."""
        before = self.editions[-1]
        return seal_edition(
            signer, count, *signers, sequence=before.message.sequence + 1, predecessor=before.digest
        )

    def publish(
        self, edition: Edition, approval: envelope_pb2.Envelope, recalled: Iterable[str] = ()
    ) -> None:
        """Args: recalled — whom a CORRECTION has to reach."""
        edition.approval = approval
        digest = envelope.digest(approval)
        row = {
            "manifest_digest": edition.digest, "state": "PUBLISHED", "approval": digest,
            "count": edition.message.record_count,
        }  # fmt: skip
        leaf = self.log(
            "edition.published",
            [approval],
            [("editions", row), *(recall_row(edition, party, "OPEN") for party in recalled)],
            product=edition.message.product,
            period=edition.message.period,
            manifest_digest=edition.digest,
        )
        self.acknowledge(approval, leaf)

    def bring_out(self, edition: Edition, recalled: Iterable[str] = ()) -> None:
        """Taken in, and approved by the second person."""
        self.take_in(edition)
        self.publish(edition, approve(edition, self.cast.approver), recalled)

    def offer(
        self, edition: Edition, recipient: str = BANK, signer: Signer | None = None, **changes: Any
    ) -> envelope_pb2.Envelope:
        assert edition.approval is not None
        about = edition.message
        delivery = exchange_pb2.Delivery(
            delivery_id=checks.delivery_id(edition.digest, recipient),
            recipient=recipient,
            manifest_digest=edition.digest,
            approval_digest=envelope.digest(edition.approval),
            product=about.product,
            period=about.period,
            agreement_id="agreement-1",
            disclosure_class=exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
            **{
                "offered_at_ms": NOW_MS,
                "expires_at_ms": NOW_MS + 1,
                "ground": exchange_pb2.DELIVERY_GROUND_AGREEMENT,
            }
            | changes,
        )
        sealed = envelope.seal(delivery, signer or self.cast.gateway)
        row = {"delivery_id": delivery.delivery_id, "state": "OFFERED", "document": envelope.digest(sealed)}
        self.log(
            "delivery.offered",
            [sealed],
            [("deliveries", row)],
            counterparty=recipient,
            product=about.product,
            period=about.period,
            agreement_id="agreement-1",
            manifest_digest=edition.digest,
            delivery_id=delivery.delivery_id,
            record_count=about.record_count,
        )
        return sealed

    def receive(
        self,
        edition: Edition,
        delivery: envelope_pb2.Envelope,
        signer: FileSigner | None = None,
        *,
        kind: str = "",
        rows: Iterable[tuple[str, Row]] = (),
        **changes: Any,
    ) -> envelope_pb2.Envelope:
        """Args: kind, rows — of the entry, where they are not those of a first receipt of its stage."""
        signer = signer or self.cast.bank
        message = exchange_pb2.Delivery.FromString(delivery.payload)
        receipt = exchange_pb2.DeliveryReceipt(
            delivery_id=message.delivery_id,
            delivery_digest=envelope.digest(delivery),
            manifest_digest=edition.digest,
            stage=exchange_pb2.RECEIPT_STAGE_RECEIVED,
            root=edition.message.root,
            accepted=edition.message.record_count,
            signed_by=signer.key.holder,
            signed_at_ms=NOW_MS,
        )
        receipt.rules.extend(changes.pop("rules", ()))
        for name, value in changes.items():
            setattr(receipt, name, value)
        sealed = envelope.seal(receipt, signer)
        row = {"document": envelope.digest(sealed), "delivery_id": message.delivery_id, "stage": receipt.stage}
        stage = exchange_pb2.ReceiptStage.Name(receipt.stage).removeprefix("RECEIPT_STAGE_").lower()
        leaf = self.log(
            kind or f"receipt.{stage}",
            [sealed],
            [*([] if kind else [("receipts", row)]), *rows],
            actor=signer.key.holder,
            counterparty=signer.key.party,
            delivery_id=message.delivery_id,
            manifest_digest=edition.digest,
        )
        self.acknowledge(sealed, leaf)
        return sealed

    def apply(self, edition: Edition, recipient: FileSigner, **changes: Any) -> envelope_pb2.Envelope:
        """Offered, received, accepted and landed; a recall is confirmed with it. Returns the Delivery."""
        delivery = self.offer(edition, recipient.key.party, **changes)
        self.receive(edition, delivery, recipient)
        self.receive(edition, delivery, recipient, stage=exchange_pb2.RECEIPT_STAGE_ACCEPTED)
        _, row = recall_row(edition, recipient.key.party, "CONFIRMED")
        known = entries.canonical_json({name: row[name] for name in KEYS["recalls"]}) in self.state["recalls"]
        rows = [("recalls", row)] if known else []
        self.receive(edition, delivery, recipient, rows=rows, stage=exchange_pb2.RECEIPT_STAGE_APPLIED)
        return delivery

    def object(
        self, edition: Edition, identifier: str, number: str = "2018-1", **changes: Any
    ) -> objection_pb2.Objection:
        """The bureau takes in an objection against what an edition says of a taxpayer."""
        signer = changes.pop("signer", self.cast.maker)
        message = objection_of(edition, identifier, number, signer)
        message.term.calendar = changes.pop("calendar", message.term.calendar)
        for name, value in changes.items():
            setattr(message, name, value)
        sealed = envelope.seal(message, signer)
        row = {"objection": envelope.digest(sealed), "number": number, "state": "OPEN"}
        leaf = self.log(
            "objection.filed",
            [sealed],
            [("objections", row)],
            actor=signer.key.holder,
            product=message.product,
            manifest_digest=message.manifest_digest,
        )
        self.acknowledge(sealed, leaf)
        return message

    def decide(
        self,
        objection: objection_pb2.Objection,
        outcome: str,
        correction: bytes = b"",
        signer: FileSigner | None = None,
        kind: str = "",
    ) -> None:
        signer = signer or self.cast.approver
        message = objection_pb2.ObjectionDecision(
            objection=document_digest(objection),
            outcome=objection_pb2.ObjectionOutcome.Value(f"OBJECTION_OUTCOME_{outcome}"),
            correction=correction,
            decided_by=signer.key.holder,
            decided_at_ms=NOW_MS,
        )
        sealed = envelope.seal(message, signer)
        row = {"objection": message.objection, "number": objection.number, "state": outcome}
        leaf = self.log(
            kind or f"objection.{outcome.lower()}",
            [sealed],
            [("objections", row)],
            actor=signer.key.holder,
            product=objection.product,
            manifest_digest=objection.manifest_digest,
        )
        self.acknowledge(sealed, leaf)

    def answer_rows(self, edition: Edition, *rows: int, signer: FileSigner | None = None) -> None:
        signer = signer or self.cast.maker
        message = edition_pb2.RowAnswer(
            manifest_digest=edition.digest,
            rows=rows,
            outcome=edition_pb2.ROW_ANSWER_OUTCOME_MENDED,
            reason="the source was put right",
            answered_by=signer.key.holder,
            answered_at_ms=NOW_MS,
        )
        sealed = envelope.seal(message, signer)
        leaf = self.log("edition.rows_answered", [sealed], actor=signer.key.holder, manifest_digest=edition.digest)
        self.acknowledge(sealed, leaf)

    def announce(self, number: str, *, signer: FileSigner | None = None, **changes: Any) -> None:
        message = notice_pb2.ChangeNotice(
            number=number,
            kind=notice_pb2.NOTICE_KIND_CONTRACT,
            effective_on="2018-12-01",
            text_zh="合同版本变更",
            text_en="another version of the contract",
            announced_at_ms=NOW_MS,
        )
        for name, value in changes.items():
            setattr(message, name, value)
        sealed = envelope.seal(message, signer or self.cast.gateway)
        self.log("notice.announced", [sealed], [("notices", {"number": number})])

    def stop(self, edition: Edition, recalled: Iterable[str] = ()) -> None:
        """Args: recalled — whose recall of it is closed."""
        message = edition_pb2.Stop(
            manifest_digest=edition.digest, stopped_by=self.cast.maker.key.holder, reason="wrong", stopped_at_ms=NOW_MS
        )
        sealed = envelope.seal(message, self.cast.maker)
        closed = [recall_row(edition, party, "STOPPED") for party in recalled]
        leaf = self.log("edition.stopped", [sealed], closed, manifest_digest=edition.digest)
        self.acknowledge(sealed, leaf)

    def refuse(self, document: envelope_pb2.Envelope, actor: str, method: str = "DecideEdition") -> None:
        detail = f"{method}: a.rule: it"
        leaf = self.log("refused", [document], actor=actor, code="not_entitled", detail=detail)
        refusal = envelope.seal(
            exchange_pb2.Refusal(
                document_digest=envelope.digest(document), code="not_entitled", basis="a.rule", leaf=leaf
            ),
            self.cast.gateway,
        )
        self.documents[envelope.digest(refusal)] = refusal
        party = "/".join(actor.split("/")[2:4])
        self.refusals.append(
            {
                "party": party,
                "method": method,
                "basis": "a.rule",
                "subject": "it",
                "day": "2018-04-29",
                "leaf": leaf,
            }
        )

    def erase(self, *positions: int, log: bool = True) -> None:
        """Drops openings; with a logged document that names their leaves, unless that is the lie."""
        leaves = [self.entries[position][0] for position in positions]
        for position in positions:
            self.entries[position] = (self.entries[position][0], b"", b"")
        if log:
            erasure = log_pb2.Erasure(leaves=leaves, basis="a statute", erased_by="x", erased_at_ms=NOW_MS)
            self.log("opening.erased", [envelope.seal(erasure, self.cast.gateway)])

    # ── what comes out ─────────────────────────────────────────────────────────────────────────────────

    def head(self) -> checkpoint.Checkpoint:
        root = merkle.root([merkle.leaf_hash(leaf) for leaf, _, _ in self.entries])
        return checkpoint.sign(ORIGIN, len(self.entries), root, self.cast.log)

    def export(self, path: Path, *, with_records: bool = True, **options: Any) -> Path:
        state = [(table, list(rows.values())) for table, rows in self.state.items()]
        state += [("answers", self.answers), ("refusals", self.refusals)]
        chunks = [(e.digest, n, data) for e in self.editions for n, data in enumerate(e.chunks)]
        pieces = export.write(
            self.head(),
            entries=self.entries,
            documents=self.documents.items(),
            state=state,
            chunks=chunks if with_records else None,
            blinding_keys=[(e.digest, e.blinding_key) for e in self.editions] if with_records else None,
            outcomes=self.outcomes if with_records else None,
            **options,
        )
        for name, data in pieces:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            with (path / name).open("ab") as file:
                file.write(data)
        return path


def seal_edition(signer: FileSigner, count: int = 3, *signers: Signer, **changes: Any) -> Edition:
    """Fictitious records, sealed as an edition."""
    blinding_key = os.urandom(32)
    blind = records.blinder(blinding_key)
    rows = sorted(
        (blind(record.taxpayer_id.encode()), os.urandom(32), record.SerializeToString(deterministic=True))
        for record in map(record_of, range(count))
    )
    entries = [key + records.commitment(salt, data) for key, salt, data in rows]
    hashes = records.leaf_hashes(entries)
    size = records.CHUNK_RECORDS
    manifest = edition_pb2.Manifest(
        origin=signer.key.party,
        issued_by=signer.key.holder,
        product="grade-a",
        period=PERIOD,
        kind=edition_pb2.EDITION_KIND_FULL,
        sequence=1,
        record_schema="xinyi.v1.GradeRecord",
        record_count=count,
        root=merkle.root(hashes),
        chunk_roots=[merkle.root(hashes[i : i + size]) for i in range(0, count, size)],
        blinding_key_commitment=records.blinding_key_commitment(blinding_key),
        source=edition_pb2.SourceFile(
            sha256=bytes(32), size_bytes=1, encoding="utf-8", profile_sha256=bytes(32),
            coverage=edition_pb2.SOURCE_COVERAGE_WHOLE,
        ),
        quality=edition_pb2.Quality(rows=count, accepted=count, rule_set="grade-rules/1"),
        grade_counts=[edition_pb2.GradeCount(grade=records_pb2.GRADE_A, records=count)],
        issued_at_ms=NOW_MS,
        state_root=buckets.state_of(entries).root(),
        state_count=len(entries),
    )
    for name, value in changes.items():
        setattr(manifest, name, value)
    chunks = [
        records.chunk_bytes((salt, data) for _, salt, data in rows[i : i + size])
        for i in range(0, count, size)
    ]
    return Edition(envelope.seal(manifest, signer, *signers), blinding_key, chunks)


def record_of(number: int) -> records_pb2.GradeRecord:
    return records_pb2.GradeRecord(
        taxpayer_id=made_up_uscc(number),
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=[f"示例企业{number}有限公司"],
        evaluation_year=2018,
        grade=records_pb2.GRADE_A,
    )


def approve(edition: Edition, signer: FileSigner, **changes: Any) -> envelope_pb2.Envelope:
    decision = edition_pb2.Approval(
        manifest_digest=edition.digest,
        origin=signer.key.party,
        approved_by=signer.key.holder,
        approved_at_ms=NOW_MS,
    )
    for name, value in changes.items():
        setattr(decision, name, value)
    return envelope.seal(decision, signer)


def month(cast: Cast, *, count: int = 3, noise: int = 0) -> Story:
    """An honest month: keys, an edition, a refused approval, a delivery, its receipt, a query."""
    story = Story(cast)
    story.register(cast.gateway, kind=party_pb2.PARTY_KIND_GATEWAY)
    for person in (cast.maker, cast.approver):
        story.register(person, kind=party_pb2.PARTY_KIND_TAX_BUREAU)
    story.register(cast.bank, kind=party_pb2.PARTY_KIND_BANK)
    story.register(cast.auditor, kind=party_pb2.PARTY_KIND_AUDITOR)
    edition = seal_edition(cast.maker, count)
    story.take_in(edition)
    story.refuse(approve(edition, cast.maker), cast.maker.key.holder)
    story.publish(edition, approve(edition, cast.approver))
    story.receive(edition, story.offer(edition))
    query = exchange_pb2.LogQuery(
        asked_by=cast.auditor.key.holder, purpose="review", requested_at_ms=NOW_MS, nonce=bytes(16)
    )
    sealed = envelope.seal(query, cast.auditor)
    story.log("log.queried", [sealed], actor=cast.auditor.key.holder)
    for n in range(noise):
        story.log("partner.active", rows=[("parties", {"party": f"{CITY}/bank-{n % 50}", "n": n})])
    return story


def recall_row(edition: Edition, recipient: str, state: str) -> tuple[str, Row]:
    row = {"correction": edition.digest, "recipient": recipient, "state": state, "changed_at_ms": NOW_MS}
    return "recalls", row


def objection_of(
    edition: Edition, identifier: str, number: str, signer: FileSigner
) -> objection_pb2.Objection:
    return objection_pb2.Objection(
        number=number,
        origin=signer.key.party,
        product=edition.message.product,
        manifest_digest=edition.digest,
        blinded_key=records.blinder(edition.blinding_key)(identifier.encode()),
        filed_on="2018-02-05",
        due_on="2018-03-01",
        term=objection_pb2.Term(
            nature=objection_pb2.TERM_NATURE_STATUTORY_DUTY,
            basis="made up, art. 1",
            amount=15,
            unit=objection_pb2.TERM_UNIT_WORKING_DAYS,
            calendar=holidays.VERSION,
        ),
        received_by=signer.key.holder,
        received_at_ms=NOW_MS,
    )


def mark_of(objection: objection_pb2.Objection) -> exchange_pb2.DisputeMark:
    return exchange_pb2.DisputeMark(
        blinded_key=objection.blinded_key,
        objection=document_digest(objection),
        filed_on=objection.filed_on,
        due_on=objection.due_on,
    )


def document_digest(message: Any) -> bytes:
    """Of a document with this content, whoever seals it."""
    return envelope.digest(envelope.seal(message))


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
