"""S5: a wrong grade, found late. What a bank knew on a day, what is true, and an account that cannot be bent."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from adapters.auditor.settings import policy_of
from adapters.auditor.subject import SubjectClient
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import pins
from audit.disclosure.account import Question, verify
from audit.disclosure.answer import as_of
from audit.disclosure.folder import KnownFolder
from audit.disclosure.history import History, News
from audit.entries import canonical_json
from audit.envelope import seal
from audit.verification.policy import Policy
from gateway.exchange import wall_clock
from gateway.office import catalogue
from gateway.store import disclosures, tables
from tests.chain import Chain
from tests.flows.test_objections import decision, objection, send
from tests.programs import ok, run
from tests.world import (
    APPROVER,
    AUDITOR,
    BUREAU,
    CITY,
    MAKER,
    OPERATOR,
    SealedEdition,
    World,
    city,
    made_up_records,
    made_up_uscc,
    receipt_for,
)
from xinyi import calendar, checks
from xinyi.channel import errors_restored
from xinyi.days import CHINA
from xinyi.errors import DigestMismatch, Invalid, NotEntitled, VerificationError
from xinyi.v1 import edition_pb2, exchange_pb2, objection_pb2, records_pb2
from xinyi.v1 import subject_service_pb2 as pb
from xinyi.v1.subject_service_pb2_grpc import SubjectServiceStub

PRODUCT = "grade-all"
FEED = (BUREAU, PRODUCT)
BANK_1_HOLDER = f"xinyi://{CITY}/bank-1/machine/main"
BANK_1, BANK_2 = f"{CITY}/bank-1", f"{CITY}/bank-2"
#: The taxpayer whose A was wrong, one that leaves, one that never was among the records.
WRONG, LEAVER, STRANGER = made_up_uscc(7), made_up_uscc(20), made_up_uscc(99_999)
STAGES = (
    exchange_pb2.RECEIPT_STAGE_RECEIVED,
    exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    exchange_pb2.RECEIPT_STAGE_APPLIED,
)
MAY_3, MAY_20 = date(2018, 5, 3), date(2018, 5, 20)


@dataclass
class Story:
    """April's FULL with a wrong A, May's DELTA, the CORRECTION of 20 May.

    bank-1 applied all of them; bank-2 the FULL, and then at once the CORRECTION.
    """

    world: World
    auditor: Home
    policy: Policy
    chain: Chain
    editions: list[SealedEdition]

    async def ask(
        self, identifier: str = WRONG, recipient: str = "", product: str = PRODUCT
    ) -> tuple[KnownFolder, History]:
        def ask() -> tuple[KnownFolder, History]:
            with GatewayClient(self.auditor) as gateway:
                question = Question(identifier, product, recipient)
                return SubjectClient(gateway).find(question, "dispute 2018-44", self.policy)

        return await asyncio.to_thread(ask)


def set_day(world: World, month: int, day: int, hour: int = 10) -> None:
    moment = datetime(2018, month, day, hour, tzinfo=CHINA)
    world.clock.offset_ms = int(moment.timestamp() * 1000) - wall_clock()


async def apply(world: World, bank: Home, held: bytes = b"") -> None:
    package = (await world.pull(bank, held, PRODUCT)).package
    for stage in STAGES:
        await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))


def otherwise(record: records_pb2.GradeRecord, **values: Any) -> records_pb2.GradeRecord:
    changed = records_pb2.GradeRecord(**values)
    return records_pb2.GradeRecord.FromString(record.SerializeToString() + changed.SerializeToString())


async def tell(world: World) -> Story:
    set_day(world, 4, 20)
    auditor = await world.admit(AUDITOR, "AUDITOR")
    await world.gateway.door.run(lambda x: catalogue.switch(x, PRODUCT, True, OPERATOR))
    permits = exchange_pb2.DISCLOSURE_CLASS_AGREEMENT
    banks = [await world.bank(name, product=PRODUCT, permits=permits) for name in ("bank-1", "bank-2")]
    for home in (world.homes[MAKER], world.homes[APPROVER], auditor, *banks):
        world.pin(auditor, home.signer().key)
    chain = Chain(world.homes[MAKER], product=PRODUCT, month=4)
    subjects = made_up_records(1500)
    editions = [chain.full(subjects)]
    await world.publish(editions[0])
    for bank in banks:
        await apply(world, bank)
    set_day(world, 5, 10)
    chain.month = 5
    editions.append(chain.delta([otherwise(subjects[9], grade=records_pb2.GRADE_M)], [LEAVER]))
    await world.publish(editions[1])
    await apply(world, banks[0], editions[0].digest)
    due = calendar.add_working_days(date(2018, 5, 10), 15).isoformat()
    asked = objection(
        world, editions[0], WRONG, product=PRODUCT, filed_on="2018-05-10", due_on=due, number="2018-44"
    )
    filed, _ = await send(world, asked, MAKER)
    set_day(world, 5, 20)
    right = otherwise(
        subjects[7], grade=records_pb2.GRADE_B, decision_kind=records_pb2.DECISION_KIND_CORRECTION
    )
    editions.append(chain.correction(editions[0].digest, [right]))
    await world.publish(editions[2])
    await apply(world, banks[0], editions[1].digest)
    await apply(world, banks[1], editions[1].digest)
    upheld = objection_pb2.OBJECTION_OUTCOME_UPHELD
    await send(world, decision(world, filed, upheld, editions[2].digest), APPROVER)
    return Story(world, auditor, policy_of(auditor, [BUREAU]), chain, editions)


def grade(record: records_pb2.GradeRecord | None) -> str:
    return "" if record is None else records_pb2.Grade.Name(record.grade).removeprefix("GRADE_")


async def test_what_a_bank_knew_and_what_is_true(tmp_path: Path, database_url: str) -> None:
    """On 3 May A was known; since the correction B is true, and known where it was applied."""
    async with city(tmp_path, database_url=database_url) as world:
        story = await tell(world)
        folder, history = await story.ask()
        assert [(s.sequence, s.news) for s in history.statements] == [
            (1, News.NEW),
            (2, News.UNCHANGED),
            (3, News.CHANGED),
        ]
        for bank in (BANK_1, BANK_2):
            answer = as_of(history, bank, MAY_3, truth=True)["answers"][0]
            assert answer["known"]["record"]["grade"] == "GRADE_A"
            assert answer["known"]["edition"]["edition"] == story.editions[0].digest.hex()
            assert answer["true"]["record"]["grade"] == "GRADE_B"
            assert answer["true"]["said_by"]["corrects"] == story.editions[0].digest.hex()
            later = as_of(history, bank, MAY_20)["answers"][0]["known"]
            assert later["record"]["grade"] == "GRADE_B"
            before = as_of(history, bank, date(2018, 4, 19))["answers"][0]
            assert before["known"] is None
        # bank-2 lacks May's DELTA: the correction reached it ahead of it.
        known = history.known_to(BANK_2, FEED, world.clock())
        assert known is not None
        assert known.statement.sequence == 1
        assert known.recall is not None
        assert known.recall.statement.sequence == 3

        _, gone = await story.ask(LEAVER)
        assert [s.news for s in gone.statements] == [News.NEW, News.GONE, News.ABSENT]
        assert grade(gone.known_to(BANK_1, FEED, world.clock()).record) == ""  # type: ignore[union-attr]
        left = gone.known_to(BANK_2, FEED, world.clock())
        assert left is not None
        assert (grade(left.record), left.uncertain) == ("A", True), "the editions alone do not tell whom it names"

        _, absent = await story.ask(STRANGER)
        assert [s.news for s in absent.statements] == [News.ABSENT] * 3
        _, one = await story.ask(recipient=BANK_2)
        assert one.recipients == [BANK_2]
        assert [s.sequence for s in one.statements] == [1, 2, 3], "editions are whole for whichever bank"
        _, other = await story.ask(product="grade-a")
        assert (other.statements, other.disclosures) == ((), ())

        written = tmp_path / "known"
        written.mkdir()
        for name, data in folder.files():
            (written / name).parent.mkdir(parents=True, exist_ok=True)
            (written / name).write_bytes(data)
        again = KnownFolder.read(written).verify(story.policy)
        assert as_of(again, BANK_1, MAY_3, truth=True) == as_of(history, BANK_1, MAY_3, truth=True)


async def test_the_question_is_logged_and_names_nobody(tmp_path: Path, database_url: str) -> None:
    """A look stands in the log under its purpose; neither the log nor the store holds the identifier by it."""
    async with city(tmp_path, database_url=database_url) as world:
        story = await tell(world)
        await story.ask(STRANGER)
        await asyncio.sleep(0.2)
        with world.gateway.database.reading() as conn:
            entries = list(world.gateway.log.openings(conn, 0, 10_000))
            documents = conn.exec_driver_sql("SELECT envelope FROM documents").scalars().all()
            index = {tuple(row) for row in conn.execute(select(tables.entries_by_name))}
        with world.gateway.database.writing() as conn:
            conn.execute(delete(tables.entries_by_name))
            disclosures.index_entries(conn)
            assert {tuple(row) for row in conn.execute(select(tables.entries_by_name))} == index != set()
        looked = [opening for *_, opening in entries if b"subject.queried" in opening]
        assert len(looked) == 1
        assert b"dispute 2018-44" in looked[0]
        assert not [data for data in [*(o for *_, o in entries), *documents] if STRANGER.encode() in bytes(data)]


async def test_who_may_ask(tmp_path: Path) -> None:
    """An auditor's person, and the bureau's for its own; not a bank, nor about another than the sealed subject."""
    async with city(tmp_path) as world:
        story = await tell(world)

        def ask(home: Home, **changed: Any) -> list[pb.FindSubjectResponse]:
            salt = b"\7" * 32
            values = {
                "asked_by": home.settings.holder,
                "purpose": "dispute",
                "subject_commitment": checks.subject_commitment(salt, WRONG),
                "requested_at_ms": wall_clock(),
                "nonce": b"\1" * 16,
            }
            with GatewayClient(home) as gateway, errors_restored():
                call = gateway.call(exchange_pb2.SubjectQuery(**values))
                asked = {"call": call, "identifier": WRONG, "salt": salt} | changed
                return list(SubjectServiceStub(gateway.channel).FindSubject(pb.FindSubjectRequest(**asked)))

        bureau = await asyncio.to_thread(ask, world.homes[MAKER])
        assert sum(answer.HasField("edition") for answer in bureau) == 3
        person = await world.admit(f"xinyi://{BANK_1}/person/zhou-jie", "BANK")
        with pytest.raises(NotEntitled):
            await asyncio.to_thread(ask, person)
        with pytest.raises(DigestMismatch):
            await asyncio.to_thread(lambda: ask(story.auditor, identifier=STRANGER))
        for wrong in ({"identifier": WRONG.lower()}, {"salt": b"\7"}, {"recipient": "bank one"}):
            with pytest.raises(Invalid) as refused:
                await asyncio.to_thread(lambda wrong=wrong: ask(story.auditor, **wrong))
            assert WRONG not in str(refused.value)


Answers = list[pb.FindSubjectResponse]


def _editions(answers: Answers) -> list[pb.SubjectEdition]:
    return [answer.edition for answer in answers if answer.HasField("edition")]


def _deliveries(answers: Answers) -> list[pb.SubjectDelivery]:
    return [answer.delivery for answer in answers if answer.HasField("delivery")]


def _flip(data: bytes, place: int = -1) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def _no_record(answers: Answers) -> None:
    _editions(answers)[2].ClearField("record")


def _old_record(answers: Answers) -> None:
    _editions(answers)[2].record.CopyFrom(_editions(answers)[0].record)


def _old_bucket(answers: Answers) -> None:
    edition, old = _editions(answers)[2], _editions(answers)[0]
    edition.bucket = old.bucket
    del edition.bucket_path[:]
    edition.bucket_path.extend(old.bucket_path)


def _foreign_bucket(answers: Answers) -> None:
    _editions(answers)[0].bucket = b""
    _editions(answers)[0].ClearField("record")


def _without_edition(answers: Answers) -> None:
    del answers[1]


def _without_last(answers: Answers) -> None:
    """The newest edition left out: nothing in the stream contradicts that, but for deliveries of it."""
    del answers[2]


def _without_head(answers: Answers) -> None:
    del answers[-1]


def _swap(answers: Answers) -> None:
    answers[0], answers[1] = answers[1], answers[0]


def _other_receipt(answers: Answers) -> None:
    first, second = _deliveries(answers)[:2]
    first.receipts[0].CopyFrom(second.receipts[0])


def _receipt_later(answers: Answers) -> None:
    receipt = _deliveries(answers)[0].receipts[2]
    message = exchange_pb2.DeliveryReceipt.FromString(receipt.payload)
    message.signed_at_ms += 86_400_000
    receipt.payload = message.SerializeToString(deterministic=True)


def _delivery_twice(answers: Answers) -> None:
    answers.insert(4, answers[3])


def _entry_of_another(answers: Answers) -> None:
    _editions(answers)[0].entries[0].CopyFrom(_editions(answers)[1].entries[0])


def _changed(name: str) -> Callable[[Answers], None]:
    def change(answers: Answers) -> None:
        edition = _editions(answers)[1]
        setattr(edition, name, _flip(getattr(edition, name)))

    return change


def _entry(name: str) -> Callable[[Answers], None]:
    def change(answers: Answers) -> None:
        entry = _deliveries(answers)[0].entries[0]
        setattr(entry, name, _flip(getattr(entry, name)) if name != "index" else entry.index ^ 1)

    return change


def _unsealed(kind: str) -> Callable[[Answers], None]:
    def change(answers: Answers) -> None:
        envelope = {
            "manifest": lambda: _editions(answers)[1].manifest,
            "approval": lambda: _editions(answers)[1].approval,
            "delivery": lambda: _deliveries(answers)[0].delivery,
            "receipt": lambda: _deliveries(answers)[0].receipts[1],
        }[kind]()
        envelope.signatures[0].sig = _flip(envelope.signatures[0].sig)

    return change


def _objections(answers: Answers) -> list[pb.SubjectObjection]:
    return [answer.objection for answer in answers if answer.HasField("objection")]


def _undecided(answers: Answers) -> None:
    _objections(answers)[0].ClearField("decision")


def _denied(answers: Answers) -> None:
    sealed = _objections(answers)[0].decision
    message = objection_pb2.ObjectionDecision.FromString(sealed.payload)
    message.outcome = objection_pb2.OBJECTION_OUTCOME_DENIED
    message.correction = b""
    sealed.payload = message.SerializeToString(deterministic=True)


#: What is done to the account, and the message that is refused by name.
TAMPERED: list[tuple[Callable[[Answers], None], str]] = [
    (_no_record, "edition 3 of grade-all"),
    (_old_record, "edition 3 of grade-all"),
    (_old_bucket, "edition 3 of grade-all"),
    (_foreign_bucket, "edition 1 of grade-all"),
    (_changed("bucket"), "edition 2 of grade-all"),
    (_changed("blinding_key"), "edition 2 of grade-all"),
    (_without_edition, "edition 2 is missing"),
    (_without_last, "delivery to test-city/bank-1: it is of an edition that is not shown"),
    (_without_head, "not whole"),
    (_swap, "edition 1 is missing"),
    (_entry_of_another, "edition 1 of grade-all"),
    (_other_receipt, "delivery to test-city/bank-1"),
    (_receipt_later, "delivery to test-city/bank-1"),
    (_delivery_twice, "shown twice"),
    (_entry("opening"), "delivery to test-city/bank-1"),
    (_entry("salt"), "delivery to test-city/bank-1"),
    (_entry("index"), "delivery to test-city/bank-1"),
    (_unsealed("manifest"), "an edition's manifest"),
    (_unsealed("approval"), "edition 2 of grade-all"),
    (_unsealed("delivery"), "a delivery"),
    (_unsealed("receipt"), "delivery to test-city/bank-1"),
    (_undecided, "objection 2018-44"),
    (_denied, "objection 2018-44"),
    (lambda answers: setattr(answers[-1].evidence, "checkpoint", b"?"), "head"),
]


async def test_a_bent_account_is_refused_by_name(tmp_path: Path) -> None:
    """Each message of the account, changed, left out or shown twice."""
    async with city(tmp_path) as world:
        story = await tell(world)
        folder, _ = await story.ask()

    def check(answers: Answers, question: Question = folder.asked.question) -> History:
        return verify(answers, question, story.policy)

    def copied() -> Answers:
        return [pb.FindSubjectResponse.FromString(a.SerializeToString()) for a in folder.answers]

    check(copied())
    for tamper, name in TAMPERED:
        answers = copied()
        tamper(answers)
        with pytest.raises(VerificationError) as refused:
            check(answers)
        assert name in refused.value.explanation, (name, refused.value)
    for other in (Question(LEAVER, PRODUCT), Question(WRONG, "grade-a"), Question(WRONG, PRODUCT, BANK_2)):
        with pytest.raises(VerificationError):
            check(copied(), other)

    # Signed by the right persons, and wrong all the same: a chain that is not one.
    forged = copied()
    manifest = edition_pb2.Manifest.FromString(_editions(forged)[1].manifest.payload)
    manifest.predecessor = b"\5" * 32
    _editions(forged)[1].manifest.CopyFrom(seal(manifest, world.homes[MAKER].signer()))
    with pytest.raises(VerificationError, match="approval is for another"):
        check(forged)
    theirs = [pins.to_json(key) for key in story.policy.keys]
    for key in theirs:
        key["holder"] = key["holder"].replace(BUREAU, "test-city/other")
        key["party"] = key["party"].replace(BUREAU, "test-city/other")
    keys = tuple(pins.from_json(key) for key in theirs)
    stranger = Policy(story.policy.log_key, story.policy.gateway, frozenset({"test-city/other"}), keys)
    with pytest.raises(VerificationError):
        verify(copied(), folder.asked.question, stranger)


@pytest.mark.processes
async def test_commands(tmp_path: Path) -> None:
    """as-of, with its folder; verify-known; the same from an export; the report in its forms."""
    async with city(tmp_path) as world:
        story = await tell(world)
        home = ("--home", story.auditor.path)
        policy = tmp_path / "policy.toml"
        await ok("xinyi-audit", "policy", *home, "--bureau", BUREAU, "-o", policy)
        settings = story.auditor.path / "party.toml"
        settings.write_text(settings.read_text() + f'\n[auditor]\nbureaus = ["{BUREAU}"]\n')
        purpose = ("--purpose", "dispute 2018-44")
        known = ("as-of", *home, "--bank", "bank-1", "--day", "2018-05-03", "--product", PRODUCT)

        await ok("xinyi-audit", "checkpoint", *home)
        folder = tmp_path / "known"
        found = (
            await ok("xinyi-audit", *known, "--subject", WRONG, "--true", *purpose, "-o", folder, "--json")
        ).json
        (answer,) = found["answers"]
        assert answer["known"]["record"]["grade"] == "GRADE_A"
        assert answer["true"]["record"]["grade"] == "GRADE_B"
        text = await ok("xinyi-audit", *known, "--subject", WRONG, "--true", *purpose)
        assert "grade A" in text.out
        assert "grade B" in text.out

        again = (await ok("xinyi-audit", "verify-known", folder, "--policy", policy, "--json")).json
        assert again["verdict"] == "holds"
        assert again["answers"] == [answer], "what is held true as well"
        question = json.loads((folder / "question.json").read_text())
        later = shutil.copytree(folder, tmp_path / "later")
        (later / "question.json").write_text(canonical_json({**question, "day": "2099-01-01"}) + "\n")
        bent = await run("xinyi-audit", "verify-known", later, "--policy", policy)
        assert (bent.code, bent.out) == (4, ""), bent.err
        assert "2099-01-01" in bent.err
        for name in ("account.bin", "query.dsse", "question.json", "seen"):
            changed = shutil.copytree(folder, tmp_path / "changed")
            data = (changed / name).read_bytes()
            (changed / name).write_bytes(_flip(data, len(data) // 2))
            bent = await run("xinyi-audit", "verify-known", changed, "--policy", policy, "--json")
            assert (bent.code, bent.out) == (4, ""), (name, bent.err)
            shutil.rmtree(changed)

        editions = tmp_path / "editions"
        (answer,) = (await ok("xinyi-audit", *known, *purpose, "-o", editions, "--json")).json["answers"]
        assert answer["known"]["edition"]["edition"] == story.editions[0].digest.hex()
        assert [r["stage"] for r in answer["known"]["delivery"]["receipts"]] == ["RECEIVED", "ACCEPTED", "APPLIED"]
        assert "record" not in answer["known"]
        again = (await ok("xinyi-audit", "verify-known", editions, "--policy", policy, "--json")).json
        assert again["answers"][0]["known"] == answer["known"]

        assert (await run("xinyi-audit", *known, "--subject", WRONG)).code == 2, "a purpose is needed"
        assert (await run("xinyi-audit", "subject-report", WRONG, *home)).code == 2, "here as well"
        await questions_that_make_no_sense(story, known, purpose)
        report = ("subject-report", WRONG, *home, *purpose)
        told = (await ok("xinyi-audit", *report, "--format", "json")).json
        check_report(told, story)
        page = tmp_path / "report.html"
        await ok("xinyi-audit", *report, "--format", "html", "-o", page)
        assert "<script" not in page.read_text()
        assert "税收信用信息披露报告" in page.read_text()
        assert "更正 / correction" not in page.read_text().split("<style>")[0]
        spoken = await ok("xinyi-audit", *report, "--lang", "en")
        assert "Corrections and recalls" in spoken.out
        assert "更正与召回" not in spoken.out

        theirs = ("--home", world.homes[MAKER].path, "--policy", policy, "--format", "json")
        own = (await ok("xinyi-audit", "subject-report", WRONG, *theirs, *purpose)).json
        assert (own["scope"]["asked_by"], own["scope"]["editions_of"]) == (MAKER, BUREAU)
        assert told["scope"]["editions_of"] == ""

        export = tmp_path / "export"
        await ok("xinyi-audit", "export", export, *home, "--records", *purpose)
    # A second source of the same facts.
    exported = ("--export", export, "--policy", policy)
    offline = (await run("xinyi-audit", *known, "--subject", WRONG, "--true", *exported, "--json"))
    assert offline.code == 0, offline.err
    assert json.loads(offline.out)["answers"][0] == {**found["answers"][0]}
    assert not [said for said in json.loads(offline.out)["not_proven"] if "export" in said]
    nobody = ("as-of", *home, "--bank", "bank-9", "--day", "2018-05-03", *exported)
    refused = await run("xinyi-audit", *nobody)
    assert (refused.code, refused.out) == (3, ""), refused.err
    assert f"no such party is known to the log: no delivery and no key registration names {CITY}/bank-9" in refused.err
    told_again = (await ok("xinyi-audit", *report, *exported, "--format", "json")).json
    other = {"made_at_ms": 0, "head": 0, "feeds": 0, "scope": 0, "not_proven": 0}
    assert {**told_again, **other} == {**told, **other}
    assert (told["scope"]["asked_by"], told["scope"]["purpose"]) == (AUDITOR, "dispute 2018-44")
    assert (told_again["scope"]["source"], told_again["scope"]["policy"]) == ("export", told["scope"]["policy"])
    assert told_again["not_proven"] == [said for said in told["not_proven"] if "export" not in said]
    assert "税总发" in told_again["feeds"][0]["legal_basis"]
    stale = export / "documents.jsonl"
    stale.write_bytes(_flip(stale.read_bytes(), 4000))
    assert (await run("xinyi-audit", *known, "--subject", WRONG, *exported)).code == 4


async def questions_that_make_no_sense(story: Story, known: tuple[Any, ...], purpose: tuple[str, ...]) -> None:
    """Each is refused, and says which part of it is wrong: "nothing was disclosed" would be no answer."""
    home = ("--home", story.auditor.path)
    wrong_check = WRONG[:-1] + ("0" if WRONG[-1] != "0" else "1")
    for command, why in (
        (("subject-report", "示例企业有限公司", *home), "8 characters"),
        (("subject-report", "", *home), "empty"),
        ((*known, "--subject", wrong_check), "check character"),
    ):
        refused = await run("xinyi-audit", *command, *purpose)
        assert (refused.code, refused.out) == (2, ""), (command, refused.err)
        assert "no identifier of an enterprise" in refused.err
        assert why in refused.err
    bank = ("as-of", *home, "--bank", "bank-1")
    for command, code, why in (
        ((*bank, "--day", "2099-01-01"), 2, "yet to come"),
        ((*bank, "--day", "2018-05-03", "--product", "nonsense", "--subject", WRONG), 3, "no edition of nonsense"),
        ((*bank, "--day", "2018-05-03", "--product", "nonsense"), 3, "no edition of nonsense"),
        (("as-of", *home, "--bank", "bank-9", "--day", "2018-05-03", "--subject", WRONG), 3, f"names {CITY}/bank-9"),
        (("as-of", *home, "--bank", "bank one", "--day", "2018-05-03"), 2, "--bank"),
        ((*known, "--home", story.world.homes[BANK_1_HOLDER].path), 2, "ask from the home of an auditor's"),
        (("subject-report", WRONG, *home, "--product", "nonsense"), 3, "no edition of nonsense"),
    ):
        refused = await run("xinyi-audit", *command, *purpose)
        assert (refused.code, refused.out) == (code, ""), (command, refused.err)
        assert why in " ".join(refused.err.split()), refused.err


def check_report(told: dict[str, Any], story: Story) -> None:
    """Everything about the wrong A: two editions that say it, the objection, a recall that both confirmed."""
    (feed,) = told["feeds"]
    assert [(s["sequence"], s["news"], s["kind"]) for s in feed["disclosed"]] == [
        (1, "new", "FULL"),
        (3, "changed", "CORRECTION"),
    ]
    assert [s["sequence"] for s in feed["silent"]] == [2]
    first = feed["disclosed"][0]
    assert (first["published_by"], first["approved_by"]) == (MAKER, APPROVER)
    assert [d["recipient"] for d in first["deliveries"]] == [BANK_1, BANK_2]
    assert [d["ground"] for s in feed["disclosed"] for d in s["deliveries"]] == ["AGREEMENT"] * 4
    (said,) = told["objections"]
    assert (said["number"], said["filed_on"], said["due_on"]) == ("2018-44", "2018-05-10", "2018-05-31")
    assert (said["outcome"], said["correction"]) == ("UPHELD", story.editions[2].digest.hex())
    assert (said["received_by"], said["decided_by"]) == (MAKER, APPROVER)
    assert [d["disputed_since"] for d in feed["disclosed"][1]["deliveries"]] == ["2018-05-10"] * 2
    (recall,) = told["recalls"]
    assert [(r["recipient"], r["state"]) for r in recall["recipients"]] == [
        (BANK_1, "CONFIRMED"),
        (BANK_2, "CONFIRMED"),
    ]
    assert [(h["recipient"], h["record"]["grade"]) for h in told["holdings"]] == [
        (BANK_1, "GRADE_B"),
        (BANK_2, "GRADE_B"),
    ]
    assert all(str(leaf).isdigit() for leaf in first["leaves"].values() if leaf is not None)
