"""A changed byte of what travels between a bank and its gateway is refused by the one who receives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from structlog.testing import capture_logs

from adapters.bank.client import BankClient
from adapters.bank.evidence import note_head
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from tests.bank.offers import flipped
from tests.flows.test_repetition import answer, grow, look, submit_receipt
from tests.flows.test_rights import entries
from tests.world import World, city, receipt_for
from xinyi.errors import SignatureInvalid, Unknown, VerificationError
from xinyi.v1 import envelope_pb2, exchange_pb2


@dataclass
class Exchanged:
    """A receipt, its answer with growth proven from the head that the bank holds, and the bank at that moment."""

    world: World
    bank: Home
    receipt: envelope_pb2.Envelope
    answer: exchange_pb2.Answer
    head: bytes


@asynccontextmanager
async def exchanged(path: Path) -> AsyncIterator[Exchanged]:
    async with city(path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        await grow(world, bank)
        head = await look(bank)
        await grow(world, bank)
        stage = exchange_pb2.RECEIPT_STAGE_RECEIVED
        receipt = envelope.seal(receipt_for(package, bank, stage, world.clock()), bank.signer())
        answered = await answer(bank, receipt, submit_receipt)
        assert answered.evidence.consistency
        yield Exchanged(world, bank, receipt, answered, head.note)


async def test_any_changed_byte_of_an_answer_is_refused_by_the_bank(tmp_path: Path) -> None:
    """Acknowledgement, checkpoint and growth, every byte as it arrives; the head stays where it was."""
    async with exchanged(tmp_path) as x:
        state = x.bank.state / "head"
        data = x.answer.SerializeToString(deterministic=True)

        def accept(data: bytes) -> None:
            with GatewayClient(x.bank) as client:
                client.wrap(x.receipt)
                client.accept(exchange_pb2.Answer.FromString(data), x.receipt)

        state.write_bytes(x.head)
        for place in range(len(data)):
            with pytest.raises((VerificationError, DecodeError)):
                accept(flipped(data, place))
            assert state.read_bytes() == x.head
        accept(data)
        assert state.read_bytes() == x.answer.evidence.checkpoint


async def test_any_changed_byte_of_a_head_that_is_shown_is_refused_by_the_bank(tmp_path: Path) -> None:
    """As an offer or a folder brings it, unasked: checkpoint, size and every hash of the growth."""
    async with exchanged(tmp_path) as x:
        state, evidence = x.bank.state / "head", x.answer.evidence
        state.write_bytes(x.head)

        def lies() -> Iterator[exchange_pb2.LogEvidence]:
            for place in range(len(evidence.checkpoint)):
                lie = exchange_pb2.LogEvidence()
                lie.CopyFrom(evidence)
                lie.checkpoint = flipped(evidence.checkpoint, place)
                yield lie
            for number, found in enumerate(evidence.consistency):
                for place in range(len(found)):
                    lie = exchange_pb2.LogEvidence()
                    lie.CopyFrom(evidence)
                    lie.consistency[number] = flipped(found, place)
                    yield lie

        for lie in lies():
            with pytest.raises(VerificationError):
                note_head(x.bank, lie)
            assert state.read_bytes() == x.head
        note_head(x.bank, evidence)
        assert state.read_bytes() == evidence.checkpoint


async def test_any_changed_byte_of_a_receipt_is_refused_by_the_gateway(tmp_path: Path) -> None:
    """Payload, signature and key id, byte by byte: signed, alarmed, and no receipt but the honest one."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        receipt = receipt_for(package, bank, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        honest = envelope.seal(receipt, bank.signer())

        def lies() -> Iterator[envelope_pb2.Envelope]:
            (signature,) = honest.signatures
            for place in range(0, len(honest.payload), 3):
                yield _sealed(flipped(honest.payload, place), signature.keyid, signature.sig)
            for place in range(0, len(signature.sig), 3):
                yield _sealed(honest.payload, signature.keyid, flipped(signature.sig, place))
            for place in range(0, len(signature.keyid), 7):
                keyid = flipped(signature.keyid.encode(), place).decode()
                yield _sealed(honest.payload, keyid, signature.sig)

        def submit() -> int:
            tried = 0
            with BankClient(bank) as client:
                for lie in lies():
                    with pytest.raises(SignatureInvalid) as refused:
                        client.submit(lie)
                    refusal = open_refusal(client.home, refused.value.sealed)
                    assert refusal.basis == "verification.signature"
                    tried += 1
            return tried

        with capture_logs() as logs:
            tried = await asyncio.to_thread(submit)
        assert tried > 100
        assert [line["event"] for line in logs].count("alarm.verification") == tried
        assert entries(world, "receipt.received") == []
        assert (await world.confirm(bank, receipt)).message.outcome == "receipt.received"


def open_refusal(home: Home, sealed: bytes) -> exchange_pb2.Refusal:
    given = envelope_pb2.Envelope.FromString(sealed)
    return envelope.open_sealed(given, exchange_pb2.Refusal, home.gateway_keyring()).message


def _sealed(payload: bytes, keyid: str, sig: bytes) -> envelope_pb2.Envelope:
    return envelope_pb2.Envelope(
        payload=payload,
        payload_type=envelope.payload_type(exchange_pb2.DeliveryReceipt),
        signatures=[envelope_pb2.Signature(keyid=keyid, sig=sig)],
    )


async def test_any_changed_byte_of_a_leaf_is_nobodys_leaf(tmp_path: Path) -> None:
    """The gateway knows no such leaf, and the bank takes no proof of another one for it."""
    async with exchanged(tmp_path) as x:
        acknowledgement = exchange_pb2.Acknowledgement.FromString(x.answer.acknowledgement.payload)

        def prove() -> None:
            with BankClient(x.bank) as client:
                proof = client.prove(acknowledgement.leaf, wait_s=10)
                assert proof is not None
                for place in range(33):
                    leaf = flipped(acknowledgement.leaf, place)
                    with pytest.raises(Unknown):
                        client.prove(leaf, wait_s=0)
                    with pytest.raises(VerificationError):
                        proof.verify(leaf, x.bank.log_key())

        await asyncio.to_thread(prove)
