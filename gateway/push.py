"""Push: the gateway dials a bank's inbox, or writes its folder. The steps of a delivery's durable workflow.

Every attempt leaves an entry in the log: transferred, failed, or dead. Effects are safe to repeat: the
Delivery is sealed once, the bank takes each chunk once and gives one receipt.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import structlog

from audit import checkpoint, envelope
from gateway import delivery, folder
from gateway.exchange import Exchange
from gateway.reception import Reception
from gateway.rules import deliveries as rules
from gateway.store import deliveries as store
from gateway.store import editions, parties
from xinyi import checks
from xinyi.channel import UNARY_DEADLINE_S, dial_sync, errors_restored, server_name
from xinyi.errors import ExchangeError, Unavailable, VerificationError
from xinyi.server import TlsFiles
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2
from xinyi.v1 import inbox_service_pb2 as pb
from xinyi.v1.inbox_service_pb2_grpc import InboxServiceStub

log = structlog.get_logger()


class Push:
    def __init__(self, reception: Reception, tls: TlsFiles, *, expires_days: int) -> None:
        self._reception = reception
        self._tls = tls
        self._expires_days = expires_days
        self._channels: dict[tuple[str, str], grpc.Channel] = {}
        self._lock = threading.Lock()
        #: Heads the banks showed: what the next offer's consistency proof starts from.
        self._heads: dict[str, bytes] = {}

    # ── steps ──────────────────────────────────────────────────────────────────────────────────────────

    def offer(self, delivery_id: str) -> str:
        """Seals and logs the Delivery; rights are decided here. Returns "" or the refusal's code."""
        r = self._reception
        with r.database.reading() as conn:
            row = store.find_delivery(conn, delivery_id)
            assert row is not None  # queued by the door
            edition = editions.find_edition(conn, row["manifest_digest"])
            assert edition is not None  # foreign key
        if row["state"] not in rules.UNDELIVERED:
            return ""

        def work(x: Exchange) -> None:
            current = editions.find_edition(x.conn, edition["manifest_digest"])
            assert current is not None
            delivery.offer(x, current, row["recipient"], r.signer, r.holder, self._expires_days)

        try:
            r.door.run_sync(work, key=delivery_id)
        except ExchangeError as error:
            if isinstance(error, Unavailable):
                raise
            return error.basis or error.code
        return ""

    def transfer(self, delivery_id: str) -> str:
        """One attempt. Returns "" when delivered or no longer wanted, a code when no retry will help.

        Raises Unavailable where the bank cannot be reached.
        """
        with self._reception.database.reading() as conn:
            row = store.find_delivery(conn, delivery_id)
            assert row is not None
            if row["state"] != "OFFERED":
                return ""  # receipted on another way, stopped, or dead
            package = delivery.package(conn, delivery_id)
        try:
            if row["channel"] == exchange_pb2.CHANNEL_FOLDER:
                sent = self._write_folder(row, package)
            else:
                sent = self._dial(row, package)
        except Unavailable as error:
            self._note(delivery_id, sent=0, error=error.code)
            raise
        except ExchangeError as error:
            alarm = log.error if isinstance(error, VerificationError) else log.warning
            alarm("delivery.refused_by_bank", delivery=delivery_id, code=error.code, basis=error.basis)
            return error.basis or error.code
        log.info("delivery.transferred", delivery=delivery_id, chunks=sent)
        return ""

    def bury(self, delivery_id: str, code: str) -> None:
        """Nothing more is tried: the delivery is DEAD until a person retries it."""

        def work(x: Exchange) -> None:
            row = store.find_delivery(x.conn, delivery_id)
            if row is not None and row["state"] in ("QUEUED", "OFFERED"):
                delivery.note_transfer(
                    x, delivery_id, self._reception.holder, sent=0, error=code, state="DEAD"
                )

        self._reception.door.run_sync(work, key=delivery_id)
        log.error("alarm.delivery_dead", delivery=delivery_id, code=code)

    # ── ways ───────────────────────────────────────────────────────────────────────────────────────────

    def _dial(self, row: Any, package: exchange_pb2.DeliveryPackage) -> int:
        stub = InboxServiceStub(self._channel(row["target"], row["recipient"]))  # type: ignore[no-untyped-call]
        chunk_count = len(_manifest(package).chunk_roots)
        with errors_restored():
            offered: pb.OfferResponse = stub.Offer(
                pb.OfferRequest(package=package, evidence=self._evidence(row["recipient"])),
                timeout=UNARY_DEADLINE_S,
            )
            self._learn_head(row["recipient"], offered.head)
            receipt, sent = offered.receipt, 0
            if not receipt.payload:
                sent = chunk_count - offered.next_chunk
                answered: pb.InboxServicePutChunksResponse = stub.PutChunks(
                    self._chunks(row["delivery_id"], row["manifest_digest"], offered.next_chunk),
                    timeout=60 + chunk_count,
                )
                receipt = answered.receipt
        self._record(row, receipt, sent)
        return sent

    def _chunks(
        self, delivery_id: str, manifest_digest: bytes, start: int
    ) -> Iterator[pb.InboxServicePutChunksRequest]:
        """Streams from the store a few chunks at a time; never the whole edition in memory."""
        empty = True
        while True:
            with self._reception.database.reading() as conn:
                rows = editions.read_chunks(conn, manifest_digest, start, start + editions.READ_AHEAD)
            for number, data in rows:
                yield pb.InboxServicePutChunksRequest(delivery_id=delivery_id, number=number, data=data)
                empty = False
            if not rows:
                break
            start += len(rows)
        if empty:  # the bank holds every chunk already and only needs to be asked for its receipt
            yield pb.InboxServicePutChunksRequest(delivery_id=delivery_id, number=start)

    def _record(self, row: Any, sealed: envelope_pb2.Envelope, sent: int) -> None:
        """The transfer and the bank's receipt, two entries in two exchanges; a crash between them repeats."""
        r = self._reception
        with r.database.reading() as conn:
            keyring = parties.keyring(conn)
        opened = envelope.open_sealed(sealed, exchange_pb2.DeliveryReceipt, keyring)
        envelope.signer_of_party(opened.signers, row["recipient"])
        checks.check_delivery_receipt(opened.message)
        self._note(row["delivery_id"], sent=sent)

        def work(x: Exchange) -> None:
            if editions.find_answer(x.conn, opened.digest) is not None:
                return
            outcome, leaf = delivery.record_receipt(x, opened, row["recipient"], opened.message.signed_by)
            r.acknowledge(x, opened.digest, outcome, leaf)

        r.door.run_sync(work, key=row["delivery_id"])

    def _write_folder(self, row: Any, package: exchange_pb2.DeliveryPackage) -> int:
        def chunks() -> Iterator[tuple[int, bytes]]:
            with self._reception.database.reading() as conn:
                yield from editions.stream_chunks(conn, row["manifest_digest"])

        newest = self._reception.log.newest
        evidence = exchange_pb2.LogEvidence(checkpoint=newest.note if newest is not None else b"")
        sent = folder.write_outgoing(row["target"], row["delivery_id"], package, evidence, chunks())
        self._note(row["delivery_id"], sent=sent)
        return sent

    # ── heads and channels ─────────────────────────────────────────────────────────────────────────────

    def _note(self, delivery_id: str, *, sent: int, error: str = "") -> None:
        self._reception.door.run_sync(
            lambda x: delivery.note_transfer(x, delivery_id, self._reception.holder, sent=sent, error=error),
            key=delivery_id,
        )

    def _channel(self, address: str, party: str) -> grpc.Channel:
        with self._lock:
            key = (address, party)
            if key not in self._channels:
                self._channels[key] = dial_sync(address, self._tls, name=server_name(party))
            return self._channels[key]

    def _learn_head(self, party: str, note: bytes) -> None:
        """A head validly signed by this log: if it is ahead of ours, we run on a restored copy."""
        if not note:
            return
        log_ = self._reception.log
        head = checkpoint.verify(note, log_.key)
        log_.note_foreign_head(head)
        self._heads[party] = note

    def _evidence(self, party: str) -> exchange_pb2.LogEvidence:
        log_ = self._reception.log
        known = self._heads.get(party)
        with self._reception.database.reading() as conn:
            size = checkpoint.verify(known, log_.key).size if known else 0
            head, proof = log_.consistency(conn, size)
        return exchange_pb2.LogEvidence(
            checkpoint=head.note if head is not None else b"", from_size=size, consistency=proof
        )

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()


def _manifest(package: exchange_pb2.DeliveryPackage) -> edition_pb2.Manifest:
    return edition_pb2.Manifest.FromString(package.manifest.payload)  # verified at intake
