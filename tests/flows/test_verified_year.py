"""A year at a real gateway, exported and verified offline: deltas, an objection, a correction, a bank that lost all."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.verification.findings import Verdict
from gateway.office.inspection import read
from gateway.store import deliveries
from tests.chain import Chain
from tests.flows.test_administrator import Audit
from tests.flows.test_editions_over_time import named
from tests.flows.test_objections import decision, objection, send
from tests.flows.test_recalls import ACCEPTED, APPLIED, RECEIVED, decide, ground, recalls, take
from tests.flows.test_rights import entries
from tests.flows.test_stop import stop
from tests.programs import ok
from tests.world import APPROVER, MAKER, city, made_up_records, made_up_uscc, receipt_for
from xinyi.errors import NotEntitled
from xinyi.v1 import exchange_pb2, objection_pb2

SUBJECTS = made_up_records(30)


async def test_a_year_is_verified_offline(tmp_path: Path, database_url: str) -> None:
    """Everything the gateway did holds for a verifier that trusts the policy alone; open recalls are told."""
    async with city(tmp_path, database_url=database_url) as world:
        audit = await Audit.of(world)
        banks = {name: await world.bank(name) for name in ("active", "suspended", "late")}
        chain = Chain(world.homes[MAKER])
        first = chain.full(SUBJECTS[:20])
        await world.publish(first)
        for name in ("active", "suspended"):
            await take(world, banks[name])
        digest, _ = await send(world, objection(world, first, made_up_uscc(7)), MAKER)
        await decide(world, banks["suspended"], "suspend")

        chain.month = 2
        second = chain.delta(SUBJECTS[20:22], [SUBJECTS[0].taxpayer_id])
        await world.publish(second)
        package = await take(world, banks["active"], first.digest)
        marks = exchange_pb2.Delivery.FromString(package.delivery.payload).disputes
        assert [mark.objection for mark in marks] == [digest]

        chain.month = 3
        correction = chain.correction(first.digest, gone=[made_up_uscc(7)])
        await world.publish(correction)
        upheld = decision(world, digest, objection_pb2.OBJECTION_OUTCOME_UPHELD, correction.digest)
        await send(world, upheld, APPROVER)
        report = await audit.report()
        assert report.verdict == Verdict.HOLDS, report.findings
        assert len(report.notes["open_recalls"]) == 2

        package = await take(world, banks["suspended"], first.digest)
        assert ground(package) == exchange_pb2.DELIVERY_GROUND_RECALL
        await take(world, banks["active"], second.digest)
        # Restored from a backup of January: everything comes again.
        await take(world, banks["active"], first.digest)
        assert entries(world, "receipt.repeated")
        rows = read(world.gateway.settings.home, deliveries.list_recalls)
        assert {row["state"] for row in rows} == {"CONFIRMED"}
        report = await audit.report()
        assert report.verdict == Verdict.HOLDS, report.findings
        assert "open_recalls" not in report.notes
        examined = {name for name, check in report.checks.items() if check.examined}
        assert {"recalls", "objections", "states", "deliveries", "receipts"} <= examined


async def test_a_recall_ends_with_its_correction(tmp_path: Path, database_url: str) -> None:
    """Stopped: who confirmed has confirmed, the others are not asked any more; a late receipt still counts."""
    async with city(tmp_path, database_url=database_url) as world:
        audit = await Audit.of(world)
        names = ("confirmed", "taken", "untold")
        banks = {name: await world.bank(name) for name in names}
        for bank in banks.values():
            world.pin(world.homes[MAKER], bank.signer().key)
        chain = Chain(world.homes[MAKER])
        await world.publish(first := chain.full(SUBJECTS[:20]))
        for name in names:
            await take(world, banks[name])
        await world.publish(correction := chain.correction(first.digest, [named(SUBJECTS[0], "更正")]))
        await take(world, banks["confirmed"], first.digest)
        late = (await world.pull(banks["taken"], first.digest)).package
        await world.confirm(banks["taken"], receipt_for(late, banks["taken"], RECEIVED, world.clock()))
        await decide(world, banks["untold"], "suspend")
        await stop(world, correction)
        assert recalls(world) == {"confirmed": "CONFIRMED", "taken": "STOPPED", "untold": "STOPPED"}
        with pytest.raises(NotEntitled):
            await world.pull(banks["untold"], first.digest)
        home = ("--home", world.homes[MAKER].path, "--json")
        told = (await ok("xinyi-bureau", "recall", correction.digest.hex()[:16], *home)).json["recipients"]
        assert {row["recipient"].rpartition("/")[2]: row["state"] for row in told} == {
            "confirmed": "confirmed", "taken": "stopped", "untold": "stopped",
        }  # fmt: skip
        report = await audit.report()
        assert report.verdict == Verdict.HOLDS, report.findings
        assert "open_recalls" not in report.notes
        for stage in (ACCEPTED, APPLIED):
            await world.confirm(banks["taken"], receipt_for(late, banks["taken"], stage, world.clock()))
        assert recalls(world)["taken"] == "CONFIRMED"
        report = await audit.report()
        assert report.verdict == Verdict.HOLDS, report.findings
