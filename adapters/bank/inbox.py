"""InboxService: the gateway dials, the bank verifies before it takes a byte of the chunks.

Offers and chunks go the same way into the spool as with `fetch`; verification runs in threads. The delivery's
lock decides between two gateway processes: the second is told to try again and then gets the first's receipt.
A broken stream leaves verified chunks, and the next offer goes on behind them.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import structlog
from prometheus_client import start_http_server

from adapters.bank import metrics
from adapters.bank.evidence import note_head
from adapters.bank.fetch import Receiver
from adapters.bank.package import verify_package
from adapters.bank.receipts import RECEIVED
from adapters.bank.settings import InboxSettings
from adapters.bank.spool import Intake, SpooledEdition
from adapters.party.home import Home
from xinyi.errors import Contradiction, Invalid, NotEntitled, Unavailable, VerificationError
from xinyi.processes import Crew, Processes
from xinyi.server import caller, listening, serve
from xinyi.v1 import envelope_pb2, inbox_service_pb2_grpc
from xinyi.v1 import inbox_service_pb2 as pb

log = structlog.get_logger()

T = TypeVar("T")


class Inbox(inbox_service_pb2_grpc.InboxServiceServicer):
    def __init__(self, home: Home, crew: Crew | None = None) -> None:
        self._home = home
        self._gateway = home.settings.gateway.party
        self._receiver = Receiver(home, crew)

    async def Offer(self, request: pb.OfferRequest, context: Any) -> pb.OfferResponse:
        self._check_gateway(context)
        with _alarming():
            return await _in_thread(self._offer, request)

    async def PutChunks(
        self, requests: AsyncIterator[pb.InboxServicePutChunksRequest], context: Any
    ) -> pb.InboxServicePutChunksResponse:
        self._check_gateway(context)
        first = await anext(aiter(requests), None)
        if first is None:
            raise Invalid("the stream holds no chunk", basis="chunks.empty")
        with _alarming(), ExitStack() as stack:
            intake = await _in_thread(self._open, first.delivery_id, stack)
            if intake is not None:
                try:
                    await self._take(intake, first)
                    async for request in requests:
                        await self._take(intake, request)
                finally:
                    # Also where the line broke: the next offer goes on behind what came whole.
                    await _in_thread(intake.settle)
                await _in_thread(self._receiver.finish, intake)
                metrics.EDITIONS.inc()
        receipt = await _in_thread(self._receipt, first.delivery_id)
        log.info("inbox.received", delivery=first.delivery_id)
        return pb.InboxServicePutChunksResponse(receipt=receipt)

    def _check_gateway(self, context: Any) -> None:
        if caller(context).party != self._gateway:
            raise NotEntitled("only the gateway may call a bank's inbox", basis="inbox.caller")

    def _offer(self, request: pb.OfferRequest) -> pb.OfferResponse:
        note_head(self._home, request.evidence)
        package = verify_package(request.package, self._receiver.trust)
        head = self._home.head()
        shown = head.note if head is not None else b""
        with self._receiver.spool.lock(package.delivery_id):
            known = self._receiver.known(package)
            if known is not None:
                return pb.OfferResponse(receipt=self._receipt(package.delivery_id), head=shown)
            intake = self._receiver.begin(package)
            return pb.OfferResponse(next_chunk=intake.next_chunk, head=shown)

    def _open(self, delivery_id: str, stack: ExitStack) -> Intake[Any] | None:
        """The intake under its lock until the stream ends; None where the edition is complete already."""
        stack.enter_context(self._receiver.spool.lock(delivery_id))
        if self._receiver.spool.find(delivery_id) is not None:
            return None
        offered = self._receiver.spool.offered(delivery_id)
        return self._receiver.spool.open_intake(verify_package(offered.package(), self._receiver.trust))

    async def _take(self, intake: Intake[Any], request: pb.InboxServicePutChunksRequest) -> None:
        # An empty message asks for the receipt of an edition whose chunks are all here.
        if request.data or intake.next_chunk < intake.package.chunk_count:
            await _in_thread(intake.put, request.number, request.data)
            metrics.CHUNKS.inc()
            metrics.BYTES.inc(len(request.data))

    def _receipt(self, delivery_id: str) -> envelope_pb2.Envelope:
        edition: SpooledEdition | None = self._receiver.spool.find(delivery_id)
        receipt = self._receiver.receipts.find(edition, RECEIVED) if edition is not None else None
        if receipt is None:
            raise Unavailable("the receipt is not signed yet", basis="receipt.pending")
        return receipt


@contextmanager
def _alarming() -> Iterator[None]:
    """A gateway that shows what does not hold, or two things for one, is more than a refused call."""
    try:
        yield
    except VerificationError as error:
        log.error("alarm.verification", code=error.code, basis=error.basis)
        raise
    except Contradiction as error:
        log.error("alarm.contradiction", basis=error.basis)
        raise


async def _in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Runs in a thread. A cancelled call waits for it: the delivery's lock must not go while it still writes."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # nobody is left to hear of it
        raise


async def run(home: Home, settings: InboxSettings) -> None:
    """Serves until SIGTERM or SIGINT; transfers under way get ten seconds to end."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    register = inbox_service_pb2_grpc.add_InboxServiceServicer_to_server
    if settings.metrics:
        host, _, metrics_port = settings.metrics.rpartition(":")
        with listening(settings.metrics):
            start_http_server(int(metrics_port), host)
    crew = Processes()
    server, port = await serve(
        settings.listen, home.tls(), [(register, Inbox(home, crew))], observe=metrics.observe
    )
    log.info("inbox.serving", port=port)
    await stopped.wait()
    await server.stop(10)
    crew.close()
    log.info("inbox.stopped")
