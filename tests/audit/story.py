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
from tests.world import made_up_uscc
from xinyi import checks
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, log_pb2, party_pb2, records_pb2

CITY = "test-city"
GATEWAY, BUREAU, BANK, AUDITOR = (f"{CITY}/{name}" for name in ("gateway", "tax-bureau", "bank-1", "auditor"))
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
class Edition:
    manifest: envelope_pb2.Envelope
    blinding_key: bytes
    chunks: list[bytes]
    approval: envelope_pb2.Envelope | None = None

    @property
    def digest(self) -> bytes:
        return envelope.digest(self.manifest)

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
            recorded_at_ms=NOW_MS + len(self.entries),
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

    def publish(self, edition: Edition, approval: envelope_pb2.Envelope) -> None:
        edition.approval = approval
        digest = envelope.digest(approval)
        row = {
            "manifest_digest": edition.digest, "state": "PUBLISHED", "approval": digest,
            "count": edition.message.record_count,
        }  # fmt: skip
        leaf = self.log(
            "edition.published",
            [approval],
            [("editions", row)],
            product="grade-a",
            period=PERIOD,
            manifest_digest=edition.digest,
        )
        self.acknowledge(approval, leaf)

    def offer(
        self, edition: Edition, recipient: str = BANK, signer: Signer | None = None
    ) -> envelope_pb2.Envelope:
        assert edition.approval is not None
        delivery = exchange_pb2.Delivery(
            delivery_id=checks.delivery_id(edition.digest, recipient),
            recipient=recipient,
            manifest_digest=edition.digest,
            approval_digest=envelope.digest(edition.approval),
            product="grade-a",
            period=PERIOD,
            agreement_id="agreement-1",
            disclosure_class=exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
            offered_at_ms=NOW_MS,
            expires_at_ms=NOW_MS + 1,
            ground=exchange_pb2.DELIVERY_GROUND_AGREEMENT,
        )
        sealed = envelope.seal(delivery, signer or self.cast.gateway)
        row = {"delivery_id": delivery.delivery_id, "state": "OFFERED", "document": envelope.digest(sealed)}
        self.log(
            "delivery.offered",
            [sealed],
            [("deliveries", row)],
            counterparty=recipient,
            product="grade-a",
            period=PERIOD,
            agreement_id="agreement-1",
            manifest_digest=edition.digest,
            delivery_id=delivery.delivery_id,
            record_count=edition.message.record_count,
        )
        return sealed

    def receive(
        self,
        edition: Edition,
        delivery: envelope_pb2.Envelope,
        signer: FileSigner | None = None,
        **changes: Any,
    ) -> envelope_pb2.Envelope:
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
        for name, value in changes.items():
            setattr(receipt, name, value)
        sealed = envelope.seal(receipt, signer)
        row = {"document": envelope.digest(sealed), "delivery_id": message.delivery_id, "stage": 1}
        leaf = self.log(
            "receipt.received",
            [sealed],
            [("receipts", row)],
            actor=signer.key.holder,
            counterparty=signer.key.party,
            delivery_id=message.delivery_id,
            manifest_digest=edition.digest,
        )
        self.acknowledge(sealed, leaf)
        return sealed

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


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
