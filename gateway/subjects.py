"""Everything that was said of one subject, read in one moment, each message with what proves it.

Editions of one origin and product come in sequence, every one of them: that a taxpayer is not in one is proven
as well. The identifier is used here and kept nowhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from audit import buckets
from audit.bulk import read_rows
from audit.checkpoint import Checkpoint
from audit.inclusion import Included, Prover
from audit.outcomes import prove as prove_outcome
from audit.records import CHUNK_RECORDS, blinder, commitment
from gateway import states
from gateway.bucket_paths import BucketPaths
from gateway.rules.outcomes import question
from gateway.rules.reporting import terms_of
from gateway.store import disclosures, judgements, lending, outcomes, tables
from gateway.store import editions as store
from gateway.store.rows import Row
from xinyi.errors import DigestMismatch, Unavailable
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, lending_pb2, log_pb2, records_pb2
from xinyi.v1 import subject_service_pb2 as pb

_Entry = tuple[log_pb2.LogEntry, pb.ProvenEntry]

#: Kinds of entries that say when an edition came, was published, was stopped.
_PLACES = ("edition.ready", "edition.held", "edition.published", "edition.stopped")

#: Deliveries whose documents and proofs are gathered in one go.
PAGE = 64


@dataclass(frozen=True)
class Asked:
    identifier: str
    #: Empty for all products.
    product: str
    #: Whose deliveries; empty for everybody's.
    recipient: str
    #: Whose editions; empty for every bureau's.
    origin: str


class Inquiry:
    """Args:
    then: the moment that is told of.
    now: the same moment or a later one, in which every entry of then is published.
    head: the newest head now.
    """

    def __init__(
        self, then: Connection, now: Connection, head: Checkpoint, prover: Prover, paths: BucketPaths, asked: Asked
    ) -> None:
        self._then = then
        self._now = now
        self._head = head
        self._prover = prover
        self._paths = paths
        self._asked = asked
        self._keys: dict[bytes, bytes] = {}

    def answers(self) -> Iterator[pb.FindSubjectResponse]:
        """Editions, deliveries, objections, loans. Raises VerificationError where the store does not prove its word."""
        rows = disclosures.published(self._then, self._asked.product, self._asked.origin)
        feeds = [(key, list(of)) for key, of in groupby(rows, lambda row: (row["origin"], row["product"]))]
        for _, feed in feeds:
            yield from (pb.FindSubjectResponse(edition=found) for found in self._editions(feed))
        for (origin, product), _ in feeds:
            yield from (pb.FindSubjectResponse(delivery=d) for d in self._deliveries(product, origin))
        for (origin, product), feed in feeds:
            keys = sorted({self._key(row) for row in feed})
            found = disclosures.objections_to(self._then, product, origin, keys)
            yield from (pb.FindSubjectResponse(objection=o) for o in self._objections(found))
        if not self._asked.product:
            yield from (pb.FindSubjectResponse(outcomes=o) for o in self._outcomes())

    def _key(self, edition: Row) -> bytes:
        """The subject's blinded key under an edition's key."""
        secret = edition["blinding_key"]
        if secret not in self._keys:
            self._keys[secret] = blinder(secret)(self._asked.identifier.encode())
        return self._keys[secret]

    # ── editions ───────────────────────────────────────────────────────────────────────────────────────

    def _editions(self, feed: list[Row]) -> Iterator[pb.SubjectEdition]:
        documents = self._documents([d for row in feed for d in (row["manifest_digest"], row["approval"])])
        entries = self._entries([row["manifest_digest"].hex() for row in feed])
        held = self._buckets(feed)
        before: tuple[bytes, records_pb2.SaltedRecord] | None = None
        for row in feed:
            digest, key = row["manifest_digest"], self._key(row)
            bucket, path = held[digest]
            manifest = edition_pb2.Manifest.FromString(documents[digest].payload)
            buckets.check_bucket(bucket, buckets.number_of(key), path, manifest.state_root)
            sealed = buckets.find(bucket, key)
            if sealed is None:
                before = None
            elif before is None or before[0] != sealed:
                # It stands otherwise than before: this very edition tells of it.
                before = sealed, self._record(row, sealed)
            yield pb.SubjectEdition(
                manifest=documents[digest],
                approval=documents[row["approval"]],
                blinding_key=row["blinding_key"],
                bucket=bucket,
                bucket_path=path,
                record=before[1] if before else None,
                entries=[proven for entry, proven in entries[digest.hex()] if entry.kind in _PLACES],
            )

    def _buckets(self, feed: list[Row]) -> dict[bytes, tuple[bytes, list[bytes]]]:
        """Edition → the subject's bucket after it, and the way to its state root."""
        found: dict[bytes, tuple[bytes, list[bytes]]] = {}
        for key, run in groupby(feed, self._key):
            year, number = list(run), buckets.number_of(key)
            digests = [row["manifest_digest"] for row in year]
            paths = self._paths.paths(self._then, digests, number)
            own, last = disclosures.own_buckets(self._then, digests, number), b""
            for row in year:
                digest = row["manifest_digest"]
                if not row["prepared"]:
                    last = states.bucket(self._then, digest, number)
                elif digest in own or row["kind"] == edition_pb2.EDITION_KIND_FULL:
                    last = own.get(digest, b"")
                found[digest] = last, paths[digest]
        return found

    def _record(self, edition: Row, sealed: bytes) -> records_pb2.SaltedRecord:
        """What an edition itself tells of the subject. Raises DigestMismatch where its bucket holds another."""
        key, blind = self._key(edition), blinder(edition["blinding_key"])
        chunk = store.find_chunk(self._then, edition["manifest_digest"], key)
        if chunk is None:
            raise Unavailable("records of an edition are missing at the gateway", basis="edition.chunks")
        # Records ascend by blinded key, and the identifier stands first in each: field 1, its length, its bytes.
        records = records_pb2.Chunk.FromString(chunk[1]).records
        place = bisect_left(records, key, key=lambda salted: blind(salted.record[2 : 2 + salted.record[1]]))
        if place < len(records):
            salted = records[place]
            if commitment(salted.salt, salted.record) == sealed:
                return salted
        raise DigestMismatch("a record is not the one its bucket holds", basis="state.bucket")

    # ── deliveries ─────────────────────────────────────────────────────────────────────────────────────

    def _deliveries(self, product: str, origin: str) -> Iterator[pb.SubjectDelivery]:
        rows = disclosures.offered(self._then, product, origin, self._asked.recipient)
        for start in range(0, len(rows), PAGE):
            ids = [row["delivery_id"] for row in rows[start : start + PAGE]]
            told = self._entries(ids)
            documents = self._documents([entry.documents[0] for of in told.values() for entry, _ in of])
            for entries in told.values():
                yield from _offers(entries, documents)

    # ── objections ─────────────────────────────────────────────────────────────────────────────────────

    def _objections(self, rows: list[Row]) -> Iterator[pb.SubjectObjection]:
        for row in rows:
            named = [row["objection"], *filter(None, [row["decision"]])]
            documents = self._documents(named)
            acknowledged = self._acknowledged(documents)
            yield pb.SubjectObjection(
                objection=documents[row["objection"]],
                decision=documents[row["decision"]] if row["decision"] else None,
                entries=self._prove([acknowledged[d] for d in named]),
            )

    # ── single loans ───────────────────────────────────────────────────────────────────────────────────

    def _outcomes(self) -> Iterator[pb.SubjectOutcomes]:
        """Rows about the subject that banks sent with its authorisation, batch by batch."""
        rows = outcomes.rows_of_taxpayer(self._then, self._asked.identifier)
        for document, of_batch in groupby(rows, lambda row: row.document):
            batch = outcomes.find_batch(self._then, document)
            assert batch is not None  # its rows are real
            if self._asked.recipient in ("", batch["bank"]) and self._shows(batch):
                yield self._outcomes_of(batch, list(of_batch))

    def _shows(self, batch: Row) -> bool:
        """Whether the one who asks may see single loans of a batch."""
        if not self._asked.origin:
            return True
        terms = lending.find_terms(self._then, batch["agreement_id"])
        return terms is not None and terms_of(terms).outcomes_to_bureau

    def _outcomes_of(self, batch: Row, rows: Sequence[Any]) -> pb.SubjectOutcomes:
        """Without the batch's receipt: it names rows of other borrowers, too."""
        digest = batch["document"]
        documents = self._documents([digest])
        sealed = lending_pb2.OutcomeBatch.FromString(documents[digest].payload)
        told = pb.SubjectOutcomes(
            batch=documents[digest],
            entries=self._prove(list(self._acknowledged({digest: documents[digest]}).values())),
        )
        changed = judgements.verdicts(self._then, [(digest, row.place) for row in rows], b"")
        for number, of_chunk in groupby(rows, lambda row: row.place // CHUNK_RECORDS):
            chunk = outcomes.find_chunk(self._then, digest, number)
            if chunk is None:
                raise Unavailable("rows of a batch are missing at the gateway", basis="batch.chunks")
            for row in of_chunk:
                place = row.place
                salted, path = prove_outcome(sealed, chunk, place)
                state, rule = changed.get((digest, place), (row.state, row.rule))
                finding = None
                if state != lending_pb2.REPORT_STATE_COUNTED:
                    finding = lending_pb2.OutcomeFinding(
                        outcome_id=row.outcome_id, state=state, question=question(rule)
                    )
                told.outcomes.append(pb.ProvenOutcome(outcome=salted, index=place, path=path, finding=finding))
        return told

    # ── documents and entries ──────────────────────────────────────────────────────────────────────────

    def _documents(self, digests: Sequence[bytes]) -> dict[bytes, envelope_pb2.Envelope]:
        """Raises LookupError: a document named by a row of ours must be there."""
        wanted = {tables.documents: [(digest,) for digest in digests]}
        rows = read_rows(self._then, wanted)[tables.documents]
        missing = [digest for (digest,), row in rows.items() if row is None]
        if missing:
            raise LookupError(f"document {missing[0].hex()} is missing from the store")
        return {
            digest: envelope_pb2.Envelope.FromString(row["envelope"])
            for (digest,), row in rows.items()
            if row is not None
        }

    def _acknowledged(self, documents: dict[bytes, envelope_pb2.Envelope]) -> dict[bytes, bytes]:
        """Document → leaf of the exchange it made, as its acknowledgement names it."""
        wanted = {tables.answers: [(digest,) for digest in documents]}
        rows = read_rows(self._then, wanted)[tables.answers]
        answers = {digest: row["answer"] for (digest,), row in rows.items() if row is not None}
        sealed = self._documents(list(answers.values()))
        return {
            digest: exchange_pb2.Acknowledgement.FromString(sealed[answer].payload).leaf
            for digest, answer in answers.items()
        }

    def _prove(self, leaves: Sequence[bytes]) -> list[pb.ProvenEntry]:
        return [_proven(found) for found in self._prover.prove(self._now, self._head, leaves)]

    def _entries(self, names: Sequence[str]) -> dict[str, list[_Entry]]:
        """What the log tells by documents of each edition or delivery, in the order of the log."""
        leaves = disclosures.leaves_of(self._then, names)
        proven = iter(self._prove([leaf for of in leaves.values() for leaf in of]))
        found = {}
        for name, of in leaves.items():
            entries = [next(proven) for _ in of]
            entries.sort(key=lambda entry: entry.index)
            found[name] = [(log_pb2.LogEntry.FromString(entry.opening), entry) for entry in entries]
        return found


def _proven(found: Included) -> pb.ProvenEntry:
    return pb.ProvenEntry(index=found.index, salt=found.salt, opening=found.opening, proof=found.proof)


def _offers(
    entries: list[_Entry], documents: Mapping[bytes, envelope_pb2.Envelope]
) -> Iterator[pb.SubjectDelivery]:
    """Each Delivery that was ever offered under one id, with the receipts that name it."""
    offers: dict[bytes, pb.SubjectDelivery] = {}
    for entry, proven in entries:
        sealed = documents[entry.documents[0]]
        if entry.kind == "delivery.offered":
            offers[entry.documents[0]] = pb.SubjectDelivery(delivery=sealed, entries=[proven])
        elif entry.kind.startswith("receipt."):
            named = exchange_pb2.DeliveryReceipt.FromString(sealed.payload).delivery_digest
            offers[named].receipts.append(sealed)
            offers[named].entries.append(proven)
    yield from offers.values()
