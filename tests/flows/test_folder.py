"""The folder channel from the gateway's end: what partners leave there, and what the gateway leaves them."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from adapters.bank.fetch import Receiver, fetch_from_folder
from adapters.bank.folder import Folder
from adapters.bank.sending import send_by_folder
from adapters.party.home import Home
from audit import envelope
from audit.checkpoint import TlogProof
from audit.envelope import seal
from audit.keys import Keyring
from gateway.folder import Collector
from gateway.receipts import accept_receipt
from gateway.refusals import A_DAY
from tests.flows.test_attempts import row_of
from tests.flows.test_delivery import states, until
from tests.flows.test_rights import entries
from tests.world import World, city, receipt_for
from xinyi import checks
from xinyi.files import write_atomically
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2, log_pb2

FOLDER = exchange_pb2.CHANNEL_FOLDER
NAME = "0123456789abcdef" * 4


async def bank_with_folder(world: World, name: str) -> tuple[Home, Path]:
    folder = world.path / f"folder-of-{name}"
    return await world.bank(name, FOLDER, str(folder)), folder


async def until_complete(folder: Path) -> None:
    async def complete() -> bool:
        return bool(list((folder / "outgoing").glob("*.complete")))

    await until(complete)


def take_and_confirm(bank: Home, folder: Path) -> list[Any]:
    assert len(fetch_from_folder(Receiver(bank), Folder(folder), bank)) == 1
    done, waiting = send_by_folder(bank, folder, wait_s=20)
    assert waiting == 0
    return done


async def test_confirming_by_folder_brings_the_log_proof(tmp_path: Path, database_url: str) -> None:
    """The gateway leaves a proof beside its answer; the bank's evidence holds it and it leads to the log."""
    async with city(tmp_path, database_url=database_url) as world:
        bank, folder = await bank_with_folder(world, "bank-1")
        edition = world.seal(10)
        await world.publish(edition)
        await until_complete(folder)
        [received] = await asyncio.to_thread(take_and_confirm, bank, folder)
        assert received.log_index is not None
        kept = bank.path / "evidence" / received.delivery_id / "received.tlog-proof"
        proof = TlogProof.decode(kept.read_bytes())
        [entry] = [e for e in entries(world, "receipt.received") if e.delivery_id == received.delivery_id]
        with world.gateway.database.reading() as conn:
            openings = {index: opening for index, _, _, opening in world.gateway.log.openings(conn, 0, 10**6)}
        assert log_pb2.LogEntry.FromString(openings[proof.index]) == entry


async def test_a_bank_restored_from_a_backup_is_answered(tmp_path: Path) -> None:
    """It takes the delivery from the folder once more; what it signed then lies there, too, and stands."""
    async with city(tmp_path) as world:
        bank, folder = await bank_with_folder(world, "bank-1")
        await world.publish(world.seal(10))
        await until_complete(folder)
        [first] = await asyncio.to_thread(take_and_confirm, bank, folder)
        for lost in ("spool", "evidence"):
            shutil.rmtree(bank.path / lost)
        [again] = await asyncio.to_thread(take_and_confirm, bank, folder)
        assert again == first
        assert len(entries(world, "receipt.received")) == 1
        assert not entries(world, "refused")


async def test_a_proof_that_a_death_held_up_comes_in_the_next_life(tmp_path: Path) -> None:
    """Also where the first thing that life finds in the folder is another receipt."""
    async with city(tmp_path) as world:
        bank, folder = await bank_with_folder(world, "bank-1")
        await world.publish(world.seal(10))
        await until_complete(folder)
        await asyncio.to_thread(take_and_confirm, bank, folder)
        [proof] = (folder / "answers").glob("*.tlog-proof")
        held_up = proof.read_bytes()
        proof.unlink()
        package = (await world.pull(bank)).package
        receipt = receipt_for(package, bank, exchange_pb2.RECEIPT_STAGE_ACCEPTED, world.clock())
        sealed = seal(receipt, bank.signer()).SerializeToString(deterministic=True)

        async def next_life() -> bool:
            write_atomically(folder / "incoming" / f"{receipt.delivery_id}.2-accepted.dsse", sealed)
            # The city's own collector goes its rounds, too; it has nothing to prove for the first receipt.
            return await Collector(world.gateway.reception).collect() == 1

        await until(next_life)
        assert TlogProof.decode(proof.read_bytes()).index == TlogProof.decode(held_up).index


async def test_one_partners_bad_files_keep_nobody_waiting(tmp_path: Path) -> None:
    """A link to an endless device, a pipe, a directory and a foreign name, all ahead of an honest receipt."""
    async with city(tmp_path) as world:
        banks = [await bank_with_folder(world, f"bank-{number}") for number in (1, 2)]
        incoming = banks[0][1] / "incoming"
        incoming.mkdir(parents=True)
        (incoming / f"{'0' * 64}.1-received.dsse").symlink_to("/dev/zero")
        os.mkfifo(incoming / f"{'0' * 63}1.1-received.dsse")
        (incoming / f"{'0' * 63}2.1-received.dsse").mkdir()
        (incoming / f"{'x' * 200}.dsse").write_bytes(b"?")
        edition = world.seal(10)
        await world.publish(edition)
        for bank, folder in banks:
            await until_complete(folder)
            await asyncio.to_thread(take_and_confirm, bank, folder)
        assert set((await states(world, edition.digest)).values()) == {"RECEIVED"}
        assert len(list(incoming.iterdir())) == 4
        assert not entries(world, "refused")


async def test_half_a_receipt_is_left_alone_until_it_is_whole(tmp_path: Path) -> None:
    """A transport without renames shows a file while it grows: no refusal, then an acknowledgement."""
    async with city(tmp_path) as world:
        bank, folder = await bank_with_folder(world, "bank-1")
        await world.publish(world.seal(10))
        package = (await world.pull(bank)).package
        receipt = receipt_for(package, bank, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        sealed = seal(receipt, bank.signer())
        whole = sealed.SerializeToString(deterministic=True)
        sealed.ClearField("signatures")
        name = f"{receipt.delivery_id}.1-received"
        path = folder / "incoming" / f"{name}.dsse"
        path.parent.mkdir(parents=True, exist_ok=True)
        collector = Collector(world.gateway.reception)
        for half in (b"", whole[:50], sealed.SerializeToString()):
            path.write_bytes(half)
            assert await collector.collect() == 0
        path.write_bytes(whole)

        async def answered() -> bool:
            return (folder / "answers" / f"{name}.answer").exists()

        await until(answered)
        assert not entries(world, "refused")


async def test_what_stays_broken_is_refused_and_set_aside(tmp_path: Path) -> None:
    """Once nobody writes it any more, a file that does not hold gets a signed refusal."""
    async with city(tmp_path) as world:
        _, folder = await bank_with_folder(world, "bank-1")
        (folder / "incoming").mkdir(parents=True)
        (folder / "incoming" / f"{NAME}.1-received.dsse").write_bytes(b"no document")
        assert await Collector(world.gateway.reception, settled_s=0).collect() == 1
        assert (folder / "taken" / f"{NAME}.1-received.dsse").read_bytes() == b"no document"
        sealed = envelope_pb2.Envelope.FromString(
            (folder / "answers" / f"{NAME}.1-received.refusal").read_bytes()
        )
        refusal = envelope.open_sealed(sealed, exchange_pb2.Refusal, Keyring([world.gateway.signer.key]))
        assert refusal.message.code == "verification.encoding"


async def test_what_cannot_be_refused_under_seal_today_stays(tmp_path: Path) -> None:
    """Beyond the day's number nothing is signed: the file waits in its place, and no empty refusal is written."""
    async with city(tmp_path) as world:
        _, folder = await bank_with_folder(world, "bank-1")
        (folder / "incoming").mkdir(parents=True)
        for number in range(A_DAY + 2):
            (folder / "incoming" / f"{number:064x}.1-received.dsse").write_bytes(b"no document")
        await Collector(world.gateway.reception, settled_s=0).collect()
        refusals = list((folder / "answers").glob("*.refusal"))
        assert len(refusals) == len(list((folder / "taken").iterdir())) == A_DAY
        assert all(path.stat().st_size for path in refusals)
        assert len(list((folder / "incoming").iterdir())) == 2


async def test_files_nobody_took_before_they_expired_are_written_anew(tmp_path: Path) -> None:
    """The same directory, another sealed Delivery; the bank takes it."""
    async with city(tmp_path, backoff_s=0.1) as world:
        bank, folder = await bank_with_folder(world, "bank-1")
        edition = world.seal(10)
        await world.publish(edition)
        await until_complete(folder)
        delivery = folder / "outgoing" / checks.delivery_id(edition.digest, bank.party) / "delivery.dsse"
        first = delivery.read_bytes()
        world.clock.advance(days=31)

        async def renewed() -> bool:  # the row first, then what lies there
            return delivery.exists() and delivery.read_bytes() != first

        await until(renewed)
        await until_complete(folder)
        assert row_of(world, edition.digest, bank)["generation"] == 1
        assert len(entries(world, "delivery.offered")) == 2


async def test_a_finished_delivery_leaves_the_folder_after_its_days(tmp_path: Path) -> None:
    """Outgoing files, answers, proofs and taken receipts of what ended long ago go; the log keeps everything."""
    async with city(tmp_path) as world:
        bank, folder = await bank_with_folder(world, "bank-1")
        edition = world.seal(10)
        await world.publish(edition)
        await until_complete(folder)
        await asyncio.to_thread(take_and_confirm, bank, folder)
        package = (await world.pull(bank)).package
        for stage in (exchange_pb2.RECEIPT_STAGE_ACCEPTED, exchange_pb2.RECEIPT_STAGE_APPLIED):
            await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))

        def lying() -> list[Path]:
            return [path for path in folder.rglob("*") if path.is_file()]

        await Collector(world.gateway.reception, keep_days=30).collect()
        assert lying()
        world.clock.advance(days=31)
        await Collector(world.gateway.reception, keep_days=30).collect()
        assert not lying()
        assert len(entries(world, "receipt.received")) == 1


async def test_every_channel_makes_the_same_entries(tmp_path: Path) -> None:
    """A pulled delivery and one by folder are offered, transferred and received in as many entries."""
    async with city(tmp_path) as world:
        by_folder, folder = await bank_with_folder(world, "bank-1")
        by_pull = await world.bank("bank-2")
        edition = world.seal(10)
        await world.publish(edition)
        await until_complete(folder)
        await asyncio.to_thread(take_and_confirm, by_folder, folder)
        package = (await world.pull(by_pull)).package
        await world.fetch(by_pull, checks.delivery_id(edition.digest, by_pull.party))

        async def noted() -> bool:
            return len(entries(world, "delivery.transferred")) == 2

        await until(noted)
        receipt = receipt_for(package, by_pull, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        call = exchange_pb2.Call(document=seal(receipt, by_pull.signer()))
        await accept_receipt(world.gateway.reception, call, Caller(by_pull.settings.holder))

        def kinds(bank: Home) -> list[str]:
            found = [
                entry
                for kind in ("delivery.offered", "delivery.transferred", "receipt.received")
                for entry in entries(world, kind)
            ]
            return [entry.kind for entry in found if entry.counterparty == bank.party]

        assert kinds(by_folder) == kinds(by_pull)
        assert len(kinds(by_pull)) == 3
