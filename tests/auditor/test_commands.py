"""xinyi-audit as an auditor types it: look, filter, prove one entry and one record, verify alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.party.home import Home
from audit.checkpoint import VerifierKey
from tests.bank.offers import flipped
from tests.programs import ok, run
from tests.world import APPROVER, AUDITOR, BUREAU, GATEWAY, MAKER, World, city, made_up_uscc, receipt_for
from xinyi.days import CHINA
from xinyi.v1 import exchange_pb2

pytestmark = pytest.mark.processes

BANK = "test-city/bank-1"

Entry = dict[str, Any]


async def auditor(world: World) -> tuple[Home, Path]:
    """A person's home that pins the bureau's two persons, and the policy made from it."""
    home = await world.admit(AUDITOR, "AUDITOR")
    for person in (MAKER, APPROVER):
        world.pin(home, world.homes[person].signer().key)
    policy = world.path / "policy.toml"
    await ok("xinyi-audit", "policy", "--home", home.path, "--bureau", BUREAU, "-o", policy)
    return home, policy


async def two_months(world: World) -> list[bytes]:
    """An edition in January that a bank receipts, one in February a few days later; their digests."""
    bank = await world.bank("bank-1")
    await world.bank("bank-2")
    first = world.seal(1500)
    await world.publish(first)
    package = (await world.pull(bank)).package
    for stage in (exchange_pb2.RECEIPT_STAGE_RECEIVED, exchange_pb2.RECEIPT_STAGE_ACCEPTED):
        await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))
    world.clock.advance(days=3)
    second = world.seal(20, month=2, sequence=2, predecessor=first.digest)
    await world.publish(second)
    return [first.digest, second.digest]


async def entries(home: Home, *filters: object) -> list[Entry]:
    listed = await ok(
        "xinyi-audit", "entries", "--purpose", "review", "--home", home.path, *filters, "--json"
    )
    return listed.lines


async def test_each_filter_finds_its_entries_and_no_others(tmp_path: Path) -> None:
    """By partner, kind, product, period and time: against a filter written here over the unfiltered list."""
    async with city(tmp_path) as world:
        home, _ = await auditor(world)
        await two_months(world)
        everything = await entries(home)
        assert [entry["index"] for entry in everything] == list(range(len(everything)))
        middle = (everything[0]["recorded_at_ms"] + everything[-1]["recorded_at_ms"]) // 2
        moment = datetime.fromtimestamp(middle / 1000, UTC).astimezone(CHINA)
        second = int(moment.replace(microsecond=0).timestamp() * 1000)
        told = moment.strftime("%Y-%m-%dT%H:%M:%S")

        def of(party: str) -> Callable[[Entry], bool]:
            return lambda e: e["counterparty"] == party or e["actor"].startswith(f"xinyi://{party}/")

        cases: list[tuple[tuple[str, ...], Callable[[Entry], bool]]] = [
            (("--party", BANK), of(BANK)),
            (("--party", "test-city/bank-2"), of("test-city/bank-2")),
            (("--party", GATEWAY), of(GATEWAY)),
            (("--kind", "receipt"), lambda e: e["kind"].startswith("receipt.")),
            (("--kind", "receipt.accepted"), lambda e: e["kind"] == "receipt.accepted"),
            (("--kind", "edition"), lambda e: e["kind"].startswith("edition.")),
            (("--product", "grade-a"), lambda e: e["product"] == "grade-a"),
            (("--period", "2018-01"), lambda e: e["period"] == "2018-01"),
            (("--period", "2018-02"), lambda e: e["period"] == "2018-02"),
            (("--since", told), lambda e: e["recorded_at_ms"] >= second),
            (("--until", told), lambda e: e["recorded_at_ms"] < second),
            (
                ("--party", BANK, "--kind", "delivery", "--product", "grade-a", "--until", told),
                lambda e: of(BANK)(e) and e["kind"].startswith("delivery.") and e["recorded_at_ms"] < second,
            ),
        ]
        for filters, wanted in cases:
            # Every look is itself an entry, so that the log has grown since.
            found = [e for e in await entries(home, *filters) if e["index"] < len(everything)]
            assert found == [entry for entry in everything if wanted(entry)], filters
            assert 0 < len(found) < len(everything), filters
        assert await entries(home, "--product", "grade-all") == []
        assert await entries(home, "--kind", "edit") == [], "a kind is whole words"

        looked = await entries(home, "--kind", "log.queried")
        assert {(e["actor"], e["detail"]) for e in looked} == {(AUDITOR, "review")}
        table = await ok(
            "xinyi-audit", "entries", "--purpose", "review", "--home", home.path, "--party", BANK
        )
        assert "receipt.accepted" in table.out
        for wrong in (("--period", "January"), ("--party", "bank one"), ("--kind", "Receipt!")):
            refused = await run("xinyi-audit", "entries", "--purpose", "x", "--home", home.path, *wrong)
            assert (refused.code, refused.out) == (3, ""), wrong
        assert (await run("xinyi-audit", "entries", "--home", home.path)).code == 2, "a purpose is needed"


async def test_checkpoints_only_grow_and_only_under_the_pinned_key(tmp_path: Path) -> None:
    """The head of each look extends that of the last; another log's key is false, a bank may not look."""
    async with city(tmp_path) as world:
        home, _ = await auditor(world)
        look = ("checkpoint", "--home", home.path, "--json")
        before = (await ok("xinyi-audit", *look)).json
        await two_months(world)
        await entries(home)
        after = (await ok("xinyi-audit", *look)).json
        assert (after["origin"], after["size"] > before["size"]) == (before["origin"], True)
        assert after["root"] != before["root"]
        held = home.head()
        assert held is not None
        assert held.size == after["size"]

        bank = world.homes[f"xinyi://{BANK}/machine/main"]
        refused = await run("xinyi-audit", "entries", "--purpose", "curiosity", "--home", bank.path)
        assert refused.code == 3

        settings = home.path / "party.toml"
        other = str(VerifierKey.of(held.origin, world.homes[MAKER].signer()))
        settings.write_text(settings.read_text().replace(str(home.log_key()), other))
        (home.path / "state/head").unlink()
        false = await run("xinyi-audit", *look)
        assert (false.code, "verification" in false.err) == (4, True)


async def test_one_entry_proven_alone(tmp_path: Path) -> None:
    """The folder stands for itself under the log's key; a changed byte in any file of it is found."""
    async with city(tmp_path) as world:
        home, policy = await auditor(world)
        await two_months(world)
        (receipt,) = [e for e in await entries(home) if e["kind"] == "receipt.accepted"]
        folder = tmp_path / "entry"
        prove = ("prove", "entry", receipt["index"], "--purpose", "dispute", "--home", home.path)
        made = (await ok("xinyi-audit", *prove, "-o", folder, "--json")).json
        assert made == {"folder": str(folder), "index": receipt["index"], "leaf": receipt["leaf"]}
        assert (await run("xinyi-audit", *prove, "-o", folder)).code == 2, "nothing is overwritten"
        absent = ("prove", "entry", 9999, "--purpose", "dispute", "--home", home.path)
        assert (await run("xinyi-audit", *absent, "-o", tmp_path / "none")).code == 3
        assert not (tmp_path / "none").exists()

    verify = ("verify-entry", "--policy", policy)
    shown = (await ok("xinyi-audit", *verify, folder, "--json")).json
    assert shown["verdict"] == "holds"
    assert {key: shown[key] for key in receipt} == receipt
    for name in ("opening.bin", "salt.bin", "leaf.bin", "entry.tlog-proof", "documents/00.dsse"):
        changed = shutil.copytree(folder, tmp_path / "changed")
        file = changed / name
        file.write_bytes(flipped(file.read_bytes(), len(file.read_bytes()) // 2))
        outcome = await run("xinyi-audit", *verify, changed, "--json")
        assert (outcome.code, outcome.out) == (4, ""), name
        shutil.rmtree(changed)
    (folder / "salt.bin").unlink()
    assert (await run("xinyi-audit", *verify, folder)).code == 2
    assert (await run("xinyi-audit", "verify-entry", folder, "--policy", tmp_path / "none.toml")).code == 2


async def test_one_record_proven_alone(tmp_path: Path) -> None:
    """From an export with records; verified under the bureau's keys, and under nobody else's."""
    async with city(tmp_path) as world:
        home, policy = await auditor(world)
        first, second = await two_months(world)
        export = tmp_path / "export"
        ask = ("--home", home.path, "--purpose", "annual audit", "--json")
        done = (await ok("xinyi-audit", "export", export, "--records", *ask)).json
        assert (done["folder"], done["bytes"] > 100_000) == (str(export), True)
        assert (await run("xinyi-audit", "export", export, *ask)).code == 2, "nothing is overwritten"

    subject, folder = made_up_uscc(17), tmp_path / "record"
    prove = ("prove", "record", export, "--policy", policy, "--taxpayer", subject)
    many = await run("xinyi-audit", *prove, "-o", folder)
    assert (many.code, "--edition" in many.err) == (3, True)
    made = await ok("xinyi-audit", *prove, "--edition", first.hex()[:12], "-o", folder, "--json")
    assert made.json["folder"] == str(folder)
    for wrong in (("--edition", "00" * 6), ("--edition", second.hex(), "--taxpayer", made_up_uscc(999))):
        assert (await run("xinyi-audit", *prove, *wrong, "-o", tmp_path / "none")).code == 3, wrong

    verify = ("verify-record", "--policy", policy)
    shown = (await ok("xinyi-audit", *verify, folder, "--json")).json
    assert (shown["verdict"], shown["edition"], shown["period"]) == ("holds", first.hex(), "2018-01")
    assert (shown["record"]["taxpayer_id"], shown["record"]["grade"]) == (subject, "GRADE_A")
    others = [made_up_uscc(n) for n in range(1500) if n != 17]
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not [other for other in others if other.encode() in held], "no other taxpayer's data"
    for name in ("record.bin", "manifest.dsse", "approval.dsse", "proof.json"):
        changed = shutil.copytree(folder, tmp_path / "changed")
        data = (changed / name).read_bytes()
        if name == "proof.json":
            proof = json.loads(data)
            proof["index"] ^= 1
            (changed / name).write_text(json.dumps(proof, sort_keys=True, separators=(",", ":")) + "\n")
        else:
            (changed / name).write_bytes(flipped(data, len(data) // 2))
        outcome = await run("xinyi-audit", *verify, changed, "--json")
        assert (outcome.code, outcome.out) == (4, ""), name
        shutil.rmtree(changed)
    stranger = tmp_path / "stranger.toml"
    stranger.write_text(policy.read_text().replace(BUREAU, "test-city/other-bureau"))
    outcome = await run("xinyi-audit", "verify-record", folder, "--policy", stranger)
    assert (outcome.code, outcome.out) == (4, ""), outcome


async def test_check_wants_a_person(tmp_path: Path) -> None:
    """Openings are shown to persons: a machine's home is told before it is refused."""
    where = ("--gateway-address", "127.0.0.1:1", "--gateway-party", GATEWAY, "--home", tmp_path / "home")
    made = await ok(
        "xinyi-audit", "init", *where, "--holder", "xinyi://test-city/auditor/machine/m", "--json"
    )
    assert len(made.json["fingerprint"]) == 64
    found = await run("xinyi-audit", "check", "--home", tmp_path / "home", "--json")
    assert found.code == 2
    assert any("persons only" in problem for problem in found.json["problems"])
