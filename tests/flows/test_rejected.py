"""What a bank rejects: it may take it after all, is not told of it meanwhile, and a recall passes it by."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.bureau import standing
from adapters.bureau.submission import list_editions
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from gateway import catchup
from gateway.store import deliveries
from tests.chain import Chain
from tests.flows.test_bank_over_time import level, shown, told
from tests.flows.test_delivery import states
from tests.flows.test_editions_over_time import SUBJECTS, chain_of, named
from tests.flows.test_recalls import ACCEPTED, APPLIED, RECEIVED, confirm, decide, ground, recalls, take
from tests.flows.test_rights import entries
from tests.programs import ok, run
from tests.world import MAKER, World, city, made_up_records, receipt_for
from xinyi.errors import Conflict
from xinyi.v1 import edition_pb2, exchange_pb2

REJECTED = exchange_pb2.RECEIPT_STAGE_REJECTED


async def reject(world: World, bank: Home, package: exchange_pb2.DeliveryPackage) -> None:
    receipt = receipt_for(package, bank, REJECTED, world.clock())
    receipt.rejected, receipt.accepted, receipt.root = receipt.accepted, 0, b""
    receipt.rules.add(rule="bank.name_length", outcome=edition_pb2.ROW_OUTCOME_REJECTED, rows=receipt.rejected)
    await world.confirm(bank, receipt)


async def is_told(world: World, bank: Home) -> bool:
    return await world.gateway.database.read(
        lambda conn: catchup.is_waiting(conn, world.clock(), bank.party, "grade-a")
    )


def rejections(world: World) -> list[str]:
    home = world.homes[MAKER]
    with GatewayClient(home) as client:
        return standing.rejections([standing.describe(status, home) for status in list_editions(client)])


@pytest.mark.parametrize("received", [True, False])
async def test_a_bank_takes_after_all_what_it_rejected(tmp_path: Path, database_url: str, received: bool) -> None:
    """By its own pull: sealed anew once, receipted under its id, and what builds on it follows."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        world.pin(world.homes[MAKER], bank.signer().key)
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await take(world, bank)
        await world.publish(second := chain.delta(SUBJECTS[20:25]))
        package = (await world.pull(bank, first.digest)).package
        if received:
            await world.confirm(bank, receipt_for(package, bank, RECEIVED, world.clock()))
        await reject(world, bank, package)
        assert (await states(world, second.digest))[bank.party] == "REJECTED"
        assert not await is_told(world, bank)
        (said,) = await asyncio.to_thread(rejections, world)
        for part in (bank.party, "edition 2 of grade-a", "5 records by bank.name_length", "FULL"):
            assert part in said
        await world.publish(third := chain.delta(SUBJECTS[25:26]))
        assert not await is_told(world, bank), "it cannot be taken without the one before"

        again = (await world.pull(bank, first.digest)).package
        assert (again.manifest, again.delivery != package.delivery) == (second.manifest, True)
        assert (await world.pull(bank, first.digest)).package == again, "sealed anew once"
        assert (await states(world, second.digest))[bank.party] == "REJECTED"
        assert await confirm(world, bank, again) == [
            "receipt.repeated" if received else "receipt.received",
            "receipt.accepted",
            "receipt.applied",
        ]
        assert await asyncio.to_thread(rejections, world) == []
        assert await is_told(world, bank)
        assert (await take(world, bank, second.digest)).manifest == third.manifest
        assert not await is_told(world, bank)
        offers = [e for e in entries(world, "delivery.offered") if e.manifest_digest == second.digest]
        assert len(offers) == 2


async def test_a_bank_may_think_otherwise_without_fetching_anew(tmp_path: Path, database_url: str) -> None:
    """It has the bytes: ACCEPTED and APPLIED follow on REJECTED, of the same Delivery. What is applied stays so."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        await world.publish(first := chain_of(world).full(SUBJECTS[:20]))
        package = (await world.pull(bank)).package
        await world.confirm(bank, receipt_for(package, bank, RECEIVED, world.clock()))
        await reject(world, bank, package)
        with pytest.raises(Conflict) as refused:
            await world.confirm(bank, receipt_for(package, bank, APPLIED, world.clock()))
        assert refused.value.basis == "receipt.stage"
        for stage in (ACCEPTED, APPLIED):
            await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))
        assert (await states(world, first.digest))[bank.party] == "APPLIED"


async def test_a_recall_passes_by_what_was_rejected(tmp_path: Path, database_url: str) -> None:
    """The correction behind a rejected delta is given first; a suspended bank that rejected it gets it again."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await take(world, bank)
        await world.publish(chain.delta(SUBJECTS[20:25]))
        await reject(world, bank, (await world.pull(bank, first.digest)).package)
        await world.publish(correction := chain.correction(first.digest, [named(SUBJECTS[0], "更正")]))
        assert await is_told(world, bank)
        package = (await world.pull(bank, first.digest)).package
        assert package.manifest == correction.manifest
        await reject(world, bank, package)
        await decide(world, bank, "suspend")
        package = (await world.pull(bank, first.digest)).package
        assert (package.manifest, ground(package)) == (correction.manifest, exchange_pb2.DELIVERY_GROUND_RECALL)
        await confirm(world, bank, package)
        assert recalls(world) == {"bank-1": "CONFIRMED"}
        with world.gateway.database.reading() as conn:
            row = deliveries.deliveries_to(conn, bank.party, "grade-a")[envelope.digest(package.manifest)]
        assert row["state"] == "APPLIED"


@pytest.mark.processes
async def test_a_bank_puts_its_rules_right_and_goes_on(tmp_path: Path) -> None:
    """By its programs: refused, said so at every run, a correction in between, reconsidered, level."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        settings = bank.path / "party.toml"
        settings.write_text(settings.read_text() + "\n[bank.rules]\nmax_name_length = 20\n")
        await world.publish(first := chain.full(made_up_records(30)))
        await level(bank)
        before = shown(bank)
        await world.publish(second := chain.delta([named(record, "长" * 30) for record in made_up_records(8)]))
        for _ in range(2):
            done = await run("xinyi-bank", "catch-up", "--home", bank.path)
            assert (done.code, "xinyi-bank reconsider" in done.err) == (3, True), done
            await run("xinyi-bank", "confirm", "--home", bank.path)
        assert (await states(world, second.digest))[bank.party] == "REJECTED"
        await world.publish(correction := chain.correction(first.digest, [named(made_up_records(10)[9], "更正")]))
        assert (await run("xinyi-bank", "catch-up", "--home", bank.path)).code == 3
        await ok("xinyi-bank", "confirm", "--home", bank.path)
        assert recalls(world) == {"bank-1": "CONFIRMED"}
        assert shown(bank) == before | {made_up_records(10)[9].taxpayer_id: "更正"}
        settings.write_text(settings.read_text().replace("max_name_length = 20", "max_name_length = 0"))
        await world.publish(chain.delta(made_up_records(31)[30:]))
        assert (await ok("xinyi-bank", "reconsider", "--home", bank.path, "--json")).json != []
        ((caught,)) = await level(bank)
        assert caught["level"] == 4
        assert shown(bank) == told(chain)
        assert {(await states(world, e.digest))[bank.party] for e in (second, correction)} == {"APPLIED"}
        assert (await run("xinyi-bank", "reconsider", "--home", bank.path)).code == 7
