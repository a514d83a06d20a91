"""A bank's own programs through months, against a serving gateway: missed, corrected, suspended, restored, watched."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from adapters.party.home import Home
from gateway.office import partners
from tests.chain import Chain
from tests.flows.programs import Program
from tests.programs import ok, run
from tests.world import MAKER, OPERATOR, World, city, made_up_records, made_up_uscc
from xinyi.v1 import records_pb2

pytestmark = pytest.mark.processes


def shown(bank: Home) -> dict[str, str]:
    engine = create_engine(f"sqlite:///{bank.path}/bank.db")
    with engine.connect() as conn:
        found = {row[0]: row[1] for row in conn.execute(text("SELECT taxpayer_id, names FROM grade_a"))}
    engine.dispose()
    return found


def told(chain: Chain) -> dict[str, str]:
    return {name: record.names[0] for name, record in chain.truth.items()}


def renamed(number: int, name: str) -> records_pb2.GradeRecord:
    record = made_up_records(number + 1)[number]
    record.names[:] = [name]
    return record


async def level(bank: Home) -> list[Any]:
    """catch-up and confirm, as a scheduler runs them."""
    done = await run("xinyi-bank", "catch-up", "--home", bank.path, "--json")
    assert done.code in (0, 7), done
    confirmed = await run("xinyi-bank", "confirm", "--home", bank.path, "--json")
    assert confirmed.code in (0, 7), confirmed
    found: list[Any] = done.json
    return found


async def test_a_bank_that_missed_months_is_level_by_one_command(tmp_path: Path) -> None:
    """January to April in one go; the database is the truth, all receipts are taken, and it stays level."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        first = chain.full(made_up_records(1500))
        await world.publish(first)
        ((january,)) = await level(bank)
        assert (january["level"], january["records"]) == (1, 1500)
        await world.publish(chain.delta([renamed(3, "乙公司")], gone=[made_up_uscc(4)]))
        await world.publish(chain.correction(first.digest, [renamed(5, "更正")], gone=[made_up_uscc(6)]))
        await world.publish(chain.delta([renamed(7, "丙公司")]))
        ((april,)) = await level(bank)
        assert (april["database"], april["level"], april["editions"]) == (1, 4, 3)
        assert shown(bank) == told(chain)
        status = (await ok("xinyi-bank", "status", "--home", bank.path, "--json")).json
        assert (status["landed"], status["waiting_receipts"], status["held"]) == (4, 0, {"grade-a": 4})
        assert (await run("xinyi-bank", "catch-up", "--home", bank.path)).code == 7
        listed = (await ok("xinyi-bank", "recalls", "--home", bank.path, "--json")).json
        assert {(row["taxpayer_id"], row["what"]) for row in listed} == {
            (made_up_uscc(5), "changed"),
            (made_up_uscc(6), "gone"),
        }


async def test_a_suspended_bank_takes_the_correction_and_then_the_months(tmp_path: Path) -> None:
    """Suspended after January: of April it gets the correction alone, at once; later all of it, nothing twice."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        first = chain.full(made_up_records(1100))
        await world.publish(first)
        await level(bank)
        await decide(world, bank, "suspend")
        await world.publish(chain.delta([renamed(3, "乙公司")]))
        await world.publish(chain.correction(first.digest, [renamed(5, "更正")], gone=[made_up_uscc(6)]))
        ((recalled,)) = await level(bank)
        assert (recalled["level"], recalled["recalls"], recalled["editions"]) == (1, 1, 0)
        now = shown(bank)
        assert (now[made_up_uscc(5)], made_up_uscc(6) in now) == ("更正", False)
        assert now[made_up_uscc(3)] != "乙公司"
        refused = await run("xinyi-bank", "catch-up", "--home", bank.path)
        assert (refused.code, "[partner.suspended]" in refused.err) == (3, True), "and nothing else"
        await decide(world, bank, "activate")
        ((back,)) = await level(bank)
        assert back["level"] == 3
        assert shown(bank) == told(chain)
        assert len((await ok("xinyi-bank", "recalls", "--home", bank.path, "--json")).json) == 2


async def decide(world: World, bank: Home, decision: str) -> None:
    await world.gateway.door.run(lambda x: partners.decide(x, bank.party, decision, "test", OPERATOR))


@pytest.mark.parametrize("lost", ["spool", "database", "both"])
async def test_a_bank_restored_from_last_month_s_backup(tmp_path: Path, lost: str) -> None:
    """Level again by the same command; what is signed once more, the gateway takes."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        first = chain.full(made_up_records(1100))
        await world.publish(first)
        await world.publish(chain.delta([renamed(3, "乙公司")]))
        await level(bank)
        shutil.copytree(bank.path / "spool", tmp_path / "backup/spool")
        shutil.copy(bank.path / "bank.db", tmp_path / "backup/bank.db")
        await world.publish(chain.correction(first.digest, gone=[made_up_uscc(6)]))
        await world.publish(chain.delta([renamed(7, "丙公司")]))
        await level(bank)
        if lost != "database":
            shutil.rmtree(bank.path / "spool")
            shutil.copytree(tmp_path / "backup/spool", bank.path / "spool")
        if lost != "spool":
            shutil.copy(tmp_path / "backup/bank.db", bank.path / "bank.db")
        ((restored,)) = await level(bank)
        assert (restored["level"], restored["database"], restored["spool"]) == (
            4,
            4 if lost == "spool" else 2,
            4 if lost == "database" else 2,
        )
        assert shown(bank) == told(chain)
        await world.publish(chain.delta([renamed(8, "丁公司")]))
        assert (await level(bank))[0]["level"] == 5
        assert shown(bank) == told(chain)
        assert len((await ok("xinyi-bank", "recalls", "--home", bank.path, "--json")).json) == 1


async def test_a_bank_that_watches_is_told_at_once(tmp_path: Path) -> None:
    """Each edition is in its database and confirmed without anybody's command; SIGTERM ends it."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        await world.publish(chain.full(made_up_records(1100)))
        program = Program(tmp_path / "said", "xinyi-bank", "watch", "--home", bank.path)
        try:
            await asyncio.to_thread(program.await_line, "watch.open")
            await until(lambda: (bank.path / "bank.db").exists() and shown(bank) == told(chain))
            for number in range(2):
                await world.publish(chain.delta([renamed(number, "新名称")]))
                await until(lambda: shown(bank) == told(chain))
            await until(lambda: len(list((bank.path / "spool/sent").iterdir())) == 9)
        finally:
            await asyncio.to_thread(program.stop)
        assert "watch.stopped" in program.said


async def until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if holds():
                    return
            except OperationalError:
                pass  # the table is not there yet
            await asyncio.sleep(0.1)
