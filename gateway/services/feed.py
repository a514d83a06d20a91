"""FeedService: banks pull editions, fetch chunks and submit receipts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit.records import CHUNK_RECORDS, varint
from gateway import catchup, delivery
from gateway.exchange import Exchange
from gateway.metrics import DELIVERIES
from gateway.polls import Polls
from gateway.receipts import accept_receipt
from gateway.reception import Received, Reception
from gateway.rules import deliveries as rules
from gateway.store import deliveries as store
from gateway.store import editions
from gateway.watching import Watching
from xinyi import checks
from xinyi.errors import Conflict, ExchangeError, NotEntitled, Unknown
from xinyi.server import Caller, caller
from xinyi.v1 import exchange_pb2
from xinyi.v1 import feed_service_pb2 as pb
from xinyi.v1.feed_service_pb2_grpc import FeedServiceServicer, add_FeedServiceServicer_to_server

#: What a bank that found nothing new is told to wait.
RETRY_AFTER_S = 300

log = structlog.get_logger()


class Feed(FeedServiceServicer):
    """Args: poll_seconds — see `Polls`; next_within_s, watches_per_party — see `Watching`."""

    def __init__(
        self,
        reception: Reception,
        *,
        expires_days: int,
        poll_seconds: float,
        next_within_s: int,
        watches_per_party: int,
    ) -> None:
        self._reception = reception
        self._expires_days = expires_days
        self._polls = Polls(poll_seconds)
        self._watching = Watching(reception, next_within_s=next_within_s, per_party=watches_per_party)
        self._notes: set[asyncio.Task[None]] = set()

    async def Pull(self, request: pb.PullCall, context: Any) -> pb.PullResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "Pull", request.call.document):
            received = await self._reception.open(request.call, exchange_pb2.PullRequest, who)
            asked = received.message
            checks.check_pull_request(asked)
            if asked.recipient != who.party:
                raise NotEntitled("a bank pulls for itself only", basis="delivery.recipient")
            due = await self._reception.database.read(lambda conn: self._find_due(conn, received))
            if not due:
                # The right is checked where nothing is due as well: "nothing new" is an answer, too.
                self._polls.check(asked.recipient, asked.product, self._reception.door.now())
                return pb.PullResponse(
                    unchanged=True,
                    retry_after_s=RETRY_AFTER_S,
                    evidence=await self._reception.evidence(received.head),
                )
            offered = await self._offer(due[0], who)
            package = await self._reception.database.read(lambda conn: delivery.package(conn, offered))
            evidence = await self._reception.evidence(received.head)
            return pb.PullResponse(package=package, evidence=evidence, remaining=len(due) - 1)

    def _find_due(self, conn: Connection, received: Received[exchange_pb2.PullRequest]) -> list[bytes]:
        """What the bank has to take from what it holds on, in order, by the manifests' digests."""
        asked = received.message
        due = catchup.due(conn, self._reception.door.now(), asked.recipient, asked.product, asked.last_held)
        held = editions.find_edition(conn, asked.last_held) if asked.last_held else None
        if asked.last_held and (held is None or held["product"] != asked.product):
            raise Unknown(
                "the edition the bank says it holds is not one of this product", basis="pull.last_held"
            )
        return due

    async def Watch(self, request: pb.WatchCall, context: Any) -> AsyncIterator[pb.WatchResponse]:
        who = caller(context)
        async with self._reception.refusals_signed(who, "Watch", request.call.document):
            asked = (await self._reception.open(request.call, exchange_pb2.WatchRequest, who)).message
            checks.check_watch_request(asked)
            if asked.recipient != who.party:
                raise NotEntitled("a bank watches for itself only", basis="delivery.recipient")
            async with aclosing(self._watching.stream(asked)) as responses:
                async for response in responses:
                    yield response

    def end_watches(self) -> None:
        """Before the server stops: a stream has no end of its own."""
        self._watching.stop()

    async def _offer(self, manifest_digest: bytes, who: Caller) -> str:
        reception = self._reception

        def work(x: Exchange) -> str:
            return delivery.offer(
                x,
                manifest_digest,
                who.party,
                reception.signer,
                reception.holder,
                self._expires_days,
                asked=True,
            )

        return await reception.door.run(work, key=checks.delivery_id(manifest_digest, who.party))

    async def FetchChunks(self, request: pb.FetchChunksRequest, context: Any) -> AsyncIterator[bytes]:
        """Yields FetchChunksResponse as bytes, see `register_feed`."""
        who = caller(context)
        # What is no id is nobody's delivery: it reaches neither the database nor the log.
        asked = request.delivery_id if checks.is_delivery_id(request.delivery_id) else ""
        async with self._reception.refusals_signed(who, "FetchChunks", subject=asked):
            manifest_digest, total = await self._reception.database.read(
                lambda conn: self._open_transfer(conn, asked, who)
            )
            position = request.from_chunk
            if position > total:
                raise Conflict(f"the edition has {total} chunks", basis="chunks.from")
            ended = "interrupted"
            ahead = self._read_ahead(manifest_digest, position)
            try:
                while position < total:
                    rows = await ahead
                    if position + len(rows) < total:
                        ahead = self._read_ahead(manifest_digest, position + len(rows))
                    for number, data in rows:
                        yield encode_chunk(number, data)
                        position = number + 1
                ended = ""
            except ExchangeError as error:
                ended = rules.code_of(error)
                raise
            finally:
                # Also when the bank's line broke: what left is logged, what did not is not.
                ahead.cancel()
                self._note(asked, position - request.from_chunk, ended)

    def _read_ahead(
        self, manifest_digest: bytes, start: int
    ) -> asyncio.Future[list[tuple[int, bytes]]]:
        """The next chunks are read while the bank takes the ones before."""
        return asyncio.ensure_future(
            self._reception.database.read(lambda conn: delivery.read_chunks(conn, manifest_digest, start))
        )

    def _note(self, delivery_id: str, sent: int, error: str) -> None:
        """The bank does not wait for this. A crash before it is durable leaves the offer's entry alone, and then
        the bank's receipt: what left is never more than what was offered."""
        door, holder = self._reception.door, self._reception.holder

        async def note() -> None:
            try:
                await door.run(
                    lambda x: delivery.note_transfer(x, delivery_id, holder, sent=sent, error=error),
                    key=delivery_id,
                )
            except (ExchangeError, SQLAlchemyError) as failure:
                code = getattr(failure, "code", None) or type(failure).__name__
                log.error("alarm.transfer_not_noted", delivery=delivery_id, code=code)
            else:
                DELIVERIES.labels("failed" if error else "transferred").inc()

        task = asyncio.create_task(note())
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def settle(self) -> None:
        """Waits until every transfer is noted."""
        await asyncio.gather(*self._notes)

    def _open_transfer(self, conn: Connection, delivery_id: str, who: Caller) -> tuple[bytes, int]:
        row = store.find_delivery(conn, delivery_id)
        if row is None or row["recipient"] != who.party:
            # One answer for both: a bank learns nothing of another's deliveries.
            raise NotEntitled("there is no such delivery for the caller", basis="delivery.recipient")
        now_ms = self._reception.door.now()
        edition = editions.find_edition(conn, row["manifest_digest"])
        assert edition is not None  # foreign key
        delivery.ground_now(Exchange(conn, now_ms), who.party, edition)
        rules.check_may_leave(row, edition)
        if delivery.has_expired(conn, row, now_ms):
            raise Conflict("this delivery has expired; pull it anew", basis="delivery.expired")
        return row["manifest_digest"], -(-edition["record_count"] // CHUNK_RECORDS)

    async def SubmitReceipt(self, request: pb.SubmitReceiptRequest, context: Any) -> pb.SubmitReceiptResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "SubmitReceipt", request.call.document):
            answer = await accept_receipt(self._reception, request.call, who)
            return pb.SubmitReceiptResponse(answer=answer)


def encode_chunk(number: int, data: bytes) -> bytes:
    """A FetchChunksResponse on the wire, one copy of the chunk instead of three."""
    return b"".join((_number(number), b"\x12", varint(len(data)), data))


def _number(number: int) -> bytes:
    return b"\x08" + varint(number) if number else b""  # proto3 leaves a zero out


def register_feed(feed: Feed, server: grpc.aio.Server) -> None:
    """As the generated function does it, but for FetchChunks, which gives its responses as bytes."""
    add_FeedServiceServicer_to_server(feed, server)  # type: ignore[no-untyped-call]
    own: dict[str, Any] = {
        "FetchChunks": grpc.unary_stream_rpc_method_handler(
            feed.FetchChunks, request_deserializer=pb.FetchChunksRequest.FromString
        )
    }
    server.add_registered_method_handlers("xinyi.v1.FeedService", own)
