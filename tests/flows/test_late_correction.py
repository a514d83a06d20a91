"""S5: 61 firms were told as A and are B. Who is told, what was known, what is true, which loans relied on it."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from adapters.auditor.settings import policy_of
from adapters.auditor.subject import SubjectClient
from adapters.bank.catch_up import Caught
from adapters.bank.recalls import relied_on
from adapters.bank.receipts import Receipts
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.bureau import objections, recalls
from adapters.bureau.building import CORRECTION
from adapters.bureau.editions import Edition
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit.disclosure.account import Question
from audit.disclosure.answer import as_of
from audit.disclosure.history import History
from audit.verification.policy import Policy
from gateway import delivery
from gateway.office import agreements, catalogue
from gateway.office.inspection import read
from gateway.store import deliveries, parties
from tests.crash.programs import free_port
from tests.flows.days import Days
from tests.flows.parties import Bank, Bureau, Cells, plain_state, shown_of
from tests.flows.test_delivery import inbox, states, until
from tests.flows.test_recalls import PULL, PUSH, decide
from tests.flows.test_rights import entries
from tests.world import APPROVER, AUDITOR, BUREAU, MAKER, OPERATOR, World, city, made_up_uscc
from xinyi import calendar, checks
from xinyi.v1 import exchange_pb2

PRODUCT = "grade-all"
APRIL: dict[str, Cells] = {
    made_up_uscc(n): (f"示例企业{n}有限公司", "A" if n % 4 else "C", "ANNUAL", "2018-04-10") for n in range(1500)
}
#: The system error: A for 2017, and B is right.
WRONG = [who for who, cells in APRIL.items() if cells[1] == "A"][:61]
RIGHT: dict[str, Cells] = {who: (APRIL[who][0], "B", "CORRECTION", "2018-05-20") for who in WRONG}
#: Of those rightly told as C in April, one that is repaired.
REPAIRED = made_up_uscc(0)
PUBLISHED, ASKED, FOUND = date(2018, 4, 20), date(2018, 5, 3), date(2018, 5, 20)


@dataclass
class Story:
    """April in twelve banks: two are gone when May's DELTA comes, one misses it; two are pushed to."""

    world: World
    days: Days
    bureau: Bureau
    banks: list[Bank]
    auditor: Home
    policy: Policy
    april: Edition

    #: Bank → port of its inbox.
    ports: dict[int, int]

    SUSPENDED, TERMINATED, BEHIND = 9, 10, 11
    PUSHED = (1, 2)

    async def take(self, number: int, edition: Edition) -> Caught | None:
        """A bank takes and lands what there is: by itself, or, where it is pushed to, up to this edition."""
        bank = self.banks[number]
        if number not in self.PUSHED:
            return await bank.call()

        async def received() -> bool:
            return (await states(self.world, edition.digest)).get(bank.party) == "RECEIVED"

        async with inbox(bank.home, self.ports[number]):
            await until(received, 60)
        assert await bank.land_and_confirm()
        return None

    async def ask(self, subject: str, bank: Bank, day: date) -> dict[str, Any]:
        """What a bank knew of a subject on a day, and what is held true today; verified."""

        def run() -> History:
            with GatewayClient(self.auditor) as gateway:
                question = Question(subject, PRODUCT, bank.party)
                return SubjectClient(gateway).find(question, "dispute 2018-44", self.policy)[1]

        history = await asyncio.to_thread(run)
        (answer,) = as_of(history, bank.party, day, truth=True)["answers"]
        return dict(answer)


async def told(world: World, days: Days) -> Story:
    """20 April: everybody has the FULL, and shows it."""
    days.on(PUBLISHED)
    await world.gateway.door.run(lambda x: catalogue.switch(x, PRODUCT, True, OPERATOR))
    permits = exchange_pb2.DISCLOSURE_CLASS_AGREEMENT
    bureau = Bureau(world, PRODUCT)
    ports = {number: free_port() for number in Story.PUSHED}
    banks = []
    for number in range(12):
        way = (PUSH, f"127.0.0.1:{ports[number]}") if number in ports else (PULL, "")
        home = await world.bank(f"bank-{number + 1:02d}", *way, product=PRODUCT, permits=permits)
        banks.append(Bank(home, PRODUCT))
    auditor = await world.admit(AUDITOR, "AUDITOR")
    for home in (bureau.maker, bureau.approver, auditor, *(bank.home for bank in banks)):
        world.pin(auditor, home.signer().key)
        world.pin(bureau.maker, home.signer().key)
    april = await bureau.full(APRIL, "2018-04")
    story = Story(world, days, bureau, banks, auditor, policy_of(auditor, [BUREAU]), april, ports)
    for number, bank in enumerate(banks):
        await story.take(number, april)
        assert bank.shown() == shown_of(APRIL)
    return story


def recalled(world: World) -> dict[str, str]:
    rows = read(world.gateway.settings.home, deliveries.list_recalls)
    return {row["recipient"]: row["state"] for row in rows}


async def test_a_wrong_grade_found_late(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All twelve are told on the same day, before anything else, and confirm; the past stays as it was known."""
    async with city(tmp_path, database_url=database_url, backoff_s=0.2) as world:
        days = Days(monkeypatch)
        story = await told(world, days)
        bureau, banks = story.bureau, story.banks
        # May's DELTA: one bank has its backup of April taken before, one does not call.
        banks[0].back_up(tmp_path / "backup")
        days.on(date(2018, 5, 8))
        await decide(world, banks[story.SUSPENDED].home, "suspend")
        await decide(world, banks[story.TERMINATED].home, "terminate")
        days.on(date(2018, 5, 10))
        newcomer = {made_up_uscc(5000): ("新增企业有限公司", "M", "SUPPLEMENT", "2018-05-08")}
        may = await bureau.delta([("new", who, cells) for who, cells in newcomer.items()], "2018-05")
        for number in range(story.SUSPENDED):
            await story.take(number, may)
        days.on(date(2018, 5, 11))
        filed = [await object_to(story, WRONG[n], f"2018-{n}") for n in range(3)]
        assert {o.due_on for o in filed} == {calendar.add_working_days(date(2018, 5, 11), 15).isoformat()}

        days.on(FOUND, 9)
        public = await other_edition(story)
        correction = await bureau.correction([("changed", who, cells) for who, cells in RIGHT.items()], "2018-05",
                                             story.april.digest)  # fmt: skip
        manifest = correction.manifest
        assert (manifest.kind, manifest.corrects, manifest.record_count) == (CORRECTION, story.april.digest, 61)
        assert manifest.predecessor == may.digest
        truth = APRIL | newcomer | RIGHT
        assert manifest.state_root == plain_state([story.april, may, correction])[0]
        assert recalled(world) == {bank.party: "OPEN" for bank in banks}
        await check_priority(story, correction, public)
        await take_back(story, correction, truth)
        assert recalled(world) == {bank.party: "CONFIRMED" for bank in banks}
        same_day = [e for e in entries(world, "receipt.applied") if e.manifest_digest == correction.digest]
        assert {e.counterparty or e.actor.removeprefix("xinyi://").rpartition("/machine")[0] for e in same_day} == {
            bank.party for bank in banks
        }
        assert days.today == FOUND

        await check_known_and_true(story, correction)
        await check_loans(story, correction, tmp_path)
        await check_objections(story, correction)
        await check_restored(story, tmp_path / "backup", truth)


async def object_to(story: Story, subject: str, number: str) -> Any:
    def file(client: GatewayClient) -> Any:
        return objections.file(client, PRODUCT, subject, number, date(2018, 5, 11), story.april)[1]

    return await story.bureau.ask(story.bureau.maker, file)


async def other_edition(story: Story) -> Edition:
    """The public list of the same morning, for the banks that are pushed to."""
    for number in story.PUSHED:
        party = story.banks[number].party
        with story.world.gateway.database.reading() as conn:
            entitled = parties.find_entitlement(conn, party, PRODUCT)
        assert entitled is not None
        under = entitled["agreement_id"], PUSH, entitled["target"]
        await story.world.gateway.door.run(
            lambda x, party=party, under=under: agreements.entitle(x, party, "grade-a", *under, OPERATOR)  # type: ignore[misc]
        )
    public = {who: cells for who, cells in APRIL.items() if cells[1] == "A" and who not in WRONG}
    return await Bureau(story.world, "grade-a").full(public, "2018-05", name="public.csv")


async def check_priority(story: Story, correction: Edition, public: Edition) -> None:
    """What the gateway has to carry itself: the corrections first, although the other editions were there before."""
    later = story.world.clock() + 3_600_000
    with story.world.gateway.database.reading() as conn:
        due = [attempt.partition(".")[0] for attempt, _, _ in delivery.due(conn, later, 1)]
    pushed = [story.banks[number].party for number in story.PUSHED]
    first, then = (
        {checks.delivery_id(e.digest, party) for party in pushed} for e in (correction, public)
    )
    assert (set(due[:2]), set(due[2:])) == (first, then)


async def take_back(story: Story, correction: Edition, truth: Mapping[str, Cells]) -> None:
    """Each bank calls once. Who is entitled comes level; the others take the correction alone, and the rows back."""
    for number, bank in enumerate(story.banks):
        caught = await story.take(number, correction)
        if number in (story.SUSPENDED, story.TERMINATED):
            assert caught is not None
            assert (caught.level, caught.recalls) == (1, 1)
            assert bank.shown() == shown_of(APRIL | RIGHT)
        else:
            assert caught is None or caught.level == 3
            assert bank.shown() == shown_of(truth)
        rows = bank.query("SELECT taxpayer_id, what FROM xinyi_recalls")
        assert sorted(rows) == sorted((who, "changed") for who in WRONG)


async def check_known_and_true(story: Story, correction: Edition) -> None:
    """On 3 May every bank knew A, with proof; B is true for 2017, and known since the 20th."""
    for bank in (story.banks[0], story.banks[story.SUSPENDED], story.banks[story.BEHIND]):
        answer = await story.ask(WRONG[7], bank, ASKED)
        assert answer["known"]["record"]["grade"] == "GRADE_A"
        assert answer["known"]["edition"]["edition"] == story.april.digest.hex()
        assert answer["true"]["record"]["grade"] == "GRADE_B"
        assert answer["true"]["record"]["evaluation_year"] == 2017
        assert answer["true"]["said_by"]["edition"] == correction.digest.hex()
        assert answer["true"]["said_by"]["corrects"] == story.april.digest.hex()
        later = await story.ask(WRONG[7], bank, FOUND)
        assert later["known"]["record"]["grade"] == "GRADE_B"
        before = await story.ask(WRONG[7], bank, date(2018, 4, 19))
        assert before["known"] is None


async def check_loans(story: Story, correction: Edition, place: Path) -> None:
    """Nine loans were granted on it. The bureau lists them, with the grade relied on and the true one; so does each
    bank its own."""
    file = place / "loans.csv"
    granted = [(story.banks[n % 4].party, f"L{n}", WRONG[n * 6], "2018-04-27") for n in range(9)]
    others = [
        (story.banks[0].party, "right-grade", REPAIRED, "2018-04-27"),
        (story.banks[0].party, "before", WRONG[0], "2018-04-19"),
        (story.banks[0].party, "after", WRONG[0], "2018-05-21"),
    ]
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([("bank", "loan", "taxpayer_id", "granted_on"), *granted, *others])
    shown = await story.bureau.status()
    digest = correction.digest.hex()
    banks = [bank.party for bank in story.banks]
    loans = recalls.LoanFile(file, banks, banks[0].partition("/")[0])
    found = list(recalls.relied(story.bureau.editions, shown, digest, loans))
    assert [(one.bank, one.loan, one.taxpayer_id, one.granted_on) for one in found] == granted
    assert {(one.edition, one.grade, one.true_grade) for one in found} == {(story.april.digest.hex(), "A", "B")}
    reached = {one.recipient: one for one in recalls.recipients(shown, digest)}
    assert {name: one.state for name, one in reached.items()} == {b.party: "confirmed" for b in story.banks}
    grounds = {number: reached[bank.party].ground for number, bank in enumerate(story.banks)}
    assert {n for n, ground in grounds.items() if ground == "recall"} == {story.SUSPENDED, story.TERMINATED}
    for number in range(4):
        home = story.banks[number].home
        with file.open("w", newline="") as stream:
            own = [row[1:] for row in (*granted, *others) if row[0] == story.banks[number].party]
            csv.writer(stream).writerows([("loan", "taxpayer_id", "granted_on"), *own])
        spool = BankSettings.of(home).spool
        target = story.banks[number].target()
        rows = list(target.recalled(PRODUCT))
        target.close()
        reliance = relied_on(file, rows, Spool(spool), Receipts(spool, ()))
        own_granted = [row[1] for row in granted if row[0] == story.banks[number].party]
        assert [asdict(one)["loan"] for one in reliance.found] == own_granted


async def check_objections(story: Story, correction: Edition) -> None:
    """Each is upheld by another person, and names the correction that follows."""

    def uphold(client: GatewayClient) -> None:
        for shown in objections.list_all(client, PRODUCT):
            objections.decide(client, shown, "upheld", correction.digest)

    await story.bureau.ask(story.bureau.approver, uphold)
    found = await story.bureau.ask(story.bureau.maker, lambda c: objections.list_all(c, PRODUCT))
    assert [(o.number, o.outcome, o.correction) for o in found] == [
        (f"2018-{n}", "upheld", correction.digest.hex()) for n in range(3)
    ]
    assert {(o.received_by, o.decided_by) for o in found} == {(MAKER, APPROVER)}


async def check_restored(story: Story, backup: Path, truth: Mapping[str, Cells]) -> None:
    """A bank restored from last month's backup: level in one go, and nothing has happened twice."""
    bank = story.banks[0]
    story.days.on(date(2018, 5, 28))
    known = receipts_of(story.world, bank)
    bank.restore(backup)
    assert bank.shown() == shown_of(APRIL)
    caught = await bank.call()
    assert (caught.database, caught.spool, caught.level, caught.editions) == (1, 1, 3, 2)
    assert bank.shown() == shown_of(truth)
    assert len(bank.query("SELECT taxpayer_id FROM xinyi_recalls")) == len(WRONG)
    assert receipts_of(story.world, bank) == known, "what was received before is what stands"
    assert len(entries(story.world, "receipt.repeated")) == 6
    assert recalled(story.world)[bank.party] == "CONFIRMED"
    answer = await story.ask(WRONG[7], bank, ASKED)
    assert answer["known"]["record"]["grade"] == "GRADE_A"
    assert not (await bank.call()).moved


def receipts_of(world: World, bank: Bank) -> list[tuple[str, int, bytes]]:
    receipts, given = delivery.tables.receipts, delivery.tables.deliveries
    query = receipts.select().join(given).where(given.c.recipient == bank.party).order_by(receipts.c.document)
    with world.gateway.database.reading() as conn:
        return [(row["delivery_id"], row["stage"], row["document"]) for row in conn.execute(query).mappings()]


async def test_a_repair_changes_no_past_and_recalls_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C becomes B by repair: an ordinary change from now on. What was known stays, and was true."""
    async with city(tmp_path, backoff_s=0.2) as world:
        story = await told(world, days := Days(monkeypatch))
        days.on(date(2018, 5, 20))
        repaired = {REPAIRED: (APRIL[REPAIRED][0], "B", "REPAIR", "2018-05-20")}
        edition = await story.bureau.delta([("changed", REPAIRED, repaired[REPAIRED])], "2018-05")
        assert recalled(world) == {}
        for number, bank in enumerate(story.banks):
            caught = await story.take(number, edition)
            assert caught is None or (caught.level, caught.editions, caught.recalls) == (2, 1, 0)
            assert bank.shown() == shown_of(APRIL | repaired)
        assert story.banks[0].query("SELECT count(*) FROM xinyi_recalls") == [(0,)]
        assert recalled(world) == {}
        for day, grade, decision in ((ASKED, "GRADE_C", "ANNUAL"), (date(2018, 5, 20), "GRADE_B", "REPAIR")):
            known = (await story.ask(REPAIRED, story.banks[3], day))["known"]["record"]
            assert (known["grade"], known["decision_kind"]) == (grade, f"DECISION_KIND_{decision}")
        true = (await story.ask(REPAIRED, story.banks[3], ASKED))["true"]
        assert (true["record"]["grade"], true["said_by"]["edition"]) == ("GRADE_B", edition.digest.hex())
        assert true["said_by"]["corrects"] == ""
