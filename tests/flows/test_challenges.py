"""An auditor challenges a bank's table: what is asked, answered, or not answered stands in the log; no row does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.auditor.client import LogClient
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import checkpoint, envelope
from gateway.challenges import log_unanswered
from gateway.office import partners
from gateway.office.agreements import agreement_id
from gateway.rules.challenges import HEAD_AGE_MS
from tests.flows.test_rights import check_signed, entries
from tests.lending import Sent, corrected, firms_of, send_table, table_of
from tests.world import AUDITOR, MAKER, OPERATOR, World, city, made_up_uscc
from xinyi.channel import errors_restored
from xinyi.days import day_of
from xinyi.errors import (
    Conflict,
    ExchangeError,
    HeadConflict,
    Invalid,
    NotEntitled,
    SignatureInvalid,
    Unknown,
    VerificationError,
)
from xinyi.v1 import challenge_service_pb2 as pb
from xinyi.v1 import edition_pb2, exchange_pb2, lending_pb2
from xinyi.v1.challenge_service_pb2_grpc import ChallengeServiceStub

BANK = "test-city/bank-1"
AMOUNTS = [2_000_000 * number for number in range(1, 41)]


async def reported(world: World) -> tuple[Home, Home, Sent]:
    """A bank with a counted table, an auditor's person."""
    bank = await world.bank("bank-1")
    await world.report_terms(bank)
    auditor = await world.admit(AUDITOR, "AUDITOR")
    return bank, auditor, await send_table(world, bank, table_of(bank, firms_of(AMOUNTS)))


async def newest(world: World, home: Home) -> bytes:
    """The log's newest head, once it covers everything that happened."""
    await asyncio.to_thread(world.gateway.log.sequence)

    def run() -> bytes:
        with GatewayClient(home) as client:
            return LogClient(client).checkpoint().note

    return await asyncio.to_thread(run)


def due(world: World, days: int = 14) -> str:
    return (day_of(world.clock()) + timedelta(days=days)).isoformat()


def challenge(world: World, table: bytes, note: bytes, **changes: Any) -> lending_pb2.Challenge:
    told: dict[str, Any] = {
        "table": table, "bank": BANK, "unit": lending_pb2.SAMPLE_UNIT_ROWS, "size": 5, "checkpoint": note,
        "due_on": due(world), "asked_by": AUDITOR, "purpose": "annual audit", "asked_at_ms": world.clock(),
    }  # fmt: skip
    return lending_pb2.Challenge(**(told | changes))


async def ask(home: Home, document: Any) -> Any:
    """(digest of the challenge, opened acknowledgement). Args: document — a Challenge, sealed or not."""

    def run() -> Any:
        with GatewayClient(home) as client, errors_restored():
            sealed = isinstance(document, lending_pb2.Challenge)
            call = client.call(document) if sealed else client.wrap(document)
            answer = ChallengeServiceStub(client.channel).Challenge(pb.ChallengeRequest(call=call)).answer
            return envelope.digest(call.document), client.accept(answer, call.document)

    return await asyncio.to_thread(run)


async def answer(world: World, home: Home, asked: bytes, **changes: Any) -> Any:
    told = {
        "challenge": asked, "opening": b"\5" * 32, "rows": 5, "answered_by": home.settings.holder,
        "answered_at_ms": world.clock(),
    }  # fmt: skip
    document = lending_pb2.ChallengeAnswer(**(told | changes))

    def run() -> Any:
        with GatewayClient(home) as client, errors_restored():
            call = client.call(document)
            stub = ChallengeServiceStub(client.channel)
            return client.accept(stub.AnswerChallenge(pb.AnswerChallengeRequest(call=call)).answer, call.document)

    return await asyncio.to_thread(run)


async def listed(home: Home) -> list[tuple[bytes, str]]:
    """(digest, state) of the challenges that a party sees."""

    def run() -> list[tuple[bytes, str]]:
        with GatewayClient(home) as client, errors_restored():
            found = ChallengeServiceStub(client.channel).ListChallenges(pb.ListChallengesRequest()).challenges
            for status in found:
                asked = lending_pb2.Challenge.FromString(status.challenge.payload)
                assert envelope.digest(status.table) == asked.table
                assert status.HasField("answer") is (status.state in ("ANSWERED", "LATE"))
            return [(envelope.digest(status.challenge), status.state) for status in found]

    return await asyncio.to_thread(run)


async def tables(home: Home, bank: str = "", *, unsaid: bool = False, **changes: Any) -> list[pb.RecordedTable]:
    """Args: unsaid — without a call; changes — further fields of the query."""
    told: dict[str, Any] = {"party": bank, "purpose": "annual audit", "kind": "lending"}

    def run() -> list[pb.RecordedTable]:
        with GatewayClient(home) as client, errors_restored():
            call = None if unsaid else LogClient(client).sealed(exchange_pb2.LogQuery(**(told | changes)))
            return list(ChallengeServiceStub(client.channel).ListTables(pb.ListTablesRequest(call=call)).tables)

    return await asyncio.to_thread(run)


async def unanswered(world: World, count: int) -> list[Any]:
    """Those entries, once the gateway has looked by itself."""
    for _ in range(100):
        found = entries(world, "challenge.unanswered")
        if len(found) >= count:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("the gateway logged nothing")


async def test_asked_and_answered(tmp_path: Path, database_url: str) -> None:
    async with city(tmp_path, database_url=database_url) as world:
        bank, auditor, sent = await reported(world)
        note = await newest(world, auditor)
        (recorded,) = await tables(auditor, BANK)
        assert (envelope.digest(recorded.table), recorded.state) == (sent.digest, "COUNTED")
        assert recorded.index < checkpoint.verify(note, auditor.log_key()).size
        assert await tables(auditor, "test-city/bank-2") == []
        quarter = {name: edition_pb2.Period(year=2018, month=month) for name, month in (("first", 3), ("second", 6))}
        assert await tables(auditor, BANK, period=quarter["first"], kind="lending.counted") == [recorded]
        assert await tables(auditor, BANK, period=quarter["second"]) == []
        looked = entries(world, "log.queried")
        assert [(entry.actor, entry.detail) for entry in looked] == [(AUDITOR, "annual audit")] * 4

        asked, acknowledged = await ask(auditor, challenge(world, sent.digest, note))
        assert acknowledged.message.outcome == "challenge.asked"
        assert await listed(bank) == await listed(auditor) == [(asked, "OPEN")]
        done = await answer(world, bank, asked)
        assert done.message.outcome == "challenge.answered"
        assert await listed(bank) == await listed(auditor) == [(asked, "ANSWERED")]

        (first,), (second,) = entries(world, "challenge.asked"), entries(world, "challenge.answered")
        about = (BANK, agreement_id(BANK, "1"), 2018, 3)
        for entry in (first, second):
            assert (entry.counterparty, entry.agreement_id, entry.period.year, entry.period.month) == about
        assert (first.actor, list(first.documents), first.record_count) == (AUDITOR, [asked], 5)
        assert first.detail == f"by rows, due on {due(world)}"
        assert (second.actor, second.record_count, second.detail) == (bank.settings.holder, 5, "")
        assert entries(world, "challenge.unanswered") == []
        with pytest.raises(Conflict):
            await answer(world, bank, asked, opening=b"\6" * 32)


async def test_the_same_document_gets_the_same_answer(tmp_path: Path) -> None:
    async with city(tmp_path) as world:
        bank, auditor, sent = await reported(world)
        sealed = envelope.seal(challenge(world, sent.digest, await newest(world, auditor)), auditor.signer())
        first, again = await ask(auditor, sealed), await ask(auditor, sealed)
        assert first[1].digest == again[1].digest
        told = {"answered_at_ms": world.clock()}
        answers = [await answer(world, bank, first[0], **told) for _ in range(2)]
        assert answers[0].digest == answers[1].digest
        assert len(entries(world, "challenge.asked")) == len(entries(world, "challenge.answered")) == 1
        world.clock.advance(days=30)
        assert (await ask(auditor, sealed))[1].digest == first[1].digest, "old by now, and known"


async def test_what_is_not_asked_rightly_is_refused(tmp_path: Path, database_url: str) -> None:
    """Each by its own rule, signed; nothing of it is kept as a challenge."""
    async with city(tmp_path, database_url=database_url) as world:
        bank, auditor, sent = await reported(world)
        before = await newest(world, auditor)
        other = await world.bank("bank-2")
        await world.report_terms(other)
        empty = await send_table(world, other, table_of(other, []))
        note = await newest(world, auditor)

        async def refused(basis: str, kind: type[ExchangeError], home: Home = auditor, **changes: Any) -> None:
            with pytest.raises(kind) as error:
                await ask(home, challenge(world, **({"table": sent.digest, "note": note} | changes)))
            assert error.value.basis == basis, error.value
            check_signed(world, error.value)

        await refused("challenge.table", Unknown, table=b"\7" * 32)
        await refused("challenge.bank", Invalid, bank="test-city/bank-2")
        await refused("challenge.table", Invalid, table=empty.digest, bank="test-city/bank-2")
        await refused("challenge.due_on", Invalid, due_on=due(world, -1))
        await refused("challenge.person", NotEntitled, asked_by=f"{AUDITOR}-2")
        await refused("challenge.size", Invalid, size=0)
        await refused("text.identifier", Invalid, purpose=f"about {made_up_uscc(7)}")
        await refused("partner.kind", NotEntitled, world.homes[MAKER], asked_by=MAKER)
        forged = checkpoint.sign(f"{world.gateway.log.key.name}", 3, b"\1" * 32, auditor.signer())
        await refused("", SignatureInvalid, note=forged.note)
        # A head that the bank could have known: of the log before its table.
        early = await send_table(world, bank, corrected(bank, sent.digest, firms_of(AMOUNTS[:9])))
        await refused("challenge.checkpoint", Conflict, table=early.digest, note=before)
        assert entries(world, "challenge.asked") == []
        assert await listed(bank) == []


async def test_an_auditor_does_not_choose_among_heads(tmp_path: Path) -> None:
    """One that was followed by another counts for two minutes, the newest one for ever; and one challenge at a time."""
    async with city(tmp_path) as world:
        bank, auditor, sent = await reported(world)
        quiet = await newest(world, auditor)
        world.clock.advance(days=3)
        asked, _ = await ask(auditor, challenge(world, sent.digest, quiet))
        note = await newest(world, auditor)
        with pytest.raises(Conflict) as error:
            await ask(auditor, challenge(world, sent.digest, note))
        assert error.value.basis == "challenge.open"
        await answer(world, bank, asked)
        world.clock.offset_ms += HEAD_AGE_MS // 2
        await ask(auditor, challenge(world, sent.digest, note, due_on=due(world, 0)))
        world.clock.advance(days=1)
        await unanswered(world, 1)
        with pytest.raises(Conflict) as error:
            await ask(auditor, challenge(world, sent.digest, note))
        assert error.value.basis == "challenge.checkpoint"
        await ask(auditor, challenge(world, sent.digest, await newest(world, auditor)))


async def test_silence_is_in_the_log_by_itself_and_a_late_answer_is_told_as_late(
    tmp_path: Path, database_url: str
) -> None:
    async with city(tmp_path, database_url=database_url) as world:
        bank, auditor, sent = await reported(world)
        asked, _ = await ask(auditor, challenge(world, sent.digest, await newest(world, auditor), due_on=due(world, 2)))
        world.clock.advance(days=2)
        await log_unanswered(world.gateway.reception)
        assert entries(world, "challenge.unanswered") == [], "the last day is the bank's"
        world.clock.advance(days=1)
        (entry,) = await unanswered(world, 1)
        assert (list(entry.documents), entry.counterparty) == ([asked], BANK)
        await world.restart()
        await log_unanswered(world.gateway.reception)
        assert len(entries(world, "challenge.unanswered")) == 1, "once"
        assert await listed(auditor) == [(asked, "UNANSWERED")]
        await world.gateway.door.run(
            lambda x: partners.decide(x, BANK, "suspend", "they do not answer", OPERATOR)
        )
        await answer(world, bank, asked)
        assert await listed(auditor) == [(asked, "LATE")]
        (late,) = entries(world, "challenge.answered")
        assert late.detail.startswith("late, due on ")


async def test_rights(tmp_path: Path) -> None:
    """A bank sees and answers challenges to its own tables; tables are listed to auditors alone."""
    async with city(tmp_path) as world:
        bank, auditor, sent = await reported(world)
        other = await world.bank("bank-2")
        person = await world.admit(f"xinyi://{BANK}/person/chen-jie", "BANK")
        asked, _ = await ask(auditor, challenge(world, sent.digest, await newest(world, auditor)))
        assert await listed(other) == []
        for basis, kind, call in (
            ("challenge_answer.challenge", NotEntitled, answer(world, other, asked)),
            ("challenge_answer.challenge", Unknown, answer(world, bank, b"\7" * 32)),
            ("challenge_answer.rows", Invalid, answer(world, bank, asked, rows=41)),
            ("challenge_answer.answered_by", NotEntitled, answer(world, bank, asked, answered_by=f"xinyi://{BANK}/machine/x")),
            ("partner.kind", NotEntitled, tables(person)),
            ("tables.query", Invalid, tables(auditor, kind="log.queried")),
            ("partner.kind", NotEntitled, listed(world.homes[MAKER])),
        ):
            with pytest.raises(kind) as error:
                await call
            assert error.value.basis == basis
            check_signed(world, error.value)
        # Without a word of why: nothing is shown.
        with pytest.raises((VerificationError, Invalid)):
            await tables(auditor, unsaid=True)
        assert entries(world, "log.queried") == []
        assert await listed(bank) == [(asked, "OPEN")]


async def test_a_head_of_another_history_stops_the_log(tmp_path: Path) -> None:
    """Validly signed, of a tree this log does not have: the same alarm as for any head that a partner shows."""
    async with city(tmp_path) as world:
        _, auditor, sent = await reported(world)
        head = checkpoint.verify(await newest(world, auditor), auditor.log_key())
        fork = checkpoint.sign(head.origin, head.size, b"\1" * 32, world.gateway.log._signer)
        with pytest.raises(HeadConflict):
            await ask(auditor, challenge(world, sent.digest, fork.note))
        assert world.gateway.log.conflict is not None


