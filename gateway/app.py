"""Composition root: the only place that builds the gateway from its Settings."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
import uvloop
from prometheus_client import start_http_server

from audit.log import HeadStore, Log
from gateway import delivery, metrics
from gateway.config import Settings
from gateway.exchange import Clock, Door, wall_clock
from gateway.folder import Collector
from gateway.push import Push
from gateway.reception import Reception
from gateway.sequencer import Sequencer
from gateway.services.exchange_log import ExchangeLog
from gateway.services.feed import Feed, register_feed
from gateway.services.publication import Publication
from gateway.store.db import Database, open_engine
from xinyi.server import serve
from xinyi.v1 import (
    log_service_pb2_grpc,
    publication_service_pb2_grpc,
)

if TYPE_CHECKING:
    from gateway.workflows import Workflows

log = structlog.get_logger()


class Gateway:
    """Everything but the network: the stores, the log, the door. Admin commands use just this."""

    def __init__(self, settings: Settings, clock: Clock = wall_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.holder = settings.holder
        self.signer = settings.signer()
        self.database = Database(settings.database_url)
        self._head_engine = open_engine(settings.head_store_url)
        heads = HeadStore(self._head_engine, settings.log_origin, settings.log_key())
        self.log = Log(self.database.engine, heads, settings.log_origin, settings.log_signer())
        self.log.start()
        self.door = Door(self.database, clock)
        self.reception = Reception(self.database, self.door, self.log, self.signer, self.holder)

    def close(self) -> None:
        self.door.close()
        self.log.sequence()
        self.database.close()
        self._head_engine.dispose()


@contextmanager
def open_gateway(settings: Settings) -> Iterator[Gateway]:
    """For one command on the gateway's machine; a serving gateway may run beside it."""
    gateway = Gateway(settings)
    try:
        yield gateway
    finally:
        gateway.close()


class Service:
    """A serving gateway: sequencer, workflows, folders, gRPC. `start` and `stop` from one event loop."""

    def __init__(self, gateway: Gateway) -> None:
        # The workflow engine takes seconds to import; the operator's commands do without it.
        from gateway.workers import Worker

        self._gateway = gateway
        settings = gateway.settings
        self._loop = asyncio.get_running_loop()
        #: Set when the log may not be signed any more.
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._sequencer = Sequencer(gateway.log, self._fail)
        gateway.door.on_commit(self._sequencer.wake)
        self._push = Push(
            gateway.reception,
            settings.tls(),
            expires_days=settings.delivery.expires_days,
            max_attempts=settings.delivery.max_attempts,
            workers=settings.delivery.workers,
        )
        self._feed = Feed(gateway.reception, expires_days=settings.delivery.expires_days)
        self._worker = Worker(gateway.database, settings.delivery.worker, gateway.clock)
        self._collector = Collector(gateway.reception, keep_days=settings.delivery.keep_days)
        self._workflows: Workflows | None = None
        self.port = 0

    def _fail(self, error: Exception) -> None:
        def fail() -> None:
            if not self.failed.done():
                self.failed.set_exception(error)

        self._loop.call_soon_threadsafe(fail)

    async def start(self) -> None:
        from gateway.workflows import Steps, Workflows

        settings = self._gateway.settings
        keep_days = settings.delivery.keep_days
        self._sequencer.start()
        self._workflows = await asyncio.to_thread(
            lambda: Workflows(
                settings.workflows_url,
                self._worker.name,
                Steps(attempt=self._push.attempt, give_up=self._push.give_up),
                workers=settings.delivery.workers,
                due=self._due,
                beat=self._worker.beat,
                # A pause cannot be kept more finely than somebody looks.
                sweep_s=min(5.0, settings.delivery.backoff_s),
                keep=timedelta(days=keep_days) if keep_days else None,
            )
        )
        reception = self._gateway.reception
        publication = Publication(reception, lambda _: self._workflows.wake() if self._workflows else None)
        self._server, self.port = await serve(
            settings.listen,
            settings.tls(),
            [
                (publication_service_pb2_grpc.add_PublicationServiceServicer_to_server, publication),
                (register_feed, self._feed),
                (log_service_pb2_grpc.add_LogServiceServicer_to_server, ExchangeLog(reception)),
            ],
            observe=metrics.observe,
            reflection=_REFLECTED if settings.reflection else (),
        )
        self._collecting = asyncio.create_task(self._collector.run())
        log.info("gateway.serving", port=self.port, party=settings.party, mode=settings.mode)

    def _due(self) -> list[tuple[str, str]]:
        """Deliveries the gateway itself has to carry now, by attempt and recipient."""
        gateway = self._gateway
        backoff_ms = int(gateway.settings.delivery.backoff_s * 1000)
        with gateway.database.reading() as conn:
            return delivery.due(conn, gateway.clock(), backoff_ms)

    async def stop(self, grace_s: float = 5.0) -> None:
        self._collecting.cancel()
        await self._server.stop(grace_s)
        await self._feed.settle()
        if self._workflows is not None:
            await asyncio.to_thread(self._workflows.close)
        self._push.close()
        await asyncio.to_thread(self._sequencer.close)


_REFLECTED = (
    "xinyi.v1.PublicationService",
    "xinyi.v1.FeedService",
    "xinyi.v1.LogService",
)


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises what made it impossible to sign the log."""
    gateway = await asyncio.to_thread(Gateway, settings)
    try:
        service = Service(gateway)
        if settings.metrics is not None:
            host, _, port = settings.metrics.listen.rpartition(":")
            start_http_server(int(port), host)
        await service.start()
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        waiting = asyncio.ensure_future(stopped.wait())
        waiters: list[asyncio.Future[Any]] = [waiting, service.failed]
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        await service.stop()
        if service.failed.done():
            service.failed.result()
    finally:
        await asyncio.to_thread(gateway.close)


def serve_forever(settings: Settings) -> None:
    """Entry of `xinyi-gateway serve`."""
    # Database threads step in and out of the interpreter lock beside a busy event loop: hand it over sooner.
    sys.setswitchinterval(0.0005)
    uvloop.run(run(settings))
