"""A bank pulls: the first month end to end, and what is refused on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import envelope
from audit.checkpoint import TlogProof
from tests.world import APPROVER, MAKER, city, receipt_for
from xinyi.errors import Conflict, NotEntitled
from xinyi.v1 import edition_pb2, exchange_pb2


async def test_published_edition_reaches_a_pulling_bank_and_its_receipts_come_back(
    tmp_path: Path, database_url: str
) -> None:
    """publish → approve → pull → receipt → log, on SQLite and on PostgreSQL."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(2500)
        submitted = await world.submit(edition)
        assert submitted.message.outcome == "edition.ready"
        assert (await world.pull(bank)).unchanged
        assert (await world.approve(edition)).message.outcome == "edition.published"

        response = await world.pull(bank)
        delivery = exchange_pb2.Delivery.FromString(response.package.delivery.payload)
        assert envelope.digest(response.package.manifest) == edition.digest
        assert await world.fetch(bank, delivery.delivery_id) == edition.chunks
        assert await world.fetch(bank, delivery.delivery_id, 2) == edition.chunks[2:]
        for stage, outcome in (
            (exchange_pb2.RECEIPT_STAGE_RECEIVED, "receipt.received"),
            (exchange_pb2.RECEIPT_STAGE_ACCEPTED, "receipt.accepted"),
            (exchange_pb2.RECEIPT_STAGE_APPLIED, "receipt.applied"),
        ):
            receipt = receipt_for(response.package, bank, stage, world.clock())
            first = await world.confirm(bank, receipt)
            again = await world.confirm(bank, receipt)
            assert first.message.outcome == outcome
            assert first.envelope == again.envelope, "an honest retry gets the stored answer"
        assert (await world.pull(bank, edition.digest)).unchanged
        world.gateway.log.sequence()
        with world.gateway.database.reading() as conn:
            proof = world.gateway.log.prove(conn, first.message.leaf)
        assert proof is not None
        TlogProof(proof.index, tuple(proof.proof), proof.note).verify(
            first.message.leaf, world.gateway.log.key
        )


async def test_who_published_cannot_approve(tmp_path: Path) -> None:
    """The second person is a rule of the gateway, not a habit; the refusal is signed."""
    async with city(tmp_path) as world:
        edition = world.seal(10)
        await world.submit(edition)
        with pytest.raises(NotEntitled) as refused:
            await world.approve(edition, MAKER)
        assert refused.value.basis == "approval.second_person"
        assert refused.value.sealed


async def test_who_sealed_the_manifest_along_cannot_approve(tmp_path: Path) -> None:
    """A co-signer is no second person, under whichever key: every bank would refuse the edition."""
    async with city(tmp_path) as world:
        edition = world.seal(10)
        manifest = edition_pb2.Manifest.FromString(edition.manifest.payload)
        edition.manifest = envelope.seal(manifest, *(world.homes[p].signer() for p in (MAKER, APPROVER)))
        await world.submit(edition)
        with pytest.raises(NotEntitled) as refused:
            await world.approve(edition)
        assert refused.value.basis == "approval.second_person"


async def test_another_banks_delivery_is_refused(tmp_path: Path) -> None:
    """A bank learns nothing of another's delivery, not even that it exists."""
    async with city(tmp_path) as world:
        first, second = await world.bank("bank-1"), await world.bank("bank-2")
        await world.publish(world.seal(10))
        delivery = exchange_pb2.Delivery.FromString((await world.pull(first)).package.delivery.payload)
        with pytest.raises(NotEntitled) as refused:
            await world.fetch(second, delivery.delivery_id)
        assert refused.value.basis == "delivery.recipient"
        assert refused.value.sealed


async def test_an_edition_out_of_sequence_is_refused(tmp_path: Path) -> None:
    """Every edition names its predecessor; a gap or a fork is refused."""
    async with city(tmp_path) as world:
        await world.publish(world.seal(10))
        with pytest.raises(Conflict) as refused:
            await world.submit(world.seal(10, month=2, sequence=2, predecessor=b"\7" * 32))
        assert refused.value.basis == "edition.sequence"
        assert APPROVER in world.homes
