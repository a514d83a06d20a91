"""What the log has said so far of editions, receipts, recalls, objections and notices, in its own order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.verification.scratch import Scratch
from xinyi.v1 import edition_pb2, exchange_pb2, objection_pb2

_SCHEMA = """
CREATE TABLE published (manifest BLOB PRIMARY KEY, origin TEXT, product TEXT, sequence INTEGER,
    corrects BLOB) WITHOUT ROWID;
CREATE TABLE stopped (manifest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE receipts (delivery TEXT, stage INTEGER, document BLOB, root BLOB, accepted INTEGER, rejected INTEGER,
    PRIMARY KEY (delivery, stage)) WITHOUT ROWID;
CREATE TABLE taken (manifest BLOB, recipient TEXT, stage INTEGER,
    PRIMARY KEY (manifest, recipient, stage)) WITHOUT ROWID;
CREATE TABLE recalls (correction BLOB, recipient TEXT, PRIMARY KEY (correction, recipient)) WITHOUT ROWID;
CREATE TABLE objections (objection BLOB PRIMARY KEY, origin TEXT, number TEXT, manifest BLOB, blinded_key BLOB,
    product TEXT, filed_on TEXT, due_on TEXT, recorded INTEGER, UNIQUE (origin, number)) WITHOUT ROWID;
CREATE TABLE decided (objection BLOB PRIMARY KEY, recorded INTEGER) WITHOUT ROWID;
CREATE TABLE marks (manifest BLOB, blinded_key BLOB, recall INTEGER, position INTEGER,
    PRIMARY KEY (manifest, blinded_key, recall)) WITHOUT ROWID;
CREATE TABLE unmarked (manifest BLOB, objection BLOB, recall INTEGER, position INTEGER, recorded INTEGER,
    PRIMARY KEY (manifest, objection, recall, position)) WITHOUT ROWID;
CREATE TABLE notices (number TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_REJECTED = exchange_pb2.RECEIPT_STAGE_REJECTED
_APPLIED = exchange_pb2.RECEIPT_STAGE_APPLIED


@dataclass(frozen=True)
class ReceiptNote:
    #: Digest of the Delivery it is for.
    delivery_digest: bytes
    root: bytes
    accepted: int
    rejected: int


@dataclass(frozen=True)
class OpenObjection:
    objection: bytes
    origin: str
    product: str
    filed_on: str
    due_on: str
    #: When it was logged, by the gateway's clock.
    recorded_at_ms: int
    #: The edition and the record that it is about.
    manifest_digest: bytes
    blinded_key: bytes


@dataclass(frozen=True)
class Mark:
    """One that a Delivery has, or lacks."""

    blinded_key: bytes
    #: Of the entry that offers it.
    position: int
    recall: bool


class Register(Scratch):
    """Written while the entries are examined one behind the other: what it holds, an earlier leaf said."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

    # Editions

    def publish(self, manifest_digest: bytes, manifest: edition_pb2.Manifest) -> None:
        row = (manifest_digest, manifest.origin, manifest.product, manifest.sequence, manifest.corrects)
        self._add("INSERT OR IGNORE INTO published VALUES (?, ?, ?, ?, ?)", *row)

    def is_published(self, manifest_digest: bytes) -> bool:
        return self._one("SELECT 1 FROM published WHERE manifest = ?", manifest_digest) is not None

    def newest(self, origin: str, product: str) -> bytes:
        """Manifest digest of the edition with the highest sequence; empty where there is none."""
        row = self._one(
            "SELECT manifest FROM published WHERE origin = ? AND product = ? ORDER BY sequence DESC LIMIT 1",
            origin,
            product,
        )
        return b"" if row is None else row[0]

    def stop(self, manifest_digest: bytes) -> None:
        self._add("INSERT OR IGNORE INTO stopped VALUES (?)", manifest_digest)

    def is_stopped(self, manifest_digest: bytes) -> bool:
        return self._one("SELECT 1 FROM stopped WHERE manifest = ?", manifest_digest) is not None

    # Receipts and recalls

    def take(self, receipt: exchange_pb2.DeliveryReceipt, recipient: str) -> bool:
        """False where a receipt of this delivery and stage is known already."""
        self._add(
            "INSERT OR IGNORE INTO taken VALUES (?, ?, ?)", receipt.manifest_digest, recipient, receipt.stage
        )
        said = (receipt.delivery_digest, receipt.root, receipt.accepted, receipt.rejected)
        row = (receipt.delivery_id, receipt.stage, *said)
        return self._add("INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?, ?)", *row)

    def find_receipt(self, delivery_id: str, stage: int) -> ReceiptNote | None:
        row = self._one(
            "SELECT document, root, accepted, rejected FROM receipts WHERE delivery = ? AND stage = ?",
            delivery_id,
            stage,
        )
        return None if row is None else ReceiptNote(*row)

    def takers(self, first: edition_pb2.Manifest, beyond: int, *, refused: bool = False) -> set[str]:
        """Parties with a receipt for an edition of this product from `first` on, before sequence `beyond`.

        Args: refused — also those that only refused it as a whole.
        """
        rows = self._rows(
            "SELECT DISTINCT recipient FROM taken JOIN published ON published.manifest = taken.manifest "
            "WHERE origin = ? AND product = ? AND sequence >= ? AND sequence < ? AND (stage <> ? OR ?)",
            *(first.origin, first.product, first.sequence, beyond, _REJECTED, refused),
        )
        return {recipient for (recipient,) in rows}

    def untold(self, manifest: edition_pb2.Manifest, recipient: str) -> set[bytes]:
        """Published CORRECTIONS, not stopped, of this edition or one before it and behind it, of which nothing says
        that this party was recalled or applied them."""
        rows = self._rows(
            "SELECT c.manifest FROM published AS c JOIN published AS wrong ON wrong.manifest = c.corrects "
            "WHERE c.origin = ? AND c.product = ? AND c.sequence > ? AND wrong.sequence <= ? "
            "AND c.manifest NOT IN (SELECT manifest FROM stopped)",
            *(manifest.origin, manifest.product, manifest.sequence, manifest.sequence),
        )
        return {
            correction
            for (correction,) in rows.fetchall()
            if not self.is_recalled(correction, recipient) and not self.has_applied(correction, recipient)
        }

    def has_applied(self, manifest_digest: bytes, recipient: str) -> bool:
        row = (manifest_digest, recipient, _APPLIED)
        found = self._one("SELECT 1 FROM taken WHERE manifest = ? AND recipient = ? AND stage = ?", *row)
        return found is not None

    def recall(self, correction: bytes, recipient: str) -> None:
        self._add("INSERT OR IGNORE INTO recalls VALUES (?, ?)", correction, recipient)

    def is_recalled(self, correction: bytes, recipient: str) -> bool:
        row = (correction, recipient)
        return self._one("SELECT 1 FROM recalls WHERE correction = ? AND recipient = ?", *row) is not None

    # Objections and notices

    def file(self, digest: bytes, objection: objection_pb2.Objection, recorded_at_ms: int) -> bool:
        """False where its number is taken."""
        row = (
            *(digest, objection.origin, objection.number, objection.manifest_digest, objection.blinded_key),
            *(objection.product, objection.filed_on, objection.due_on, recorded_at_ms),
        )
        return self._add("INSERT OR IGNORE INTO objections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)

    def about(self, manifest_digest: bytes) -> list[tuple[bytes, bytes]]:
        """(objection, blinded key of its record) of every objection to an edition."""
        statement = "SELECT objection, blinded_key FROM objections WHERE manifest = ?"
        return self._rows(statement, manifest_digest).fetchall()

    def objected(self) -> set[bytes]:
        """Editions that any objection is about."""
        return {manifest for (manifest,) in self._rows("SELECT DISTINCT manifest FROM objections")}

    def decide(self, objection: bytes, recorded_at_ms: int) -> bool:
        """False where it was decided before."""
        return self._add("INSERT OR IGNORE INTO decided VALUES (?, ?)", objection, recorded_at_ms)

    def undecided(self) -> Iterator[OpenObjection]:
        """Objections that nobody has decided so far, the due ones first."""
        rows = self._rows(
            "SELECT objection, origin, product, filed_on, due_on, recorded, manifest, blinded_key FROM objections "
            "WHERE objection NOT IN (SELECT objection FROM decided) ORDER BY due_on, objection"
        )
        return (OpenObjection(*row) for row in rows)

    # Marks of a Delivery, to be held against the records

    def mark(self, manifest_digest: bytes, blinded_key: bytes, position: int, *, recall: bool) -> None:
        self._add("INSERT OR IGNORE INTO marks VALUES (?, ?, ?, ?)", manifest_digest, blinded_key, recall, position)

    def leave_unmarked(
        self, manifest_digest: bytes, objection: bytes, position: int, recorded_at_ms: int, *, recall: bool
    ) -> None:
        row = (manifest_digest, objection, recall, position, recorded_at_ms)
        self._add("INSERT OR IGNORE INTO unmarked VALUES (?, ?, ?, ?, ?)", *row)

    def disputed(self) -> set[bytes]:
        """Editions whose deliveries mark something, or might have had to."""
        return {m for (m,) in self._rows("SELECT manifest FROM marks UNION SELECT manifest FROM unmarked")}

    def marks_of(self, manifest_digest: bytes) -> list[Mark]:
        rows = self._rows("SELECT blinded_key, position, recall FROM marks WHERE manifest = ?", manifest_digest)
        return [Mark(key, position, bool(recall)) for key, position, recall in rows.fetchall()]

    def unmarked_of(self, manifest_digest: bytes, within_ms: int) -> list[Mark]:
        """Those left out that were not decided within so many milliseconds either."""
        rows = self._rows(
            "SELECT blinded_key, position, recall FROM unmarked JOIN objections USING (objection) "
            "LEFT JOIN decided USING (objection) WHERE unmarked.manifest = ? "
            "AND (decided.recorded IS NULL OR decided.recorded > unmarked.recorded + ?)",
            *(manifest_digest, within_ms),
        )
        return [Mark(key, position, bool(recall)) for key, position, recall in rows.fetchall()]

    def is_decided(self, objection: bytes) -> bool:
        return self._one("SELECT 1 FROM decided WHERE objection = ?", objection) is not None

    def announce(self, number: str) -> bool:
        """False where the number was given before."""
        return self._add("INSERT OR IGNORE INTO notices VALUES (?)", number)

    def is_announced(self, number: str) -> bool:
        return self._one("SELECT 1 FROM notices WHERE number = ?", number) is not None
