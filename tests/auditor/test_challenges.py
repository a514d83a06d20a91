"""An auditor draws a sample, the bank opens it, the auditor verifies it: by the programs, as people type them."""

from __future__ import annotations

import asyncio
import csv
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.auditor.books import Booked, compare
from adapters.auditor.cli import app
from adapters.bank.client import BankClient
from adapters.bank.lending.client import LendingClient
from adapters.bank.lending.kept import KeptTable, KeptTables
from adapters.bank.lending.reading import LoanLine
from adapters.bank.lending.reporting import Order, choose_terms, make, send
from adapters.party.home import Home
from audit.envelope import digest
from tests.auditor.test_commands import auditor
from tests.bank.offers import flipped
from tests.bank.reports import Given
from tests.flows.test_challenges import answer
from tests.flows.test_rights import entries
from tests.programs import ok, run
from tests.samples import Q1, firms_relying, records_of
from tests.world import AUDITOR, BUREAU, World, city
from xinyi.v1 import envelope_pb2, lending_pb2, records_pb2

pytestmark = pytest.mark.processes

BANK = "test-city/bank-1"


@dataclass
class Scene:
    """A bank that reported on an edition it holds, and an auditor; each pins the other's key."""

    world: World
    bank: Home
    auditor: Home
    policy: Path
    kept: KeptTable
    firms: Sequence[lending_pb2.FirmLending]

    @property
    def rows(self) -> list[lending_pb2.LoanRow]:
        return [row for firm in self.firms for row in firm.rows]

    async def ask(self, name: str, *more: object) -> tuple[Path, dict[str, Any]]:
        folder = self.world.path / name
        asked = ("--bank", "bank-1", "--period", "2018-Q1", "--purpose", "annual audit", "-o", folder, *more)
        return folder, (await ok("xinyi-audit", "challenge", *asked, "--home", self.auditor.path, "--json")).json

    async def keep(self, folder: Path) -> Any:
        return (await ok("xinyi-audit", "challenges", "--keep", folder, "--home", self.auditor.path, "--json")).json

    def verify(self, folder: Path, opening: Path, *more: object) -> tuple[int, dict[str, Any]]:
        """In this process: it takes many of them, and needs no gateway."""
        words = ("verify-opening", folder, opening, "--policy", self.policy, *more, "--json")
        done = CliRunner().invoke(app, [*map(str, words)])
        return done.exit_code, json.loads(done.stdout)

    def books(self, rows: Sequence[lending_pb2.LoanRow]) -> Path:
        """As the auditor types them: yuan with decimals, classes in Chinese."""
        path = self.world.path / "seen.csv"
        classes = ["", "正常", "关注", "次级", "可疑", "损失"]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("loan", "granted", "balance", "class", "remark"))
            for row in rows:
                amounts = (f"{amount // 100}.{amount % 100:02d}" for amount in (row.granted, row.balance))
                writer.writerow((row.loan.reference, *amounts, classes[row.loan_class], "seen"))
        return path


async def staged(world: World, *, told: records_pb2.Grade = records_pb2.GRADE_A) -> Scene:
    """Args: told — the grade that the bank's rows name; the edition says A."""
    bank = await world.bank("bank-1")
    await world.report_terms(bank)
    edition = world.seal(1500)
    await world.publish(edition)
    await ok("xinyi-bank", "fetch", "--home", bank.path)
    firms = firms_relying(records_of(edition)[:150])
    for row in (row for firm in firms for row in firm.rows if row.loan.HasField("reliance")):
        row.loan.reliance.grade = told
    kept = await asyncio.to_thread(report, bank, firms)
    person, policy = await auditor(world)
    world.pin(person, bank.signer().key)
    await ok("xinyi-audit", "policy", "--home", person.path, "--bureau", BUREAU, "-o", policy)
    return Scene(world, bank, person, policy, kept, firms)


def report(bank: Home, firms: Sequence[lending_pb2.FirmLending]) -> KeptTable:
    lines = [LoanLine(0, firm.taxpayer_id, firm.identifier_kind, row) for firm in firms for row in firm.rows]
    tables = KeptTables(bank)
    with BankClient(bank) as client, tables.lock(), tables.making() as place:
        lending = LendingClient(client)
        order = Order(choose_terms(lending.terms(), Q1), Q1)
        kept = tables.keep(place, make(place, bank, order, Given(lines)), *bank.signers())
        send(kept, lending)
    return kept


def know(bank: Home, *lines: str) -> None:
    with (bank.path / "party.toml").open("a") as settings:
        settings.write("\n" + "\n".join(lines) + "\n")


async def test_a_sample_from_the_question_to_the_verdict(tmp_path: Path) -> None:
    async with city(tmp_path) as world:
        scene = await staged(world)
        bank = ("--home", scene.bank.path)
        folder, asked = await scene.ask("sample", "--n", 25)
        assert (asked["drawn"], asked["of"], asked["by"]) == (25, len(scene.rows), "rows")
        assert asked["table"] == scene.kept.digest.hex()
        (open_,) = (await ok("xinyi-bank", "challenges", *bank, "--json")).json
        assert (open_["challenge"], open_["state"], open_["asked_by"]) == (asked["challenge"], "open", AUDITOR)
        assert "annual audit" in (await ok("xinyi-bank", "challenges", *bank)).out

        # Nobody is opened to who is not known, and no auditor's key may count as a bureau's.
        opening = tmp_path / "opening.dsse"
        command = ("open", asked["challenge"][:12], "-o", opening, *bank)
        unnamed = await run("xinyi-bank", *command, "--yes")
        assert (unnamed.code, "[settings.origins]" in unnamed.err) == (2, True)
        know(scene.bank, "[bank]", f'origins = ["{BUREAU}"]')
        unknown = await run("xinyi-bank", *command, "--yes")
        assert (unknown.code, "[home.trust]" in unknown.err) == (2, True)
        world.pin(scene.bank, scene.auditor.signer().key)
        unsaid = await run("xinyi-bank", *command)
        assert (unsaid.code, opening.exists()) == (2, False), "a person says yes, or nothing leaves"
        assert f"of {len(scene.rows)} rows" in unsaid.err
        assert entries(world, "challenge.answered") == []

        opened = (await ok("xinyi-bank", *command, "--yes", "--json")).json
        assert opened["opening"] == digest(envelope_pb2.Envelope.FromString(opening.read_bytes())).hex()
        again = await ok("xinyi-bank", "open", asked["challenge"], "-o", tmp_path / "again.dsse", *bank)
        assert (tmp_path / "again.dsse").read_bytes() == opening.read_bytes(), again
        (answered,) = entries(world, "challenge.answered")
        code, unfetched = scene.verify(folder, opening)
        assert (code, "told the log" in unfetched["findings"][0]) == (5, True)
        (told,) = await scene.keep(folder)
        assert (told["state"], told["opening"], told["overdue"]) == ("answered", opened["opening"], False)

        code, found = scene.verify(folder, opening)
        assert (code, found["verdict"], found["findings"]) == (0, "holds", [])
        rows, of = found["opened"]["rows"]
        assert (rows, of) == (answered.record_count, len(scene.rows))
        assert rows >= 25
        assert found["opened"]["granted"][1] == sum(row.granted for row in scene.rows)
        assert 0 < found["grades_proven"] <= rows
        fewest = [one["fewest"] for one in found["confidence"]]
        assert fewest == sorted(fewest)
        assert fewest[0] > 1
        assert any("left out" in line for line in found["not_seen"])
        text = await ok("xinyi-audit", "verify-opening", folder, opening, "--policy", scene.policy)
        assert "would have been seen with 95% confidence" in text.out
        assert text.out.strip().endswith("holds")
        await beside_the_books(scene, folder, opening)
        what_was_changed(scene, folder, opening)
        await ok("xinyi-audit", "export", tmp_path / "export", "--purpose", "x", "--home", scene.auditor.path)
        policy = ("--policy", scene.policy, "--json")
        report = (await ok("xinyi-audit", "verify", tmp_path / "export", *policy)).json
        (check,) = (one for one in report["checks"] if one["check"] == "challenges")
        assert (check["verdict"], check["examined"]) == ("holds", 2)


async def beside_the_books(scene: Scene, folder: Path, opening: Path) -> None:
    """Row by row: the same; one that differs; one that was not looked at; a file that cannot be read."""
    sealed = lending_pb2.Opening.FromString(envelope_pb2.Envelope.FromString(opening.read_bytes()).payload)
    rows = [row for firm in sealed.firms for row in lending_pb2.FirmLending.FromString(firm.record).rows]
    code, found = scene.verify(folder, opening, "--books", scene.books(rows))
    assert (code, found["verdict"], found["books_same"]) == (0, "holds", len(rows))
    code, found = scene.verify(folder, opening, "--books", scene.books(rows[1:]))
    assert (code, found["verdict"], len(found["findings"])) == (5, "cannot decide", 1)
    more = next(row for row in scene.rows if row not in rows)
    code, found = scene.verify(folder, opening, "--books", scene.books([*rows, more]))
    assert (code, "left it out" in found["findings"][0]) == (5, True)
    true = lending_pb2.LoanRow.FromString(rows[0].SerializeToString())
    true.granted, true.loan_class = true.granted // 2, lending_pb2.LOAN_CLASS_LOSS
    code, found = scene.verify(folder, opening, "--books", scene.books([true, *rows[1:]]))
    assert (code, found["verdict"]) == (4, "false")
    assert rows[0].loan.reference in found["findings"][0]
    assert "loss" in found["findings"][0]
    lacking = lending_pb2.LoanRow.FromString(true.SerializeToString())
    lacking.granted, lacking.newly_granted = 0, False
    booked = {true.loan.reference: Booked(rows[0].granted, true.balance, true.loan_class)}
    assert compare([lacking], booked).same == 1, "of an earlier period: the books have its whole amount"
    assert compare([true], booked).different
    broken = scene.books(rows)
    broken.write_text(broken.read_text().replace(".", ",", 1))
    refused = await run(
        "xinyi-audit", "verify-opening", folder, opening, "--policy", scene.policy, "--books", broken
    )
    assert (refused.code, "line 2" in refused.err) == (3, True)


def what_was_changed(scene: Scene, folder: Path, opening: Path) -> None:
    """A byte of the opening or of the folder is false; a key that is not pinned decides nothing."""
    other = scene.world.path / "other.dsse"
    other.write_bytes(flipped(opening.read_bytes(), len(opening.read_bytes()) // 2))
    assert scene.verify(folder, other)[0] == 4
    copy = scene.world.path / "copy"
    shutil.copytree(folder, copy)
    (copy / "acknowledgement.dsse").unlink()
    assert scene.verify(copy, opening)[0] == 5
    shutil.copy(folder / "challenge.dsse", copy / "table.dsse")
    assert scene.verify(copy, opening)[0] == 4
    policy = scene.policy.read_text()
    parts = policy.split("\n[[keys]]")
    scene.policy.write_text("\n[[keys]]".join(part for part in parts if BANK not in part))
    code, found = scene.verify(folder, opening)
    assert (code, f"no key of {BANK}" in found["findings"][0]) == (5, True)
    scene.policy.write_text(policy)


async def test_what_a_bank_cannot_open(tmp_path: Path) -> None:
    """Rows that are not those it sealed, a record it has not any more: nothing leaves, and the log says nothing."""
    async with city(tmp_path) as world:
        scene = await staged(world)
        know(scene.bank, "[bank]", f'origins = ["{BUREAU}"]')
        world.pin(scene.bank, scene.auditor.signer().key)
        folder, asked = await scene.ask("by-amount", "--n", 40, "--by", "granted", "--due", "2099-12-31")
        assert (asked["by"], asked["of"]) == ("granted", sum(row.granted for row in scene.rows))
        opening = tmp_path / "opening.dsse"
        command = ("open", asked["challenge"], "-o", opening, "--yes", "--home", scene.bank.path)
        stored = scene.kept.path / "rows.db"
        shutil.copy(stored, tmp_path / "rows.db")
        with closing(sqlite3.connect(stored)) as db, db:
            (record,) = db.execute("SELECT record FROM leaves WHERE number = 70").fetchone()
            firm = lending_pb2.FirmLending.FromString(record)
            firm.rows[0].loan_class = lending_pb2.LOAN_CLASS_NORMAL
            firm.rows[0].loan.branch = "other"
            changed = firm.SerializeToString(deterministic=True)
            db.execute("UPDATE leaves SET record = ? WHERE number = 70", (changed,))
        done = await run("xinyi-bank", *command)
        assert (done.code, "not those that the table was sealed over" in done.err) == (4, True)
        stored.write_bytes(b"no database at all, but a text")
        done = await run("xinyi-bank", *command)
        assert (done.code, "cannot be read as the rows of a table" in done.err) == (4, True)
        shutil.copy(tmp_path / "rows.db", stored)
        (ready,) = scene.bank.path.glob("spool/ready/*/chunks")
        ready.rename(tmp_path / "chunks")
        done = await run("xinyi-bank", *command)
        assert (done.code, "purged" in done.err) == (3, True)
        (tmp_path / "chunks").rename(ready)
        assert not opening.exists()
        assert entries(world, "challenge.answered") == []
        assert (await run("xinyi-bank", "open", "ffff", *command[2:])).code == 3
        await ok("xinyi-bank", *command)
        await scene.keep(folder)
        code, found = scene.verify(folder, opening)
        assert (code, found["verdict"]) == (0, "holds")
        assert found["confidence"][1]["share"] < 0.1


async def test_a_challenge_whose_answer_was_lost_is_sent_again(tmp_path: Path) -> None:
    """The folder is there before it is sent; what was refused leaves none."""
    async with city(tmp_path) as world:
        scene = await staged(world)
        folder, asked = await scene.ask("sample", "--n", 5)
        kept = (folder / "acknowledgement.dsse").read_bytes()
        (folder / "acknowledgement.dsse").unlink()
        _, again = await scene.ask("sample", "--n", 7)
        assert again["challenge"] == asked["challenge"]
        assert (folder / "acknowledgement.dsse").read_bytes() == kept
        home = ("--purpose", "x", "--home", scene.auditor.path)
        question = ("challenge", "--bank", "bank-1", "--period", "2018-Q1", "--n", 5, *home)
        existing = await run("xinyi-audit", *question, "-o", folder)
        assert (existing.code, existing.out) == (2, "")
        open_ = await run("xinyi-audit", *question, "-o", tmp_path / "other")
        assert (open_.code, "[challenge.open]" in open_.err) == (3, True)
        assert not (tmp_path / "other").exists()
        for wrong in (("--period", "2018-Q2"), ("--currency", "USD"), ("--table", "0" * 12)):
            refused = await run("xinyi-audit", *question, *wrong, "-o", tmp_path / "other")
            assert (refused.code, "[challenge.table]" in refused.err) == (3, True), wrong
        assert len(entries(world, "challenge.asked")) == 1


async def test_a_bank_opens_what_is_wrong_as_well(tmp_path: Path) -> None:
    """Rows that name another grade than their records: its people are told before, and the auditor sees it."""
    async with city(tmp_path) as world:
        scene = await staged(world, told=records_pb2.GRADE_M)
        know(scene.bank, "[bank]", f'origins = ["{BUREAU}"]')
        world.pin(scene.bank, scene.auditor.signer().key)
        folder, asked = await scene.ask("sample", "--n", 30, "--by", "balance")
        opening = tmp_path / "opening.dsse"
        command = ("open", asked["challenge"], "-o", opening, "--yes", "--home", scene.bank.path)
        opened = await ok("xinyi-bank", *command)
        assert "the auditor will find this wrong: the record that loan" in opened.err
        code, found = scene.verify(folder, opening)
        assert (code, found["verdict"]) == (4, "false")
        assert "tells another grade or year" in found["findings"][0]
        text = await run("xinyi-audit", "verify-opening", folder, opening, "--policy", scene.policy)
        assert (text.code, text.out.strip().splitlines()[-1]) == (4, "false")


async def test_an_opening_that_the_log_does_not_name_is_false(tmp_path: Path) -> None:
    """The bank told the log of one opening, and hands out another, which holds by itself."""
    async with city(tmp_path) as world:
        scene = await staged(world)
        know(scene.bank, "[bank]", f'origins = ["{BUREAU}"]')
        world.pin(scene.bank, scene.auditor.signer().key)
        folder, asked = await scene.ask("sample", "--n", 5)
        early = await run("xinyi-audit", "challenges", "--keep", folder, "--home", scene.auditor.path)
        assert (early.code, "[challenge.answer]" in early.err) == (3, True)
        await answer(world, scene.bank, bytes.fromhex(asked["challenge"]), rows=1)
        opening = tmp_path / "opening.dsse"
        command = ("open", asked["challenge"], "-o", opening, "--yes", "--home", scene.bank.path)
        assert ((await run("xinyi-bank", *command)).code, opening.exists()) == (3, True), "the log has another answer"
        assert scene.verify(folder, opening)[0] == 5
        await scene.keep(folder)
        code, found = scene.verify(folder, opening)
        assert (code, found["verdict"], "another opening" in found["findings"][0]) == (4, "false", True)
