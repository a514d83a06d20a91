"""FeedService: banks pull editions, fetch chunks and submit receipts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import structlog
from sqlalchemy import Connection

from audit.records import CHUNK_RECORDS
from gateway import delivery
from gateway.exchange import Exchange
from gateway.receipts import accept_receipt
from gateway.reception import Received, Reception
from gateway.rules.deliveries import delivery_id
from gateway.rules.partners import check_right
from gateway.store import deliveries as store
from gateway.store import editions, parties
from xinyi import checks
from xinyi.errors import Conflict, NotEntitled, Unknown
from xinyi.server import Caller, caller
from xinyi.v1 import exchange_pb2
from xinyi.v1 import feed_service_pb2 as pb
from xinyi.v1.feed_service_pb2_grpc import FeedServiceServicer

#: What a bank that found nothing new is told to wait.
RETRY_AFTER_S = 300

log = structlog.get_logger()


class Feed(FeedServiceServicer):
    def __init__(self, reception: Reception, *, expires_days: int) -> None:
        self._reception = reception
        self._expires_days = expires_days

    async def Pull(self, request: pb.PullCall, context: Any) -> pb.PullResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "Pull", request.call.document):
            received = await self._reception.open(request.call, exchange_pb2.PullRequest, who)
            asked = received.message
            checks.check_pull_request(asked)
            if asked.recipient != who.party:
                raise NotEntitled("a bank pulls for itself only", basis="delivery.recipient")
            due = await self._reception.database.read(lambda conn: self._find_due(conn, received))
            if due is None:
                # The right is checked where nothing is due as well: "nothing new" is an answer, too.
                return pb.PullResponse(
                    unchanged=True,
                    retry_after_s=RETRY_AFTER_S,
                    evidence=await self._reception.evidence(received.head),
                )
            offered = await self._offer(due, who)
            package = await self._reception.database.read(lambda conn: delivery.package(conn, offered))
            evidence = await self._reception.evidence(received.head)
            return pb.PullResponse(package=package, evidence=evidence)

    def _find_due(self, conn: Connection, received: Received[exchange_pb2.PullRequest]) -> Any:
        """The newest published edition that is newer than what the bank holds."""
        asked = received.message
        delivery.check_may_receive(Exchange(conn, self._reception.door.now()), asked.recipient, asked.product)
        newest = editions.newest_published(conn, asked.product)
        if newest is None or newest["manifest_digest"] == asked.last_held:
            return None
        if asked.last_held:
            held = editions.find_edition(conn, asked.last_held)
            if held is None or held["product"] != asked.product:
                raise Unknown(
                    "the edition the bank says it holds is not one of this product", basis="pull.last_held"
                )
            if held["sequence"] >= newest["sequence"]:
                return None
        return newest

    async def _offer(self, edition: Any, who: Caller) -> str:
        reception = self._reception
        existing = delivery_id(edition["manifest_digest"], who.party)

        def work(x: Exchange) -> str:
            return delivery.offer(
                x, edition, who.party, reception.signer, reception.holder, self._expires_days
            )

        return await reception.door.run(work, key=existing)

    async def FetchChunks(
        self, request: pb.FetchChunksRequest, context: Any
    ) -> AsyncIterator[pb.FetchChunksResponse]:
        who = caller(context)
        reception = self._reception
        # What is no id is nobody's delivery: it reaches neither the database nor the log.
        asked = request.delivery_id if checks.is_delivery_id(request.delivery_id) else ""
        async with reception.refusals_signed(who, "FetchChunks", subject=asked):
            manifest_digest, total = await reception.database.read(
                lambda conn: self._open_transfer(conn, asked, who)
            )
            if request.from_chunk > total:
                raise Conflict(f"the edition has {total} chunks", basis="chunks.from")
        position = request.from_chunk
        error = "interrupted"
        try:
            while position < total:
                upto = position + editions.READ_AHEAD
                rows = await reception.database.read(
                    lambda conn, start=position, end=upto: editions.read_chunks(
                        conn, manifest_digest, start, end
                    )  # type: ignore[misc]
                )
                for number, data in rows:
                    yield pb.FetchChunksResponse(number=number, data=data)
                    position = number + 1
            error = ""
        finally:
            # Also when the bank's line broke: what left is logged, what did not is not.
            sent, failed = position - request.from_chunk, error
            await reception.door.run(
                lambda x: delivery.note_transfer(
                    x, request.delivery_id, reception.holder, sent=sent, error=failed
                ),
                key=request.delivery_id,
            )

    def _open_transfer(self, conn: Connection, delivery_id: str, who: Caller) -> tuple[bytes, int]:
        row = store.find_delivery(conn, delivery_id)
        if row is None or row["recipient"] != who.party:
            # One answer for both: a bank learns nothing of another's deliveries.
            raise NotEntitled("there is no such delivery for the caller", basis="delivery.recipient")
        check_right(parties.find_party(conn, who.party), "receive")
        if row["state"] == "STOPPED":
            raise Conflict("this delivery was stopped by the bureau", basis="delivery.stopped")
        if row["document"] is None:
            raise Conflict("this delivery has not been offered yet", basis="delivery.state")
        edition = editions.find_edition(conn, row["manifest_digest"])
        assert edition is not None  # foreign key
        return row["manifest_digest"], -(-edition["record_count"] // CHUNK_RECORDS)

    async def SubmitReceipt(self, request: pb.SubmitReceiptRequest, context: Any) -> pb.SubmitReceiptResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "SubmitReceipt", request.call.document):
            answer = await accept_receipt(self._reception, request.call, who)
            return pb.SubmitReceiptResponse(answer=answer)
