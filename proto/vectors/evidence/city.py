"""A log of eleven entries, written by hand as a gateway writes it: keys, an edition, a delivery, a look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit import checkpoint, entries, envelope, export, keys, merkle
from audit.checkpoint import Checkpoint, TlogProof
from proto.vectors.evidence.cast import (
    APPROVER,
    ASKER,
    BANK,
    BUREAU,
    LOG_KEY,
    MAKER,
    ORIGIN,
    PERIOD,
    THE_BANK,
    THE_GATEWAY,
    TIME,
    TestSigner,
    seed,
)
from proto.vectors.evidence.edition import (
    APPROVAL,
    BLINDING_KEY,
    CHUNK,
    EDITION,
    MANIFEST,
    SEALED,
    approval_of,
)
from xinyi import checks
from xinyi.v1 import envelope_pb2, exchange_pb2, log_pb2, party_pb2

#: Primary keys of the tables that this small log writes.
_KEYS = {
    "parties": ["party"],
    "keys": ["keyid"],
    "editions": ["manifest_digest"],
    "deliveries": ["delivery_id"],
    "receipts": ["delivery_id", "stage"],
    "recalls": ["correction", "recipient"],
    "objections": ["objection"],
    "lending_tables": ["document"],
    "outcome_batches": ["document"],
    "challenges": ["document"],
    "statistics": ["document"],
    "statistics_deliveries": ["document", "recipient"],
}


#: Those of every log; the others are left out where nothing is in them.
_ALWAYS = ("parties", "keys", "editions", "deliveries", "receipts", "recalls", "objections")


class City:
    """A log written by hand, as a gateway writes it: entries, documents, rows, answers."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, bytes, bytes]] = []
        self.documents: dict[bytes, envelope_pb2.Envelope] = {}
        self.state: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in _KEYS}
        self.answers: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []
        #: (manifest digest, its one chunk); they share a blinding key.
        self.chunks: list[tuple[bytes, bytes]] = []
        #: (batch digest, its one chunk as it is kept)
        self.outcomes: list[tuple[bytes, bytes]] = []

    def log(
        self,
        kind: str,
        actor: str,
        documents: Sequence[envelope_pb2.Envelope] = (),
        rows: Sequence[tuple[str, dict[str, Any]]] = (),
        **fields: Any,
    ) -> bytes:
        changes = []
        for table, row in rows:
            key = entries.canonical_json({name: row[name] for name in _KEYS[table]})
            self.state[table][key] = row
            changes.append(log_pb2.RowChange(table=table, key=key, row_sha256=entries.row_digest(row)))
        entry = log_pb2.LogEntry(
            kind=kind,
            recorded_at_ms=self.now,
            actor=actor,
            documents=[self.keep(document) for document in documents],
            changes=changes,
            **fields,
        )
        salt, opening = seed(f"entry {len(self.entries)}"), entry.SerializeToString(deterministic=True)
        self.entries.append((entries.leaf(salt, opening), salt, opening))
        return self.entries[-1][0]

    @property
    def now(self) -> int:
        return TIME + 60_000 * len(self.entries)

    def keep(self, document: envelope_pb2.Envelope) -> bytes:
        digest = envelope.digest(document)
        self.documents[digest] = document
        return digest

    def acknowledge(
        self, document: envelope_pb2.Envelope, outcome: str, leaf: bytes
    ) -> envelope_pb2.Envelope:
        digest = envelope.digest(document)
        message = exchange_pb2.Acknowledgement(
            document_digest=digest, outcome=outcome, leaf=leaf, recorded_at_ms=self.now - 60_000
        )
        sealed = envelope.seal(message, THE_GATEWAY)
        self.answers.append({"document": digest, "answer": self.keep(sealed)})
        return sealed

    def register(self, signer: TestSigner, kind: str, word: str = "key.registered") -> None:
        registration = envelope.seal(
            party_pb2.KeyRegistration(
                key=signer.key,
                party_kind=f"PARTY_KIND_{kind}",
                requested_at_ms=self.now,  # type: ignore[arg-type]
            ),
            signer,
        )
        party = {"party": signer.key.party, "kind": kind, "state": "ACTIVE"}
        row = {
            "keyid": keys.keyid(signer.key),
            "party": signer.key.party,
            "holder": signer.holder,
            "spki": signer.key.spki,
            "state": "ACTIVE",
            "registration": envelope.digest(registration),
        }
        new = (
            []
            if entries.canonical_json({"party": signer.key.party}) in self.state["parties"]
            else [("parties", party)]
        )
        self.log(
            word, THE_GATEWAY.holder, [registration], [*new, ("keys", row)], counterparty=signer.key.party
        )

    def head(self, size: int = 0) -> Checkpoint:
        size = size or len(self.entries)
        root = merkle.root([merkle.leaf_hash(leaf) for leaf, _, _ in self.entries[:size]])
        return checkpoint.sign(ORIGIN, size, root, LOG_KEY)

    def proof(self, index: int) -> TlogProof:
        row = [merkle.leaf_hash(leaf) for leaf, _, _ in self.entries]
        path = merkle.inclusion_proof(
            lambda level, i: merkle.root(row[i << level : (i + 1) << level]), index, len(row)
        )
        return TlogProof(index, tuple(path), self.head().note)

    def export(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        state = [(table, list(rows.values())) for table, rows in self.state.items() if rows or table in _ALWAYS]
        pieces = export.write(
            self.head(),
            entries=self.entries,
            documents=sorted(self.documents.items(), key=lambda kept: kept[0]),
            state=[*state, ("answers", self.answers), ("refusals", self.refusals)],
            chunks=[(edition, 0, chunk) for edition, chunk in self.chunks],
            blinding_keys=[(edition, BLINDING_KEY) for edition, _ in self.chunks],
            outcomes=[(batch, 0, chunk) for batch, chunk in self.outcomes],
        )
        for name, data in pieces:
            files[name] = files.get(name, b"") + data
        return files


def found() -> City:
    """The keys of all."""
    city = City()
    city.register(THE_GATEWAY, "GATEWAY", "gateway.founded")
    for signer, kind in (
        (MAKER, "TAX_BUREAU"),
        (APPROVER, "TAX_BUREAU"),
        (THE_BANK, "BANK"),
        (ASKER, "AUDITOR"),
    ):
        city.register(signer, kind)
    return city


def tell() -> City:
    """Keys, an edition, an approval by its publisher that is refused, the right one, a delivery, a receipt."""
    city = found()
    city.chunks.append((EDITION, CHUNK))
    about: dict[str, Any] = {
        "product": "grade-a",
        "period": PERIOD,
        "manifest_digest": EDITION,
        "record_count": 5,
    }
    row = {
        "manifest_digest": EDITION,
        "product": "grade-a",
        "sequence": 1,
        "state": "READY",
        "approval": None,
    }
    leaf = city.log("edition.ready", MAKER.holder, [SEALED], [("editions", row)], **about)
    city.acknowledge(SEALED, "edition.ready", leaf)
    _refuse(city)
    row = row | {"state": "PUBLISHED", "approval": envelope.digest(APPROVAL)}
    leaf = city.log("edition.published", APPROVER.holder, [APPROVAL], [("editions", row)], **about)
    city.acknowledge(APPROVAL, "edition.published", leaf)
    _delivery, _receipt = _deliver(city, about)
    query = exchange_pb2.LogQuery(
        asked_by=ASKER.holder,
        purpose="annual audit",
        requested_at_ms=city.now,
        nonce=seed("nonce")[:16],
        export=True,
        with_records=True,
    )
    city.log("log.exported", ASKER.holder, [envelope.seal(query, ASKER)], detail="annual audit")
    return city


def _refuse(city: City) -> None:
    own = approval_of(MAKER)
    basis = "approval.second_person"
    leaf = city.log("refused", MAKER.holder, [own], code="not_entitled", detail=f"DecideEdition: {basis}")
    refusal = exchange_pb2.Refusal(
        document_digest=envelope.digest(own),
        code="not_entitled",
        basis=basis,
        leaf=leaf,
        explanation="who published an edition cannot approve or release it",
        recorded_at_ms=city.now - 60_000,
    )
    city.keep(envelope.seal(refusal, THE_GATEWAY))
    city.refusals.append(
        {
            "party": BUREAU,
            "method": "DecideEdition",
            "basis": basis,
            "subject": "",
            "day": "2018-11-01",
            "leaf": leaf,
        }
    )


def _deliver(city: City, about: dict[str, Any]) -> tuple[envelope_pb2.Envelope, envelope_pb2.Envelope]:
    message = exchange_pb2.Delivery(
        delivery_id=checks.delivery_id(EDITION, BANK),
        recipient=BANK,
        manifest_digest=EDITION,
        approval_digest=envelope.digest(APPROVAL),
        product="grade-a",
        period=PERIOD,
        agreement_id="0123456789ab",
        disclosure_class=exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
        offered_at_ms=city.now,
        expires_at_ms=city.now + 30 * 86_400_000,
        ground=exchange_pb2.DELIVERY_GROUND_AGREEMENT,
    )
    delivery = envelope.seal(message, THE_GATEWAY)
    row = {
        "delivery_id": message.delivery_id,
        "recipient": BANK,
        "state": "OFFERED",
        "document": envelope.digest(delivery),
    }
    named = {
        "counterparty": BANK,
        "agreement_id": "0123456789ab",
        "delivery_id": message.delivery_id,
        "channel": exchange_pb2.CHANNEL_PULL,
    }
    city.log("delivery.offered", THE_GATEWAY.holder, [delivery], [("deliveries", row)], **about, **named)
    receipt = envelope.seal(
        exchange_pb2.DeliveryReceipt(
            delivery_id=message.delivery_id,
            delivery_digest=envelope.digest(delivery),
            manifest_digest=EDITION,
            stage=exchange_pb2.RECEIPT_STAGE_RECEIVED,
            root=MANIFEST.root,
            accepted=5,
            signed_by=THE_BANK.holder,
            signed_at_ms=city.now,
        ),
        THE_BANK,
    )
    given = {
        "delivery_id": message.delivery_id,
        "stage": 1,
        "document": envelope.digest(receipt),
        "recorded_at_ms": city.now,
    }
    leaf = city.log(
        "receipt.received",
        THE_BANK.holder,
        [receipt],
        [("receipts", given), ("deliveries", row | {"state": "RECEIVED"})],
        **(about | named),
    )
    city.acknowledge(receipt, "receipt.received", leaf)
    return delivery, receipt


CITY = tell()
HEAD = CITY.head()
