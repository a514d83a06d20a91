"""A year at a real gateway, exported and verified offline: deltas, an objection, a correction, a bank that lost all."""

from __future__ import annotations

from pathlib import Path

from audit.verification.findings import Verdict
from gateway.office.inspection import read
from gateway.store import deliveries
from tests.chain import Chain
from tests.flows.test_administrator import Audit
from tests.flows.test_objections import decision, objection, send
from tests.flows.test_recalls import decide, ground, take
from tests.flows.test_rights import entries
from tests.world import APPROVER, MAKER, city, made_up_records, made_up_uscc
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
