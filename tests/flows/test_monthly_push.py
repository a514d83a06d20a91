"""S1: the February of 2018 goes by push to twelve banks; who answered, who is late, what an auditor finds."""

from __future__ import annotations

import json
import tomllib
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

import pytest

from adapters.bank.receipts import read_envelope
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.bureau.editions import Edition
from adapters.bureau.standing import late
from adapters.party.home import Home
from audit import records
from audit.envelope import open_sealed
from audit.keys import Keyring
from gateway.office import catalogue
from tests.crash.programs import free_port
from tests.flows.days import Days
from tests.flows.parties import NOTHING, Bank, Bureau, Cells, plain_state, record_of, shown_of
from tests.flows.test_audit import auditor, xinyi_audit
from tests.flows.test_delivery import inbox, states, until
from tests.world import World, city, made_up_uscc
from xinyi import calendar, checks
from xinyi.errors import NotEntitled
from xinyi.v1 import exchange_pb2, records_pb2

PUSH = exchange_pb2.CHANNEL_PUSH
JANUARY = {made_up_uscc(n): (f"示例企业{n}有限公司", "A", "ANNUAL", "2017-04-10") for n in range(3000)}
#: Two of the new ones have names that the fifth bank's systems do not hold.
LONG = "示例" + "长" * 60 + "有限公司"
LONG_NAMED = [made_up_uscc(3007), made_up_uscc(3104)]
NEW: dict[str, Cells] = {
    made_up_uscc(n): (f"新增企业{n}有限公司", "A", "SUPPLEMENT", "2018-02-02") for n in range(3000, 3212)
} | dict.fromkeys(LONG_NAMED, (LONG, "A", "SUPPLEMENT", "2018-02-02"))
#: 37 lose the A: 20 by a decision that gives them another grade, 17 are not listed any more.
LOST = [made_up_uscc(n) for n in range(37)]
CORRECTED: dict[str, Cells] = {
    made_up_uscc(n): (f"更正名称{n}有限公司", "A", "CORRECTION", "2018-02-05") for n in (100, 200, 300)
}
FIFTH, TWELFTH = 4, 11


def february() -> list[tuple[str, str, Cells]]:
    changes = [("new", who, cells) for who, cells in NEW.items()]
    changes += [("changed", who, (JANUARY[who][0], "B", "DYNAMIC", "2018-02-05")) for who in LOST[:20]]
    changes += [("gone", who, NOTHING) for who in LOST[20:]]
    return changes + [("changed", who, cells) for who, cells in CORRECTED.items()]


TRUTH = {who: c for who, c in (JANUARY | NEW | CORRECTED).items() if who not in LOST}


async def twelve_banks(world: World, bureau: Bureau, ports: list[int]) -> list[Bank]:
    banks = []
    for number, port in enumerate(ports):
        home = await world.bank(f"bank-{number + 1:02d}", PUSH, f"127.0.0.1:{port}")
        if number == FIFTH:
            with (home.path / "party.toml").open("a") as settings:
                settings.write("\n[bank.rules]\nmax_name_length = 40\n")
            home = Home.open(home.path)
        world.pin(bureau.maker, home.signer().key)
        banks.append(Bank(home))
    return banks


async def pushed(world: World, edition: Edition, banks: list[Bank]) -> None:
    """Until the inbox of each of these has signed for it."""

    async def received() -> bool:
        found = await states(world, edition.digest)
        return all(found[bank.party] == "RECEIVED" for bank in banks)

    await until(received, 60)


async def test_the_february_of_2018(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """New 212, lost A 37, corrected 3; eleven answer in time, one of them in part; the twelfth is named."""
    days = Days(monkeypatch)
    days.on(date(2018, 1, 10))
    async with city(tmp_path, database_url=database_url, backoff_s=0.2) as world, AsyncExitStack() as inboxes:
        bureau = Bureau(world)
        ports = [free_port() for _ in range(12)]
        banks = await twelve_banks(world, bureau, ports)
        for bank, port in zip(banks[:TWELFTH], ports, strict=False):
            await inboxes.enter_async_context(inbox(bank.home, port))
        async with inbox(banks[TWELFTH].home, ports[TWELFTH]):
            january = await bureau.full(JANUARY, "2018-01")
            await pushed(world, january, banks)
        for bank in banks:
            await bank.land_and_confirm()

        # The 10th is a Saturday without work; the Sunday is worked for the Spring Festival.
        day = calendar.on_or_next_working_day(date(2018, 2, 10))
        assert day == date(2018, 2, 11)
        days.on(day)
        edition = await bureau.delta(february(), "2018-02")
        manifest = edition.manifest
        assert (manifest.period.year, manifest.period.month) == (2018, 2)
        counts = manifest.comparison
        assert (counts.added, counts.gone, counts.changed + counts.renamed) == (212, 37, 3)
        assert (manifest.record_count, manifest.gone_count, manifest.state_count) == (252, 37, 3175)
        root, standing = plain_state([january, edition])
        assert manifest.state_root == root
        assert {who: records_pb2.GradeRecord.FromString(raw) for who, raw in standing.items()} == {
            who: record_of(who, cells) for who, cells in TRUTH.items()
        }

        await pushed(world, edition, banks[:TWELFTH])
        for bank in banks[:TWELFTH]:
            (landed,) = await bank.land_and_confirm()
            assert landed.sequence == 2
        check_tables(banks)
        await check_receipts(bureau, banks, edition)
        await check_each_its_own(world, banks, edition)

        days.on(date(2018, 2, 13))
        shown = [e for e in await bureau.status() if e["sequence"] == 2]
        assert late(shown[0], day) == [banks[TWELFTH].party]
        await check_offline(world, tmp_path)


def check_tables(banks: list[Bank]) -> None:
    """Eleven show February, the fifth without the two it refuses; the twelfth shows January."""
    product = tomllib.loads((catalogue.SHIPPED / "grade-a.toml").read_text())
    for number, bank in enumerate(banks):
        truth = shown_of(JANUARY if number == TWELFTH else TRUTH)
        if number == FIFTH:
            truth = {who: cells for who, cells in truth.items() if who not in LONG_NAMED}
        assert bank.shown() == truth
        columns = {row[1] for row in bank.query("PRAGMA table_info(grade_a)")}
        assert columns == {*product["fields"], "names_json", "tax_offices_json", "disputed_since"}


async def check_receipts(bureau: Bureau, banks: list[Bank], edition: Edition) -> None:
    """Of each of the eleven three, sealed by itself and verified by the bureau; the fifth names its rows."""
    shown = [e for e in await bureau.status() if e["sequence"] == 2]
    assert not shown[0]["false"]
    signed = {d["recipient"]: d["receipts"] for d in shown[0]["deliveries"]}
    assert signed.keys() == {bank.party for bank in banks}
    for number, bank in enumerate(banks):
        own = {r["stage"]: (r["accepted"], r["rejected"], r["verdict"]) for r in signed[bank.party]}
        kept = 250 if number == FIFTH else 252
        word = "PARTIAL" if number == FIFTH else "ACCEPTED"
        assert own == (
            {}
            if number == TWELFTH
            else {
                "RECEIVED": (252, 0, "true"),
                word: (kept, 252 - kept, "true"),
                "APPLIED": (kept, 252 - kept, "true"),
            }
        )
    fifth = banks[FIFTH]
    spooled = Spool(BankSettings.of(fifth.home).spool).find(checks.delivery_id(edition.digest, fifth.party))
    assert spooled is not None
    sealed = read_envelope(spooled.receipts / "partial.dsse")
    receipt = open_sealed(sealed, exchange_pb2.DeliveryReceipt, Keyring([fifth.home.signer().key])).message
    blind = records.blinder(edition.blinding_key)
    assert [(issue.blinded_key, issue.rule) for issue in receipt.issues] == [
        (key, "bank.name_length") for key in sorted(blind(who.encode()) for who in LONG_NAMED)
    ]


async def check_each_its_own(world: World, banks: list[Bank], edition: Edition) -> None:
    """No bank fetches another's delivery, nor learns that there is one."""
    for bank, other in zip(banks, [*banks[1:], banks[0]], strict=True):
        with pytest.raises(NotEntitled) as refused:
            await world.fetch(bank.home, checks.delivery_id(edition.digest, other.party))
        assert refused.value.basis == "delivery.recipient"


async def check_offline(world: World, place: Path) -> None:
    """An auditor carries the log away and verifies it under a policy of its own, without the gateway."""
    home = await auditor(world)
    out = place / "carried"
    done = await xinyi_audit("export", out, "--home", home.path, "--purpose", "2018-02", "--records")
    assert done.code == 0, done.errors
    verdict = await xinyi_audit("verify", out, "--policy", world.path / "policy.toml", "--json")
    assert (verdict.code, json.loads(verdict.text)["verdict"]) == (0, "holds"), verdict.text
