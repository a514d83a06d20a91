"""The stream a bank holds: told at once, cut, silent, away; a gateway of ours that does what firewalls do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.bank.client import BankClient
from adapters.bank.watch import Watch
from adapters.party.home import Home
from audit.envelope import open_sealed
from audit.keys import Keyring
from tests.bank.offers import Offers
from xinyi import checks
from xinyi.errors import DigestMismatch, NotEntitled, Unavailable
from xinyi.server import serve
from xinyi.v1 import exchange_pb2
from xinyi.v1 import feed_service_pb2 as pb
from xinyi.v1.feed_service_pb2_grpc import FeedServiceServicer, add_FeedServiceServicer_to_server

PAUSE_S = 0.1
LIFE = pb.WatchResponse(next_within_s=30)
DUE = pb.WatchResponse(next_within_s=30, due=["grade-a"])
#: What a stream does: yields responses, waits, ends, fails.
Script = Callable[[], AsyncIterator[pb.WatchResponse]]


class Gateway(FeedServiceServicer):
    """One script per stream; the last one for all that follow."""

    def __init__(self, bank: Home, *scripts: Script) -> None:
        self._keys = Keyring([bank.signer().key])
        self._scripts = list(scripts)
        self.opened: list[float] = []
        self.asked: list[exchange_pb2.WatchRequest] = []

    async def Watch(self, request: pb.WatchCall, context: Any) -> AsyncIterator[pb.WatchResponse]:  # noqa: N802
        asked = open_sealed(request.call.document, exchange_pb2.WatchRequest, self._keys).message
        checks.check_watch_request(asked)
        self.opened.append(time.monotonic())
        self.asked.append(asked)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        async for response in script():
            yield response


@asynccontextmanager
async def gateway(offers: Offers, *scripts: Script) -> AsyncIterator[tuple[Gateway, Home]]:
    offers.certify(offers.bank, offers.gateway)
    standing = Gateway(offers.bank, *scripts)
    server, port = await serve(
        "127.0.0.1:0", offers.gateway.tls(), [(add_FeedServiceServicer_to_server, standing)]
    )
    file = offers.bank.path / "party.toml"
    file.write_text(file.read_text().replace("127.0.0.1:1", f"127.0.0.1:{port}"))
    try:
        yield standing, Home.open(offers.bank.path)
    finally:
        await server.stop(0)


class Level:
    """Stands for catching up: notes when, and fails as it is told."""

    def __init__(self, *fails: Exception, again_s: float = 30) -> None:
        self.times: list[float] = []
        self._fails = list(fails)
        self._again_s = again_s

    def __call__(self) -> float:
        self.times.append(time.monotonic())
        if self._fails:
            raise self._fails.pop(0)
        return self._again_s


@asynccontextmanager
async def watching(
    home: Home, level: Level, *, grace_s: float = 5
) -> AsyncIterator[tuple[Callable[[Callable[[], bool]], Awaitable[None]], asyncio.Task[None]]]:
    """A watch that runs; what waits until something has come about; its end, in time, when it is stopped."""
    watch = Watch(lambda: BankClient(home), ["grade-a"], level, pause_s=PAUSE_S, grace_s=grace_s)
    running = asyncio.create_task(asyncio.to_thread(watch.run))

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.01)

    try:
        yield until, running
    finally:
        began = time.monotonic()
        watch.stop()
        if not running.done():
            await asyncio.wait_for(running, 10)
        assert time.monotonic() - began < 5


async def test_told_at_once_and_at_the_opening(offers: Offers) -> None:
    """Once the stream is open the bank catches up, and then at each word, within a moment."""
    published = asyncio.Event()

    async def script() -> AsyncIterator[pb.WatchResponse]:
        yield LIFE
        yield LIFE
        await published.wait()
        yield DUE
        await asyncio.Event().wait()

    async with gateway(offers, script) as (standing, home), watching(home, level := Level()) as (until, _):
        await until(lambda: len(level.times) == 1)
        await asyncio.sleep(0.2)
        assert len(level.times) == 1, "a sign of life is nothing to catch up with"
        published.set()
        began = time.monotonic()
        await until(lambda: len(level.times) == 2)
        assert time.monotonic() - began < 1
        (asked,) = standing.asked
        assert (asked.recipient, list(asked.products)) == (offers.bank.party, ["grade-a"])


async def test_a_line_that_is_cut_is_polled_and_taken_up_again(offers: Offers) -> None:
    """Firewalls end long streams: caught up while it is away, and once more when it is open again."""

    async def cut() -> AsyncIterator[pb.WatchResponse]:
        yield LIFE

    async def holds() -> AsyncIterator[pb.WatchResponse]:
        yield LIFE
        await asyncio.Event().wait()

    async with (
        gateway(offers, cut, cut, holds) as (standing, home),
        watching(home, level := Level()) as (until, _),
    ):
        await until(lambda: len(standing.opened) == 3 and len(level.times) >= 5)
        first, second, third = standing.opened
        assert third - second > second - first, "pauses grow"
        for begin in standing.opened:
            assert any(moment >= begin for moment in level.times), "after every opening"
        assert any(first < moment < second for moment in level.times[1:]), "and while it was away"


async def test_a_line_cut_in_silence_shows_by_the_sign_of_life_that_stays_out(offers: Offers) -> None:
    """Nothing comes, nothing breaks: the bank gives the stream up and tries again."""

    async def silent() -> AsyncIterator[pb.WatchResponse]:
        yield pb.WatchResponse(next_within_s=0)
        await asyncio.Event().wait()

    async with (
        gateway(offers, silent) as (standing, home),
        watching(home, level := Level(), grace_s=0.3) as (until, _),
    ):
        await until(lambda: len(standing.opened) >= 3)
        assert len(level.times) >= 3


async def test_a_gateway_that_is_away_or_refuses_is_polled(offers: Offers) -> None:
    """The stream is refused, then the gateway is gone: the bank goes on asking, and ends when it is told to."""

    async def refuses() -> AsyncIterator[pb.WatchResponse]:
        raise NotEntitled("suspended", basis="partner.suspended")
        yield LIFE

    level = Level(NotEntitled("suspended"), Unavailable("away"), again_s=0.05)
    async with gateway(offers, refuses) as (standing, home), watching(home, level) as (until, _):
        await until(lambda: len(standing.opened) >= 2 and len(level.times) >= 4)
    gone = Level(again_s=0.05)
    async with watching(home, gone) as (until, _):
        await until(lambda: len(gone.times) >= 4)


async def test_whoever_is_lied_to_stops_and_calls_a_person(offers: Offers) -> None:
    """A verification that fails is not tried again and again."""

    async def holds() -> AsyncIterator[pb.WatchResponse]:
        yield DUE
        await asyncio.Event().wait()

    async with gateway(offers, holds) as (_, home), watching(home, Level(DigestMismatch("no"))) as (_, running):
        with pytest.raises(DigestMismatch):
            await asyncio.wait_for(running, 10)


async def test_what_is_under_way_is_finished_before_it_ends(offers: Offers) -> None:
    """Told to stop while it catches up, it ends behind that."""
    begun, done = threading.Event(), threading.Event()

    def level() -> float:
        begun.set()
        time.sleep(0.5)
        done.set()
        return 30

    async def holds() -> AsyncIterator[pb.WatchResponse]:
        yield LIFE
        await asyncio.Event().wait()

    async with gateway(offers, holds) as (_, home):
        watch = Watch(lambda: BankClient(home), ["grade-a"], level, pause_s=PAUSE_S)
        running = asyncio.create_task(asyncio.to_thread(watch.run))
        await asyncio.to_thread(begun.wait, 10)
        watch.stop()
        await asyncio.wait_for(running, 10)
        assert done.is_set()
