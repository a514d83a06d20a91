"""What two banks report of a quarter, carried away by the auditor and verified offline; and lies about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.party.home import Home
from audit.verification.findings import Verdict
from gateway.store import tables
from tests.flows.tampering import Administrator
from tests.flows.test_administrator import Audit, failed
from tests.flows.test_audit import auditor, xinyi_audit
from tests.flows.test_challenges import answer, ask, challenge, due, newest, unanswered
from tests.flows.test_statistics import fetch, make
from tests.lending import WAN, answer_questions, corrected, firms_of, send_table, table_of
from tests.outcomes import outcome, send_outcomes
from tests.world import CITY, MAKER, World, city

TELLER = f"xinyi://{CITY}/bank-2/person/zhou-yan"


async def a_quarter(world: World, home: Home) -> None:
    """Tables that count, wait, are confirmed and corrected; loans with consent and without; two challenges, of which
    one is not answered in time; statistics in two versions, which the bureau and a bank take.

    Args: home — of the auditor.
    """
    banks = [await world.bank(name) for name in ("bank-1", "bank-2")]
    for bank in banks:
        if bank.party not in _reporting(world):
            await world.report_terms(bank)
    teller = await world.admit(TELLER, "BANK")
    first = await send_table(world, banks[0], table_of(banks[0], firms_of(n * 10 * WAN for n in range(1, 21))))
    small = await send_table(world, banks[1], table_of(banks[1], firms_of([5 * WAN // 1000] * 5, size="micro")))
    assert (first.state, small.state) == ("COUNTED", "HELD")
    await make(world)
    note = await newest(world, home)
    asked = [
        (await ask(home, challenge(world, sent.digest, note, bank=bank.party, due_on=due(world, 3))))[0]
        for sent, bank in zip((first, small), banks, strict=True)
    ]
    await answer(world, banks[0], asked[0])
    await answer_questions(world, teller, small.digest)
    await send_table(world, banks[0], corrected(banks[0], first.digest, firms_of(n * 10 * WAN for n in range(1, 23))))
    sent = await send_outcomes(
        world, banks[0], [outcome(1, amount=20 * WAN), outcome(2, amount=9 * WAN), outcome(3, consent=False)]
    )
    assert sent.receipt.refused == 1
    await send_outcomes(world, banks[0], [outcome(1, amount=20 * WAN), outcome(2, amount=8 * WAN)], "2")
    await make(world)
    for version in (1, 2):
        await fetch(world.homes[MAKER], version)
    await fetch(banks[1])
    world.clock.advance(days=5)
    await unanswered(world, 1)


def _reporting(world: World) -> set[str]:
    with world.gateway.database.reading() as conn:
        query = tables.agreements.join(tables.reporting_terms).select()
        return {row.party for row in conn.execute(query)}


async def test_an_exported_quarter_holds_offline(tmp_path: Path, database_url: str) -> None:
    """With records and without; who has not answered is told. No row without consent is carried away."""
    async with city(tmp_path, database_url=database_url) as world:
        home = await auditor(world)
        await a_quarter(world, home)
        for flags, name in ((["--records"], "whole"), ([], "bare")):
            done = await xinyi_audit("export", tmp_path / name, "--home", home.path, "--purpose", "audit", *flags)
            assert done.code == 0, done.errors
    examined = {}
    for name in ("whole", "bare"):
        verdict = await xinyi_audit("verify", tmp_path / name, "--policy", tmp_path / "policy.toml", "--json")
        assert (verdict.code, verdict.json["verdict"]) == (0, "holds"), verdict.text
        examined[name] = {check["check"]: check["examined"] for check in verdict.json["checks"]}
    assert examined["whole"]["lending"] == 3 + 1 + 2 + 3  # tables, an answer, batches; rows of tables
    assert examined["whole"]["challenges"] == 4
    assert examined["whole"]["statistics"] == 4 + 4 + 3  # of ListStatistics and the one that is fetched
    assert (examined["whole"]["records"], examined["bare"]["records"]) == (2 + 2, 0)
    assert verdict.json["open"]["challenges"][f"{CITY}/bank-2"]["count"] == 1
    text = await xinyi_audit("verify", tmp_path / "bare", "--policy", tmp_path / "policy.toml")
    assert f"not answered by {CITY}/bank-2: 1" in text.text
    kept = b"".join(path.read_bytes() for path in (tmp_path / "whole/outcomes").rglob("*.chunk"))
    assert (b"O000001" in kept, b"O000003" in kept) == (True, False)


async def test_entries_about_lending_are_found_by_kind(tmp_path: Path) -> None:
    async with city(tmp_path) as world:
        home = await auditor(world)
        await a_quarter(world, home)
        for kind, count in (("lending", 4), ("outcomes.recorded", 2), ("challenge", 4), ("statistics.run", 4)):
            done = await xinyi_audit("entries", "--kind", kind, "--purpose", "look", "--home", home.path, "--json")
            assert (done.code, len(done.lines)) == (0, count), done.text + done.errors


@pytest.mark.parametrize("column", ["granted", "value"])
async def test_statistics_from_edited_cells_are_found(tmp_path: Path, database_url: str, column: str) -> None:
    """What the sums are made from is no evidence itself: the sealed tables are, and say otherwise."""
    async with city(tmp_path, database_url=database_url) as world:
        audit = await Audit.of(world)
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        sent = await send_table(world, bank, table_of(bank, firms_of(n * 10 * WAN for n in range(1, 21))))
        admin = Administrator(world.gateway.settings.database_url)
        cell = admin.find(tables.lending_cells, document=sent.digest, dimension="guarantee", value="credit")
        other = cell["granted"] + 1 if column == "granted" else "pledge"
        with admin.changed(tables.lending_cells, cell, tables.lending_cells.c[column], other):
            await make(world)
        admin.close()
        report = await audit.report()
        assert failed(report) == {"statistics"}
        assert {finding.verdict for finding in report.findings} == {Verdict.FALSE}
        assert all("guarantee" in finding.reason for finding in report.findings), report.findings
