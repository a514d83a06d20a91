"""Composition root: the only place that builds the gateway from its Settings."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import structlog
import uvloop
from prometheus_client import start_http_server
from sqlalchemy.exc import SQLAlchemyError

from audit import envelope
from audit.keys import keyid
from audit.log import HeadStore, Log
from gateway import delivery, metrics
from gateway.challenges import log_unanswered
from gateway.config import Settings
from gateway.exchange import Clock, Door, wall_clock
from gateway.folder import Collector
from gateway.preparation import Preparation
from gateway.push import Push
from gateway.reception import Reception
from gateway.sequencer import Sequencer
from gateway.services.challenges import Challenges
from gateway.services.exchange_log import ExchangeLog
from gateway.services.feed import Feed, register_feed
from gateway.services.lending import Lending
from gateway.services.notices import Notices
from gateway.services.objections import Objections
from gateway.services.publication import Publication
from gateway.services.statistics import Statistics
from gateway.services.subjects import Subjects
from gateway.store import parties
from gateway.store.db import Database, check_apart
from xinyi.checks import CLOCKS_MS
from xinyi.days import day_of
from xinyi.errors import ExchangeError, Unavailable
from xinyi.processes import Processes
from xinyi.server import Health, listening, serve
from xinyi.v1 import (
    challenge_service_pb2_grpc,
    exchange_pb2,
    lending_service_pb2_grpc,
    log_service_pb2_grpc,
    notice_service_pb2_grpc,
    objection_service_pb2_grpc,
    publication_service_pb2_grpc,
    statistics_service_pb2_grpc,
    subject_service_pb2_grpc,
)

if TYPE_CHECKING:
    from gateway.workflows import Workflows

#: How often the gateway asks itself whether it may call itself healthy, and how long the database may take.
HEALTH_S, ANSWER_S = 1.0, 5.0
#: A log that was not found signed up to its newest entry for so long is not kept any more.
STALE_S = 10.0

log = structlog.get_logger()


class Gateway:
    """Everything but the network: the stores, the log, the door. Admin commands use just this.

    Raises HeadConflict where this log must not go on, SettingsInvalid where the head store is not there, Invalid where
    it is no store of its own.
    """

    def __init__(self, settings: Settings, clock: Clock = wall_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.holder = settings.holder
        self.signer = settings.signer()
        self.database = Database(settings.database_url)
        self._head_engine = settings.open_head_store()
        check_apart(self.database.engine, self._head_engine)
        heads = HeadStore(self._head_engine, settings.log_origin, settings.log_key())
        self.log = Log(self.database.engine, heads, settings.log_origin, settings.log_signer())
        self.log.start()
        self.door = Door(self.database, clock)
        self.reception = Reception(self.database, self.door, self.log, self.signer, self.holder)

    def check_signers(self) -> None:
        """Raises SignatureInvalid where what this gateway signs would count nowhere, Unavailable where it cannot."""
        self.log.check_signer()
        with self.database.reading() as conn:
            ring = parties.keyring(conn)
        envelope.open_sealed(envelope.seal(exchange_pb2.Refusal(), self.signer), exchange_pb2.Refusal, ring)

    def close(self) -> None:
        """Signs what is left, unless the log may not be signed any more. Raises HeadConflict."""
        self.door.close()
        try:
            if self.log.conflict is None:
                self.log.sequence()
        except Unavailable as error:  # the entries are durable, and signed by whoever runs next
            log.warning("log.signer_away", explanation=error.explanation)
        finally:
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
        self._feed = Feed(
            gateway.reception,
            expires_days=settings.delivery.expires_days,
            poll_seconds=settings.delivery.poll_seconds,
            next_within_s=settings.watch.next_within_s,
            watches_per_party=settings.watch.per_party,
        )
        self._worker = Worker(
            gateway.database,
            settings.delivery.worker,
            gateway.clock,
            local_heads=settings.head_store_url.startswith("sqlite"),
        )
        self._collector = Collector(gateway.reception, keep_days=settings.delivery.keep_days)
        self._workflows: Workflows | None = None
        #: The day in China whose overdue challenges are all logged.
        self._looked_on: date | None = None
        self._health = Health()
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
        await asyncio.to_thread(self._gateway.check_signers)
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
        self._crew = Processes()
        self._preparation = Preparation(self._gateway.database, self._crew)
        publication = Publication(reception, self._decided, self._crew)
        self._server, self.port = await serve(
            settings.listen,
            settings.tls(),
            [
                (publication_service_pb2_grpc.add_PublicationServiceServicer_to_server, publication),
                (register_feed, self._feed),
                (log_service_pb2_grpc.add_LogServiceServicer_to_server, ExchangeLog(reception)),
                (objection_service_pb2_grpc.add_ObjectionServiceServicer_to_server, Objections(reception)),
                (notice_service_pb2_grpc.add_NoticeServiceServicer_to_server, Notices(reception)),
                (subject_service_pb2_grpc.add_SubjectServiceServicer_to_server, Subjects(reception)),
                (statistics_service_pb2_grpc.add_StatisticsServiceServicer_to_server, Statistics(reception)),
                (lending_service_pb2_grpc.add_LendingServiceServicer_to_server, Lending(reception, self._crew)),
                (challenge_service_pb2_grpc.add_ChallengeServiceServicer_to_server, Challenges(reception)),
            ],
            observe=metrics.observe,
            reflection=_REFLECTED if settings.reflection else (),
            healthy=self._health,
        )
        await self._health.set(serving=not await self._unfit())
        self._collecting = asyncio.create_task(self._collector.run())
        self._watching = asyncio.create_task(self._watch())
        self._preparing = asyncio.create_task(self._preparation.run())
        log.info("gateway.serving", port=self.port, party=settings.party, mode=settings.mode)

    def _decided(self, _: bytes) -> None:
        self._preparation.wake()
        if self._workflows is not None:
            self._workflows.wake()

    def _due(self) -> list[tuple[str, str, bool]]:
        """Deliveries the gateway itself has to carry now, by attempt and recipient, and whether it is urgent."""
        gateway = self._gateway
        backoff_ms = int(gateway.settings.delivery.backoff_s * 1000)
        with gateway.database.reading() as conn:
            return delivery.due(conn, gateway.clock(), backoff_ms)

    async def _watch(self) -> None:
        """Keeps health true to what the gateway can do; what a day's end brings is logged by itself."""
        was = None
        while True:
            why = await self._unfit()
            await self._health.set(serving=not why)
            if why != was:
                (log.error if why else log.info)("alarm.unfit" if why else "gateway.fit", why=why)
            was = why
            if not why:
                await self._close_days()
                await self._log_unanswered()
            await asyncio.sleep(HEALTH_S)

    async def _unfit(self) -> str:
        """Why this gateway cannot sign, append or verify now; empty where it can."""
        if self.failed.done() or self._gateway.log.conflict is not None:
            return "the log may not be signed any more"
        # The sequencer writes, and signs what is new: while it is young both work.
        if self._sequencer.age_s > STALE_S:
            return "the log is behind its entries"
        database, party = self._gateway.database, self._gateway.settings.party
        own = keyid(self._gateway.signer.key)
        try:
            await asyncio.wait_for(database.read(lambda conn: parties.find_party(conn, party)), ANSWER_S)
            key = await asyncio.wait_for(database.read(lambda conn: parties.find_key(conn, own)), ANSWER_S)
        except (SQLAlchemyError, TimeoutError) as error:
            return f"the database cannot be read: {type(error).__name__}"
        if key is not None and key["state"] != "ACTIVE":
            return f"the key it seals with is {key['state']}: start it again, with the new one"
        return ""

    async def _close_days(self, *, today: bool = False) -> None:
        try:
            await self._gateway.reception.refusals.close_days(today=today)
        except (SQLAlchemyError, ExchangeError) as error:  # only a number is lost
            log.warning("refusals.not_counted", error=type(error).__name__)

    async def _log_unanswered(self) -> None:
        """Behind midnight in China, not for the rest of a day: no challenge that comes in is overdue already."""
        now_ms = self._gateway.clock()
        if self._looked_on == day_of(now_ms):
            return
        try:
            await log_unanswered(self._gateway.reception)
            # By the clock of another gateway it may be yesterday still, and a challenge due on that day come in.
            self._looked_on = day_of(now_ms - CLOCKS_MS)
        except (SQLAlchemyError, ExchangeError) as error:  # it is found again
            log.warning("challenges.not_looked_at", error=type(error).__name__)

    async def stop(self, grace_s: float = 5.0) -> None:
        await self._health.end()
        self._watching.cancel()
        self._collecting.cancel()
        self._preparing.cancel()
        self._feed.end_watches()
        await self._server.stop(grace_s)
        await self._feed.settle()
        if self._gateway.log.conflict is None:
            await self._close_days(today=True)
        if self._workflows is not None:
            await asyncio.to_thread(self._workflows.close)
        self._push.close()
        await asyncio.to_thread(self._crew.close)
        await asyncio.to_thread(self._sequencer.close)


_REFLECTED = (
    "xinyi.v1.PublicationService",
    "xinyi.v1.FeedService",
    "xinyi.v1.LogService",
    "xinyi.v1.ObjectionService",
    "xinyi.v1.NoticeService",
    "xinyi.v1.SubjectService",
    "xinyi.v1.ChallengeService",
    "xinyi.v1.LendingService",
    "xinyi.v1.StatisticsService",
)


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises what made it impossible to sign the log."""
    gateway = await asyncio.to_thread(Gateway, settings)
    try:
        service = Service(gateway)
        if settings.metrics is not None:
            host, _, port = settings.metrics.listen.rpartition(":")
            with listening(settings.metrics.listen):
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
