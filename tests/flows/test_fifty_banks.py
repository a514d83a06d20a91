"""Fifty banks at one moment: every bank gets its own delivery, and no receipt or answer crosses to another."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.bank.client import BankClient
from adapters.bank.evidence import Evidence
from adapters.bank.fetch import Fetched, Receiver, fetch_from_gateway
from adapters.bank.inbox import Inbox
from adapters.bank.receipts import RECEIVED, read_envelope
from adapters.bank.sending import send_by_network
from adapters.bank.settings import BankSettings
from adapters.party.home import Home
from audit import envelope
from audit.checkpoint import TlogProof
from gateway.office import catalogue
from gateway.store import deliveries, editions
from tests.flows.test_delivery import deliveries_in, until
from tests.flows.test_rights import entries
from tests.world import OPERATOR, SealedEdition, World, city, receipt_for
from xinyi.checks import delivery_id
from xinyi.errors import ExchangeError, NotAuthenticated, NotEntitled
from xinyi.server import serve
from xinyi.v1 import exchange_pb2, inbox_service_pb2_grpc

PULLING, PUSHED = 42, 8
BANKS = PULLING + PUSHED


@dataclass
class Bank:
    """A bank, and the edition that is meant for it."""

    home: Home
    edition: SealedEdition
    product: str
    #: What the gateway said to receipts that are not this bank's to give.
    refusals: list[ExchangeError] = field(default_factory=list)

    @property
    def delivery_id(self) -> str:
        return delivery_id(self.edition.digest, self.home.party)


async def found(world: World, stack: AsyncExitStack) -> list[Bank]:
    """Every second bank takes another product; eight are dialled, the others come."""
    products = ("grade-a", "grade-all")
    await world.gateway.door.run(lambda x: catalogue.switch(x, products[1], True, OPERATOR))
    sealed = [world.seal(1030 + n, product=product) for n, product in enumerate(products)]
    banks = []
    for number in range(BANKS):
        product = products[number % 2]
        channel, target = exchange_pb2.CHANNEL_PULL, ""
        if number >= PULLING:
            channel, target = exchange_pb2.CHANNEL_PUSH, f"127.0.0.1:{_free_port()}"
        home = await world.bank(
            f"bank-{number}",
            channel,
            target,
            product=product,
            permits=exchange_pb2.DISCLOSURE_CLASS_AGREEMENT,
        )
        if target:
            register = inbox_service_pb2_grpc.add_InboxServiceServicer_to_server
            server, _ = await serve(target, home.tls(), [(register, Inbox(home))])
            stack.push_async_callback(server.stop, 0)
        banks.append(Bank(home, sealed[number % 2], product))
    for edition in sealed:
        await world.publish(edition)
    return banks


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def month(bank: Bank, neighbour: Bank, together: threading.Barrier) -> list[Fetched]:
    """One bank's thread: fetch, claim the neighbour's delivery twice over, confirm."""
    with BankClient(bank.home) as client:
        together.wait(60)
        fetched = fetch_from_gateway(Receiver(bank.home), client, [bank.product])
        package = client.pull(bank.product, b"")
        assert package is not None
        together.wait(60)
        for receipt in _foreign(package, bank.home, neighbour):
            with pytest.raises((NotEntitled, NotAuthenticated)) as refused:
                client.submit(receipt)
            bank.refusals.append(refused.value)
        done, waiting = send_by_network(bank.home, client, wait_s=30)
        assert ([c.stage for c in done], waiting) == (["received"], 0)
    return fetched


def _foreign(package: exchange_pb2.DeliveryPackage, home: Home, neighbour: Bank) -> list[Any]:
    """A receipt of our own for the neighbour's delivery, and one that the neighbour itself sealed."""
    receipt = receipt_for(package, home, RECEIVED, 1_525_000_000_000)
    receipt.delivery_id = neighbour.delivery_id
    theirs = receipt_for(package, neighbour.home, RECEIVED, 1_525_000_000_001)
    return [envelope.seal(receipt, home.signer()), envelope.seal(theirs, neighbour.home.signer())]


def check_own(bank: Bank, world: World) -> None:
    """Everything this bank holds names its own delivery, its own receipt, its own leaf."""
    settings = BankSettings.of(bank.home)
    (path,) = (settings.spool / "ready").iterdir()
    delivery = exchange_pb2.Delivery.FromString(read_envelope(path / "delivery.dsse").payload)
    assert (delivery.recipient, delivery.delivery_id) == (bank.home.party, bank.delivery_id)
    assert [p.read_bytes() for p in sorted(path.glob("chunks/*"))] == bank.edition.chunks
    kept = Evidence(settings.evidence).path / bank.delivery_id
    receipt = read_envelope(kept / "received.dsse")
    answer = envelope.open_sealed(
        read_envelope(kept / "received.acknowledgement.dsse"),
        exchange_pb2.Acknowledgement,
        bank.home.gateway_keyring(),
    )
    assert answer.message.document_digest == envelope.digest(receipt)
    TlogProof.decode((kept / "received.tlog-proof").read_bytes()).verify(
        answer.message.leaf, bank.home.log_key()
    )
    with world.gateway.database.reading() as conn:
        row = deliveries.find_delivery(conn, bank.delivery_id)
        assert row is not None
        assert (row["state"], row["recipient"]) == ("RECEIVED", bank.home.party)
        assert editions.get_document(conn, row["document"]) == read_envelope(path / "delivery.dsse")
        assert deliveries.receipts_of(conn, bank.delivery_id) == [receipt]


async def test_fifty_deliveries_at_once_never_cross(tmp_path: Path, database_url: str) -> None:
    """Two products, two ways, one moment; and every bank tries for its neighbour's delivery besides."""
    async with city(tmp_path, database_url=database_url) as world, AsyncExitStack() as stack:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(BANKS + 16))
        banks = await found(world, stack)
        pulling, pushed = banks[:PULLING], banks[PULLING:]
        together = threading.Barrier(PULLING)
        results = await asyncio.gather(
            *(
                asyncio.to_thread(month, bank, banks[(n + 1) % BANKS], together)
                for n, bank in enumerate(pulling)
            )
        )
        for bank, (fetched,) in zip(pulling, results, strict=True):
            assert (fetched.delivery_id, fetched.product) == (bank.delivery_id, bank.product)
            assert [type(error) for error in bank.refusals] == [NotEntitled, NotAuthenticated]

        async def arrived() -> bool:
            with world.gateway.database.reading() as conn:
                return deliveries_in(conn, "RECEIVED") == BANKS

        await until(arrived, 60)

        def confirm(bank: Bank) -> Any:
            with BankClient(bank.home) as client:
                return send_by_network(bank.home, client, wait_s=30)

        await asyncio.gather(*(asyncio.to_thread(confirm, bank) for bank in pushed))
        for bank in banks:
            check_own(bank, world)
        assert len({bank.delivery_id for bank in banks}) == BANKS
        assert len(entries(world, "delivery.offered")) == BANKS
        received = entries(world, "receipt.received")
        assert {e.delivery_id: e.counterparty for e in received} == {
            bank.delivery_id: bank.home.party for bank in banks
        }
        assert len(received) == BANKS
