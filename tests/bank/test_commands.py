"""xinyi-bank as a job scheduler runs it: real processes, exit codes, one line of JSON."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.party.home import Home
from audit.keys import keyid
from tests.bank.offers import flipped
from tests.programs import ok, run
from tests.world import APPROVER, BUREAU, GATEWAY, MAKER, World, city, made_up_uscc

pytestmark = pytest.mark.processes


def window(*hours: int) -> str:
    """A time window in China from now on, in hours."""
    now = datetime.now(UTC) + timedelta(hours=8)
    return "-".join((now + timedelta(hours=hour)).strftime("%H:%M") for hour in hours)


async def test_a_month_by_commands(tmp_path: Path) -> None:
    """fetch, land, confirm, status, prove: each says in JSON what it did, and 7 where nothing was left."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        home = ("--home", bank.path)
        await ok("xinyi-bank", "check", *home)
        assert (await run("xinyi-bank", "fetch", *home)).code == 7
        edition = world.seal(2500)
        await world.publish(edition)

        (fetched,) = (await ok("xinyi-bank", "fetch", *home, "--json")).json
        assert (fetched["product"], fetched["sequence"], fetched["records"]) == ("grade-a", 1, 2500)
        (landed,) = (await ok("xinyi-bank", "land", *home, "--json")).json
        assert (landed["stage"], landed["accepted"], landed["rejected"]) == ("accepted", 2500, 0)
        confirmed = (await ok("xinyi-bank", "confirm", *home, "--json")).json
        assert [c["stage"] for c in confirmed["confirmed"]] == ["received", "accepted", "applied"]
        assert all(isinstance(c["log_index"], int) for c in confirmed["confirmed"])
        for command in ("fetch", "land", "confirm"):
            done = await run("xinyi-bank", command, *home)
            assert (done.code, done.out) == (7, ""), command
        assert (await run("xinyi-bank", "purge", "--older-than", 30, *home)).code == 7
        status = (await ok("xinyi-bank", "status", *home, "--json")).json
        assert status == {
            "ready": 0,
            "landed": 1,
            "refused": 0,
            "waiting_receipts": 0,
            "unproven": 0,
            "held": {"grade-a": 1},
        }
        kept = bank.path / "evidence" / fetched["delivery_id"]
        stages = ("received", "accepted", "applied")
        assert {path.name for path in kept.iterdir()} == {
            *("manifest.dsse", "approval.dsse", "delivery.dsse"),
            *(f"{s}.{kind}" for s in stages for kind in ("dsse", "acknowledgement.dsse", "tlog-proof")),
        }
        await prove_and_verify(world, bank)


async def prove_and_verify(world: World, bank: Home) -> None:
    """One record, proven by the bank, verified offline by somebody who has only the pinned keys."""
    folder = world.path / "record"
    subject = made_up_uscc(17)
    prove = ("prove", subject, "-o", folder, "--home", bank.path)
    done = await ok("xinyi-bank", *prove, "--json")
    assert done.json["folder"] == str(folder)
    assert (await run("xinyi-bank", *prove)).code == 2, "an existing folder is not overwritten"
    unknown = ("prove", made_up_uscc(9999), "-o", world.path / "none", "--home", bank.path)
    assert (await run("xinyi-bank", *unknown)).code == 3
    policy = world.path / "policy.toml"
    await ok("xinyi-audit", "policy", "--bureau", BUREAU, "-o", policy, "--home", bank.path)
    shown = (await ok("xinyi-audit", "verify-record", folder, "--policy", policy, "--json")).json
    assert (shown["verdict"], shown["record"]["taxpayer_id"]) == ("holds", subject)
    assert (shown["published_by"], shown["approved_by"]) == (MAKER, APPROVER)


async def test_what_goes_wrong_has_its_exit_code(tmp_path: Path) -> None:
    """2 usage or settings, 3 refused, 4 false, 6 later, 7 outside the window; errors stand on standard error."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        home = ("--home", bank.path)
        edition = world.seal(1500)
        await world.publish(edition)
        for command in ("fetch", "land", "confirm"):
            outside = await run("xinyi-bank", command, *home, "--window", window(2, 3))
            assert (outside.code, outside.out) == (7, ""), command
            assert "outside the window" in outside.err
            assert (await run("xinyi-bank", command, *home, "--window", "soon")).code == 2
            assert (await run("xinyi-bank", command, "--home", tmp_path / "nowhere")).code == 2
            assert (await run("xinyi-bank", command, *home, "--nonsense")).code == 2
        refused = await run("xinyi-bank", "fetch", *home, "--product", "grade-all")
        assert (refused.code, "[product.disabled]" in refused.err) == (3, True)

        await ok("xinyi-bank", "fetch", *home, "--window", window(-1, 1))
        (chunk,) = bank.path.glob("spool/ready/*/chunks/000001.chunk")
        chunk.write_bytes(flipped(chunk.read_bytes(), 2000))
        false = await run("xinyi-bank", "land", *home, "--json")
        assert (false.code, "[chunk]" in false.err) == (4, True)
        assert (await run("xinyi-bank", "land", *home, "--to", "mysql://db/x")).code == 7

        settings = bank.path / "party.toml"
        settings.write_text(settings.read_text().replace(world.address, "127.0.0.1:1"))
        for command in ("fetch", "confirm"):
            assert (await run("xinyi-bank", command, *home)).code == 6, command
        settings.write_text(settings.read_text() + "\n[bank]\nspol = 'x'\n")
        typo = await run("xinyi-bank", "land", *home)
        assert (typo.code, "did you mean spool" in typo.err) == (2, True)


async def test_who_asks_too_often_is_told_to_come_later(tmp_path: Path) -> None:
    """6, and only where nothing came of it: what was fetched or landed is done."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        home = ("--home", bank.path)
        edition = world.seal(20)
        await world.publish(edition)
        for _ in range(5):
            assert (await world.pull(bank, edition.digest)).unchanged
        await ok("xinyi-bank", "fetch", *home)
        await ok("xinyi-bank", "catch-up", *home)
        again = await run("xinyi-bank", "catch-up", *home)
        assert (again.code, "[poll.too_often]" in again.err) == (6, True)


async def test_a_second_live_copy_of_a_home_finds_a_way_out(tmp_path: Path) -> None:
    """Its receipt is another one, which is refused for ever; without its spool it is offered the edition anew."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(20))
        await ok("xinyi-bank", "fetch", "--home", bank.path)
        copy = tmp_path / "copy"
        shutil.copytree(bank.path, copy)
        for home in (bank.path, copy):
            await ok("xinyi-bank", "land", "--home", home)
        await ok("xinyi-bank", "confirm", "--home", bank.path)
        for _ in range(2):
            refused = await run("xinyi-bank", "confirm", "--home", copy)
            assert (refused.code, "[receipt.conflict]" in refused.err) == (3, True)
        assert "a second copy of this home" in refused.err
        (copy / "spool").rename(copy / "spool-of-before")
        await ok("xinyi-bank", "catch-up", "--home", copy)
        await ok("xinyi-bank", "confirm", "--home", copy)


async def test_landing_where_the_command_line_says(tmp_path: Path) -> None:
    """--to and --csv instead of the settings."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        home = ("--home", bank.path)
        last = b""
        for number, target in enumerate(
            (
                ("--to", f"sqlite:///{tmp_path}/own.db"),
                ("--csv", tmp_path / "a.csv", "--encoding", "gb18030"),
            ),
            1,
        ):
            edition = world.seal(20, month=number, sequence=number, predecessor=last)
            await world.publish(edition)
            last = edition.digest
            await ok("xinyi-bank", "fetch", *home)
            await ok("xinyi-bank", "land", *home, *target)
        assert (tmp_path / "own.db").exists()
        assert not (bank.path / "bank.db").exists()
        assert "示例企业" in (tmp_path / "a.csv").read_text(encoding="gb18030")
        wrong = await run("xinyi-bank", "land", *home, "--csv", tmp_path / "b.csv", "--encoding", "big5")
        assert wrong.code == 7, "nothing is ready, so no file is made"


async def test_check_says_what_to_do(tmp_path: Path) -> None:
    """A fresh home lacks certificate, pins and log key; each problem names its remedy, also as JSON."""
    home = tmp_path / "bank"
    where = ("--gateway-address", "127.0.0.1:1", "--gateway-party", GATEWAY)
    await ok(
        "xinyi-bank", "init", "--home", home, "--holder", "xinyi://test-city/bank-9/machine/main", *where
    )
    found = await run("xinyi-bank", "check", "--home", home)
    assert found.code == 2
    assert "✗" in found.err
    as_json = await run("xinyi-bank", "check", "--home", home, "--json")
    assert as_json.code == 2
    assert not as_json.json["good"]
    assert any("no bureau's keys are pinned" in problem for problem in as_json.json["problems"])
    assert json.loads((await ok("xinyi-bank", "status", "--home", home, "--json")).out)["held"] == {}
    nowhere = (*where[:1], "127.0.0.1", *where[2:])
    other = ("--home", tmp_path / "other", "--holder", "xinyi://test-city/bank-8/machine/main")
    refused = await run("xinyi-bank", "init", *other, *nowhere)
    assert (refused.code, "is not host:port" in refused.err) == (2, True)
    assert not (tmp_path / "other").exists()


async def test_check_asks_for_the_second_person(tmp_path: Path) -> None:
    """With the publisher's key alone no edition would ever be taken."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        (approver,) = (key for key in bank.keyring() if key.holder == APPROVER)
        bank.unpin(keyid(approver))
        found = await run("xinyi-bank", "check", "--home", bank.path)
    assert (found.code, "by a second person" in found.err) == (2, True)


async def test_check_finds_a_certificate_of_another_key(tmp_path: Path) -> None:
    """With it every call fails as if the gateway were away, and a scheduler tries for ever."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        other = await world.bank("bank-2")
        shutil.copy(other.keys / "tls.pem", bank.keys / "tls.pem")
        found = await run("xinyi-bank", "check", "--home", bank.path)
    assert (found.code, "the certificate is for another key" in found.err) == (2, True)
