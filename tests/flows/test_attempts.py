"""The gateway carries a delivery: attempts, their pauses, their limit, and what each of them decides anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.bank.inbox import Inbox
from adapters.party.home import Home
from audit import envelope
from audit.keys import Keyring
from gateway import delivery
from gateway.office import agreements, partners
from gateway.store import deliveries, editions
from tests.flows.test_delivery import states, until
from tests.flows.test_rights import entries
from tests.world import OPERATOR, World, city, receipt_for
from xinyi import checks
from xinyi.errors import Conflict, NotEntitled
from xinyi.server import serve
from xinyi.v1 import exchange_pb2, inbox_service_pb2_grpc

PUSH = exchange_pb2.CHANNEL_PUSH
HASTY: dict[str, float] = {"backoff_s": 0.1, "max_attempts": 3}


@asynccontextmanager
async def serving(inbox: Inbox, home: Home, port: int) -> AsyncIterator[None]:
    register = inbox_service_pb2_grpc.add_InboxServiceServicer_to_server
    server, _ = await serve(f"127.0.0.1:{port}", home.tls(), [(register, inbox)])
    try:
        yield
    finally:
        await server.stop(0)


async def until_state(world: World, digest: bytes, bank: Home, state: str) -> None:
    async def reached() -> bool:
        return (await states(world, digest))[bank.party] == state

    await until(reached, 30)


def row_of(world: World, digest: bytes, bank: Home) -> Any:
    with world.gateway.database.reading() as conn:
        return deliveries.find_delivery(conn, checks.delivery_id(digest, bank.party))


async def test_a_bank_that_stays_away_ends_dead_with_a_signed_record_until_a_person_revives_it(
    tmp_path: Path, database_url: str, free_port: int
) -> None:
    """Two failures, then DEAD by a sealed document; revived, it has all its attempts again and arrives."""
    async with city(tmp_path, database_url=database_url, **HASTY) as world:
        bank = await world.bank("bank-1", PUSH, f"127.0.0.1:{free_port}")
        edition = world.seal(1500)
        await world.publish(edition)
        await until_state(world, edition.digest, bank, "DEAD")
        assert [e.code for e in entries(world, "delivery.failed")] == ["unavailable", "unavailable"]
        [dead] = entries(world, "delivery.dead")
        with world.gateway.database.reading() as conn:
            sealed = editions.get_document(conn, dead.documents[0])
        opened = envelope.open_sealed(
            sealed, exchange_pb2.DeliveryFailure, Keyring([world.gateway.signer.key])
        )
        checks.check_delivery_failure(opened.message)
        assert (opened.message.delivery_id, opened.message.attempts) == (dead.delivery_id, 3)

        async with serving(Inbox(bank), bank, free_port):
            await world.gateway.door.run(
                lambda x: delivery.revive(x, dead.delivery_id, OPERATOR, "the inbox is back")
            )
            await until_state(world, edition.digest, bank, "RECEIVED")
        assert row_of(world, edition.digest, bank)["generation"] == 1


async def test_banks_that_cannot_be_reached_keep_no_other_waiting(
    tmp_path: Path, free_port: int
) -> None:
    """One worker, three banks away and a long pause after each failure: each is tried, and the fourth served."""
    async with city(tmp_path, workers=1, backoff_s=300) as world:
        for number in (1, 2, 3):
            await world.bank(f"bank-{number}", PUSH, "127.0.0.1:1")
        bank = await world.bank("bank-4", PUSH, f"127.0.0.1:{free_port}")
        edition = world.seal(10)
        async with serving(Inbox(bank), bank, free_port):
            await world.publish(edition)
            await until_state(world, edition.digest, bank, "RECEIVED")

            async def tried() -> bool:
                return len(entries(world, "delivery.failed")) == 3

            await until(tried)


async def test_rights_are_decided_at_every_attempt(tmp_path: Path, free_port: int) -> None:
    """Suspended between two attempts: the bank's inbox is back, and not a chunk leaves."""
    async with city(tmp_path, **HASTY) as world:
        bank = await world.bank("bank-1", PUSH, f"127.0.0.1:{free_port}")
        edition = world.seal(10)
        await world.publish(edition)

        async def tried() -> bool:
            return bool(row_of(world, edition.digest, bank)["attempts"])

        await until(tried)
        await world.gateway.door.run(lambda x: partners.decide(x, bank.party, "suspend", "test", OPERATOR))
        async with serving(Inbox(bank), bank, free_port):
            await until_state(world, edition.digest, bank, "DEAD")
        assert [e.code for e in entries(world, "delivery.dead")] == ["partner.suspended"]
        assert not entries(world, "delivery.transferred")


async def test_chunks_are_fetched_under_todays_rights(tmp_path: Path) -> None:
    """A delivery offered yesterday gives no right to its chunks once the entitlement has ended."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(10)
        await world.publish(edition)
        await world.pull(bank)
        identity = checks.delivery_id(edition.digest, bank.party)
        assert await world.fetch(bank, identity) == edition.chunks
        await world.gateway.door.run(
            lambda x: agreements.end_entitlement(x, bank.party, "grade-a", "test", OPERATOR)
        )
        with pytest.raises(NotEntitled) as refused:
            await world.fetch(bank, identity)
        assert refused.value.basis == "entitlement.ended"


async def test_a_delivery_nobody_took_is_offered_anew(tmp_path: Path, database_url: str) -> None:
    """Another sealed document under the same id; a receipt by the earlier one counts. Whoever asks for what it took
    has lost it: it is given what it can still take."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(10)
        await world.publish(edition)
        first = (await world.pull(bank)).package
        assert (await world.pull(bank)).package.delivery == first.delivery
        world.clock.advance(days=31)
        identity = checks.delivery_id(edition.digest, bank.party)
        with pytest.raises(Conflict) as refused:
            await world.fetch(bank, identity)
        assert refused.value.basis == "delivery.expired"

        second = (await world.pull(bank)).package
        old, new = (exchange_pb2.Delivery.FromString(p.delivery.payload) for p in (first, second))
        assert (new.delivery_id, new.manifest_digest) == (old.delivery_id, old.manifest_digest)
        assert new.offered_at_ms > old.expires_at_ms
        assert await world.fetch(bank, identity) == edition.chunks
        offers = entries(world, "delivery.offered")
        assert [list(e.documents) for e in offers] == [[envelope.digest(p.delivery)] for p in (first, second)]

        received = receipt_for(first, bank, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        assert (await world.confirm(bank, received)).message.outcome == "receipt.received"
        assert (await world.pull(bank)).package.delivery == second.delivery
        world.clock.advance(days=31)
        assert (await world.pull(bank)).package.delivery != second.delivery
        assert len(entries(world, "delivery.offered")) == 3
        assert row_of(world, edition.digest, bank)["state"] == "RECEIVED"


class Stumbling(Inbox):
    """A bank whose disk is full after two chunks, the first time; notes how many calls it has at once."""

    def __init__(self, home: Home, *, stumbles: int = 0) -> None:
        super().__init__(home)
        self._stumbles = stumbles
        self._calls = 0
        self.most_calls = 0

    async def PutChunks(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self._calls += 1
        self.most_calls = max(self.most_calls, self._calls)
        try:
            await asyncio.sleep(0.3)
            return await super().PutChunks(self._stumbling(requests), context)
        finally:
            self._calls -= 1

    async def _stumbling(self, requests: Any) -> AsyncIterator[Any]:
        taken = 0
        async for request in requests:
            if self._stumbles and taken == 2:
                self._stumbles -= 1
                raise OSError(28, "No space left on device")
            yield request
            taken += 1


async def test_a_defect_of_the_bank_is_retried_and_the_transfer_goes_on_where_it_broke(
    tmp_path: Path, free_port: int
) -> None:
    """INTERNAL from a bank is trouble that may pass; the log says how many chunks left each time."""
    async with city(tmp_path, **HASTY) as world:
        bank = await world.bank("bank-1", PUSH, f"127.0.0.1:{free_port}")
        edition = world.seal(3000)
        async with serving(Stumbling(bank, stumbles=1), bank, free_port):
            await world.publish(edition)
            await until_state(world, edition.digest, bank, "RECEIVED")
        [failed] = entries(world, "delivery.failed")
        assert failed.code == "unavailable"
        assert failed.detail != "0 chunks"
        assert [e.detail for e in entries(world, "delivery.transferred")] == ["1 chunks"]


async def test_one_bank_has_one_transfer_at_a_time(tmp_path: Path, free_port: int) -> None:
    """Two editions that waited for a bank arrive one after the other."""
    async with city(tmp_path, **HASTY) as world:
        bank = await world.bank("bank-1", PUSH, f"127.0.0.1:{free_port}")
        first = world.seal(10)
        second = world.seal(10, month=2, sequence=2, predecessor=first.digest)
        inbox = Stumbling(bank)
        async with serving(inbox, bank, free_port):
            await world.publish(first)
            await world.publish(second)
            await until_state(world, second.digest, bank, "RECEIVED")
            await until_state(world, first.digest, bank, "RECEIVED")
        assert inbox.most_calls == 1
