"""Deny by default: every reason has its own basis code, is signed, and is logged once."""

from __future__ import annotations

import shutil
import sqlite3
from copy import copy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from audit import envelope
from audit.keys import Keyring
from gateway.app import Gateway
from gateway.office import partners
from gateway.store import deliveries, editions
from tests.chain import Chain
from tests.world import APPROVER, MAKER, OPERATOR, World, city, made_up_records, receipt_for
from xinyi.errors import Conflict, DigestMismatch, HeadConflict, Invalid, NotEntitled, ProofInvalid
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, log_pb2, records_pb2


def entries(world: World, kind: str) -> list[log_pb2.LogEntry]:
    """Openings of one kind, in order of the log."""
    world.gateway.log.sequence()
    with world.gateway.database.reading() as conn:
        head = world.gateway.log.head(conn)
        assert head is not None
        openings = [
            log_pb2.LogEntry.FromString(o) for _, _, _, o in world.gateway.log.openings(conn, 0, head.size)
        ]
    return [entry for entry in openings if entry.kind == kind]


def check_signed(world: World, error: Any) -> None:
    """The refusal that came with the error is sealed by the gateway and names the same basis."""
    sealed = envelope_pb2.Envelope.FromString(error.sealed)
    opened = envelope.open_sealed(sealed, exchange_pb2.Refusal, Keyring([world.gateway.signer.key]))
    assert opened.message.basis == (error.basis or error.code)
    assert len(opened.message.leaf) == 33


@pytest.mark.parametrize(
    ("case", "basis"),
    [
        ("no agreement", "entitlement.missing"),
        ("expired", "agreement.expired"),
        ("not yet", "agreement.not_yet"),
        ("suspended", "partner.suspended"),
        ("terminated", "partner.terminated"),
        ("testing", "partner.testing"),
    ],
)
async def test_a_partner_without_the_right_gets_a_signed_and_logged_refusal(
    tmp_path: Path, case: str, basis: str
) -> None:
    """The same question twice makes one entry, and nothing leaves."""
    async with city(tmp_path) as world:
        await world.publish(world.seal(10))
        holder = "xinyi://test-city/bank-1/machine/main"
        if case in ("no agreement", "testing"):
            bank = await world.admit(holder, "BANK", activate=case != "testing")
        elif case == "expired":
            bank = await world.bank("bank-1", last=date(2018, 12, 31))
        elif case == "not yet":
            bank = await world.bank("bank-1", first=date(2090, 1, 1))
        else:
            bank = await world.bank("bank-1")
            decision = {"suspended": "suspend", "terminated": "terminate"}[case]
            await world.gateway.door.run(lambda x: partners.decide(x, bank.party, decision, "test", OPERATOR))
        for _ in range(2):
            with pytest.raises(NotEntitled) as refused:
                await world.pull(bank)
            assert refused.value.basis == basis
            check_signed(world, refused.value)
        assert [e.detail for e in entries(world, "refused")] == [f"Pull: {basis}: grade-a"]
        assert not entries(world, "delivery.offered")


async def test_a_suspended_bank_may_still_confirm(tmp_path: Path) -> None:
    """Suspension withholds new data; it does not take away the duty to confirm the old."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        await world.gateway.door.run(lambda x: partners.decide(x, bank.party, "suspend", "test", OPERATOR))
        receipt = receipt_for(package, bank, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        assert (await world.confirm(bank, receipt)).message.outcome == "receipt.received"
        with pytest.raises(NotEntitled):
            await world.pull(bank)


async def test_an_edition_that_misses_its_threshold_is_held_until_released_with_a_reason(
    tmp_path: Path,
) -> None:
    """HELD → released by the second person → approved; the reason stands in the log."""
    async with city(tmp_path) as world:
        edition = world.seal(100, rejected=5)
        assert (await world.submit(edition)).message.outcome == "edition.held"
        with pytest.raises(Conflict) as refused:
            await world.approve(edition)
        assert refused.value.basis == "edition.state"
        release = edition_pb2.HoldRelease(
            manifest_digest=edition.digest,
            released_by=APPROVER,
            reason="five rows are known test rows",
            released_at_ms=world.clock(),
        )
        assert (await world.decide(release)).message.outcome == "edition.released"
        assert (await world.approve(edition)).message.outcome == "edition.published"
        assert entries(world, "edition.released")[0].detail == "five rows are known test rows"


async def test_a_list_that_falls_is_held_for_a_person(tmp_path: Path, database_url: str) -> None:
    """A FULL cut off on its way, and a DELTA that says so many are gone; numbers in the log, released or cancelled."""
    async with city(tmp_path, database_url=database_url) as world:
        chain = Chain(world.homes[MAKER])
        await world.publish(chain.full(made_up_records(100)))
        before = copy(chain)
        cut = chain.full(made_up_records(60))
        assert (await world.submit(cut)).message.outcome == "edition.held"
        assert entries(world, "edition.held")[0].detail == (
            "40 of the 100 taxpayers of the edition before are gone: 40.00 %, at most 20.00 %"
        )
        cancellation = edition_pb2.Cancellation(
            manifest_digest=cut.digest, cancelled_by=MAKER, reason="cut off", cancelled_at_ms=world.clock()
        )
        await world.decide(cancellation, MAKER)
        delta = before.delta(gone=[record.taxpayer_id for record in made_up_records(21)])
        assert (await world.submit(delta)).message.outcome == "edition.held"
        release = edition_pb2.HoldRelease(
            manifest_digest=delta.digest, released_by=APPROVER, reason="merged", released_at_ms=world.clock()
        )
        await world.decide(release)
        assert (await world.approve(delta)).message.outcome == "edition.published"


async def test_a_cancelled_edition_frees_its_place_and_a_published_one_cannot_be_cancelled(
    tmp_path: Path,
) -> None:
    """CANCELLED only before publication."""
    async with city(tmp_path) as world:
        first = world.seal(10)
        await world.submit(first)

        def cancellation(digest: bytes) -> edition_pb2.Cancellation:
            return edition_pb2.Cancellation(
                manifest_digest=digest, cancelled_by=MAKER, reason="wrong file", cancelled_at_ms=world.clock()
            )

        assert (await world.decide(cancellation(first.digest), MAKER)).message.outcome == "edition.cancelled"
        second = world.seal(20)
        await world.publish(second)
        with pytest.raises(Conflict) as refused:
            await world.decide(cancellation(second.digest), MAKER)
        assert refused.value.basis == "edition.state"


async def test_stop_halts_what_has_not_arrived_and_keeps_what_has(tmp_path: Path, database_url: str) -> None:
    """After a stop a bank that has the edition keeps it; one that has not gets nothing."""
    async with city(tmp_path, database_url=database_url) as world:
        first, second = await world.bank("bank-1"), await world.bank("bank-2")
        edition = world.seal(10)
        await world.publish(edition)
        package = (await world.pull(first)).package
        await world.confirm(
            first, receipt_for(package, first, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        )
        stop = edition_pb2.Stop(
            manifest_digest=edition.digest,
            stopped_by=APPROVER,
            reason="wrong year",
            stopped_at_ms=world.clock(),
        )
        assert (await world.decide(stop)).message.outcome == "edition.stopped"
        assert (await world.pull(second)).unchanged
        with world.gateway.database.reading() as conn:
            rows = deliveries.deliveries_of_edition(conn, edition.digest)
        assert {row["recipient"]: row["state"] for row in rows} == {
            first.party: "RECEIVED",
            second.party: "STOPPED",
        }


async def test_a_changed_chunk_is_refused_and_nothing_of_it_is_staged(tmp_path: Path) -> None:
    """One byte, in the salt of one record."""
    async with city(tmp_path) as world:
        edition = world.seal(1500)
        data = bytearray(edition.chunks[1])
        data[10] ^= 1
        edition.chunks[1] = bytes(data)
        with pytest.raises((DigestMismatch, ProofInvalid)):
            await world.submit(edition)
        with world.gateway.database.reading() as conn:
            assert editions.staged(conn, edition.digest)[0] == 1


async def test_a_grade_that_is_not_of_the_product_is_refused(tmp_path: Path) -> None:
    """The A list carries A only."""
    async with city(tmp_path) as world:
        with pytest.raises(Invalid) as refused:
            await world.submit(world.seal(10, grade=records_pb2.GRADE_C))
        assert refused.value.basis == "product.grades"


async def test_an_upload_resumes_at_the_first_chunk_that_is_missing(tmp_path: Path) -> None:
    """A cut upload goes on where it was, and the same manifest again gets the stored answer."""
    async with city(tmp_path) as world:
        edition = world.seal(3000)
        whole = list(edition.chunks)
        edition.chunks[2] = b"\x0a\x00"
        with pytest.raises(Exception, match=r"salt|records|chunk"):
            await world.submit(edition)
        edition.chunks[:2] = [b"not sent again", b"not sent again"]
        edition.chunks[2] = whole[2]
        first = await world.submit(edition)
        again = await world.submit(edition)
        assert first.envelope == again.envelope


async def test_the_gateway_refuses_to_start_behind_its_head_store(tmp_path: Path) -> None:
    """Yesterday's database with today's head store is a restored copy: never run it."""
    async with city(tmp_path) as world:
        settings = world.gateway.settings
        world.gateway.log.sequence()
        backup = tmp_path / "backup.db"
        source = sqlite3.connect(tmp_path / "gateway" / "gateway.db")
        copy = sqlite3.connect(backup)
        source.backup(copy)
        source.close()
        copy.close()
        await world.publish(world.seal(10))
        world.gateway.log.sequence()
    for name in ("gateway.db-wal", "gateway.db-shm"):
        (tmp_path / "gateway" / name).unlink(missing_ok=True)
    shutil.copy(backup, tmp_path / "gateway" / "gateway.db")
    with pytest.raises(HeadConflict):
        Gateway(settings)
