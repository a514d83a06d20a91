"""One bank on three machines with three homes: only the documented folders pass between them, as files."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.party.home import Home
from audit.envelope import open_sealed
from gateway.store import deliveries
from tests.bank.offers import flipped
from tests.programs import ok, run
from tests.world import APPROVER, CITY, MAKER, World, city
from xinyi.v1 import exchange_pb2

pytestmark = pytest.mark.processes

BANK = f"{CITY}/bank-1"


@dataclass
class Machines:
    fetching: Home
    landing: Home
    confirming: Home
    #: What a transfer carries: each has its copy on the machine it leads to.
    path: Path

    @property
    def editions(self) -> tuple[Path, Path]:
        return self.path / "dmz-out", self.path / "database-in"

    @property
    def receipts(self) -> tuple[Path, Path]:
        return self.landing.path / "spool/outbox", self.path / "office-in"

    @property
    def answers(self) -> tuple[Path, Path]:
        return self.confirming.path / "evidence", self.path / "database-answers"

    def landed(self) -> int:
        database = self.landing.path / "bank.db"
        if not database.exists():
            return 0
        with sqlite3.connect(database) as conn:
            views = conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'grade_a'").fetchone()[0]
            return int(conn.execute("SELECT count(*) FROM grade_a").fetchone()[0]) if views else 0


def carry(way: tuple[Path, Path]) -> None:
    """As rsync does: copies everything again, removes nothing."""
    shutil.copytree(*way, dirs_exist_ok=True)


async def machines(world: World) -> Machines:
    """Each has a key of its own; the landing one can reach nobody."""
    fetching = await world.bank("bank-1")
    landing = await world.admit(f"xinyi://{BANK}/machine/database", "BANK")
    confirming = await world.admit(f"xinyi://{BANK}/machine/office", "BANK")
    for person in (MAKER, APPROVER):
        world.pin(landing, world.homes[person].signer().key)
    settings = landing.path / "party.toml"
    settings.write_text(settings.read_text().replace(world.address, "127.0.0.1:1"))
    return Machines(fetching, landing, confirming, world.path)


async def test_an_edition_passes_three_machines(tmp_path: Path) -> None:
    """fetch, handover · land · confirm, each where it belongs; the bank's receipts name who signed what."""
    async with city(tmp_path) as world:
        bank = await machines(world)
        edition = world.seal(2500)
        await world.publish(edition)

        await ok("xinyi-bank", "fetch", "--home", bank.fetching.path)
        tray, arriving = bank.editions
        await ok("xinyi-bank", "handover", tray, "--home", bank.fetching.path)
        assert (await run("xinyi-bank", "handover", tray, "--home", bank.fetching.path)).code == 7

        carry(bank.editions)
        land = ("land", "--from", arriving, "--home", bank.landing.path)
        landed = await ok("xinyi-bank", *land, "--json")
        assert [(r["stage"], r["accepted"]) for r in landed.json] == [("accepted", 2500)]
        assert bank.landed() == 2500
        carry(bank.editions)
        assert (await run("xinyi-bank", *land)).code == 7, "what is carried again lands once"

        carry(bank.receipts)
        confirm = ("confirm", "--receipts", bank.receipts[1], "--home", bank.confirming.path)
        confirmed = (await ok("xinyi-bank", *confirm, "--json")).json["confirmed"]
        assert [c["stage"] for c in confirmed] == ["received", "accepted", "applied"]
        carry(bank.receipts)
        assert (await run("xinyi-bank", *confirm)).code == 7, "what is carried again is sent once"

        carry(bank.answers)
        await ok("xinyi-bank", "land", "--answers", bank.answers[1], "--home", bank.landing.path)
        status = (await ok("xinyi-bank", "status", "--json", "--home", bank.landing.path)).json
        assert (status["waiting_receipts"], status["unproven"]) == (0, 0)
        proofs = sorted(p.name for p in bank.landing.path.glob("evidence/*/*.tlog-proof"))
        assert proofs == ["accepted.tlog-proof", "applied.tlog-proof", "received.tlog-proof"]

        with world.gateway.database.reading() as conn:
            (delivery,) = deliveries.deliveries_of_edition(conn, edition.digest)
            receipts = deliveries.receipts_of(conn, delivery["delivery_id"])
        assert delivery["state"] == "APPLIED"
        world.pin(bank.confirming, bank.fetching.signer().key)
        world.pin(bank.confirming, bank.landing.signer().key)
        signed = [
            open_sealed(sealed, exchange_pb2.DeliveryReceipt, bank.confirming.keyring()).message
            for sealed in receipts
        ]
        assert [receipt.signed_by.rpartition("/")[2] for receipt in signed] == [
            "main",
            "database",
            "database",
        ]


async def test_what_is_still_being_carried_is_left_alone(tmp_path: Path) -> None:
    """A missing or half-written file: exit code 6, nothing taken, nothing refused; the whole one lands."""
    async with city(tmp_path) as world:
        bank = await machines(world)
        await world.publish(world.seal(2500))
        await ok("xinyi-bank", "fetch", "--home", bank.fetching.path)
        await ok("xinyi-bank", "handover", bank.editions[0], "--home", bank.fetching.path)
        carry(bank.editions)
        arriving = bank.editions[1]
        land = ("land", "--from", arriving, "--home", bank.landing.path)
        for name in ("*/chunks/000001.chunk", "*/manifest.dsse", "*/receipts/received.dsse", "*.complete"):
            (path,) = (arriving / "outgoing").glob(name)
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            found = await run("xinyi-bank", *land)
            assert found.code == 6, name
            assert path.name in found.err, "an operator has to know what to look for"
            path.unlink()
            assert (await run("xinyi-bank", *land)).code == (7 if name == "*.complete" else 6), name
            path.write_bytes(whole)
        assert bank.landed() == 0
        assert not list((bank.landing.path / "spool/refused").iterdir())
        await ok("xinyi-bank", *land)
        assert bank.landed() == 2500

        # Receipts, too: a later stage waits for the one before, half a receipt for its other half.
        source, office = bank.receipts
        office.mkdir()
        confirm = ("confirm", "--receipts", office, "--home", bank.confirming.path)
        (accepted,) = source.glob("*.accepted.dsse")
        (received,) = source.glob("*.received.dsse")
        shutil.copy(accepted, office)
        assert (await run("xinyi-bank", *confirm)).code == 7
        (office / received.name).write_bytes(received.read_bytes()[:-10])
        assert (await run("xinyi-bank", *confirm)).code == 7
        carry(bank.receipts)
        await ok("xinyi-bank", *confirm)


async def test_the_way_between_the_machines_is_not_trusted(tmp_path: Path) -> None:
    """A changed chunk under a changed list, and a changed acknowledgement, are refused by name."""
    async with city(tmp_path) as world:
        bank = await machines(world)
        await world.publish(world.seal(2500))
        await ok("xinyi-bank", "fetch", "--home", bank.fetching.path)
        await ok("xinyi-bank", "handover", bank.editions[0], "--home", bank.fetching.path)
        carry(bank.editions)
        (chunk,) = bank.editions[1].glob("outgoing/*/chunks/000001.chunk")
        (listed,) = bank.editions[1].glob("outgoing/*.complete")
        honest = chunk.read_bytes()
        chunk.write_bytes(flipped(honest, 5000))
        before, after = (hashlib.sha256(data).hexdigest() for data in (honest, chunk.read_bytes()))
        listed.write_text(listed.read_text().replace(before, after))
        land = ("land", "--from", bank.editions[1], "--home", bank.landing.path)
        refused = await run("xinyi-bank", *land)
        assert (refused.code, "[chunk]" in refused.err) == (4, True), refused
        assert bank.landed() == 0

        await ok("xinyi-bank", "handover", bank.editions[0], "--again", "--home", bank.fetching.path)
        carry(bank.editions)
        await ok("xinyi-bank", *land)
        carry(bank.receipts)
        await ok("xinyi-bank", "confirm", "--receipts", bank.receipts[1], "--home", bank.confirming.path)
        carry(bank.answers)
        (answer,) = bank.answers[1].glob("*/applied.acknowledgement.dsse")
        (other,) = bank.answers[1].glob("*/accepted.acknowledgement.dsse")
        shutil.copy(other, answer)
        answers = ("land", "--answers", bank.answers[1], "--home", bank.landing.path)
        refused = await run("xinyi-bank", *answers)
        assert (refused.code, "[handover.acknowledgement]" in refused.err) == (4, True), refused
        carry(bank.answers)
        await ok("xinyi-bank", *answers)
