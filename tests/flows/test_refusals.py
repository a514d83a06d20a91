"""Refusals: each is signed, different ones are told apart, and no caller fills the log or writes into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from structlog.testing import capture_logs

from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver, fetch_from_gateway
from adapters.bank.receipts import read_envelope
from adapters.bank.sending import send_by_network
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from audit.log import log_checkpoints, log_entries
from audit.verification.policy import Limits
from gateway.office import partners
from tests.flows.days import Days
from tests.flows.parties import Bank
from tests.flows.test_rights import check_signed, entries
from tests.world import APPROVER, AUDITOR, MAKER, OPERATOR, World, city, receipt_for
from xinyi.channel import errors_restored
from xinyi.errors import (
    Conflict,
    EncodingInvalid,
    ExchangeError,
    Invalid,
    NotEntitled,
    Refused,
    SignatureInvalid,
    TooManyRequests,
    Unavailable,
    Unknown,
)
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, feed_service_pb2, log_pb2, log_service_pb2
from xinyi.v1 import publication_service_pb2 as publication_pb2
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub
from xinyi.v1.log_service_pb2_grpc import LogServiceStub
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

RECEIVED, APPLIED = exchange_pb2.RECEIPT_STAGE_RECEIVED, exchange_pb2.RECEIPT_STAGE_APPLIED


async def ask(home: Home, call: Callable[[GatewayClient], Any]) -> Any:
    """A call of this party, whatever it is."""

    def run() -> Any:
        with GatewayClient(home) as client, errors_restored():
            return call(client)

    return await asyncio.to_thread(run)


def refusal_of(error: ExchangeError) -> exchange_pb2.Refusal:
    return exchange_pb2.Refusal.FromString(envelope_pb2.Envelope.FromString(error.sealed).payload)


async def test_a_second_receipt_is_refused_by_its_own_name(tmp_path: Path) -> None:
    """Two different documents of one day: two entries, each refusal names the leaf of its own, and an alarm."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        await world.confirm(bank, receipt_for(package, bank, RECEIVED, world.clock()))
        refused = []
        with capture_logs() as said:
            for later in (1, 2, 2):
                receipt = receipt_for(package, bank, RECEIVED, world.clock())
                receipt.signed_at_ms = 1_800_000_000_000 + later
                with pytest.raises(Conflict) as error:
                    await world.confirm(bank, receipt)
                assert error.value.basis == "receipt.conflict"
                check_signed(world, error.value)
                refused.append(refusal_of(error.value))
        logged = entries(world, "refused")
        assert [list(entry.documents) for entry in logged] == [[r.document_digest] for r in refused[:2]]
        assert refused[0].leaf != refused[1].leaf == refused[2].leaf
        assert all(e.detail.endswith(e.documents[0].hex()) and e.code == "conflict.content" for e in logged)
        assert [event["event"] for event in said].count("alarm.contradiction") == 3


async def test_a_receipt_out_of_its_time_is_refused(tmp_path: Path, database_url: str) -> None:
    """Before the Delivery, or in the future, by more than clocks may differ."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        offered_ms = exchange_pb2.Delivery.FromString(package.delivery.payload).offered_at_ms
        world.clock.advance(days=1)
        minute, now_ms = 60_000, world.clock()

        async def refuse(stage: exchange_pb2.ReceiptStage, signed_at_ms: int) -> None:
            with pytest.raises(Invalid) as error:
                await world.confirm(bank, receipt_for(package, bank, stage, signed_at_ms))
            assert error.value.basis == "receipt.time"
            assert "clock" in error.value.explanation
            check_signed(world, error.value)

        await refuse(RECEIVED, offered_ms - 7 * 1440 * minute)
        await refuse(RECEIVED, now_ms + 10 * minute)
        await world.confirm(bank, receipt_for(package, bank, RECEIVED, now_ms + 2 * minute))
        assert len(entries(world, "refused")) == 2


async def test_what_a_bank_signed_by_a_wrong_clock_it_signs_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one that is behind the Delivery it signs nothing; by one that was ahead, once more where it was refused."""
    async with city(tmp_path) as world:
        days, bank = Days(monkeypatch), Bank(await world.bank("bank-1"))
        await world.publish(world.seal(10))
        receiver = Receiver(bank.home)

        def fetch() -> None:
            with BankClient(bank.home) as client:
                fetch_from_gateway(receiver, client, ["grade-a"])

        def confirm() -> int:
            with BankClient(bank.home) as client:
                return send_by_network(bank.home, client, wait_s=0)[1]

        world.clock.advance(days=7)
        with pytest.raises(Unavailable) as behind:
            await asyncio.to_thread(fetch)
        assert behind.value.basis == "clock"
        assert "set the clock" in behind.value.explanation
        assert receiver.receipts.waiting() == []
        days.advance(hours=168)
        world.clock.advance(days=-7)
        await asyncio.to_thread(fetch)
        days.advance(hours=-48)
        with pytest.raises(Unavailable):
            await asyncio.to_thread(bank.landing().land_all)
        assert bank.shown() == {}
        days.advance(hours=96)
        assert len(await asyncio.to_thread(bank.landing().land_all)) == 1
        days.advance(hours=-48)
        assert await asyncio.to_thread(confirm) == 0
        assert len(entries(world, "refused")) == 2
        assert [len(entries(world, f"receipt.{stage}")) for stage in ("received", "accepted", "applied")] == [1, 1, 1]
        receipts = [exchange_pb2.DeliveryReceipt.FromString(read_envelope(path).payload)
                    for path in (bank.home.path / "spool/sent").glob("*.dsse")]  # fmt: skip
        assert len(receipts) == 3
        assert max(abs(receipt.signed_at_ms - world.clock()) for receipt in receipts) < 300_000
        assert (await bank.call()).level == 1


async def test_what_a_caller_says_does_not_enter_the_log(tmp_path: Path) -> None:
    """Ids that are none, however long, and products that are none: the entry holds none of it."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        said = "91360100123456789X" * 50_000
        calls: list[tuple[type[ExchangeError], Callable[[GatewayClient], Any]]] = [
            (
                NotEntitled,
                lambda c: list(
                    FeedServiceStub(c.channel).FetchChunks(
                        feed_service_pb2.FetchChunksRequest(delivery_id=said)
                    )
                ),
            ),
            (
                Unknown,
                lambda c: PublicationServiceStub(c.channel).PutChunks(
                    iter([publication_pb2.PutChunksRequest(manifest_digest=said.encode())])
                ),
            ),
            (
                Unknown,
                lambda c: LogServiceStub(c.channel).ProveInclusion(
                    log_service_pb2.ProveInclusionRequest(leaf=said.encode())
                ),
            ),
            (
                EncodingInvalid,
                lambda c: FeedServiceStub(c.channel).SubmitReceipt(
                    feed_service_pb2.SubmitReceiptRequest(
                        call=exchange_pb2.Call(document=envelope_pb2.Envelope(payload_type=said[:100]))
                    )
                ),
            ),
        ]
        for kind, call in calls:
            with pytest.raises(kind) as error:
                await ask(bank, call)
            check_signed(world, error.value)
            assert said[:18] not in refusal_of(error.value).explanation
        with pytest.raises(NotEntitled):
            await world.pull(bank, product="91360100123456789")
        logged = entries(world, "refused")
        assert len(logged) == 5
        assert not any("9136010012345" in str(entry) for entry in logged)
        assert max(entry.ByteSize() for entry in logged) < 400 < Limits().line_bytes


async def test_another_partys_delivery_is_refused_and_logged_by_its_id(tmp_path: Path) -> None:
    """For every call that names one: who asked for what stands in the log."""
    async with city(tmp_path) as world:
        first, second = await world.bank("bank-1"), await world.bank("bank-2")
        await world.publish(world.seal(10))
        package = (await world.pull(first)).package
        delivery = exchange_pb2.Delivery.FromString(package.delivery.payload).delivery_id
        with pytest.raises(NotEntitled):
            await world.fetch(second, delivery)
        with pytest.raises(NotEntitled) as error:
            await world.confirm(second, receipt_for(package, second, RECEIVED, world.clock()))
        assert error.value.basis == "delivery.recipient"
        fetched, confirmed = entries(world, "refused")
        assert fetched.detail == f"FetchChunks: delivery.recipient: {delivery}"
        assert confirmed.detail == f"SubmitReceipt: delivery.recipient: {confirmed.documents[0].hex()}"
        assert {fetched.actor, confirmed.actor} == {second.settings.holder}


async def test_a_suspended_bank_gets_no_chunks_and_an_unknown_one_confirms_nothing(tmp_path: Path) -> None:
    """Rights are decided in every call, not in the pull alone."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        delivery = exchange_pb2.Delivery.FromString(package.delivery.payload).delivery_id
        await world.gateway.door.run(lambda x: partners.decide(x, bank.party, "suspend", "test", OPERATOR))
        with pytest.raises(NotEntitled) as error:
            await world.fetch(bank, delivery)
        assert error.value.basis == "partner.suspended"
        check_signed(world, error.value)
        testing = await world.admit("xinyi://test-city/bank-9/machine/main", "BANK", activate=False)
        with pytest.raises(NotEntitled) as error:
            await world.confirm(testing, receipt_for(package, testing, RECEIVED, world.clock()))
        assert error.value.basis == "partner.testing"
        check_signed(world, error.value)


async def test_every_refusal_is_signed(tmp_path: Path) -> None:
    """Looks at the log's proofs and an empty stream of chunks as well."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        auditor = await world.admit(AUDITOR, "AUDITOR")
        query = exchange_pb2.LogQuery(
            asked_by=MAKER, purpose="x", requested_at_ms=world.clock(), nonce=bytes(16)
        )
        refused: list[tuple[Home, Callable[[GatewayClient], Any]]] = [
            (
                bank,
                lambda c: LogServiceStub(c.channel).ProveInclusion(
                    log_service_pb2.ProveInclusionRequest(leaf=bytes(33))
                ),
            ),
            (
                bank,
                lambda c: LogServiceStub(c.channel).ProveConsistency(
                    log_service_pb2.ProveConsistencyRequest(from_size=1 << 40)
                ),
            ),
            (
                world.homes[MAKER],
                lambda c: PublicationServiceStub(c.channel).PutChunks(iter([])),
            ),
            (
                bank,
                lambda c: PublicationServiceStub(c.channel).ListEditions(
                    publication_pb2.ListEditionsRequest()
                ),
            ),
            (
                auditor,
                lambda c: list(
                    LogServiceStub(c.channel).QueryEntries(
                        log_service_pb2.QueryEntriesRequest(call=c.call(query))
                    )
                ),
            ),
        ]
        for home, call in refused:
            with pytest.raises(Refused) as error:
                await ask(home, call)
            check_signed(world, error.value)
        assert len(entries(world, "refused")) == len(refused)
        assert all(entry.code for entry in entries(world, "refused"))


async def test_beyond_the_days_measure_refusals_are_counted_not_signed(tmp_path: Path) -> None:
    """Of one party; another's are signed as ever, and so is whatever is asked for by right."""
    async with city(tmp_path) as world:
        first, second = await world.bank("bank-1"), await world.bank("bank-2")
        world.gateway.reception.refusals.a_day = 3
        with capture_logs() as said:
            for n in range(7):
                with pytest.raises(NotEntitled if n < 3 else TooManyRequests) as error:
                    await world.fetch(first, f"{n:064x}")
                assert bool(error.value.sealed) is (n < 3)
        assert [event["event"] for event in said].count("alarm.too_many_refusals") == 1
        with pytest.raises(NotEntitled):
            await world.fetch(second, "0" * 64)
        assert (await world.pull(first)).unchanged
        assert len(entries(world, "refused")) == 4
        world.clock.advance(days=1)
        await world.gateway.reception.refusals.close_days()
        await world.gateway.reception.refusals.close_days()
        closing = entries(world, "refused.counted")
        assert [(e.counterparty, e.code) for e in closing] == [(first.party, "too_many_requests")]
        assert "4 more were not signed" in closing[0].detail
        with pytest.raises(NotEntitled):
            await world.fetch(first, "0" * 64)


@pytest.mark.parametrize(
    ("change", "kind", "basis"),
    [
        ({"root": bytes(32)}, Invalid, "receipt.root"),
        ({"accepted": 9}, Invalid, "receipt.counts"),
        ({"delivery_digest": bytes(32)}, Invalid, "receipt.delivery_digest"),
        ({"manifest_digest": bytes(32)}, Invalid, "receipt.manifest_digest"),
        ({"stage": APPLIED}, Conflict, "receipt.stage"),
        ({"delivery_id": "0" * 64}, Unknown, "delivery.unknown"),
    ],
)
async def test_a_receipt_for_something_else_is_refused(
    tmp_path: Path, change: dict[str, Any], kind: type[ExchangeError], basis: str
) -> None:
    """Wrong root, counts, delivery, edition, order of stages: the delivery stays as it was."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        receipt = receipt_for((await world.pull(bank)).package, bank, RECEIVED, world.clock())
        for name, value in change.items():
            setattr(receipt, name, value)
        with pytest.raises(kind) as error:
            await world.confirm(bank, receipt)
        assert error.value.basis == basis
        check_signed(world, error.value)
        assert [e.code for e in entries(world, "refused")] == [kind.code]
        assert not entries(world, "receipt.received")


async def test_a_receipt_that_was_tampered_with_is_an_alarm(tmp_path: Path) -> None:
    """One changed byte, or another party's seal: nothing of it is kept or quoted."""
    async with city(tmp_path) as world:
        bank, other = await world.bank("bank-1"), await world.bank("bank-2")
        await world.publish(world.seal(10))
        receipt = receipt_for((await world.pull(bank)).package, bank, RECEIVED, world.clock())
        changed = envelope.seal(receipt, bank.signer())
        changed.payload = changed.payload[:-1] + bytes([changed.payload[-1] ^ 1])
        lies = [(changed, SignatureInvalid), (envelope.seal(receipt, other.signer()), Refused)]
        with capture_logs() as said:
            for sealed, kind in lies:
                request = feed_service_pb2.SubmitReceiptRequest(call=exchange_pb2.Call(document=sealed))
                with pytest.raises(kind) as error:
                    await ask(bank, lambda c, r=request: FeedServiceStub(c.channel).SubmitReceipt(r))  # type: ignore[misc]
                check_signed(world, error.value)
        assert [event["event"] for event in said].count("alarm.verification") == 1
        assert [list(e.documents) for e in entries(world, "refused")] == [[], []]


async def test_a_proof_says_how_far_an_entry_is(tmp_path: Path) -> None:
    """Pending, integrated without a proof, published with one."""
    async with city(tmp_path) as world:
        edition = world.seal(10)
        leaf = (await world.submit(edition)).message.leaf
        request = log_service_pb2.ProveInclusionRequest(leaf=leaf)

        async def state() -> int:
            answer = await ask(
                world.homes[APPROVER], lambda c: LogServiceStub(c.channel).ProveInclusion(request)
            )
            assert (answer.index > 0) is (answer.state != log_pb2.ENTRY_STATE_PENDING)
            assert bool(answer.checkpoint) is (answer.state == log_pb2.ENTRY_STATE_PUBLISHED)
            return int(answer.state)

        world.gateway.log.sequence()
        assert await state() == log_pb2.ENTRY_STATE_PUBLISHED
        hold_back(world, integrated=True)
        assert await state() == log_pb2.ENTRY_STATE_INTEGRATED
        hold_back(world, integrated=False)
        assert await state() == log_pb2.ENTRY_STATE_PENDING
        assert edition_pb2.Manifest.FromString(edition.manifest.payload).record_count == 10


def hold_back(world: World, *, integrated: bool) -> None:
    """As if the sequencer had not come so far; it thinks it has, and leaves it so."""
    with world.gateway.database.writing() as conn:
        newest = conn.execute(select(log_entries.c.position).order_by(log_entries.c.position.desc())).scalar()
        conn.execute(delete(log_checkpoints).where(log_checkpoints.c.size > newest))
        if not integrated:
            world.gateway.log.sequence = lambda limit=0: None  # type: ignore[method-assign]
            conn.execute(update(log_entries).where(log_entries.c.position == newest).values(position=None))
