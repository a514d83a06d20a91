"""A gateway whose operator offers what the bureau never approved: each bank refuses it by itself, on every way.

The gateway is the real one under its real keys; only its own rules are passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select, update
from structlog.testing import capture_logs

from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver, fetch_from_gateway
from adapters.bank.folder import Folder
from adapters.bank.settings import BankSettings
from adapters.party.home import Home
from audit import envelope
from gateway import delivery
from gateway.exchange import Exchange
from gateway.store import deliveries, editions, tables
from tests.flows.test_delivery import deliveries_in, inbox, until
from tests.world import APPROVER, MAKER, SealedEdition, World, approval, city
from xinyi.errors import VerificationError
from xinyi.v1 import envelope_pb2, exchange_pb2

Lie = Callable[[World, SealedEdition], envelope_pb2.Envelope]


def by_the_publisher(world: World, edition: SealedEdition) -> envelope_pb2.Envelope:
    return envelope.seal(approval(edition, MAKER, world.clock()), world.homes[MAKER].signer())


def in_the_approvers_name(world: World, edition: SealedEdition) -> envelope_pb2.Envelope:
    """By the publisher's hand."""
    return envelope.seal(approval(edition, APPROVER, world.clock()), world.homes[MAKER].signer())


def by_the_gateway(world: World, edition: SealedEdition) -> envelope_pb2.Envelope:
    return envelope.seal(approval(edition, APPROVER, world.clock()), world.gateway.signer)


def of_another_edition(world: World, edition: SealedEdition) -> envelope_pb2.Envelope:
    other = world.seal(5)
    return envelope.seal(approval(other, APPROVER, world.clock()), world.homes[APPROVER].signer())


def none_at_all(world: World, edition: SealedEdition) -> envelope_pb2.Envelope:
    return envelope_pb2.Envelope()


def of_other_records(world: World, edition: SealedEdition) -> envelope_pb2.Envelope:
    """Honest, but a record was changed behind it."""
    with world.gateway.database.writing() as conn:
        chunk = tables.chunks.c
        data = conn.execute(select(chunk.data).where(chunk.manifest_digest == edition.digest)).scalar_one()
        changed = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        conn.execute(
            update(tables.chunks).where(chunk.manifest_digest == edition.digest).values(data=changed)
        )
    return envelope.seal(approval(edition, APPROVER, world.clock()), world.homes[APPROVER].signer())


#: What the bank calls each lie.
LIES: dict[Lie, str] = {
    by_the_publisher: "approval.same_person",
    in_the_approvers_name: "approval.signer",
    by_the_gateway: "approval.seal",
    of_another_edition: "approval.manifest",
    none_at_all: "approval.seal",
    of_other_records: "chunk",
}


async def publish(world: World, edition: SealedEdition, decided: envelope_pb2.Envelope) -> None:
    """What the operator does without the bureau."""

    def work(x: Exchange) -> None:
        row = editions.find_edition(x.conn, edition.digest)
        assert row is not None
        digest = x.document(decided)
        x.replace(tables.editions, row | {"state": "PUBLISHED", "approval": digest})
        delivery.queue_for_entitled(x, row)
        x.log("edition.published", actor=APPROVER, manifest_digest=edition.digest, documents=[digest])

    await world.gateway.door.run(work)


async def pulled(bank: Home) -> str:
    """What a pulling bank calls the newest edition."""

    def run() -> str:
        with BankClient(bank) as client:
            try:
                fetch_from_gateway(Receiver(bank), client, ["grade-a"])
            except VerificationError as error:
                return error.basis
        return ""

    return await asyncio.to_thread(run)


async def carried(bank: Home, folder: Path) -> dict[str, str]:
    """Delivery id → what a bank with a folder calls it."""

    def run() -> dict[str, str]:
        receiver, found = Receiver(bank), {}
        for offer in Folder(folder).offers():
            try:
                receiver.receive(offer.package(), offer.chunks)
                found[offer.edition.delivery_id] = ""
            except VerificationError as error:
                found[offer.edition.delivery_id] = error.basis
        return found

    return await asyncio.to_thread(run)


def held(bank: Home) -> list[str]:
    """Whatever of an edition the bank took, signed or kept as evidence."""
    settings = BankSettings.of(bank)
    places = ("incoming/*/chunks/*.chunk", "ready/*", "landed/*", "outbox/*", "sent/*", "held/*")
    found = [path for place in places for path in settings.spool.glob(place)]
    return [path.name for path in (*found, *settings.evidence.glob("*"))]


async def test_no_bank_takes_what_was_not_approved(tmp_path: Path, free_port: int) -> None:
    """By inbox, pull and folder: refused under the name of what is wrong, nothing kept, the inbox alarms."""
    folder = tmp_path / "front-end-node"
    async with city(tmp_path) as world:
        push = await world.bank("bank-1", exchange_pb2.CHANNEL_PUSH, f"127.0.0.1:{free_port}")
        pull = await world.bank("bank-2")
        carry = await world.bank("bank-3", exchange_pb2.CHANNEL_FOLDER, str(folder))
        told: dict[bytes, str] = {}
        predecessor = b""
        with capture_logs() as logs:
            async with inbox(push, free_port):
                for number, (lie, basis) in enumerate(LIES.items(), 1):
                    edition = world.seal(20, month=number, sequence=number, predecessor=predecessor)
                    await world.submit(edition)
                    await publish(world, edition, lie(world, edition))
                    told[edition.digest], predecessor = basis, edition.digest
                    assert await pulled(pull) == basis

                async def ended() -> bool:
                    with world.gateway.database.reading() as conn:
                        dead = deliveries_in(conn, "DEAD")
                    written = list((folder / "outgoing").glob("*.complete"))
                    return dead == len(written) == len(LIES)

                await until(ended, 40)
        with world.gateway.database.reading() as conn:
            rows = [row for digest in told for row in deliveries.deliveries_of_edition(conn, digest)]
        pushed = {row["manifest_digest"]: row["last_error"] for row in rows if row["recipient"] == push.party}
        assert pushed == told
        alarms = [line.get("basis") for line in logs if line["event"] == "alarm.verification"]
        assert sorted(filter(None, alarms)) == sorted(told.values())
        ids = {
            row["delivery_id"]: told[row["manifest_digest"]] for row in rows if row["target"] == str(folder)
        }
        assert await carried(carry, folder) == ids
        assert [held(bank) for bank in (push, pull, carry)] == [[], [], []]
