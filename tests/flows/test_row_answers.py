"""Rows that did not become records are answered for, one by one, by a person of the bureau."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from adapters.party.gateway import GatewayClient
from gateway.store import tables
from proto.vectors.make import uscc
from tests.flows.test_rights import check_signed, entries
from tests.world import APPROVER, MAKER, World, city
from xinyi.channel import errors_restored
from xinyi.errors import Conflict, Invalid, NotEntitled, Unknown
from xinyi.v1 import edition_pb2, publication_service_pb2
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub


def answer(world: World, document: bytes, *rows: int, person: str = MAKER) -> edition_pb2.RowAnswer:
    return edition_pb2.RowAnswer(
        manifest_digest=document,
        rows=rows,
        outcome=edition_pb2.ROW_ANSWER_OUTCOME_MENDED,
        reason="numbers were cut by a spreadsheet",
        answered_by=person,
        answered_at_ms=world.clock(),
    )


async def answered(world: World, document: bytes) -> list[list[int]]:
    """Rows of each answer that ListEditions shows, in its order."""

    def run() -> Any:
        with GatewayClient(world.homes[MAKER]) as client, errors_restored():
            request = publication_service_pb2.ListEditionsRequest(manifest_digest=document)
            return PublicationServiceStub(client.channel).ListEditions(request).editions[0]

    status = await asyncio.to_thread(run)
    return [list(edition_pb2.RowAnswer.FromString(sealed.payload).rows) for sealed in status.row_answers]


async def test_rows_are_answered_for_and_shown(tmp_path: Path, database_url: str) -> None:
    """Before the approval and after it, by whoever of the bureau; the same answer twice is one."""
    async with city(tmp_path, database_url=database_url) as world:
        edition = world.seal(1000, rejected=3)
        await world.submit(edition)
        document = answer(world, edition.digest, 2, 1003)
        first = await world.decide(document, MAKER)
        assert first.message.outcome == "edition.rows_answered"
        assert (await world.decide(document, MAKER)).envelope == first.envelope
        await world.approve(edition)
        await world.decide(answer(world, edition.digest, 500, person=APPROVER), APPROVER)
        assert await answered(world, edition.digest) == [[2, 1003], [500]]
        logged = entries(world, "edition.rows_answered")
        assert [(e.actor, e.manifest_digest, e.record_count) for e in logged] == [
            (MAKER, edition.digest, 1000),
            (APPROVER, edition.digest, 1000),
        ]
        assert [change.table for change in logged[0].changes] == ["row_answers"]


async def test_an_answer_that_is_not_right_is_refused(tmp_path: Path) -> None:
    """More rows than the source has, out of order, for nothing, in another's name, for another's edition."""
    async with city(tmp_path) as world:
        edition = world.seal(1000, rejected=3)
        await world.submit(edition)
        bureau = await world.admit("xinyi://test-city/other-bureau/person/sun-li", "TAX_BUREAU")
        stranger = bureau.settings.holder
        for document, holder, error, basis in (
            (answer(world, edition.digest, *range(1, 1005)), MAKER, Invalid, "answer.rows"),
            (answer(world, edition.digest, 2, 1), MAKER, Invalid, "answer.rows"),
            (answer(world, edition.digest, 0), MAKER, Invalid, "answer.rows"),
            (answer(world, b"\7" * 32, 1), MAKER, Unknown, "edition.unknown"),
            (answer(world, edition.digest, 1), APPROVER, NotEntitled, "answer.person"),
            (answer(world, edition.digest, 1, person=stranger), stranger, NotEntitled, "edition.origin"),
        ):
            with pytest.raises(error) as refused:
                await world.decide(document, holder)
            assert refused.value.basis == basis
            check_signed(world, refused.value)
        assert not await answered(world, edition.digest)


async def test_an_answer_that_names_a_taxpayer_is_refused_and_not_kept(tmp_path: Path) -> None:
    """The refusal is signed and logged; what was said stands nowhere at the gateway."""
    async with city(tmp_path) as world:
        edition = world.seal(1000, rejected=3)
        await world.submit(edition)
        named = answer(world, edition.digest, 2)
        named.reason = f"the number of {uscc()} was cut"
        with pytest.raises(Invalid) as refused:
            await world.decide(named, MAKER)
        assert refused.value.basis == "text.identifier"
        check_signed(world, refused.value)
        [entry] = entries(world, "refused")
        assert not entry.documents
        with world.gateway.database.reading() as conn:
            kept = conn.execute(select(tables.documents.c.envelope)).scalars().all()
        assert kept
        assert not any(uscc().encode() in document for document in kept)


async def test_a_row_is_answered_for_once_and_not_after_a_cancellation(tmp_path: Path) -> None:
    """A second answer would win in silence: it is refused with the first one's name."""
    async with city(tmp_path) as world:
        edition = world.seal(1000, rejected=3)
        await world.submit(edition)
        first = answer(world, edition.digest, 2, 7)
        await world.decide(first, MAKER)
        with pytest.raises(Conflict) as refused:
            await world.decide(answer(world, edition.digest, 5, 7, person=APPROVER), APPROVER)
        assert refused.value.basis == "answer.answered"
        assert f"row 7 was answered for already: mended, by {MAKER}" in refused.value.explanation
        assert await answered(world, edition.digest) == [[2, 7]]
        cancelled = edition_pb2.Cancellation(
            manifest_digest=edition.digest,
            cancelled_by=MAKER,
            reason="wrong month",
            cancelled_at_ms=world.clock(),
        )
        await world.decide(cancelled, MAKER)
        with pytest.raises(Conflict) as refused:
            await world.decide(answer(world, edition.digest, 500), MAKER)
        assert refused.value.basis == "edition.state"
