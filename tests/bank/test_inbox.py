"""The inbox a gateway dials: who may call it, and that nothing counts before it is verified."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.bank.inbox import Inbox, run
from adapters.bank.settings import InboxSettings
from adapters.party.home import Home
from audit.envelope import open_sealed
from audit.keys import Keyring
from tests.bank.offers import Offers, flipped
from tests.world import SealedEdition
from xinyi.channel import dial_sync, errors_restored, server_name
from xinyi.errors import Conflict, Invalid, NotEntitled, SignatureInvalid, Unavailable, VerificationError
from xinyi.server import serve
from xinyi.v1 import exchange_pb2, inbox_service_pb2_grpc
from xinyi.v1 import inbox_service_pb2 as pb


@dataclass
class Caller:
    """A party at the inbox's door."""

    home: Home
    port: int

    async def offer(self, package: exchange_pb2.DeliveryPackage) -> pb.OfferResponse:
        return await self._call(lambda stub: stub.Offer(pb.OfferRequest(package=package)))

    async def put(
        self, package: exchange_pb2.DeliveryPackage, chunks: list[tuple[int, bytes]]
    ) -> exchange_pb2.DeliveryReceipt:
        delivery = exchange_pb2.Delivery.FromString(package.delivery.payload)
        requests = [
            pb.InboxServicePutChunksRequest(delivery_id=delivery.delivery_id, number=n, data=data)
            for n, data in chunks
        ]
        response = await self._call(lambda stub: stub.PutChunks(iter(requests)))
        return exchange_pb2.DeliveryReceipt.FromString(response.receipt.payload)

    async def _call(self, work: Any) -> Any:
        def run() -> Any:
            address, name = f"127.0.0.1:{self.port}", server_name("test-city/bank-1")
            with dial_sync(address, self.home.tls(), name=name) as channel, errors_restored():
                return work(inbox_service_pb2_grpc.InboxServiceStub(channel))

        return await asyncio.to_thread(run)


@asynccontextmanager
async def inbox(offers: Offers, *callers: Home) -> AsyncIterator[list[Caller]]:
    offers.certify(offers.bank, *callers)
    register = inbox_service_pb2_grpc.add_InboxServiceServicer_to_server
    server, port = await serve("127.0.0.1:0", offers.bank.tls(), [(register, Inbox(offers.bank))])
    try:
        yield [Caller(home, port) for home in callers]
    finally:
        await server.stop(0.2)


def numbered(edition: SealedEdition, start: int = 0) -> list[tuple[int, bytes]]:
    return list(enumerate(edition.chunks))[start:]


async def test_an_address_that_cannot_be_listened_on(offers: Offers) -> None:
    """Where another process has it, trying again may help; what is no address has to be mended."""
    offers.certify(offers.bank)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        for settings in (InboxSettings(listen=taken), InboxSettings(listen="127.0.0.1:0", metrics=taken)):
            with pytest.raises(Unavailable, match=taken):
                await run(offers.bank, settings)
    for wrong in ("127.0.0.1", "7443", "127.0.0.1:http", "127.0.0.1:70000"):
        with pytest.raises(Invalid, match="is not host:port"):
            await serve(wrong, offers.bank.tls(), [])
        for place in ("listen", "metrics"):
            with pytest.raises(ValidationError, match="it is not host:port"):
                InboxSettings.model_validate({place: wrong})


async def test_only_the_gateway_may_call(offers: Offers) -> None:
    """A certificate of the same CA is not enough: another bank and even the bureau are refused."""
    package = offers.package(offers.edition(5))
    other = offers.open_bank("bank-2")
    async with inbox(offers, other, offers.maker) as callers:
        for caller in callers:
            for call in (caller.offer(package), caller.put(package, [(0, b"x")])):
                with pytest.raises(NotEntitled) as refused:
                    await call
                assert refused.value.basis == "inbox.caller"
    assert not list((offers.bank.path / "spool/incoming").iterdir())


async def test_an_edition_arrives_and_is_receipted_once(offers: Offers) -> None:
    """Offer, chunks, receipt; the same offer again gets the same receipt and takes no chunk."""
    edition = offers.edition(2500)
    package = offers.package(edition)
    async with inbox(offers, offers.gateway) as (gateway,):
        with pytest.raises(Exception, match="offered"):
            await gateway.put(package, numbered(edition))
        assert (await gateway.offer(package)).next_chunk == 0
        receipt = await gateway.put(package, numbered(edition))
        again = await gateway.offer(package)
    assert receipt.stage == exchange_pb2.RECEIPT_STAGE_RECEIVED
    assert (receipt.accepted, receipt.root) == (2500, offers.manifest(edition).root)
    own = Keyring([offers.bank.signer().key])
    assert open_sealed(again.receipt, exchange_pb2.DeliveryReceipt, own).message == receipt


async def test_a_broken_stream_goes_on_behind_what_was_verified(offers: Offers) -> None:
    """A changed chunk ends the stream; the next offer names the first chunk that is missing."""
    edition = offers.edition(2500)
    package = offers.package(edition)
    tampered = [(0, edition.chunks[0]), (1, flipped(edition.chunks[1], 3000))]
    async with inbox(offers, offers.gateway) as (gateway,):
        await gateway.offer(package)
        with pytest.raises(VerificationError) as refused:
            await gateway.put(package, tampered)
        assert refused.value.basis == "chunk"
        assert (await gateway.offer(package)).next_chunk == 1
        with pytest.raises(Unavailable):
            await gateway.put(package, numbered(edition, 1)[:1])
        assert (await gateway.offer(package)).next_chunk == 2
        assert (await gateway.put(package, numbered(edition, 2))).accepted == 2500


async def test_what_the_bureau_has_not_sealed_is_not_taken(offers: Offers) -> None:
    """The bank verifies the documents itself; the gateway's certificate opens the door and nothing else."""
    edition = offers.edition(5)
    package = offers.package(edition)
    package.approval.payload = flipped(package.approval.payload, 3)
    async with inbox(offers, offers.gateway) as (gateway,):
        with pytest.raises(SignatureInvalid) as refused:
            await gateway.offer(package)
        assert refused.value.basis == "approval.seal"
        await gateway.offer(offers.package(edition))
        with pytest.raises(Conflict) as changed:
            await gateway.offer(offers.package(edition, agreement_id="another"))
        assert changed.value.basis == "delivery.changed"
