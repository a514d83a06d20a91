"""The history of a subject from an export with records that was verified before: a second source of the same facts.

Nothing is proven again here but where the subject's record stands: the chunks are searched for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from audit import checkpoint
from audit.disclosure.account import Question
from audit.disclosure.history import (
    Contest,
    Disclosure,
    Feed,
    History,
    Logged,
    News,
    Receipt,
    Statement,
    news_of,
)
from audit.envelope import Opened, digest, parse_strict
from audit.records import MAX_CHUNK_BYTES, blinder, read_chunk
from audit.verification.exported import Export, read_document, read_opening, read_row
from audit.verification.policy import Policy
from xinyi.errors import Invalid
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, log_pb2, objection_pb2, records_pb2

M = TypeVar("M", bound=Message)

_KINDS = ("edition.", "delivery.offered", "receipt.", "objection.")


def history(directory: Path, policy: Policy, question: Question) -> History:
    """Raises Invalid where the export has no records and a subject is asked for."""
    export = Export(directory, line_bytes=policy.limits.line_bytes)
    if question.identifier and not export.description().with_records:
        raise Invalid("this export has no records: make one with --records", basis="export.records")
    told = _Told(export, question)
    head = checkpoint.verify(export.checkpoint(), policy.log_key)
    statements = told.statements()
    found = {statement.manifest.digest: statement for statement in statements}
    return History(
        question.identifier,
        tuple(statements),
        tuple(told.disclosures(found)),
        tuple(told.contests(found)),
        head,
        question.recipient,
        exported=True,
    )


def is_registered(directory: Path, policy: Policy, party: str) -> bool:
    """Whether the log registers any key of a party."""
    export = Export(directory, line_bytes=policy.limits.line_bytes)
    entries = (log_pb2.LogEntry.FromString(read_opening(line).opening) for _, line in export.lines("openings.jsonl"))
    return any(entry.kind == "key.registered" and entry.counterparty == party for entry in entries)


def legal_basis(directory: Path, policy: Policy) -> dict[str, str]:
    """Product → the basis its definition names now."""
    export = Export(directory, line_bytes=policy.limits.line_bytes)
    rows = (read_row(line) for _, line in export.lines("state/products.jsonl"))
    return {row["product"]: json.loads(row["definition"])["legal_basis"] for row in rows}


@dataclass
class _Told:
    """Entries of the log about what was asked, and their documents."""

    export: Export
    question: Question
    entries: list[Logged] = field(default_factory=list)
    documents: dict[bytes, envelope_pb2.Envelope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for _, line in self.export.lines("openings.jsonl"):
            opening = read_opening(line)
            entry = log_pb2.LogEntry.FromString(opening.opening)
            if entry.documents and entry.kind.startswith(_KINDS) and self._is_asked(entry):
                self.entries.append(Logged(opening.index, entry))
        named = {document for logged in self.entries for document in logged.entry.documents}
        for _, line in self.export.lines("documents.jsonl"):
            sealed = read_document(line)
            if (name := digest(sealed)) in named:
                self.documents[name] = sealed

    def _is_asked(self, entry: log_pb2.LogEntry) -> bool:
        if self.question.product not in ("", entry.product):
            return False
        about_delivery = entry.kind.startswith(("delivery.", "receipt."))
        return not about_delivery or self.question.recipient in ("", entry.counterparty)

    def open(self, logged: Logged, kind: type[M]) -> Opened[M]:
        """An entry's first document; its seal was verified with the export."""
        sealed = self.documents[logged.entry.documents[0]]
        return Opened(parse_strict(sealed.payload, kind), logged.entry.documents[0], (), sealed)

    def of(self, *kinds: str) -> Iterator[Logged]:
        return (logged for logged in self.entries if logged.entry.kind in kinds)

    def statements(self) -> list[Statement]:
        published = {logged.entry.manifest_digest: logged for logged in self.of("edition.published")}
        stopped = {logged.entry.manifest_digest: logged for logged in self.of("edition.stopped")}
        manifests = [
            (self.open(logged, edition_pb2.Manifest), logged)
            for logged in self.of("edition.ready", "edition.held")
            if logged.entry.manifest_digest in published
        ]
        manifests.sort(key=lambda m: (m[0].message.origin, m[0].message.product, m[0].message.sequence))
        found: list[Statement] = []
        before: dict[Feed, records_pb2.GradeRecord | None] = {}
        for manifest, received in manifests:
            feed = manifest.message.origin, manifest.message.product
            place = published[manifest.digest]
            key, record, news = self._record(manifest, before.get(feed))
            before[feed] = record
            approval = self.open(place, edition_pb2.Approval)
            halted = stopped.get(manifest.digest)
            found.append(Statement(manifest, approval, key, record, news, received, place, halted))
        return found

    def _record(
        self, manifest: Opened[edition_pb2.Manifest], before: records_pb2.GradeRecord | None
    ) -> tuple[bytes, records_pb2.GradeRecord | None, News]:
        """The subject's blinded key, its record after this edition, and what the edition says of it."""
        if not self.question.identifier:
            return b"", None, News.ABSENT
        own, full = None, manifest.message.kind == edition_pb2.EDITION_KIND_FULL
        blind = blinder(self.export.blinding_key(manifest.digest))
        key = blind(self.question.identifier.encode())
        if (raw := self._search(manifest, key)) is not None:
            own = records_pb2.GradeRecord.FromString(raw)
        record = own if full or own is not None else before
        if own is not None and own.gone:
            record = None
        return key, record, news_of(before, record, same=record == before if full else own is None)

    def _search(self, manifest: Opened[edition_pb2.Manifest], key: bytes) -> bytes | None:
        """The record of a key among the edition's own, by halves: chunks ascend, and so do their records."""
        blind = blinder(self.export.blinding_key(manifest.digest))
        low, high = 0, len(manifest.message.chunk_roots)
        while low < high:
            middle = (low + high) // 2
            data = self.export.chunk(manifest.digest, middle, MAX_CHUNK_BYTES)
            chunk = read_chunk(data, blind)
            if key < chunk.first_key:
                high = middle
            elif key > chunk.last_key:
                low = middle + 1
            elif key not in chunk.blinded_keys:
                return None
            else:
                place = chunk.blinded_keys.index(key)
                return records_pb2.Chunk.FromString(data).records[place].record
        return None

    def disclosures(self, statements: dict[bytes, Statement]) -> Iterator[Disclosure]:
        receipts: dict[bytes, list[Receipt]] = {}
        for logged in self.entries:
            if logged.entry.kind.startswith("receipt."):
                receipt = self.open(logged, exchange_pb2.DeliveryReceipt)
                receipts.setdefault(receipt.message.delivery_digest, []).append(Receipt(receipt, logged))
        for logged in self.of("delivery.offered"):
            delivery = self.open(logged, exchange_pb2.Delivery)
            statement = statements[delivery.message.manifest_digest]
            yield Disclosure(statement, delivery, logged, tuple(receipts.get(delivery.digest, ())))

    def contests(self, statements: dict[bytes, Statement]) -> Iterator[Contest]:
        decisions = {}
        for logged in self.entries:
            if logged.entry.kind.startswith("objection.") and logged.entry.kind != "objection.filed":
                decision = self.open(logged, objection_pb2.ObjectionDecision)
                decisions[decision.message.objection] = decision, logged
        for logged in self.of("objection.filed"):
            objection = self.open(logged, objection_pb2.Objection)
            statement = statements.get(objection.message.manifest_digest)
            if statement is None or objection.message.blinded_key != statement.blinded_key:
                continue
            contest = Contest(statement, objection, logged)
            if objection.digest in decisions:
                decision, decided = decisions[objection.digest]
                correction = statements.get(decision.message.correction)
                contest = replace(contest, decision=decision, decided=decided, correction=correction)
            yield contest
