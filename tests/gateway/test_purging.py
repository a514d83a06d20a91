"""What the gateway may stop keeping, and that the log tells it."""

from __future__ import annotations

import asyncio
from copy import copy
from pathlib import Path

from sqlalchemy import delete, func, select

from adapters.party.gateway import GatewayClient
from gateway.exchange import Exchange
from gateway.judgement import Judge
from gateway.office.purging import Purged, purge
from gateway.store import tables
from tests.chain import Chain
from tests.outcomes import batch_of, begin_batch, outcome, send_batch, send_outcomes
from tests.programs import Outcome, ok, run
from tests.world import APPROVER, AUDITOR, BUREAU, MAKER, SealedEdition, World, city, made_up_records
from xinyi.channel import errors_restored
from xinyi.v1 import edition_pb2
from xinyi.v1 import publication_service_pb2 as pb
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub


async def upload(world: World, edition: SealedEdition, upto: int) -> int:
    """Begins an edition and sends chunks up to a number; where it went on from."""

    def work() -> int:
        with GatewayClient(world.homes[MAKER]) as client, errors_restored():
            stub = PublicationServiceStub(client.channel)
            call = client.wrap(edition.manifest)
            begun = stub.BeginEdition(pb.BeginEditionRequest(call=call, blinding_key=edition.blinding_key))
            stub.PutChunks(
                pb.PutChunksRequest(manifest_digest=edition.digest, number=n, data=edition.chunks[n])
                for n in range(begun.next_chunk, upto)
            )
            return begun.next_chunk

    return await asyncio.to_thread(work)


async def cancel(world: World, edition: SealedEdition) -> None:
    await world.decide(
        edition_pb2.Cancellation(
            manifest_digest=edition.digest, cancelled_by=MAKER, reason="typo", cancelled_at_ms=world.clock()
        ),
        MAKER,
    )


def held(world: World, edition: SealedEdition) -> int:
    with world.gateway.database.reading() as conn:
        own = tables.chunks.c.manifest_digest == edition.digest
        return conn.execute(select(func.count()).select_from(tables.chunks).where(own)).scalar_one()


async def verified(world: World, name: str) -> Outcome:
    """An export with records, verified offline."""
    home = world.homes[AUDITOR]
    policy, export = world.path / "policy.toml", world.path / name
    if not policy.exists():
        await ok("xinyi-audit", "policy", "--home", home.path, "--bureau", BUREAU, "-o", policy)
    await ok("xinyi-audit", "export", export, "--records", "--purpose", "audit", "--home", home.path)
    return await run("xinyi-audit", "verify", export, "--policy", policy, "--json")


async def auditor(world: World) -> None:
    home = await world.admit(AUDITOR, "AUDITOR")
    for person in (MAKER, APPROVER):
        world.pin(home, world.homes[person].signer().key)


async def test_left_uploads_and_cancelled_editions_go(tmp_path: Path, database_url: str) -> None:
    """Each with an entry and its count; what is published stays, and the whole log still verifies."""
    async with city(tmp_path, database_url=database_url) as world:
        await auditor(world)
        published = world.seal(1500)
        await world.publish(published)
        cancelled = world.seal(2100, month=2, sequence=2, predecessor=published.digest)
        await world.submit(cancelled)
        await cancel(world, cancelled)
        left = world.seal(3000, month=3, sequence=2, predecessor=published.digest)
        assert await upload(world, left, 2) == 0
        assert await asyncio.to_thread(purge, world.gateway, days=30) == Purged(0, 0, 0)

        world.clock.advance(days=31)
        resumed = world.seal(2500, month=3, sequence=2, predecessor=published.digest)
        await upload(world, resumed, 1)
        assert await asyncio.to_thread(purge, world.gateway, days=30) == Purged(1, 1, 2 + 3)
        assert [held(world, e) for e in (published, cancelled, left, resumed)] == [2, 0, 0, 1]
        assert await asyncio.to_thread(purge, world.gateway, days=30) == Purged(0, 0, 0)

        verdict = await verified(world, "export")
        assert (verdict.code, verdict.json["verdict"]) == (0, "holds"), verdict.out
        assert await upload(world, left, 3) == 0, "who comes back after all begins anew"
        assert held(world, left) == 3


async def test_with_a_cancelled_delta_goes_its_state(tmp_path: Path, database_url: str) -> None:
    """Its chunk and what was made of it; the next delta takes its place, upon the state before."""
    async with city(tmp_path, database_url=database_url) as world:
        chain = Chain(world.homes[MAKER])
        subjects = made_up_records(30)
        await world.publish(chain.full(subjects[:20]))
        place = copy(chain)
        delta = chain.delta(subjects[20:25])
        await world.submit(delta)
        await cancel(world, delta)
        world.clock.advance(days=31)
        assert await asyncio.to_thread(purge, world.gateway, days=30) == Purged(0, 1, 1)
        with world.gateway.database.reading() as conn:
            for table in (tables.buckets, tables.states):
                own = table.c.manifest_digest == delta.digest
                assert conn.scalar(select(func.count()).select_from(table).where(own)) == 0
        await world.publish(place.delta(subjects[25:30]))


async def test_single_loans_that_were_begun_and_left_go(tmp_path: Path, database_url: str) -> None:
    """Rows of borrowers that never became real are not kept for ever; what is real stays, and who comes back may."""
    async with city(tmp_path, database_url=database_url) as world:
        await auditor(world)
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        kept = await send_outcomes(world, bank, [outcome(1)], number="real")
        left = batch_of(bank, map(outcome, range(2, 3100)), number="left")
        assert await begin_batch(bank, left, 3) == 0
        world.clock.advance(days=31)
        again = batch_of(bank, map(outcome, range(2000, 3100)), number="again", issued_at_ms=world.clock())
        assert await begin_batch(bank, again, 1) == 0

        def rows() -> dict[bytes, int]:
            query = select(tables.outcomes.c.document, func.count()).group_by(tables.outcomes.c.document)
            with world.gateway.database.reading() as conn:
                return {row[0]: row[1] for row in conn.execute(query)}

        assert rows() == {kept.digest: 1, left.digest: 3072, again.digest: 1024}
        assert await asyncio.to_thread(purge, world.gateway, days=30) == Purged(1, 0, 3)
        assert rows() == {kept.digest: 1, again.digest: 1024}
        left = batch_of(bank, map(outcome, range(2, 1100)), number="left", issued_at_ms=world.clock())
        assert await begin_batch(bank, left, 2) == 0, "who comes back after all begins anew"
        assert (await send_batch(world, bank, again)).counts[0] == 1100
        verdict = await verified(world, "export")
        assert (verdict.code, verdict.json["verdict"]) == (0, "holds"), verdict.out


async def test_judgements_that_no_act_named_go(tmp_path: Path, database_url: str) -> None:
    """What a refused commit came to goes with it; what a crash left, with the purge, once it is old. Of what is real
    nothing goes.
    """
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        rows = [outcome(1), outcome(2)]
        await send_outcomes(world, bank, rows, number="one")

        def kept() -> set[bytes]:
            found = [select(t.c.judgement).distinct() for t in (tables.outcome_changes, tables.outcome_sums)]
            with world.gateway.database.reading() as conn:
                return {one for query in found for one in conn.execute(query).scalars()}

        again = batch_of(bank, rows, number="two")
        real = kept()
        assert len(real) == 1
        assert await begin_batch(bank, again, 1) == 0
        left = Judge(world.gateway.database, bank.party, world.clock(), again.digest, 2)
        await asyncio.to_thread(left.run)
        await asyncio.gather(*(send_batch(world, bank, again) for _ in range(3)))
        real = kept() - {left.identity}
        assert len(real) == 2

        assert await asyncio.to_thread(purge, world.gateway, days=1) == Purged(0, 0, 0)
        assert kept() == real | {left.identity}
        world.clock.advance(days=31)
        assert await asyncio.to_thread(purge, world.gateway, days=30) == Purged(0, 0, 0)
        assert kept() == real


async def test_an_upload_that_was_taken_up_again_stays(tmp_path: Path) -> None:
    """Its age counts from the last time it was begun."""
    async with city(tmp_path) as world:
        edition = world.seal(2500)
        await upload(world, edition, 1)
        world.clock.advance(days=40)
        assert await upload(world, edition, 2) == 1
        assert await asyncio.to_thread(purge, world.gateway, days=30) == Purged(0, 0, 0)
        await world.submit(edition)
        assert held(world, edition) == 3


async def test_dropping_what_was_not_cancelled_is_found(tmp_path: Path) -> None:
    """An operator who logs a purge of a live edition has said so himself."""
    async with city(tmp_path) as world:
        await auditor(world)
        edition = world.seal(1500)
        await world.publish(edition)

        def drop(x: Exchange) -> None:
            x.log("edition.purged", actor=world.gateway.holder, manifest_digest=edition.digest,
                  product="grade-a", documents=[edition.digest], record_count=1500)  # fmt: skip
            x.conn.execute(delete(tables.chunks).where(tables.chunks.c.manifest_digest == edition.digest))

        await world.gateway.door.run(drop)
        verdict = await verified(world, "export")
        assert (verdict.code, verdict.json["verdict"]) == (4, "false")
        reasons = [f["reason"] for check in verdict.json["checks"] for f in check["findings"]]
        assert any("no earlier leaf cancels" in reason for reason in reasons), reasons
