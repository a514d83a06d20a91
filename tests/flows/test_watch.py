"""A bank that holds a stream is told at once; what it is told is what a pull would find."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from gateway.office import notices, partners
from tests.chain import Chain
from tests.flows.programs import serving
from tests.flows.test_objections import key_in, objection, send
from tests.flows.test_rights import check_signed, entries
from tests.flows.test_two_gateways import founded
from tests.postgres import Server
from tests.world import MAKER, OPERATOR, World, city, made_up_records, made_up_uscc, receipt_for
from xinyi.channel import dial_sync, errors_restored, server_name
from xinyi.errors import Invalid, NotEntitled
from xinyi.v1 import exchange_pb2, feed_service_pb2, notice_pb2
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub

STAGES = (
    exchange_pb2.RECEIPT_STAGE_RECEIVED,
    exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    exchange_pb2.RECEIPT_STAGE_APPLIED,
)
QUICK = "[watch]\nnext_within_s = 1\nper_party = 2\n"


class Stream:
    """Responses as they come, each with when it came; None behind the last, or the error that ended it."""

    def __init__(self) -> None:
        self.arrived: queue.Queue[tuple[float, feed_service_pb2.WatchResponse | Exception | None]] = queue.Queue()
        self.cancel: Any = None

    async def next(self, timeout: float = 10) -> Any:
        return (await self.timed(timeout))[1]

    async def timed(self, timeout: float = 10) -> Any:
        return await asyncio.to_thread(self.arrived.get, timeout=timeout)

    async def due(self, *products: str) -> None:
        """Waits for a response that says exactly this."""
        while list((response := await self.next()).due) != list(products):
            assert response is not None


@contextmanager
def watching(
    world: World, home: Home, *products: str, address: str = "", recipient: str = ""
) -> Iterator[Stream]:
    stream = Stream()

    def run() -> None:
        ended: Exception | None = None
        try:
            with GatewayClient(home) as client, errors_restored():
                call = client.call(
                    exchange_pb2.WatchRequest(
                        recipient=recipient or home.party,
                        products=products or ["grade-a"],
                        requested_at_ms=world.clock(),
                        nonce=os.urandom(16),
                    )
                )
                name = server_name(home.settings.gateway.party)
                with dial_sync(address or world.address, home.tls(), name=name) as channel:
                    responses = FeedServiceStub(channel).Watch(feed_service_pb2.WatchCall(call=call))
                    stream.cancel = responses.cancel
                    for response in responses:
                        stream.arrived.put((time.monotonic(), response))
        except Exception as error:
            ended = error
        stream.arrived.put((time.monotonic(), ended))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stream
    finally:
        if stream.cancel is not None:
            stream.cancel()
        thread.join()


async def land(world: World, bank: Home, package: exchange_pb2.DeliveryPackage) -> None:
    for stage in STAGES:
        await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))


def _open() -> float | None:
    """What the metric says."""
    return REGISTRY.get_sample_value("xinyi_watches_open")


async def open_watches(expected: int) -> None:
    for _ in range(100):
        if _open() == expected:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{_open()} watches are open, not {expected}")


async def test_a_bank_is_told_at_once_and_what_it_landed_is_due_no_more(
    tmp_path: Path, database_url: str
) -> None:
    """Nothing, an edition, landed, the next edition; the stream itself makes no log entry."""
    async with city(tmp_path, database_url=database_url, signing=QUICK) as world:
        bank = await world.bank("bank-1")
        before = len(entries(world, "refused"))
        with watching(world, bank) as stream:
            first = await stream.next()
            assert (list(first.due), first.next_within_s, first.newest_notice) == ([], 1, b"")
            edition = world.seal(20)
            await world.submit(edition)
            await world.approve(edition)
            published = time.monotonic()
            await stream.due("grade-a")
            assert time.monotonic() - published < 3
            package = (await world.pull(bank)).package
            await land(world, bank, package)
            await stream.due()
            await world.publish(world.seal(20, month=2, sequence=2, predecessor=edition.digest))
            await stream.due("grade-a")
            await open_watches(1)
        await open_watches(0)
        with watching(world, bank) as stream:
            assert list((await stream.next()).due) == ["grade-a"], "what is due is told at once"
        assert len(entries(world, "refused")) == before
        assert len(entries(world, "delivery.offered")) == 1


@pytest.mark.postgresql
@pytest.mark.processes
async def test_one_process_tells_what_another_published_and_ends_its_watches_when_it_stops(
    tmp_path: Path, postgresql_server: Server, free_port: int
) -> None:
    """Two gateways on one database; a stop is not held up by a stream, which ends as an answer ends."""
    urls = [postgresql_server.create() for _ in range(3)]
    async with founded(tmp_path, urls) as world:
        bank = await world.bank("bank-1")
        env = {"XINYI_LISTEN": f"127.0.0.1:{free_port}", "XINYI_DELIVERY__WORKER": "gateway-2"}
        words = ("xinyi-gateway", "serve", "--home", tmp_path / "gateway")
        with ExitStack() as streams:
            with serving(tmp_path / "second.log", "gateway.serving", *words, env=env) as second:
                address = f"127.0.0.1:{free_port}"
                stream = streams.enter_context(watching(world, bank, address=address))
                assert not (await stream.next()).due
                await world.publish(world.seal(20))
                await stream.due("grade-a")
                begun = time.monotonic()
            assert time.monotonic() - begun < 4, "less than the time a stop leaves to answers under way"
            while (response := await stream.next()) is not None:
                assert isinstance(response, feed_service_pb2.WatchResponse)
            assert "Traceback" not in second.said
    for url in urls:
        postgresql_server.drop(url)


async def test_signs_of_life_keep_their_promise(tmp_path: Path) -> None:
    """Each response says within how many seconds the next one comes."""
    async with city(tmp_path, signing=QUICK) as world:
        bank = await world.bank("bank-1")
        with watching(world, bank) as stream:
            last, response = await stream.timed()
            for _ in range(3):
                at, following = await stream.timed()
                assert not following.due
                assert at - last <= response.next_within_s == 1
                last, response = at, following


async def test_a_notice_is_told(tmp_path: Path) -> None:
    """The digest of the newest notice changes in the stream."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        notice = notice_pb2.ChangeNotice(
            number="2018-1",
            kind=notice_pb2.NOTICE_KIND_MAINTENANCE,
            effective_on="2099-01-01",
            text_zh="暂停服务两小时",
            text_en="The service pauses for two hours.",
        )
        with watching(world, bank) as stream:
            assert not (await stream.next()).newest_notice
            sealed = await world.gateway.door.run(
                lambda x: notices.announce(x, notice, 3, world.gateway.signer, OPERATOR)
            )
            assert (await stream.next()).newest_notice == envelope.digest(sealed)


async def test_a_watch_takes_the_right_to_pull_and_ends_with_it(tmp_path: Path) -> None:
    """Refused like a pull, once a day in the log; suspended meanwhile, the stream ends with the same refusal."""
    async with city(tmp_path) as world:
        bank, other = await world.bank("bank-1"), await world.bank("bank-2")
        for _ in range(2):
            with watching(world, bank, "grade-a", "grade-all") as stream:
                refused = await stream.next()
                assert isinstance(refused, NotEntitled)
                assert refused.basis == "product.disabled"
                check_signed(world, refused)
        assert [e.detail for e in entries(world, "refused")] == ["Watch: product.disabled: grade-a,grade-all"]
        with watching(world, bank, recipient=other.party) as stream:
            refused = await stream.next()
            assert isinstance(refused, NotEntitled)
            assert refused.basis == "delivery.recipient"
        with watching(world, bank, "grade-a", "grade-a") as stream:
            refused = await stream.next()
            assert isinstance(refused, Invalid)
            assert refused.basis == "watch.products"
        with watching(world, bank) as stream:
            assert not (await stream.next()).due
            await world.gateway.door.run(lambda x: partners.decide(x, bank.party, "suspend", "test", OPERATOR))
            refused = await stream.next()
            assert isinstance(refused, NotEntitled)
            assert refused.basis == "partner.suspended"
        await open_watches(0)


async def test_a_suspended_bank_is_told_of_a_recall_and_of_nothing_else(
    tmp_path: Path, database_url: str
) -> None:
    """As long as the correction of what it got is open; marks in that delivery speak of no other taxpayer."""
    async with city(tmp_path, database_url=database_url, signing=QUICK) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        first = chain.full(made_up_records(1500))
        await world.publish(first)
        await land(world, bank, (await world.pull(bank)).package)
        await send(world, objection(world, first), MAKER)
        await send(world, objection(world, first, made_up_uscc(9), number="9"), MAKER)
        await world.gateway.door.run(lambda x: partners.decide(x, bank.party, "suspend", "test", OPERATOR))
        with watching(world, bank) as stream:
            refused = await stream.next()
            assert isinstance(refused, NotEntitled)
        wrong = made_up_records(8)[7]
        wrong.valid_from = "2018-05-01"
        await world.publish(chain.correction(first.digest, told=[wrong]))
        with watching(world, bank) as stream:
            assert list((await stream.next()).due) == ["grade-a"]
            package = (await world.pull(bank, first.digest)).package
            delivery = exchange_pb2.Delivery.FromString(package.delivery.payload)
            assert delivery.ground == exchange_pb2.DELIVERY_GROUND_RECALL
            assert [mark.blinded_key for mark in delivery.disputes] == [key_in(first)]
            await land(world, bank, package)
            while not isinstance(ended := await stream.next(), Exception):
                assert ended is not None
            assert isinstance(ended, NotEntitled)
            assert ended.basis == "partner.suspended"


async def test_a_party_has_so_many_watches(tmp_path: Path) -> None:
    """One more ends the oldest, which is most likely a dead line; other parties' are untouched."""
    async with city(tmp_path, signing=QUICK) as world:
        bank, other = await world.bank("bank-1"), await world.bank("bank-2")
        with watching(world, other) as foreign, watching(world, bank) as oldest:
            assert await oldest.next() is not None
            assert await foreign.next() is not None
            with watching(world, bank) as second, watching(world, bank) as third:
                while await oldest.next() is not None:
                    pass
                for stream in (second, third, foreign):
                    for _ in range(3):
                        assert isinstance(await stream.next(), feed_service_pb2.WatchResponse)
                await open_watches(3)
