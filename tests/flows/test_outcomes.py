"""Single loans with consent: what is counted, held, a copy or refused, and what was on a day."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import records
from audit.outcomes import check_outcome, prove
from gateway.rules import outcomes as rules
from gateway.store import judgements, tables
from gateway.store import outcomes as store
from tests.lending import (
    WAN,
    YUAN,
    answer_questions,
    corrected,
    firms_of,
    reporting_terms,
    send_table,
    table_of,
)
from tests.outcomes import (
    DISBURSED,
    Batch,
    batch_of,
    begin_batch,
    list_outcomes,
    outcome,
    send_batch,
    send_outcomes,
    standing,
    word,
)
from tests.postgres import Server
from tests.programs import ok
from tests.world import CITY, SealedEdition, World, city, made_up_uscc
from xinyi.channel import errors_restored
from xinyi.days import DAY_MS, day_of
from xinyi.errors import Conflict, Contradiction, DigestMismatch, Invalid, NotEntitled, ProofInvalid
from xinyi.v1 import lending_pb2, lending_service_pb2, records_pb2
from xinyi.v1.lending_pb2 import (
    GUARANTEE_MORTGAGE,
    STAGE_APPLIED,
    STAGE_CONTRACTED,
    STAGE_OVERDUE,
    STAGE_REPAID,
)
from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

COUNTED = ("COUNTED", "")


async def reporting_bank(world: World, name: str = "bank-c", **terms: object) -> tuple[Home, Home]:
    """A bank whose agreement takes single loans, and a person of it."""
    bank = await world.bank(name)
    await world.report_terms(bank, **terms)
    return bank, await world.admit(f"xinyi://{CITY}/{name}/person/chen-jie", "BANK")


def relied_on(edition: SealedEdition, number: int, **changes: object) -> lending_pb2.Reliance:
    """What an edition of `made_up_records` tells of one of them."""
    key = records.blinder(edition.blinding_key)(made_up_uscc(number).encode())
    for data in edition.chunks:
        for salted in records_pb2.Chunk.FromString(data).records:
            record = records_pb2.GradeRecord.FromString(salted.record)
            if record.taxpayer_id == made_up_uscc(number):
                told = lending_pb2.Reliance(
                    manifest_digest=edition.digest,
                    blinded_key=key,
                    commitment=records.commitment(salted.salt, salted.record),
                    grade=record.grade,
                    evaluation_year=record.evaluation_year,
                )
                for name, value in changes.items():
                    setattr(told, name, value)
                return told
    raise LookupError(number)


async def test_replays_and_one_conflict(tmp_path: Path, database_url: str) -> None:
    """S4: the same batch gets the same receipt; of 40 rows sent again under another number 39 are repeated, with the
    batch that stands for them, and the changed one is in conflict: the old value stands until a correction names it.
    """
    async with city(tmp_path, database_url=database_url) as world:
        bank, _ = await reporting_bank(world)
        rows = [outcome(n) for n in range(1500)]
        batch = batch_of(bank, rows)
        sent = await send_batch(world, bank, batch)
        assert sent.counts == (1500, 0, 0, 0, 0)
        again = await send_batch(world, bank, batch)
        assert (again.sealed, again.acknowledgement) == (sent.sealed, sent.acknowledgement)

        changed = outcome(39, amount=600 * WAN)
        replay = await send_outcomes(world, bank, [*rows[:39], changed], "2")
        assert replay.counts == (0, 0, 39, 1, 0)
        assert [(f.outcome_id, word(f.state)) for f in replay.receipt.findings] == [
            *((f"O{n:06d}", "REPEATED") for n in range(39)),
            ("O000039", "CONFLICT"),
        ]
        assert {f.first for f in replay.receipt.findings} == {sent.digest}
        assert set((await standing(bank)).values()) == {COUNTED}
        assert granted(world) == 1500 * 500 * WAN

        correction = outcome(39, outcome_id="O000039-1", amount=600 * WAN, corrects="O000039")
        third = await send_outcomes(world, bank, [correction], "3")
        assert third.counts == (1, 0, 0, 0, 0)
        assert third.findings == [("O000039", "CORRECTED", "")]
        assert granted(world) == 1500 * 500 * WAN + 100 * WAN
        assert await batch_counts(bank) == [(1499, 0, 1), (0, 0, 0), (1, 0, 0)]
        with pytest.raises(Contradiction):
            await send_outcomes(world, bank, rows[:2], "3")


async def batch_counts(bank: Home) -> list[tuple[int, int, int]]:
    """Counted, held, corrected rows of the bank's batches as they stand, newest last."""

    def run() -> list[tuple[int, int, int]]:
        with GatewayClient(bank) as client, errors_restored():
            stub = LendingServiceStub(client.channel)
            batches = stub.ListReports(lending_service_pb2.ListReportsRequest()).batches
            return [(b.counted, b.held, b.corrected) for b in batches]

    return await asyncio.to_thread(run)


def granted(world: World, bank: str = f"{CITY}/bank-c") -> int:
    """What the bank's counted rows disbursed, from the sums that intake keeps; the rows come to the same."""
    acts, sums = tables.outcome_acts.c, tables.outcome_sums.c
    with world.gateway.database.reading() as conn:
        query = select(sums.granted).join(tables.outcome_acts, acts.judgement == sums.judgement)
        kept = sum(conn.execute(query.where(acts.bank == bank)).scalars())
        told = 0
        for batch in store.batches_of(conn, bank, 1 << 60):
            states = store.states_of(conn, batch["document"], (0, batch["row_count"]), 1 << 60)
            o = tables.outcomes.c
            rows = conn.execute(select(o.place, o.amount, o.stage).where(o.document == batch["document"]))
            told += sum(
                row.amount for row in rows if row.stage == DISBURSED and states[row.place] == (1, "")
            )
    assert kept == told
    return told


async def test_rows_without_consent_are_not_stored(tmp_path: Path) -> None:
    """A row that cites no authorisation valid on the day of the report is refused by rule and article, and so is one
    whose event lies behind that day; nothing of it is anywhere in the gateway's files, and the chunk that is kept still
    comes to its root.
    """
    async with city(tmp_path) as world:
        bank, _ = await reporting_bank(world)
        silent = outcome(7_771, loan="SECRET-LOAN-1", consent=False)
        expired = outcome(7_772, loan="SECRET-LOAN-2")
        expired.authorisation.valid_to = "2018-10-31"
        tomorrow = day_of(world.clock()) + timedelta(days=1)
        later = outcome(7_773, day=tomorrow.isoformat(), loan="SECRET-LOAN-3")
        batch = batch_of(bank, [outcome(1), silent, expired, later])
        sent = await send_batch(world, bank, batch)
        assert sent.counts == (1, 0, 0, 0, 3)
        assert {f.state for f in sent.receipt.findings} == {lending_pb2.REPORT_STATE_REFUSED}
        consent = "征信业管理条例 art. 29 ¶2"
        assert [f.question.basis for f in sent.receipt.findings] == [consent, consent, "outcome.event_date"]
        told = await list_outcomes(bank)
        assert [(word(o.state), bool(o.outcome.record), o.refused_id) for o in told] == [
            ("COUNTED", True, ""), *(("REFUSED", False, f"O00777{n}") for n in (1, 2, 3)),
        ]  # fmt: skip
        listed = (await ok("xinyi-bank", "outcomes", "--state", "refused", "--home", bank.path)).out
        assert listed.startswith("refused O007771: no authorisation")
        with world.gateway.database.reading() as conn:
            kept = store.find_chunk(conn, batch.digest, 0)
        assert kept is not None
        salted, path = prove(batch.message, kept, 0)
        assert check_outcome(batch.message, salted, 0, path).outcome_id == "O000001"

        # With the consent it is a first report.
        mended = batch_of(bank, [outcome(7_771, loan="L7"), outcome(7_773, loan="L8")], "2", seed=8)
        second = await send_batch(world, bank, mended)
        assert second.counts == (2, 0, 0, 0, 0)
        await world.stop()
        held = b"".join(p.read_bytes() for p in (tmp_path / "gateway").rglob("*") if p.is_file())
        # Its content in the clear, its digest without a salt, and its salt beside its commitment.
        chunk = records_pb2.Chunk.FromString(batch.chunks[0])
        for secret in (b"SECRET-LOAN", expired.taxpayer_id.encode(), *(s.salt for s in chunk.records[1:])):
            assert secret not in held
        assert b"O000001" in held
        await world.start()


async def test_what_was_relied_on(tmp_path: Path, database_url: str) -> None:
    """An edition that nobody knows, a record that is not in it, another grade than it tells, an event before it was
    published: held, each with its rule; what was missing arrives and the row counts.
    """
    async with city(tmp_path, database_url=database_url) as world:
        bank, _ = await reporting_bank(world)
        first = world.seal(300)
        await world.publish(first)
        late = world.seal(300, month=2, sequence=2, predecessor=first.digest)
        today = day_of(world.clock())
        on, before = today.isoformat(), (today - timedelta(days=1)).isoformat()
        issued = world.clock()

        def row(number: int, reliance: lending_pb2.Reliance, day: str = on) -> lending_pb2.LendingOutcome:
            made = outcome(number, day=day, reliance=reliance, taxpayer_id=made_up_uscc(number))
            made.authorisation.valid_to = "2099-12-31"
            return made

        rows = [
            row(1, relied_on(first, 1)),
            row(2, relied_on(late, 2)),
            row(3, relied_on(first, 3, grade=records_pb2.GRADE_B)),
            row(4, relied_on(first, 4, commitment=b"\1" * 32)),
            row(5, relied_on(first, 5, blinded_key=b"\xff" * 32)),
            row(6, relied_on(first, 6), before),
            row(8, relied_on(first, 9)),
        ]
        sent = await send_outcomes(world, bank, rows, issued_at_ms=issued)
        assert sent.counts == (1, 6, 0, 0, 0)
        assert sent.findings == [
            ("O000002", "HELD", "outcome.edition"),
            ("O000003", "HELD", "outcome.reliance"),
            ("O000004", "HELD", "outcome.reliance"),
            ("O000005", "HELD", "outcome.reliance"),
            ("O000006", "HELD", "outcome.before_edition"),
            ("O000008", "HELD", "outcome.reliance"),
        ]
        # All are in question when they are staged, one of them still when the batch is judged.
        small = row(10, relied_on(first, 10))
        small.amount = 5 * YUAN
        rows = [row(7, relied_on(late, 7)), row(9, relied_on(late, 9)), small]
        staged = batch_of(bank, rows, "2", issued_at_ms=issued)
        assert await begin_batch(bank, staged, 1) == 0
        await world.publish(late)
        second = await send_batch(world, bank, staged)
        assert second.counts == (2, 1, 0, 0, 0)
        told = [("O000002", "COUNTED", ""), ("O000010", "HELD", "outcome.plausible_amount")]
        assert second.findings == told
        with world.gateway.database.reading() as conn:
            acts = tables.outcome_acts.c
            judgement = conn.execute(select(acts.judgement).where(acts.document == staged.digest)).scalar_one()
            # A receipt that has no room for more names the row that is held, too.
            assert [name for name, *_ in judgements.findings(conn, staged.digest, judgement, 2)] == [
                outcome_id for outcome_id, *_ in told
            ]
        assert (await standing(bank))["O000002"] == COUNTED


async def test_amounts_confirmed_by_a_person(tmp_path: Path, database_url: str) -> None:
    """万元 in a yuan field is held and asked about; a person of the bank may confirm it, a machine may not, and what is
    held by another rule is not confirmed; what counted on a day before stays answerable.
    """
    async with city(tmp_path, database_url=database_url) as world:
        bank, person = await reporting_bank(world)
        late = outcome(3, STAGE_CONTRACTED, "2018-04-01", outcome_id="O3-2", loan="L3")
        rows = [outcome(1), outcome(2, amount=500 * YUAN), outcome(3), late]
        sent = await send_outcomes(world, bank, rows)
        assert sent.findings == [
            ("O000002", "HELD", "outcome.plausible_amount"), ("O3-2", "HELD", "outcome.transition"),
        ]  # fmt: skip
        assert sent.receipt.findings[0].question.may_be_confirmed
        day = day_of(world.clock()).isoformat()
        world.clock.advance(days=1)
        with pytest.raises(Invalid, match=r"lending_answer\.answered_by"):
            await answer_questions(world, bank, sent.digest, outcome_ids=["O000002"])
        for named in (["O3-2"], ["O000001"], ["O9"], []):
            with pytest.raises((Conflict, Invalid)):
                await answer_questions(world, person, sent.digest, outcome_ids=named)
        answered = await answer_questions(world, person, sent.digest, outcome_ids=["O000002"])
        assert answered.message.outcome == "outcomes.confirmed"
        now = await standing(bank)
        assert now["O000002"] == COUNTED
        assert now["O3-2"] == ("HELD", "outcome.transition")
        assert (await standing(bank, as_of=day))["O000002"] == ("HELD", "outcome.plausible_amount")
        held = await standing(bank, state=lending_pb2.REPORT_STATE_HELD)
        assert held == {"O3-2": ("HELD", "outcome.transition")}
        assert granted(world) == 1000 * WAN + 500 * YUAN


async def test_a_loan_as_a_whole(tmp_path: Path, database_url: str) -> None:
    """An earlier event that comes later changes what counts of the ones that are here; corrections and voids, before
    and behind what they name; the receipt names the rows of earlier batches, and their history stays.
    """
    async with city(tmp_path, database_url=database_url) as world:
        bank, _ = await reporting_bank(world)
        paid = outcome(1, STAGE_REPAID, "2018-05-01", outcome_id="B", loan="L1", amount=500 * WAN, balance=0)
        overdue = outcome(1, STAGE_OVERDUE, "2018-06-01", outcome_id="C", loan="L1")
        first = await send_outcomes(world, bank, [outcome(1, outcome_id="A", loan="L1"), overdue])
        assert first.counts == (2, 0, 0, 0, 0)
        day = day_of(world.clock()).isoformat()
        world.clock.advance(days=1)
        second = await send_outcomes(world, bank, [paid], "2")
        assert second.findings == [("C", "HELD", "outcome.transition")]
        assert (await standing(bank, as_of=day)) == {"A": COUNTED, "C": COUNTED}

        # It was not repaid after all: what voids it brings the other one back.
        void = outcome(1, STAGE_REPAID, "2018-05-01", outcome_id="D", loan="L1", corrects="B", voids=True)
        third = await send_outcomes(world, bank, [void], "3")
        assert third.counts == (1, 0, 0, 0, 0)
        assert third.findings == [
            ("B", "CORRECTED", ""), ("C", "COUNTED", ""), ("D", "CORRECTED", ""),
        ]  # fmt: skip

        # A correction that comes before what it corrects waits for it.
        early = outcome(2, outcome_id="F", loan="L2", corrects="E", amount=700 * WAN)
        fourth = await send_outcomes(world, bank, [early], "4")
        assert fourth.findings == [("F", "HELD", "outcome.corrects")]
        fifth = await send_outcomes(world, bank, [outcome(2, outcome_id="E", loan="L2")], "5")
        assert fifth.findings == [("E", "CORRECTED", ""), ("F", "COUNTED", "")]
        # A correction that is in question itself leaves the old value standing.
        doubtful = outcome(2, outcome_id="G", loan="L2", corrects="F", amount=7 * YUAN)
        sixth = await send_outcomes(world, bank, [doubtful], "6")
        assert sixth.findings == [("G", "HELD", "outcome.plausible_amount")]
        assert await standing(bank) == {
            "A": COUNTED, "B": ("CORRECTED", ""), "C": COUNTED, "D": ("CORRECTED", ""), "E": ("CORRECTED", ""),
            "F": COUNTED, "G": ("HELD", "outcome.plausible_amount"),
        }  # fmt: skip
        assert granted(world) == 1200 * WAN


async def test_reconciled_with_the_table(tmp_path: Path, database_url: str) -> None:
    """More than the bank's counted table says, in total or in a cell, is in question; with the table corrected it
    counts, and rows of another quarter were never touched.
    """
    async with city(tmp_path, database_url=database_url) as world:
        bank, _ = await reporting_bank(world)
        firms = firms_of([500 * WAN, 500 * WAN])
        table = await send_table(world, bank, table_of(bank, firms))
        assert table.state == "COUNTED"
        rows = [
            outcome(1, day="2018-01-10"),
            outcome(2, day="2018-02-10", guarantee=GUARANTEE_MORTGAGE),
            outcome(3, day="2018-03-10"),
            outcome(4, day="2018-03-20"),
            outcome(5, day="2018-04-20", amount=9_000 * WAN),
        ]
        sent = await send_outcomes(world, bank, rows)
        assert sent.findings == [
            ("O000002", "HELD", "outcome.reconcile"),  # the table holds no mortgages
            ("O000004", "HELD", "outcome.reconcile"),
        ]
        larger = [*firms_of([500 * WAN] * 3), *firms_of([])]
        await send_table(world, bank, corrected(bank, table.digest, larger))
        assert (await standing(bank))["O000004"] == COUNTED
        second = await send_outcomes(world, bank, [outcome(6, STAGE_APPLIED)], "2")
        assert second.findings == []
        assert granted(world) == 4 * 500 * WAN - 500 * WAN + 9_000 * WAN


async def test_tables_and_batches_in_any_order(tmp_path: Path, database_url: str) -> None:
    """Which rows count of more than a table says is the same whether the table comes before, between or behind them,
    corrects another one, or is held and confirmed; also where it comes at the same time.
    """
    rows = [outcome(n, day=f"2018-0{1 + n % 3}-10") for n in range(1, 9)]
    by_date = sorted(rows, key=lambda row: (row.event_date, row.outcome_id))
    counting = {row.outcome_id for row in by_date[:4]}

    async with city(tmp_path, database_url=database_url) as world:

        async def counted_rows(bank: Home) -> set[str]:
            return {name for name, state in (await standing(bank)).items() if state == COUNTED}

        for number, order in enumerate(permutations("tab")):
            bank, _ = await reporting_bank(world, f"bank-{number}")
            say: dict[str, Callable[[], Awaitable[object]]] = {
                "t": partial(send_table, world, bank, table_of(bank, firms_of([500 * WAN] * 4))),
                "a": partial(send_outcomes, world, bank, rows[:4], "a"),
                "b": partial(send_outcomes, world, bank, rows[4:], "b"),
            }
            for name in order:
                await say[name]()
            assert await counted_rows(bank) == counting, order
            assert granted(world, bank.party) == 2_000 * WAN

        # More, in fen where 万元 were meant: held, and compared with nothing until a person confirms it.
        bank, person = await reporting_bank(world, "bank-8")
        one = await send_table(world, bank, table_of(bank, firms_of([500 * WAN] * 9)))
        await asyncio.gather(*(send_outcomes(world, bank, rows[n::3], f"n{n}") for n in range(3)))
        assert len(await counted_rows(bank)) == 8
        small = await send_table(world, bank, corrected(bank, one.digest, firms_of([500 * YUAN])))
        assert small.state == "HELD"
        assert len(await counted_rows(bank)) == 8
        day = day_of(world.clock()).isoformat()
        world.clock.advance(days=1)
        await answer_questions(world, person, small.digest)
        assert await counted_rows(bank) == set()
        assert len([s for s in (await standing(bank, as_of=day)).values() if s == COUNTED]) == 8
        right = await send_table(world, bank, corrected(bank, small.digest, firms_of([500 * WAN] * 4)))
        assert right.state == "COUNTED"
        assert await counted_rows(bank) == counting
        # A table without rows says that nothing was granted.
        await send_table(world, bank, corrected(bank, right.digest, []))
        assert await counted_rows(bank) == set()
        assert granted(world, bank.party) == 0


async def test_what_the_gateway_does_not_take(tmp_path: Path) -> None:
    """Another bank's batch, none agreed on, chunks out of order or changed, rows that break a field's rule."""
    async with city(tmp_path) as world:
        bank, _ = await reporting_bank(world)
        other, _ = await reporting_bank(world, "bank-d", outcomes=False)
        with pytest.raises(NotEntitled, match=r"agreement\.outcomes"):
            await send_outcomes(world, other, [outcome(1)])
        named = batch_of(bank, [outcome(1)], bank=other.party, issued_by=other.settings.holder)
        with pytest.raises(NotEntitled, match=r"batch\.bank"):
            await send_batch(world, bank, named)
        with pytest.raises(ProofInvalid):
            await send_batch(world, bank, batch_of(bank, [outcome(1), outcome(2)], root=b"\1" * 32))
        whole = batch_of(bank, [outcome(n) for n in range(2000)])
        with pytest.raises(DigestMismatch):
            await send_batch(world, bank, Batch(whole.sealed, [whole.chunks[0], whole.chunks[1][:-3] + b"abc"]))
        with pytest.raises(Invalid, match=r"chunk 0, row 2: disbursed"):
            await send_outcomes(world, bank, [outcome(1), outcome(2, amount=0)], "2")
        with pytest.raises(Conflict, match=r"0 of 1 chunks"):
            await commit(bank, batch_of(bank, [outcome(1)], "3"))
        # Back-dated, a consent that is over would hold.
        for days in (-3.1, 1.1):
            with pytest.raises(Invalid) as dated:
                await send_outcomes(world, bank, [outcome(1)], "4", issued_at_ms=world.clock() + int(days * DAY_MS))
            assert dated.value.basis == "batch.issued_at"
        # The chunk that held is here: the whole batch is sent from the second on.
        assert (await send_batch(world, bank, whole)).counts == (2000, 0, 0, 0, 0)
        with pytest.raises(NotEntitled, match=r"outcomes\.bank"):
            await list_outcomes(other, bank=bank.party)


async def commit(bank: Home, batch: Batch) -> None:
    def run() -> None:
        with GatewayClient(bank) as client, errors_restored():
            stub = LendingServiceStub(client.channel)
            stub.BeginOutcomes(lending_service_pb2.BeginOutcomesRequest(call=client.wrap(batch.sealed)))
            stub.CommitOutcomes(lending_service_pb2.CommitOutcomesRequest(call=client.wrap(batch.sealed)))

    await asyncio.to_thread(run)


STAGES = [stage for stage in lending_pb2.Stage.values() if stage]


def some_loans(chance: random.Random, name: str) -> list[lending_pb2.LendingOutcome]:
    """Events of a few loans, possible and impossible ones, corrections and voids of each other, in chains and rings."""
    ids = [f"{name}-{n}" for n in range(chance.randint(4, 12))]
    rows = []
    for number, outcome_id in enumerate(ids):
        stage = chance.choice(STAGES)
        row = outcome(
            number,
            stage,
            f"2018-0{chance.randint(1, 6)}-01",
            outcome_id=outcome_id,
            loan=f"{name}-L{chance.randint(1, 3)}",
            amount=chance.choice([5 * WAN, 500 * WAN, 5 * YUAN]) if stage == DISBURSED else 0,
        )
        if stage == STAGE_REPAID and chance.random() < 0.5:
            row.balance = 0
        if chance.random() < 0.4:
            row.corrects = chance.choice([i for i in [*ids, f"{name}-x"] if i != outcome_id])
            row.voids = chance.random() < 0.3
        rows.append(row)
    return rows


Rows = list[lending_pb2.LendingOutcome]


def in_some_order(chance: random.Random, rows: Rows) -> list[Rows]:
    """Batches in which every row is at least once."""
    batches: list[Rows] = [[] for _ in range(chance.randint(1, 4))]
    for row in rows:
        for batch in chance.sample(batches, chance.randint(1, min(2, len(batches)))):
            batch.append(row)
    return [batch for batch in batches if batch]


async def test_order_of_arrival_never_matters(tmp_path: Path, database_url: str) -> None:
    """Whatever the order, the batches and the repetitions: the same rows count, to the same fen, as by the rules over
    all of them at once.
    """
    async with city(tmp_path, database_url=database_url) as world:
        banks = [(await reporting_bank(world, name))[0] for name in ("bank-c", "bank-d")]
        (terms,) = await reporting_terms(banks[0])
        expected: dict[str, tuple[str, str]] = {}
        for seed in range(12):
            chance = random.Random(seed)
            rows = some_loans(chance, f"s{seed}")
            for bank in banks:
                for number, batch in enumerate(in_some_order(chance, rows)):
                    await send_outcomes(world, bank, batch, f"{seed}-{number}")
            events = [
                rules.Event(
                    (b"", n), row.outcome_id, row.loan.reference, row.stage, row.event_date, rules.closes(row),
                    row.corrects or None, row.voids, rules.find_implausible(row, terms),
                )
                for n, row in enumerate(rows)
            ]  # fmt: skip
            expected |= {
                rows[key[1]].outcome_id: (word(state), rule) for key, (state, rule) in rules.judge(events).items()
            }
        for bank in banks:
            found = await standing(bank)
            assert {i: found[i] for i in found if found[i] != expected[i]} == {}
            assert found.keys() == expected.keys()
        assert granted(world) == granted(world, banks[1].party)
        states = {state for state, _ in expected.values()}
        assert states == {"COUNTED", "HELD", "CORRECTED"}


async def test_batches_at_once(tmp_path: Path, database_url: str) -> None:
    """Batches of one bank that arrive together, each other's rows among them, are judged one behind the other."""
    async with city(tmp_path, database_url=database_url) as world:
        bank, _ = await reporting_bank(world)
        batches = [
            batch_of(bank, [outcome(n) for n in range(start, start + 40)], str(start), seed=start)
            for start in range(0, 100, 20)
        ]
        sent = await asyncio.gather(*(send_batch(world, bank, batch) for batch in batches))
        assert sum(s.receipt.counted for s in sent) == 120
        assert sum(s.receipt.repeated for s in sent) == 80
        assert granted(world) == 120 * 500 * WAN


@pytest.mark.postgresql
async def test_a_database_that_sorts_otherwise(tmp_path: Path, postgresql_server: Server) -> None:
    """Which of two rows comes first is told by code points, also where the database puts a before B."""
    url = postgresql_server.create(locale="en-US")
    try:
        async with city(tmp_path, database_url=url) as world:
            bank, _ = await reporting_bank(world)
            await send_table(world, bank, table_of(bank, firms_of([500 * WAN])))
            rows = [outcome(1, outcome_id="a"), outcome(2, outcome_id="B")]
            sent = await send_outcomes(world, bank, rows)
            assert sent.findings == [("a", "HELD", "outcome.reconcile")]
            # On one day and of one stage: by id, the repayment to nothing first.
            last = outcome(3, STAGE_REPAID, "2018-05-01", outcome_id="C", loan="L3", amount=500 * WAN, balance=0)
            part = outcome(3, STAGE_REPAID, "2018-05-01", outcome_id="b", loan="L3", amount=WAN)
            second = await send_outcomes(world, bank, [last, part], "2")
            assert second.findings == [("b", "HELD", "outcome.transition")]
    finally:
        postgresql_server.drop(url)
