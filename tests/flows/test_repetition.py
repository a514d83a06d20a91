"""The same again, and another thing in its place: one gets the stored answer, the other an alarm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.auditor.client import LogClient
from adapters.bank.client import BankClient
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import checkpoint, envelope
from tests.flows.test_rights import check_signed, entries
from tests.world import APPROVER, MAKER, World, approval, city, receipt_for
from xinyi.channel import errors_restored
from xinyi.errors import Contradiction
from xinyi.v1 import envelope_pb2, exchange_pb2
from xinyi.v1 import feed_service_pb2 as feed
from xinyi.v1 import publication_service_pb2 as publication
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

RECEIVED = exchange_pb2.RECEIPT_STAGE_RECEIVED

Send = Callable[[GatewayClient, exchange_pb2.Call], exchange_pb2.Answer]


def submit_receipt(client: GatewayClient, call: exchange_pb2.Call) -> exchange_pb2.Answer:
    return FeedServiceStub(client.channel).SubmitReceipt(feed.SubmitReceiptRequest(call=call)).answer


def decide(client: GatewayClient, call: exchange_pb2.Call) -> exchange_pb2.Answer:
    stub = PublicationServiceStub(client.channel)
    return stub.DecideEdition(publication.DecideEditionRequest(call=call)).answer


def commit(client: GatewayClient, call: exchange_pb2.Call) -> exchange_pb2.Answer:
    stub = PublicationServiceStub(client.channel)
    return stub.CommitEdition(publication.CommitEditionRequest(call=call)).answer


async def answer(home: Home, document: envelope_pb2.Envelope, send: Send) -> exchange_pb2.Answer:
    """The raw answer to a document, once the party itself has accepted it."""

    def run() -> exchange_pb2.Answer:
        with GatewayClient(home) as client, errors_restored():
            answered = send(client, client.wrap(document))
            client.accept(answered, document)
            return answered

    return await asyncio.to_thread(run)


async def look(home: Home) -> checkpoint.Checkpoint:
    """The party takes the log's newest head."""

    def run() -> checkpoint.Checkpoint:
        with GatewayClient(home) as client:
            return LogClient(client).checkpoint()

    return await asyncio.to_thread(run)


async def grow(world: World, by: Home) -> None:
    """The log goes on without this party."""
    await world.gateway.door.run(lambda x: x.log("partner.noted", actor=by.settings.holder))
    world.gateway.log.sequence()


@pytest.mark.parametrize("what", ["manifest", "approval", "receipt"])
async def test_a_retry_with_a_newer_head_gets_the_stored_answer(
    tmp_path: Path, database_url: str, what: str
) -> None:
    """The acknowledgement byte for byte, and beside it growth proven from the newer head on."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(10)
        await world.submit(edition)
        approved = envelope.seal(approval(edition, APPROVER, world.clock()), world.homes[APPROVER].signer())
        documents: dict[str, tuple[Home, envelope_pb2.Envelope, Send]] = {
            "manifest": (world.homes[MAKER], edition.manifest, commit),
            "approval": (world.homes[APPROVER], approved, decide),
        }
        if what == "receipt":
            await answer(*documents["approval"])
            package = (await world.pull(bank)).package
            receipt = envelope.seal(receipt_for(package, bank, RECEIVED, world.clock()), bank.signer())
            documents["receipt"] = (bank, receipt, submit_receipt)
        home, document, send = documents[what]
        first = await answer(home, document, send)
        await grow(world, home)
        newer = await look(home)
        await grow(world, home)
        again = await answer(home, document, send)
        assert again.acknowledgement == first.acknowledgement
        assert again.acknowledgement.SerializeToString() == first.acknowledgement.SerializeToString()
        assert again.evidence.from_size == newer.size > first.evidence.from_size
        head = checkpoint.verify(again.evidence.checkpoint, home.log_key())
        assert head.size > newer.size
        checkpoint.check_newer(newer, head, again.evidence.consistency)
        assert home.head() == head
        kinds = {"manifest": "edition.ready", "approval": "edition.published", "receipt": "receipt.received"}
        assert len(entries(world, kinds[what])) == 1


async def test_a_receipt_sealed_anew_by_the_same_key_is_the_same_receipt(tmp_path: Path) -> None:
    """The document is judged, not its signature: a second seal over the same bytes is no second receipt."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        receipt = receipt_for((await world.pull(bank)).package, bank, RECEIVED, world.clock())
        once, twice = (envelope.seal(receipt, bank.signer()) for _ in range(2))
        twice.signatures.append(envelope_pb2.Signature(keyid="0" * 64, sig=b"of nobody known here"))
        first = await answer(bank, once, submit_receipt)
        assert (await answer(bank, twice, submit_receipt)).acknowledgement == first.acknowledgement


async def refused(world: World, attempt: Callable[[], Any], basis: str) -> None:
    """Twice: signed, logged once, alarmed each time."""
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(Contradiction) as error:
                await attempt()
            assert error.value.basis == basis
            check_signed(world, error.value)
    alarms = [line for line in logs if line["event"].startswith("alarm.")]
    assert [(line["event"], line["basis"], line["log_level"]) for line in alarms] == [
        ("alarm.contradiction", basis, "error")
    ] * 2
    assert [e.detail.split(": ")[1] for e in entries(world, "refused")] == [basis]


async def test_a_second_receipt_of_one_stage_is_refused_and_alarmed(
    tmp_path: Path, database_url: str
) -> None:
    """The first one stands; what the bank says now contradicts what it signed."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        first = receipt_for(package, bank, RECEIVED, world.clock())
        await world.confirm(bank, first)
        second = receipt_for(package, bank, RECEIVED, world.clock() + 1)
        await refused(world, lambda: world.confirm(bank, second), "receipt.conflict")
        (entry,) = entries(world, "receipt.received")
        assert list(entry.documents) == [envelope.digest(envelope.seal(first, bank.signer()))]


@pytest.mark.parametrize("state", ["READY", "PUBLISHED"])
async def test_another_manifest_in_one_place_is_refused_and_alarmed(tmp_path: Path, state: str) -> None:
    """One edition per number, whether the first is decided on yet or not."""
    async with city(tmp_path) as world:
        first, other = world.seal(10), world.seal(11)
        await world.submit(first)
        if state == "PUBLISHED":
            await world.approve(first)
        await refused(world, lambda: world.submit(other), "edition.conflict")
        assert len(entries(world, "edition.ready")) == 1


async def test_two_receipts_at_the_same_moment_leave_one(tmp_path: Path, database_url: str) -> None:
    """Whichever comes first is taken, all others are refused; the bank's own retry is none of them."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        now = world.clock()
        sealed = [
            envelope.seal(receipt_for(package, bank, RECEIVED, now + n // 2), bank.signer()) for n in range(8)
        ]

        def submit(receipt: envelope_pb2.Envelope) -> Any:
            with BankClient(bank) as client:
                return client.submit(receipt)

        results = await asyncio.gather(
            *(asyncio.to_thread(submit, receipt) for receipt in sealed), return_exceptions=True
        )
        taken = [r for r in results if isinstance(r, envelope.Opened)]
        assert len(taken) == 2
        assert taken[0].envelope == taken[1].envelope
        assert {type(r) for r in results if r not in taken} == {Contradiction}
        assert len(entries(world, "receipt.received")) == 1
