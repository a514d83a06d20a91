"""Push: the gateway dials a bank's inbox, or writes its folder: what one attempt at a delivery is.

Every attempt leaves an entry in the log: transferred, failed, or dead. Effects are safe to repeat: the
Delivery is sealed once, the bank takes each chunk once and gives one receipt.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import structlog

from audit import envelope
from audit.checkpoint import Checkpoint
from gateway import delivery, folder
from gateway.exchange import Exchange
from gateway.metrics import DELIVERIES
from gateway.receipts import record_receipt
from gateway.reception import Reception
from gateway.rules import deliveries as rules
from gateway.store import deliveries as store
from gateway.store import editions, parties
from xinyi import checks
from xinyi.channel import UNARY_DEADLINE_S, dial_sync, restore, server_name
from xinyi.errors import ExchangeError, Unavailable, VerificationError
from xinyi.server import TlsFiles
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2
from xinyi.v1 import inbox_service_pb2 as pb
from xinyi.v1.inbox_service_pb2_grpc import InboxServiceStub

log = structlog.get_logger()


class Push:
    """Args:
    max_attempts: failures that a retry may mend before a delivery is DEAD.
    workers: attempts at a time.
    """

    def __init__(
        self, reception: Reception, tls: TlsFiles, *, expires_days: int, max_attempts: int, workers: int
    ) -> None:
        self._reception = reception
        self._tls = tls
        self._expires_days = expires_days
        self._max_attempts = max_attempts
        self._readers = ThreadPoolExecutor(workers, thread_name_prefix="read-ahead")
        self._channels: dict[tuple[str, str], grpc.Channel] = {}
        self._lock = threading.Lock()
        #: Heads the banks showed: what the next offer's consistency proof starts from.
        self._heads: dict[str, Checkpoint] = {}

    # ── steps ──────────────────────────────────────────────────────────────────────────────────────────

    def attempt(self, delivery_id: str) -> None:
        """Offers and transfers once. What became of it stands in the delivery's row and in the log.

        Rights are decided here, each time. Raises what is wrong with this machine or its database: then
        nothing is known of the attempt, and it is made again.
        """
        with self._reception.database.reading() as conn:
            row = store.find_delivery(conn, delivery_id)
            assert row is not None  # queued by the door
        if row["state"] not in rules.WAITING:
            return  # receipted on another way, stopped, or dead
        chunks = _Chunks(self._reception, self._readers, row)
        try:
            package = self._offer(row)
            if row["channel"] == exchange_pb2.CHANNEL_FOLDER:
                self._write_folder(row, package, chunks)
            else:
                self._dial(row, package, chunks)
        except ExchangeError as error:
            # Files of a folder count once their list is there; a network's chunks are gone when they are sent.
            sent = 0 if row["channel"] == exchange_pb2.CHANNEL_FOLDER else chunks.sent
            self._failed(delivery_id, error, sent)

    def give_up(self, delivery_id: str, code: str) -> None:
        """Nothing more is tried, whatever stands in its way: the delivery is DEAD until a person retries it."""
        r = self._reception
        if r.door.run_sync(
            lambda x: delivery.give_up(x, delivery_id, r.signer, r.holder, sent=0, error=code), key=delivery_id
        ):
            _bury(delivery_id, code)

    def _offer(self, row: Any) -> exchange_pb2.DeliveryPackage:
        r = self._reception
        offered = r.door.run_sync(
            lambda x: delivery.offer(
                x, row["manifest_digest"], row["recipient"], r.signer, r.holder, self._expires_days
            ),
            key=row["delivery_id"],
        )
        with r.database.reading() as conn:
            return delivery.package(conn, offered)

    def _failed(self, delivery_id: str, error: ExchangeError, sent: int) -> None:
        r = self._reception
        code = rules.code_of(error)

        def work(x: Exchange) -> str:
            row = store.find_delivery(x.conn, delivery_id)
            assert row is not None
            if row["state"] in rules.WAITING and rules.is_given_up(row, error, self._max_attempts):
                delivery.give_up(x, delivery_id, r.signer, r.holder, sent=sent, error=code)
                return "dead"
            if row["state"] in rules.WAITING or sent:
                delivery.note_transfer(x, delivery_id, r.holder, sent=sent, error=code)
                return "failed"
            return ""  # stopped before a chunk left

        outcome = r.door.run_sync(work, key=delivery_id)
        if outcome:
            alarm = log.error if isinstance(error, VerificationError) else log.warning
            alarm("delivery.failed", delivery=delivery_id, code=error.code, basis=error.basis, chunks=sent)
            DELIVERIES.labels("failed").inc()
        if outcome == "dead":
            _bury(delivery_id, code)

    # ── ways ───────────────────────────────────────────────────────────────────────────────────────────

    def _dial(self, row: Any, package: exchange_pb2.DeliveryPackage, chunks: _Chunks) -> None:
        stub = InboxServiceStub(self._channel(row["target"], row["recipient"]))  # type: ignore[no-untyped-call]
        chunk_count = len(_manifest(package).chunk_roots)
        try:
            offered: pb.OfferResponse = stub.Offer(
                pb.OfferRequest(package=package, evidence=self._evidence(row["recipient"])),
                timeout=UNARY_DEADLINE_S + chunk_count,  # the bank verifies what it has of them
            )
            self._learn_head(row["recipient"], offered.head)
            receipt = offered.receipt
            if not receipt.payload:
                answered: pb.InboxServicePutChunksResponse = stub.PutChunks(
                    chunks.requests(offered.next_chunk, chunk_count), timeout=60 + chunk_count
                )
                receipt = answered.receipt
        except grpc.RpcError as broken:
            self._hang_up(row["target"], row["recipient"])
            raise chunks.failure or _peer_error(broken) from broken
        # All chunks left, whatever the receipt is worth.
        self._transferred(row["delivery_id"], chunks.sent)
        self._record(row, receipt)

    def _record(self, row: Any, sealed: envelope_pb2.Envelope) -> None:
        """The bank's receipt, an exchange of its own: after a crash before it the bank is asked again."""
        r = self._reception
        with r.database.reading() as conn:
            keyring = parties.keyring(conn)
        opened = envelope.open_sealed(sealed, exchange_pb2.DeliveryReceipt, keyring)
        envelope.signer_of_party(opened.signers, row["recipient"])
        checks.check_delivery_receipt(opened.message)

        def work(x: Exchange) -> None:
            if editions.find_answer(x.conn, opened.digest) is not None:
                return
            outcome, leaf = record_receipt(x, opened, row["recipient"], opened.message.signed_by)
            r.acknowledge(x, opened.digest, outcome, leaf)

        r.door.run_sync(work, key=row["delivery_id"])

    def _write_folder(self, row: Any, package: exchange_pb2.DeliveryPackage, chunks: _Chunks) -> None:
        newest = self._reception.log.newest
        evidence = exchange_pb2.LogEvidence(checkpoint=newest.note if newest is not None else b"")
        all_of_it = chunks.read(0, len(_manifest(package).chunk_roots))
        folder.write_outgoing(row["target"], row["delivery_id"], package, evidence, all_of_it)
        self._transferred(row["delivery_id"], chunks.sent)

    def _transferred(self, delivery_id: str, sent: int) -> None:
        r = self._reception
        r.door.run_sync(
            lambda x: delivery.note_transfer(x, delivery_id, r.holder, sent=sent), key=delivery_id
        )
        DELIVERIES.labels("transferred").inc()
        log.info("delivery.transferred", delivery=delivery_id, chunks=sent)

    # ── heads and channels ─────────────────────────────────────────────────────────────────────────────

    def _channel(self, address: str, party: str) -> grpc.Channel:
        with self._lock:
            key = (address, party)
            if key not in self._channels:
                self._channels[key] = dial_sync(address, self._tls, name=server_name(party))
            return self._channels[key]

    def _hang_up(self, address: str, party: str) -> None:
        """The next attempt dials anew: a channel that failed has pauses of its own, we have ours."""
        with self._lock:
            channel = self._channels.pop((address, party), None)
        if channel is not None:
            channel.close()

    def _learn_head(self, party: str, note: bytes) -> None:
        """A head validly signed by this log: if it is ahead of ours, we run on a restored copy."""
        if not note:
            return
        log_ = self._reception.log
        self._heads[party] = log_.agreed(note) or log_.compare(note)

    def _evidence(self, party: str) -> exchange_pb2.LogEvidence:
        log_ = self._reception.log
        known = self._heads.get(party)
        size = known.size if known is not None else 0
        with self._reception.proving(), self._reception.database.reading() as conn:
            head, proof = log_.consistency(conn, size)
        return exchange_pb2.LogEvidence(
            checkpoint=head.note if head is not None else b"", from_size=size, consistency=proof
        )

    def close(self) -> None:
        with self._lock:  # attempts that break on this hang up, too
            channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()
        self._readers.shutdown(wait=False, cancel_futures=True)


class _Chunks:
    """An edition on its way out: read a few chunks ahead of what is being sent, counted as they leave."""

    def __init__(self, reception: Reception, readers: ThreadPoolExecutor, row: Any) -> None:
        self._database = reception.database
        self._readers = readers
        self._delivery_id = row["delivery_id"]
        self._manifest_digest = row["manifest_digest"]
        self.sent = 0
        #: What ended the stream on our side; gRPC does not hand it through.
        self.failure: ExchangeError | None = None

    def read(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Never the whole edition in memory. Raises as `delivery.read_chunks` does, at the next reading."""
        if start < end:
            ahead = self._readers.submit(self._read, start)
        while start < end:
            rows = ahead.result()
            start += len(rows)
            if start < end:
                ahead = self._readers.submit(self._read, start)
            for number, data in rows:
                yield number, data
                self.sent += 1

    def _read(self, start: int) -> list[tuple[int, bytes]]:
        with self._database.reading() as conn:
            return delivery.read_chunks(conn, self._manifest_digest, start)

    def requests(self, start: int, end: int) -> Iterator[pb.InboxServicePutChunksRequest]:
        try:
            for number, data in self.read(start, end):
                yield pb.InboxServicePutChunksRequest(
                    delivery_id=self._delivery_id, number=number, data=data
                )
        except ExchangeError as error:
            self.failure = error
            raise
        if not self.sent:  # the bank holds every chunk already and only needs to be asked for its receipt
            yield pb.InboxServicePutChunksRequest(delivery_id=self._delivery_id, number=start)


def _peer_error(broken: grpc.RpcError) -> ExchangeError:
    """What a bank's failure means here. A defect of its own (a full disk, say) is trouble that may pass."""
    error = restore(broken)
    return Unavailable(error.explanation) if type(error) is ExchangeError else error


def _bury(delivery_id: str, code: str) -> None:
    DELIVERIES.labels("dead").inc()
    log.error("alarm.delivery_dead", delivery=delivery_id, code=code)


def _manifest(package: exchange_pb2.DeliveryPackage) -> edition_pb2.Manifest:
    return edition_pb2.Manifest.FromString(package.manifest.payload)  # verified at intake
