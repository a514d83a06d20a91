"""The bureau stops an edition: nothing more of it leaves, whichever way and however far it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.bank.inbox import Inbox
from adapters.party.gateway import GatewayClient
from gateway.store import editions
from tests.flows.test_attempts import serving, until_state
from tests.flows.test_delivery import until
from tests.flows.test_rights import entries
from tests.world import APPROVER, SealedEdition, World, city
from xinyi import checks
from xinyi.channel import errors_restored
from xinyi.errors import Conflict
from xinyi.v1 import edition_pb2, exchange_pb2, feed_service_pb2
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub

#: More than is read ahead at once, and more than the network holds for a bank that does not read: about 7 MB here,
#: of 10.
RECORDS = 90_000


@pytest.fixture(autouse=True)
def short_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four chunks at a time, so that an edition of a size for tests takes many."""
    monkeypatch.setattr(editions, "READ_AHEAD", 4)


async def stop(world: World, edition: SealedEdition) -> Any:
    return await world.decide(
        edition_pb2.Stop(
            manifest_digest=edition.digest,
            stopped_by=APPROVER,
            reason="wrong year",
            stopped_at_ms=world.clock(),
        )
    )


async def test_a_pull_under_way_ends_at_the_next_reading(tmp_path: Path, database_url: str) -> None:
    """A bank that reads slowly gets a part of the edition, then the bureau's stop as a signed refusal."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(RECORDS)
        await world.publish(edition)
        await world.pull(bank)
        loop = asyncio.get_running_loop()

        def fetch() -> None:
            with GatewayClient(bank) as client, errors_restored():
                request = feed_service_pb2.FetchChunksRequest(
                    delivery_id=checks.delivery_id(edition.digest, bank.party)
                )
                chunks = FeedServiceStub(client.channel).FetchChunks(request)
                next(chunks)
                asyncio.run_coroutine_threadsafe(stop(world, edition), loop).result()
                for _ in chunks:
                    pass

        with pytest.raises(Conflict) as refused:
            await asyncio.to_thread(fetch)
        assert refused.value.basis == "delivery.stopped"
        assert refused.value.sealed

        async def noted() -> bool:
            return bool(entries(world, "delivery.failed"))

        await until(noted)
        [failed] = entries(world, "delivery.failed")
        assert failed.code == "delivery.stopped"
        assert 0 < int(failed.detail.split()[0]) < len(edition.chunks)


class Slow(Inbox):
    """A bank that takes one chunk, then waits to be told."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def PutChunks(self, requests: Any, context: Any) -> Any:  # noqa: N802
        async def slowly() -> Any:
            async for request in requests:
                yield request
                self.begun.set()
                await self.go_on.wait()

        return await super().PutChunks(slowly(), context)


async def test_a_push_under_way_ends_at_the_next_reading(
    tmp_path: Path, database_url: str, free_port: int
) -> None:
    """The bank is left with a part that it does not take; the delivery stays STOPPED and is not DEAD."""
    async with city(tmp_path, database_url=database_url) as world:
        address = f"127.0.0.1:{free_port}"
        bank = await world.bank("bank-1", exchange_pb2.CHANNEL_PUSH, address)
        edition = world.seal(RECORDS)
        inbox = Slow(bank)
        async with serving(inbox, bank, free_port):
            await world.publish(edition)
            await asyncio.wait_for(inbox.begun.wait(), 20)
            await stop(world, edition)
            inbox.go_on.set()

            async def noted() -> bool:
                return bool(entries(world, "delivery.failed"))

            await until(noted)
        assert [e.code for e in entries(world, "delivery.failed")] == ["delivery.stopped"]
        await until_state(world, edition.digest, bank, "STOPPED")
        assert not entries(world, "delivery.dead")


async def test_a_folder_gives_up_what_was_stopped(tmp_path: Path, database_url: str) -> None:
    """List and files go; what another edition put there stays."""
    async with city(tmp_path, database_url=database_url) as world:
        folder = tmp_path / "front-end-node"
        bank = await world.bank("bank-1", exchange_pb2.CHANNEL_FOLDER, str(folder))
        first = world.seal(10)
        second = world.seal(20, month=2, sequence=2, predecessor=first.digest)
        for edition in (first, second):
            await world.publish(edition)

        async def lying() -> set[str]:
            return {path.name for path in (folder / "outgoing").glob("*")}

        names = {
            edition.digest: {
                checks.delivery_id(edition.digest, bank.party) + suffix for suffix in ("", ".complete")
            }
            for edition in (first, second)
        }

        async def both() -> bool:
            return await lying() == names[first.digest] | names[second.digest]

        async def the_other() -> bool:
            return await lying() == names[first.digest]

        await until(both)
        await stop(world, second)
        await until(the_other)


async def test_a_superseded_edition_can_be_stopped(tmp_path: Path) -> None:
    """Its mistake may be found when the next one is out already."""
    async with city(tmp_path) as world:
        first = world.seal(10)
        await world.publish(first)
        await world.publish(world.seal(20, month=2, sequence=2, predecessor=first.digest))
        assert (await stop(world, first)).message.outcome == "edition.stopped"
        with world.gateway.database.reading() as conn:
            found = editions.find_edition(conn, first.digest)
        assert found is not None
        assert found["state"] == "STOPPED"
