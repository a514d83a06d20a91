"""An auditor looks, proves, carries the log away and verifies it offline, with the real program."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.party.home import Home
from tests.world import APPROVER, AUDITOR, BUREAU, MAKER, World, city, receipt_for
from xinyi.errors import NotEntitled
from xinyi.v1 import edition_pb2, exchange_pb2


@dataclass
class Outcome:
    code: int
    text: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.text.splitlines()]


async def xinyi_audit(*arguments: object) -> Outcome:
    """Runs the program as a process of its own."""

    def run() -> Outcome:
        command = [
            sys.executable,
            "-c",
            "from adapters.auditor.cli import main; main()",
            *map(str, arguments),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(run)


async def auditor(world: World) -> Home:
    """An auditor's home that pins the bureau's persons, and its policy beside it."""
    home = await world.admit(AUDITOR, "AUDITOR")
    for person in (MAKER, APPROVER):
        world.pin(home, world.homes[person].signer().key)
    written = await xinyi_audit(
        "policy", "--home", home.path, "--bureau", BUREAU, "-o", world.path / "policy.toml"
    )
    assert written.code == 0, written.errors
    return home


async def a_month(world: World, records: int = 2500) -> None:
    """Two editions, the first refused once by rule; a pulled delivery with three receipts; refusals."""
    bank = await world.bank("bank-1")
    other = await world.bank("bank-2")
    edition = world.seal(records)
    await world.submit(edition)
    with pytest.raises(NotEntitled):
        await world.approve(edition, MAKER)
    await world.approve(edition)
    package = (await world.pull(bank)).package
    for stage in (
        exchange_pb2.RECEIPT_STAGE_RECEIVED,
        exchange_pb2.RECEIPT_STAGE_ACCEPTED,
        exchange_pb2.RECEIPT_STAGE_APPLIED,
    ):
        await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))
    for _ in range(2):
        with pytest.raises(NotEntitled):
            await world.fetch(other, exchange_pb2.Delivery.FromString(package.delivery.payload).delivery_id)
    second = world.seal(min(records, 1100), month=2, sequence=2, predecessor=edition.digest)
    await world.submit(second)
    await world.decide(
        edition_pb2.Cancellation(
            manifest_digest=second.digest, cancelled_by=MAKER, reason="typo", cancelled_at_ms=world.clock()
        ),
        MAKER,
    )


async def test_an_exported_month_holds_offline(tmp_path: Path, database_url: str) -> None:
    """The export of an honest gateway verifies under the auditor's policy, with records and without."""
    async with city(tmp_path, database_url=database_url) as world:
        home = await auditor(world)
        await a_month(world)
        for flags, name in ((["--records"], "whole"), ([], "bare")):
            done = await xinyi_audit(
                "export", tmp_path / name, "--home", home.path, "--purpose", "annual audit", *flags
            )
            assert done.code == 0, done.errors
    for name in ("whole", "bare"):
        verdict = await xinyi_audit("verify", tmp_path / name, "--policy", tmp_path / "policy.toml", "--json")
        assert (verdict.code, verdict.json["verdict"]) == (0, "holds"), verdict.text
        examined = {check["check"]: check["examined"] for check in verdict.json["checks"]}
        assert examined["receipts"] == 3
        assert examined["deliveries"] == 1
        assert examined["records"] == (7 if name == "whole" else 0)
