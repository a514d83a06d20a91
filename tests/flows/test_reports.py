"""A bank's table of a period: what counts, what is held with a question, what is refused, and what was when."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from gateway.app import Gateway
from gateway.messages import fitting
from gateway.office import agreements, partners
from gateway.office.reporting import standing_of
from gateway.reports import accept_table
from gateway.store import lending as store
from gateway.store import tables
from tests.flows.test_rights import check_signed, entries
from tests.lending import (
    Q1,
    Q2,
    WAN,
    YUAN,
    answer_questions,
    corrected,
    firms_of,
    list_reports,
    reporting_terms,
    send_table,
    table_of,
)
from tests.outcomes import outcome, send_outcomes
from tests.world import AUDITOR, CITY, MAKER, OPERATOR, World, city
from xinyi.channel import errors_restored
from xinyi.days import DAY_MS, day_of, end_of
from xinyi.errors import Conflict, ExchangeError, Invalid, NotEntitled, Refused, Unknown
from xinyi.lending import parse_period
from xinyi.server import Caller
from xinyi.v1 import exchange_pb2, lending_pb2, lending_service_pb2
from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

#: Mean loan 500 万元.
AMOUNTS = [300 * WAN, 500 * WAN, 700 * WAN]
#: The same in a table whose column holds 万元 where yuan belong.
MIXED_UP = [300 * YUAN, 500 * YUAN, 700 * YUAN]


def rows_of(world: World, table: Any) -> list[dict[str, Any]]:
    with world.gateway.database.reading() as conn:
        return [dict(row) for row in conn.execute(select(table)).mappings()]


def counted(world: World) -> dict[tuple[str, int, int], tuple[bytes, int]]:
    """What counts: (bank, year, first month) → (table, granted), from the rows that statistics add up."""
    total = {
        row["document"]: row["granted"]
        for row in rows_of(world, tables.lending_cells)
        if row["dimension"] == "total"
    }
    found = [row for row in rows_of(world, tables.lending_tables) if row["state"] == "COUNTED"]
    assert all(row["counted_at_ms"] and not row["replaced_at_ms"] for row in found)
    by_place = {
        (row["bank"], row["year"], row["month"]): (row["document"], total.get(row["document"], 0)) for row in found
    }
    assert len(by_place) == len(found), "two tables of one bank and period count"
    return by_place


async def reporting_bank(world: World, name: str = "bank-1") -> tuple[Home, Home]:
    """A bank with terms: its machine, and a person of it."""
    bank = await world.bank(name)
    person = await world.admit(f"xinyi://{CITY}/{name}/person/chen-jie", "BANK")
    await world.report_terms(bank)
    return bank, person


async def test_a_table_counts_once_however_often_it_comes(tmp_path: Path, database_url: str) -> None:
    """Signed receipt, log entry with both documents, cells to be added up; the same again: the same bytes."""
    async with city(tmp_path, database_url=database_url, bureau=False) as world:
        bank = await world.admit(f"xinyi://{CITY}/bank-1/machine/main", "BANK")
        identity = await agreed(world, bank)
        (terms,) = await reporting_terms(bank)
        assert (terms.agreement_id, terms.version, terms.months) == (identity, 1, 3)
        assert list(terms.dimensions) == ["grade", "guarantee", "size/GXB300"]

        sealed = envelope.seal(table_of(bank, firms_of(AMOUNTS)), bank.signer())
        first = await send_table(world, bank, sealed)
        assert (first.state, first.rules) == ("COUNTED", [])
        again = await asyncio.gather(*(send_table(world, bank, sealed) for _ in range(3)))
        assert all(sent.acknowledgement == first.acknowledgement for sent in again)
        assert all(sent.sealed == first.sealed for sent in again)

        (entry,) = entries(world, "lending.counted")
        assert list(entry.documents) == [first.digest, envelope.digest(first.sealed)]
        assert (entry.period.year, entry.period.month, entry.record_count) == (2018, 3, 3)
        assert (entry.actor, entry.counterparty) == (bank.settings.holder, bank.party)
        assert [change.table for change in entry.changes] == ["outcome_acts", "lending_tables"]
        cells = {(row["dimension"], row["value"]): row for row in rows_of(world, tables.lending_cells)}
        total = cells["total", "all"]
        assert (total["loans"], total["firms"], total["granted"]) == (3, 3, sum(AMOUNTS))
        assert cells["size/GXB300", "small"]["balance"] == sum(AMOUNTS)
        assert await list_reports(bank) == [(first.digest, "COUNTED")]

        empty = await send_table(world, bank, table_of(bank, [], period=Q2))
        assert empty.state == "COUNTED"
        assert counted(world) == {
            (bank.party, 2018, 1): (first.digest, sum(AMOUNTS)),
            (bank.party, 2018, 4): (empty.digest, 0),
        }


async def test_a_list_of_reports_fits_its_message(tmp_path: Path) -> None:
    """A batch's receipt comes where the batch alone is asked for: of one, and of no other."""

    def ask(home: Home, document: bytes = b"") -> lending_service_pb2.ListReportsResponse:
        with GatewayClient(home) as client, errors_restored():
            request = lending_service_pb2.ListReportsRequest(document=document)
            return LendingServiceStub(client.channel).ListReports(request)

    async with city(tmp_path, bureau=False) as world:
        bank = await world.admit(f"xinyi://{CITY}/bank-1/machine/main", "BANK")
        await agreed(world, bank)
        table = await send_table(world, bank, table_of(bank, firms_of(AMOUNTS)))
        batches = [await send_outcomes(world, bank, [outcome(n, amount=1)], f"b-{n}") for n in (1, 2)]
        every = await asyncio.to_thread(ask, bank)
        assert [envelope.digest(one.batch) for one in every.batches] == [one.digest for one in batches]
        assert [one.HasField("receipt") for one in (*every.tables, *every.batches)] == [True, False, False]
        alone = await asyncio.to_thread(ask, bank, batches[1].digest)
        assert (list(alone.tables), [one.receipt for one in alone.batches]) == ([], [batches[1].sealed])
        one = await asyncio.to_thread(ask, bank, table.digest)
        assert ([t.receipt for t in one.tables], list(one.batches)) == ([table.sealed], [])
    found = fitting(iter(every.batches), full=every.batches[0].ByteSize() - 1)
    assert found == [every.batches[0]], "what is behind it is left out"


async def agreed(world: World, bank: Home, first: date = date(2018, 1, 1), last: date = date(2099, 12, 31)) -> str:
    """An agreement with terms, and nothing more."""
    await world.gateway.door.run(lambda x: agreements.add(x, bank.party, "1", first, last, 1, OPERATOR))
    return await world.report_terms(bank)


async def test_wrong_units_are_held_until_the_bank_says_what_they_are(tmp_path: Path, database_url: str) -> None:
    """万元 in a 元 field: a question that says so; confirmed by a person, or corrected by a table."""
    async with city(tmp_path, database_url=database_url) as world:
        bank, person = await reporting_bank(world)
        held = await send_table(world, bank, table_of(bank, firms_of(MIXED_UP)))
        assert (held.state, set(held.rules)) == ("HELD", {"lending.plausible_amount"})
        (granted, balance) = held.receipt.questions
        assert "万元 in a 元 field, 10,000 times too small" in granted.text
        assert "500.00 CNY" in granted.text
        assert (granted.dimension, granted.value, granted.may_be_confirmed) == ("total", "all", True)
        assert "balance" in balance.text
        assert not counted(world)
        (entry,) = entries(world, "lending.held")
        assert entry.detail == "lending.plausible_amount"

        with pytest.raises(Invalid) as machine:
            await answer_questions(world, bank, held.digest)
        assert machine.value.basis == "lending_answer.answered_by"
        colleague = await world.admit(f"xinyi://{CITY}/bank-1/person/wu-lei", "BANK")
        with pytest.raises(NotEntitled) as other:
            await answer_questions(world, colleague, held.digest, answered_by=person.settings.holder)
        assert other.value.basis == "lending_answer.person"
        confirmed = await answer_questions(world, person, held.digest)
        assert confirmed.message.outcome == "lending.confirmed"
        assert counted(world) == {(bank.party, 2018, 1): (held.digest, sum(MIXED_UP))}
        (entry,) = entries(world, "lending.confirmed")
        assert (entry.actor, entry.counterparty) == (person.settings.holder, bank.party)
        (row,) = rows_of(world, tables.lending_tables)
        assert row["answer"] == entry.documents[0]
        with pytest.raises(Conflict, match="COUNTED") as error:
            await answer_questions(world, person, held.digest, reason="once more")
        check_signed(world, error.value)

        right = await send_table(world, bank, corrected(bank, held.digest, firms_of(AMOUNTS)))
        assert right.state == "COUNTED"
        assert await list_reports(bank, Q1) == [(held.digest, "CORRECTED"), (right.digest, "COUNTED")]


@pytest.mark.parametrize(
    ("amounts", "told"),
    [
        ([300 * WAN, 500 * WAN, 90_000 * YUAN * 10_000 * 10_000], "元 in a 万元 field, 10,000 times too large"),
        ([9_999 * YUAN], "9,999.00 CNY"),
        ([9_999 * YUAN + 99, 10_000 * YUAN], "9,999.99 CNY"),
        ([1_000_000_000 * YUAN, 1_000_000_001 * YUAN], "1,000,000,000.50 CNY"),
    ],
)
async def test_a_mean_loan_out_of_the_plausible_range_is_asked_about(
    tmp_path: Path, amounts: list[int], told: str
) -> None:
    """By a fen, without rounding, at either end."""
    async with city(tmp_path, bureau=False) as world:
        bank = await world.admit(f"xinyi://{CITY}/bank-1/machine/main", "BANK")
        await agreed(world, bank)
        held = await send_table(world, bank, table_of(bank, firms_of(amounts)))
        assert held.state == "HELD"
        assert told in held.receipt.questions[0].text


async def test_every_rule_has_its_question_or_refusal(tmp_path: Path) -> None:
    """What is refused changes nothing, is signed and logged; what is held says where, and what settles it."""
    async with city(tmp_path) as world:
        bank, person = await reporting_bank(world)
        stranger = await world.bank("bank-2")
        firms = firms_of(AMOUNTS)

        async def refuse(kind: type[ExchangeError], basis: str, home: Home = bank, **changes: Any) -> Any:
            with pytest.raises(kind) as error:
                await send_table(world, home, table_of(home, firms, **changes))
            assert error.value.basis == basis
            check_signed(world, error.value)
            return error.value

        missing = await refuse(Invalid, "lending.dimensions", dimensions=("grade", "guarantee", "industry"))
        assert "missing size/GXB300; not wanted industry" in missing.explanation
        await refuse(Invalid, "lending.currency", currency="USD")
        await refuse(Invalid, "lending.period", period=lending_pb2.LendingPeriod(year=2018, month=1, months=1))
        await refuse(Invalid, "table.issued_at", issued_at_ms=world.clock() + 2 * DAY_MS)
        await refuse(Invalid, "table.issued_at", period=_period(2099, 10))
        await refuse(NotEntitled, "lending.bank", stranger, bank=bank.party, issued_by=bank.settings.holder)
        await refuse(NotEntitled, "lending.issued_by", person, issued_by=bank.settings.holder)
        await refuse(NotEntitled, "lending.terms", stranger)
        await refuse(NotEntitled, "agreement.party", stranger, agreement_id=_agreement(bank))
        await refuse(NotEntitled, "agreement.missing", agreement_id="another")
        await refuse(Unknown, "lending.corrects", corrects=b"c" * 32, reason="nobody has it")
        firms = firms_of([10**17 + 1])  # no person can confirm what would stop the city's sums
        await refuse(Invalid, "margin.sums")
        firms = firms_of(AMOUNTS)
        assert not rows_of(world, tables.lending_tables)
        assert not rows_of(world, tables.lending_cells)

        # Cells that do not add up: held, and no word of a person makes it right.
        short = table_of(bank, firms)
        short.margins[1].cells[0].sums.granted -= 1
        held = await send_table(world, bank, short)
        assert (held.state, held.rules) == ("HELD", ["lending.sums"])
        (question,) = held.receipt.questions
        assert (question.dimension, question.may_be_confirmed) == ("grade", False)
        with pytest.raises(Conflict) as error:
            await answer_questions(world, person, held.digest)
        assert error.value.basis == "lending.sums"
        # A single cell out of range where the whole is not.
        mixed = [*firms_of([*AMOUNTS, 800 * WAN]), *_other_size(90 * YUAN)]
        cell = await send_table(world, bank, table_of(bank, mixed, corrects=held.digest, reason="again"))
        assert (cell.state, cell.rules) == ("HELD", ["lending.plausible_amount"])
        (question,) = cell.receipt.questions
        assert (question.dimension, question.value) == ("size/GXB300", "micro")
        assert await list_reports(bank) == [(held.digest, "CORRECTED"), (cell.digest, "HELD")]
        with pytest.raises(Conflict, match="CORRECTED"):
            await answer_questions(world, person, held.digest, reason="too late")
        with pytest.raises(Unknown):
            await answer_questions(world, person, b"n" * 32)
        with pytest.raises(Invalid) as unnamed:
            await answer_questions(world, person, cell.digest, outcome_ids=["o-1"])
        assert unnamed.value.basis == "lending_answer.outcomes"


def _period(year: int, month: int) -> lending_pb2.LendingPeriod:
    return lending_pb2.LendingPeriod(year=year, month=month, months=3)


def _agreement(bank: Home) -> str:
    return agreements.agreement_id(bank.party, "1")


def _other_size(amount: int) -> list[lending_pb2.FirmLending]:
    (firm,) = firms_of([amount], size="micro")
    firm.taxpayer_id = firms_of([1] * 9)[-1].taxpayer_id
    firm.rows[0].loan.reference = "L9"
    return [firm]


async def test_what_counts_stands_until_a_table_names_it(tmp_path: Path, database_url: str) -> None:
    """CONFLICT names the standing table; a correction that is held leaves it; what was counted when is known."""
    async with city(tmp_path, database_url=database_url) as world:
        bank, person = await reporting_bank(world)
        first = await send_table(world, bank, table_of(bank, firms_of(AMOUNTS)))
        with pytest.raises(Conflict, match=first.digest.hex()) as error:
            await send_table(world, bank, table_of(bank, firms_of(AMOUNTS), seed=8))
        assert error.value.basis == "lending.conflict"
        check_signed(world, error.value)
        assert counted(world) == {(bank.party, 2018, 1): (first.digest, sum(AMOUNTS))}

        world.clock.advance(days=1)
        held = await send_table(world, bank, corrected(bank, first.digest, firms_of(MIXED_UP)))
        assert held.state == "HELD"
        assert counted(world) == {(bank.party, 2018, 1): (first.digest, sum(AMOUNTS))}
        # A second one behind it names what counts, not what is held.
        with pytest.raises(Conflict, match=first.digest.hex()):
            await send_table(world, bank, corrected(bank, held.digest, firms_of(AMOUNTS)))
        world.clock.advance(days=1)
        await answer_questions(world, person, held.digest)
        assert counted(world) == {(bank.party, 2018, 1): (held.digest, sum(MIXED_UP))}
        world.clock.advance(days=1)
        other = [*AMOUNTS, 900 * WAN]
        last = await send_table(world, bank, corrected(bank, held.digest, firms_of(other)))
        assert counted(world) == {(bank.party, 2018, 1): (last.digest, sum(other))}

        with pytest.raises(Conflict, match=last.digest.hex()):
            await send_table(world, bank, corrected(bank, first.digest, firms_of(AMOUNTS), seed=9))
        with pytest.raises(Invalid) as other_period:
            await send_table(world, bank, corrected(bank, last.digest, firms_of(AMOUNTS), period=Q2))
        assert other_period.value.basis == "lending.corrects"
        again = await send_table(world, bank, table_of(bank, firms_of(AMOUNTS)))
        assert again.sealed == first.sealed, "its receipt says what became of it then"

        today = day_of(world.clock())
        days = [(today - timedelta(days=n)).isoformat() for n in (4, 3, 2, 1, 0)]
        history = [await list_reports(bank, as_of=day) for day in days]
        digests = (first.digest, held.digest, last.digest)
        assert history == [
            [],
            [(first.digest, "COUNTED")],
            [(first.digest, "COUNTED"), (held.digest, "HELD")],
            [(first.digest, "CORRECTED"), (held.digest, "COUNTED")],
            list(zip(digests, ("CORRECTED", "CORRECTED", "COUNTED"), strict=True)),
        ]
        assert await list_reports(bank, Q2) == []
        with pytest.raises(Invalid):
            await list_reports(bank, as_of="yesterday")


async def test_what_is_held_stands_in_nobodys_way(tmp_path: Path) -> None:
    """The right table may come without naming a held one: that one's questions are closed."""
    async with city(tmp_path) as world:
        bank, person = await reporting_bank(world)
        held = await send_table(world, bank, table_of(bank, firms_of(MIXED_UP)))
        right = await send_table(world, bank, table_of(bank, firms_of(AMOUNTS)))
        assert await list_reports(bank) == [(held.digest, "CORRECTED"), (right.digest, "COUNTED")]
        with pytest.raises(Conflict):
            await answer_questions(world, person, held.digest)
        assert counted(world) == {(bank.party, 2018, 1): (right.digest, sum(AMOUNTS))}


async def test_two_tables_at_once_count_once(tmp_path: Path, database_url: str) -> None:
    """Different tables of one bank and period arrive together at two gateways of one database: one counts."""
    async with city(tmp_path, database_url=database_url, bureau=False) as world:
        bank = await world.admit(f"xinyi://{CITY}/bank-1/machine/main", "BANK")
        await agreed(world, bank)
        rivals = [envelope.seal(table_of(bank, firms_of([n * 100 * WAN])), bank.signer()) for n in range(1, 7)]
        second = await asyncio.to_thread(Gateway, world.gateway.settings, world.clock)
        who = Caller(bank.settings.holder)
        here = [send_table(world, bank, sealed) for sealed in rivals]
        there = [accept_table(second.reception, exchange_pb2.Call(document=sealed), who) for sealed in rivals]
        try:
            results = await asyncio.gather(*here, *there, return_exceptions=True)
        finally:
            await asyncio.to_thread(second.close)
        lost = [result for result in results if isinstance(result, Conflict)]
        won = [place for place, result in enumerate(results) if not isinstance(result, BaseException)]
        assert (len(won), len(lost)) == (2, 10), "the same one at both"
        assert won[1] - won[0] == len(rivals)
        assert {error.basis for error in lost} == {"lending.conflict"}
        sent, (_, receipt) = (results[place] for place in won)
        assert receipt == sent.sealed
        ((table, _),) = counted(world).values()
        assert table == sent.digest
        assert len(entries(world, "lending.counted")) == 1


async def test_banks_report_while_they_are_suspended_and_see_their_own_alone(tmp_path: Path) -> None:
    """A report is a duty; a terminated bank has none. Nobody but a bank reports, or sees a table."""
    async with city(tmp_path) as world:
        bank, _ = await reporting_bank(world)
        other, curious = await reporting_bank(world, "bank-2")
        auditor = await world.admit(AUDITOR, "AUDITOR")
        own = await send_table(world, bank, table_of(bank, firms_of(AMOUNTS)))
        theirs = await send_table(world, other, table_of(other, firms_of(AMOUNTS)))
        assert await list_reports(bank) == [(own.digest, "COUNTED")]
        assert await list_reports(other) == [(theirs.digest, "COUNTED")]
        with pytest.raises(Unknown):
            await answer_questions(world, curious, own.digest)
        with pytest.raises(Unknown):
            await send_table(world, other, corrected(other, own.digest, firms_of(AMOUNTS)))
        for home in (world.homes[MAKER], auditor):
            for ask in (list_reports, reporting_terms):
                with pytest.raises(NotEntitled) as error:
                    await ask(home)
                assert error.value.basis == "partner.kind"
                check_signed(world, error.value)

        async def decide(word: str) -> None:
            await world.gateway.door.run(lambda x: partners.decide(x, bank.party, word, "letter", OPERATOR))

        await decide("suspend")
        assert (await send_table(world, bank, table_of(bank, firms_of(AMOUNTS), period=Q2))).state == "COUNTED"
        await decide("terminate")
        with pytest.raises(NotEntitled) as error:
            await send_table(world, bank, table_of(bank, firms_of(AMOUNTS), period=_period(2018, 7)))
        assert error.value.basis == "partner.terminated"


async def test_a_period_may_be_reported_after_the_agreement_but_none_without_one(tmp_path: Path) -> None:
    """In force on a day of the period, or on the day of the report; not suspended, not ended."""
    async with city(tmp_path, bureau=False) as world:
        bank = await world.admit(f"xinyi://{CITY}/bank-1/machine/main", "BANK")
        identity = await agreed(world, bank, date(2018, 3, 1), date(2018, 4, 30))
        (terms,) = await reporting_terms(bank)
        assert terms.agreement_id == identity
        for period in (Q1, Q2):
            await send_table(world, bank, table_of(bank, firms_of(AMOUNTS), period=period))
        for period, basis in ((_period(2017, 10), "agreement.expired"), (_period(2018, 7), "agreement.expired")):
            with pytest.raises(NotEntitled) as error:
                await send_table(world, bank, table_of(bank, firms_of(AMOUNTS), period=period))
            assert error.value.basis == basis
        await world.gateway.door.run(lambda x: agreements.change_state(x, identity, "suspend", "letter", OPERATOR))
        assert await reporting_terms(bank) == []
        first = (await list_reports(bank))[0][0]
        with pytest.raises(NotEntitled) as error:
            await send_table(world, bank, corrected(bank, first, firms_of(AMOUNTS)))
        assert error.value.basis == "agreement.suspended"


async def test_the_operator_sees_who_owes_a_table(tmp_path: Path) -> None:
    """COUNTED, HELD, DUE, MISSING, and who was late; nothing of what is in the tables."""
    async with city(tmp_path) as world:
        banks = [(await reporting_bank(world, f"bank-{n}"))[0] for n in range(1, 5)]
        late = await world.bank("bank-9")  # no terms: owes nothing
        sent = await send_table(world, banks[0], table_of(banks[0], firms_of(AMOUNTS)))
        held = await send_table(world, banks[1], table_of(banks[1], firms_of(MIXED_UP)))
        correction = await send_table(world, banks[0], corrected(banks[0], sent.digest, firms_of(MIXED_UP)))

        def told(
            period: lending_pb2.LendingPeriod, today: date, until_ms: int = end_of(date(2099, 12, 31))
        ) -> dict[str, tuple[str, bool]]:
            with world.gateway.database.reading() as conn:
                lines = standing_of(conn, period, today, until_ms)
                assert all(line["bank"] != late.party for line in lines)
                if period == Q1 and until_ms > world.clock():
                    assert (lines[0]["table"], lines[0]["held"]) == (sent.digest, correction.digest)
                    assert (lines[1]["table"], lines[1]["held"]) == (None, held.digest)
            return {line["bank"].partition("/")[2]: (line["state"], line["late"]) for line in lines}

        assert told(Q1, date(2018, 4, 15)) == {
            "bank-1": ("COUNTED", True), "bank-2": ("HELD", True), "bank-3": ("DUE", False), "bank-4": ("DUE", False),
        }  # fmt: skip
        assert told(Q1, date(2018, 4, 16))["bank-3"] == ("MISSING", True)
        before = told(Q1, date(2018, 4, 16), end_of(date(2018, 4, 16)))
        assert set(before.values()) == {("MISSING", True)}, "none was here on that day"
        assert told(_period(2017, 10), date(2018, 4, 16)) == {}
        assert told(lending_pb2.LendingPeriod(year=2018, month=1, months=1), date(2018, 4, 16)) == {}
        with world.gateway.database.reading() as conn:
            assert len(store.tables_of(conn, period=Q1)) == 3

        # Another agreement that wants the same owes no second one; who was terminated, none of a later period.
        second = (date(2018, 1, 1), date(2099, 12, 31), exchange_pb2.DISCLOSURE_CLASS_PUBLIC, OPERATOR)
        await world.gateway.door.run(lambda x: agreements.add(x, banks[0].party, "2", *second))
        await world.report_terms(banks[0], "2")
        later = parse_period(f"{day_of(world.clock()).year + 1}-Q1")
        assert "bank-4" in told(later, date(2018, 4, 16))
        await world.gateway.door.run(lambda x: partners.decide(x, banks[3].party, "terminate", "merged", OPERATOR))
        assert "bank-4" not in told(later, date(2018, 4, 16))
        assert told(Q1, date(2018, 4, 16))["bank-4"] == ("MISSING", True)
        with world.gateway.database.reading() as conn:
            lines = standing_of(conn, Q1, date(2018, 4, 16), world.clock() + 1)
        assert [line["agreement"] for line in lines if line["bank"] == banks[0].party] == [
            agreements.agreement_id(banks[0].party, "1")
        ]


async def test_terms_change_by_version(tmp_path: Path) -> None:
    """The next version holds for what arrives from then on."""
    async with city(tmp_path) as world:
        bank, _ = await reporting_bank(world)
        first = await send_table(world, bank, table_of(bank, firms_of(AMOUNTS)))
        with pytest.raises(Conflict):
            await world.report_terms(bank, version=3)
        await world.report_terms(bank, version=2, dimensions=["grade"], small_micro=False)
        with pytest.raises(Refused) as error:
            await send_table(world, bank, corrected(bank, first.digest, firms_of(AMOUNTS)))
        assert error.value.basis == "lending.dimensions"
        changed = corrected(bank, first.digest, firms_of(AMOUNTS), dimensions=["grade"])
        assert (await send_table(world, bank, changed)).state == "COUNTED"
        assert [entry.detail for entry in entries(world, "agreement.terms")] == ["version 1", "version 2"]
