"""A year at the gateway: what follows on what, and that every edition comes to the records it seals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select

from audit import buckets, envelope, records
from gateway import preparation, states
from gateway.store import editions as store
from gateway.store import tables
from tests.chain import Chain, serialised
from tests.flows.test_delivery import until
from tests.flows.test_rights import check_signed, entries
from tests.flows.test_stop import stop
from tests.world import MAKER, SealedEdition, World, city, made_up_records
from xinyi.errors import Conflict, ExchangeError, Invalid, ProofInvalid, TooManyRequests
from xinyi.processes import Inline
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

SUBJECTS = made_up_records(60)


def named(record: records_pb2.GradeRecord, name: str) -> records_pb2.GradeRecord:
    changed = records_pb2.GradeRecord()
    changed.CopyFrom(record)
    changed.names[:] = [name]
    return changed


def chain_of(world: World) -> Chain:
    return Chain(world.homes[MAKER])


async def refused(world: World, edition: SealedEdition, basis: str, kind: type[ExchangeError]) -> None:
    with pytest.raises(kind) as error:
        await world.submit(edition)
    assert error.value.basis == basis
    check_signed(world, error.value)


def resealed(world: World, edition: SealedEdition, change: Callable[[edition_pb2.Manifest], Any]) -> SealedEdition:
    """The edition with another word in its manifest, rightly sealed."""
    manifest = edition_pb2.Manifest.FromString(edition.manifest.payload)
    change(manifest)
    return SealedEdition(
        envelope.seal(manifest, world.homes[MAKER].signer()), edition.blinding_key, edition.chunks
    )


def check_state(conn: Connection, chain: Chain, digest: bytes) -> None:
    """Buckets and records of an edition, read one by one, are the plain truth after it."""
    truth, blind = chain.history[digest], records.blinder(chain.blinding_key)
    held = b"".join(states.bucket(conn, digest, number) for number in range(buckets.COUNT) if number % 512 == 0)
    keys = {blind(name.encode()): record for name, record in truth.items()}
    assert [held[i : i + 32] for i in range(0, len(held), 64)] == sorted(
        key for key in keys if buckets.number_of(key) % 512 == 0
    )
    sealed = edition_pb2.Manifest.FromString(store.get_document(conn, digest).payload)
    assert states.digests(conn, digest).root() == sealed.state_root
    for subject in SUBJECTS[::4]:
        key = blind(subject.taxpayer_id.encode())
        found = states.find_record(conn, digest, key)
        if key not in keys:
            assert found is None
            continue
        assert found is not None
        assert found.record == serialised(keys[key])
        entry = buckets.find(states.bucket(conn, digest, buckets.number_of(key)), key)
        assert entry == records.commitment(found.salt, found.record)


async def test_twelve_months_and_a_full_come_to_the_same(tmp_path: Path, database_url: str) -> None:
    """FULL, eleven deltas with a correction among them, and a FULL of the same records: state unchanged."""
    async with city(tmp_path, database_url=database_url) as world:
        chain, random_ = chain_of(world), random.Random(7)
        digests = [(first := chain.full(SUBJECTS[:40])).digest]
        await world.publish(first)
        for month in range(2, 13):
            chain.month = month
            there = sorted(chain.truth)
            away = [subject for subject in SUBJECTS if subject.taxpayer_id not in chain.truth]
            gone = random_.sample(there, 3)
            told = random_.sample(away, 2) + [
                named(chain.truth[name], f"改名企业{month}") for name in random_.sample(there, 4) if name not in gone
            ]
            if month == 7:
                mine = [name for name in sorted(chain.history[digests[0]]) if name in chain.truth][:2]
                edition = chain.correction(digests[0], [named(chain.truth[mine[0]], "更正")], [mine[1]])
            else:
                edition = chain.delta(told if month != 9 else (), gone if month != 9 else ())
            await world.publish(edition)
            digests.append(edition.digest)
        chain.month = 12
        last = chain.full(list(chain.truth.values()))
        await world.publish(last)
        digests.append(last.digest)
        assert [e.detail for e in entries(world, "edition.ready")] == [""] * 12 + ["state unchanged"]
        with world.gateway.database.reading() as conn:
            check_state(conn, chain, digests[0])
            check_state(conn, chain, digests[6])
            check_state(conn, chain, digests[11])
            check_state(conn, chain, last.digest)
            kept = set(conn.execute(select(tables.states.c.manifest_digest)).scalars())
        assert kept == set(digests[:12])
        # Lost and made anew, at reading and for keeps.
        with world.gateway.database.writing() as conn:
            conn.execute(delete(tables.buckets))
            conn.execute(delete(tables.states))
        with world.gateway.database.reading() as conn:
            check_state(conn, chain, digests[2])
            check_state(conn, chain, digests[7])
        preparation.prepare(world.gateway.database, digests[11])
        with world.gateway.database.reading() as conn:
            check_state(conn, chain, digests[7])


@pytest.mark.parametrize(
    ("case", "basis", "kind"),
    [
        ("root", "state.root", ProofInvalid),
        ("count", "state.count", ProofInvalid),
        ("gone", "state.gone", ProofInvalid),
        ("year", "edition.year", Conflict),
        ("key", "edition.blinding_key", Conflict),
        ("corrects", "correction.corrects", Conflict),
        ("subject", "correction.subject", Invalid),
        ("new year", "edition.blinding_key", Conflict),
    ],
)
async def test_what_does_not_follow_is_refused(
    tmp_path: Path, case: str, basis: str, kind: type[ExchangeError]
) -> None:
    """One thing wrong at a time, by its name; nothing of it becomes an edition."""
    async with city(tmp_path) as world:
        chain = chain_of(world)
        first = chain.full(SUBJECTS[:20])
        await world.publish(first)
        chain.month = 2
        if case == "root":
            edition = resealed(world, chain.delta(SUBJECTS[20:22]), lambda m: setattr(m, "state_root", b"\7" * 32))
        elif case == "count":
            def one_more(m: edition_pb2.Manifest) -> None:
                m.state_count += 1
                m.comparison.unchanged += 1

            edition = resealed(world, chain.delta(SUBJECTS[20:22]), one_more)
        elif case == "gone":
            edition = resealed(world, chain.delta(SUBJECTS[20:22], [SUBJECTS[50].taxpayer_id]), _say_gone)
        elif case in ("year", "new year"):
            chain.year, chain.month = 2019, 1
            edition = chain.delta(SUBJECTS[20:22]) if case == "year" else chain.full(SUBJECTS[:30])
        elif case == "key":
            chain.blinding_key = b"\5" * 32
            edition = chain.delta(SUBJECTS[20:22])
        elif case == "corrects":
            edition = chain.correction(b"\6" * 32, [named(SUBJECTS[0], "更正")])
        else:
            edition = chain.correction(first.digest, [SUBJECTS[30]])
        await refused(world, edition, basis, kind)
        with world.gateway.database.reading() as conn:
            assert conn.scalar(select(func.count()).select_from(tables.editions)) == 1


def _say_gone(manifest: edition_pb2.Manifest) -> None:
    manifest.comparison.gone, manifest.comparison.unchanged = 1, manifest.comparison.unchanged


async def test_a_new_year_begins_with_a_full_that_blinds_anew_and_may_be_corrected_backwards(
    tmp_path: Path, database_url: str
) -> None:
    """A CORRECTION of last year's edition is compared under that year's blinding key."""
    async with city(tmp_path, database_url=database_url) as world:
        chain = chain_of(world)
        old = chain.full(SUBJECTS[:20])
        await world.publish(old)
        chain.year = 2019
        await world.publish(chain.full(SUBJECTS[10:30], anew=True))
        chain.month = 2
        wrong = copy(chain).correction(old.digest, [named(SUBJECTS[25], "更正")])
        await refused(world, wrong, "correction.subject", Invalid)
        right = chain.correction(old.digest, [named(SUBJECTS[15], "更正")], [SUBJECTS[3].taxpayer_id])
        await world.publish(right)
        with world.gateway.database.reading() as conn:
            check_state(conn, chain, right.digest)


async def test_after_a_stop_comes_a_full(tmp_path: Path) -> None:
    """Neither upon the stopped edition nor upon one that was built on it before."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await world.publish(second := chain.delta(SUBJECTS[20:22]))
        await world.publish(third := chain.delta(SUBJECTS[22:24]))
        assert (await world.pull(bank, first.digest)).remaining == 1
        await stop(world, second)
        fourth = chain.delta(SUBJECTS[24:26])
        await refused(world, fourth, "edition.after_stop", Conflict)
        assert (await world.pull(bank, first.digest)).unchanged
        assert envelope.digest((await world.pull(bank, second.digest)).package.manifest) == third.digest
        chain.sequence, chain.last = 3, third.digest
        await world.publish(last := chain.full(SUBJECTS[:26]))
        for held in (b"", first.digest, second.digest, third.digest):
            answer = await world.pull(bank, held)
            assert (envelope.digest(answer.package.manifest), answer.remaining) == (last.digest, 0)
        assert (await world.pull(bank, last.digest)).unchanged


async def test_a_crash_between_the_buckets_and_the_commit_is_mended_by_committing_again(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some buckets are written and the digests are not; what follows is as if nothing had been."""
    async with city(tmp_path, database_url=database_url) as world:
        chain = chain_of(world)
        await world.publish(chain.full(SUBJECTS[:20]))
        edition = chain.delta(SUBJECTS[20:40], [SUBJECTS[1].taxpayer_id])
        monkeypatch.setattr(preparation, "BATCH", 4)
        whole = preparation.insert_rows
        written = 0

        def failing(*args: Any) -> None:
            nonlocal written
            written += 1
            if written > 12:
                raise OSError(28, "No space left on device")
            whole(*args)

        monkeypatch.setattr(preparation, "insert_rows", failing)
        with pytest.raises(ExchangeError):
            await world.submit(edition)
        monkeypatch.setattr(preparation, "insert_rows", whole)
        with world.gateway.database.reading() as conn:
            assert conn.scalar(select(func.count()).select_from(tables.buckets)) > 0
            assert conn.scalar(select(func.count()).select_from(tables.editions)) == 1
        assert (await world.submit(edition)).message.outcome == "edition.ready"
        with world.gateway.database.reading() as conn:
            check_state(conn, chain, edition.digest)


async def test_a_month_without_changes_reaches_a_bank(tmp_path: Path, database_url: str) -> None:
    """An empty DELTA is a statement: pulled, without a chunk, and confirmed."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await world.publish(empty := chain.delta())
        package = (await world.pull(bank, first.digest)).package
        assert envelope.digest(package.manifest) == empty.digest
        delivery = exchange_pb2.Delivery.FromString(package.delivery.payload)
        assert delivery.ground == exchange_pb2.DELIVERY_GROUND_AGREEMENT
        assert await world.fetch(bank, delivery.delivery_id) == []


async def test_polls_that_find_nothing_are_limited_and_others_never(tmp_path: Path) -> None:
    """Five at once, then one a minute, with the time to wait; what is there is given at any time."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        for _ in range(5):
            assert (await world.pull(bank, first.digest)).unchanged
        for _ in range(2):
            with pytest.raises(TooManyRequests, match=r"ask again in \d+ s") as error:
                await world.pull(bank, first.digest)
            assert error.value.basis == "poll.too_often"
            check_signed(world, error.value)
        assert len(entries(world, "refused")) == 1
        for _ in range(8):
            assert (await world.pull(bank)).package.manifest == first.manifest
        world.clock.advance(days=1 / 1440)
        assert (await world.pull(bank, first.digest)).unchanged


async def test_the_state_of_a_full_is_kept_in_the_background(tmp_path: Path, database_url: str) -> None:
    """Some time after its publication, so that the next delta finds it; without waiting for that delta."""
    async with city(tmp_path, database_url=database_url) as world:
        chain = chain_of(world)
        await world.publish(full := chain.full(SUBJECTS))
        keeping = preparation.Preparation(world.gateway.database, Inline(), quiet_s=0)
        running = asyncio.create_task(keeping.run())

        async def kept() -> bool:
            with world.gateway.database.reading() as conn:
                return store.is_prepared(conn, full.digest)

        await until(kept)
        await world.publish(anew := chain.full(SUBJECTS[:50]))
        keeping.wake()

        async def kept_too() -> bool:
            with world.gateway.database.reading() as conn:
                return store.is_prepared(conn, anew.digest)

        await until(kept_too)
        running.cancel()
        with world.gateway.database.reading() as conn:
            check_state(conn, chain, full.digest)
            check_state(conn, chain, anew.digest)
