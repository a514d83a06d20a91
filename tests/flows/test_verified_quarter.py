"""What three banks report of a quarter, carried away by the auditor and verified offline; and lies about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.verification.findings import Verdict
from gateway.store import tables
from tests.flows.reported import a_quarter
from tests.flows.tampering import Administrator
from tests.flows.test_administrator import Audit, failed
from tests.flows.test_audit import auditor, xinyi_audit
from tests.flows.test_challenges import unanswered
from tests.flows.test_statistics import make
from tests.lending import WAN, firms_of, send_table, table_of
from tests.world import CITY, city


async def test_an_exported_quarter_holds_offline(tmp_path: Path, database_url: str) -> None:
    """With records and without; who has not answered is told. No row without consent is carried away."""
    async with city(tmp_path, database_url=database_url) as world:
        home = await auditor(world)
        await a_quarter(world, home)
        world.clock.advance(days=5)
        await unanswered(world, 1)
        for flags, name in ((["--records"], "whole"), ([], "bare")):
            done = await xinyi_audit("export", tmp_path / name, "--home", home.path, "--purpose", "audit", *flags)
            assert done.code == 0, done.errors
    examined = {}
    for name in ("whole", "bare"):
        verdict = await xinyi_audit("verify", tmp_path / name, "--policy", tmp_path / "policy.toml", "--json")
        assert (verdict.code, verdict.json["verdict"]) == (0, "holds"), verdict.text
        examined[name] = {check["check"]: check["examined"] for check in verdict.json["checks"]}
    assert examined["whole"]["lending"] == 4 + 1 + 2 + 4  # tables, an answer, batches; rows of tables
    assert examined["whole"]["challenges"] == 4
    assert examined["whole"]["statistics"] == 3 + 3 + 3  # of ListStatistics and the one that is fetched
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
        for kind, count in (("lending", 5), ("outcomes.recorded", 2), ("challenge", 3), ("statistics.run", 3)):
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
