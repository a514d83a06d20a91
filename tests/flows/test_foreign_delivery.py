"""Another bank's delivery, asked for in every way there is: refused, signed, logged once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.bank.client import BankClient
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from gateway.store import deliveries
from tests.flows.test_rights import check_signed, entries
from tests.world import MAKER, World, city, receipt_for
from xinyi.channel import errors_restored
from xinyi.errors import ExchangeError, NotAuthenticated, NotEntitled, Unknown
from xinyi.v1 import envelope_pb2, exchange_pb2, feed_service_pb2, publication_service_pb2
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

Attempt = Callable[[World, Home, Home, exchange_pb2.DeliveryPackage], Awaitable[Any]]


def delivery_id(package: exchange_pb2.DeliveryPackage) -> str:
    return exchange_pb2.Delivery.FromString(package.delivery.payload).delivery_id


async def fetch(world: World, owner: Home, other: Home, package: exchange_pb2.DeliveryPackage) -> Any:
    return await world.fetch(other, delivery_id(package))


async def confirm(world: World, owner: Home, other: Home, package: exchange_pb2.DeliveryPackage) -> Any:
    """In its own name."""
    receipt = receipt_for(package, other, exchange_pb2.RECEIPT_STAGE_RECEIVED, 1_525_000_000_000)
    return await world.confirm(other, receipt)


async def replay(world: World, owner: Home, other: Home, package: exchange_pb2.DeliveryPackage) -> Any:
    """The owner's own sealed receipt, under another's certificate."""
    receipt = receipt_for(package, owner, exchange_pb2.RECEIPT_STAGE_RECEIVED, 1_525_000_000_000)

    def run() -> Any:
        with BankClient(other) as client:
            return client.submit(envelope.seal(receipt, owner.signer()))

    return await asyncio.to_thread(run)


async def pull(world: World, owner: Home, other: Home, package: exchange_pb2.DeliveryPackage) -> Any:
    """A poll in the owner's name."""
    request = exchange_pb2.PullRequest(
        recipient=owner.party, product="grade-a", requested_at_ms=world.clock(), nonce=bytes(16)
    )

    def run() -> Any:
        with GatewayClient(other) as client, errors_restored():
            call = client.call(request)
            return FeedServiceStub(client.channel).Pull(feed_service_pb2.PullCall(call=call))

    return await asyncio.to_thread(run)


@pytest.mark.parametrize(
    ("attempt", "method", "kind", "basis"),
    [
        (fetch, "FetchChunks", NotEntitled, "delivery.recipient"),
        (confirm, "SubmitReceipt", NotEntitled, "delivery.recipient"),
        (replay, "SubmitReceipt", NotAuthenticated, "document.party"),
        (pull, "Pull", NotEntitled, "delivery.recipient"),
    ],
)
async def test_anothers_delivery_is_refused_signed_and_logged_once(
    tmp_path: Path, attempt: Attempt, method: str, kind: type[ExchangeError], basis: str
) -> None:
    """Asked three times: three signed refusals that name one leaf, one entry, and the delivery as it was."""
    async with city(tmp_path) as world:
        owner, other = await world.bank("bank-1"), await world.bank("bank-2")
        edition = world.seal(10)
        await world.publish(edition)
        package = (await world.pull(owner)).package
        leaves = set()
        for _ in range(3):
            with pytest.raises(kind) as refused:
                await attempt(world, owner, other, package)
            assert type(refused.value) is kind
            assert refused.value.basis == basis
            check_signed(world, refused.value)
            sealed = envelope_pb2.Envelope.FromString(refused.value.sealed)
            leaves.add(exchange_pb2.Refusal.FromString(sealed.payload).leaf)
        assert len(leaves) == 1
        (entry,) = entries(world, "refused")
        assert entry.actor == other.settings.holder
        assert entry.detail.split(": ")[:2] == [method, basis]
        with world.gateway.database.reading() as conn:
            rows = deliveries.deliveries_of_edition(conn, edition.digest)
        assert {r["recipient"]: r["state"] for r in rows} == {owner.party: "OFFERED", other.party: "QUEUED"}


async def test_a_delivery_that_nobody_has_is_refused_like_anothers(tmp_path: Path, database_url: str) -> None:
    """Whatever is asked for gets the same signed answer, and no long text gets into the log that way."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        for name in ("0" * 64, "", "x" * 100_000, "a\0b", "' OR 1=1 --"):
            with pytest.raises(NotEntitled) as refused:
                await world.fetch(bank, name)
            assert refused.value.basis == "delivery.recipient"
            check_signed(world, refused.value)
        assert {len(entry.detail) < 200 for entry in entries(world, "refused")} == {True}


async def test_chunks_of_an_edition_that_nobody_began_are_refused(tmp_path: Path, database_url: str) -> None:
    """The same for the bureau's side: a digest of any length is no reason to fill the log."""
    async with city(tmp_path, database_url=database_url) as world:

        def put(digest: bytes) -> None:
            with GatewayClient(world.homes[MAKER]) as client, errors_restored():
                chunk = publication_service_pb2.PutChunksRequest(manifest_digest=digest, data=b"x")
                PublicationServiceStub(client.channel).PutChunks(iter([chunk]))

        for digest in (b"\7" * 32, b"", b"\7" * 100_000):
            with pytest.raises(Unknown) as refused:
                await asyncio.to_thread(put, digest)
            assert refused.value.basis == "edition.intake"
            check_signed(world, refused.value)
        assert {len(entry.detail) < 200 for entry in entries(world, "refused")} == {True}
