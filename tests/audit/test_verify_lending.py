"""Offline verification of what banks report: an honest quarter holds, and each rule has a story that breaks it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit import envelope
from audit.verification.findings import Report, Verdict
from audit.verification.procedure import verify
from audit.verification.statistics import add_up
from tests.audit.lending import (
    ASKED,
    BANKS_S,
    BUREAU_S,
    LARGE,
    REFUSED,
    SMALL,
    UNSETTLED,
    Batch,
    Lending,
    batch_of,
    correction_of,
    outcome_of,
    quarter,
    table_of,
)
from tests.audit.story import BANK, BANK_2, BUREAU, NOW_MS, Cast, Story
from tests.audit.test_verify import verdicts
from tests.audit.test_verify_year import reasons
from xinyi.suppression import publish
from xinyi.v1 import edition_pb2, envelope_pb2, lending_pb2, records_pb2

FALSE, UNDECIDED, HOLDS = Verdict.FALSE, Verdict.UNDECIDED, Verdict.HOLDS
DAY_MS = 86_400_000

Check = Callable[[Story], Report]
Tell = Callable[[Lending], object]
Sealed = envelope_pb2.Envelope


@pytest.fixture
def check(tmp_path: Path, cast: Cast) -> Check:
    return lambda story: verify(story.export(tmp_path / "export"), cast.policy())


@pytest.fixture
def told(cast: Cast) -> Lending:
    return Lending.begin(cast)


def test_an_honest_quarter_holds(told: Lending, check: Check) -> None:
    quarter(told)
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings
    examined = [report[name].examined for name in ("lending", "challenges", "statistics")]
    assert examined == [7 + 4, 3, 3 + 2 + 2]
    assert report.notes["open"]["challenges"] == {BANK_2: {"count": 1, "days": 0}}
    (waiting,) = report.notes["open_challenges"]
    assert (waiting["due_on"], waiting["overdue"]) == ("2018-05-10", False)


def test_a_confirmed_table_counts_and_can_be_corrected(told: Lending, check: Check) -> None:
    """Corrections that are held stand beside the one that counts; the one that counts next takes all their places."""
    bank = told.cast.bank
    first = told.report(table_of(bank, SMALL), questions=[ASKED])
    told.confirm(first)
    told.report(correction_of(first, bank, LARGE), questions=[ASKED])
    told.report(correction_of(first, bank, LARGE, reason="another branch"), questions=[ASKED])
    again = told.report(correction_of(first, bank, LARGE, reason="both"), questions=[ASKED])
    told.confirm(again)
    told.report(correction_of(again, bank, SMALL))
    assert [row["state"] for row in told.story.state["lending_tables"].values()] == ["CORRECTED"] * 4 + ["COUNTED"]
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings


def _right_behind_held(told: Lending) -> None:
    bank = told.cast.bank
    told.report(table_of(bank, LARGE), questions=[ASKED])
    told.report(table_of(bank, LARGE), questions=[ASKED])
    told.report(table_of(bank, SMALL))


def _behind_what_was_replaced(told: Lending) -> None:
    bank = told.cast.bank
    first = told.report(table_of(bank, LARGE), questions=[ASKED])
    told.report(correction_of(first, bank, LARGE), questions=[ASKED])
    told.report(correction_of(first, bank, SMALL))


@pytest.mark.parametrize("tell", [_right_behind_held, _behind_what_was_replaced])
def test_what_is_held_stands_in_nobodys_way(told: Lending, check: Check, tell: Tell) -> None:
    """A table that names none, or one that was replaced, takes the place of all that is held."""
    tell(told)
    states = [row["state"] for row in told.story.state["lending_tables"].values()]
    assert states == ["CORRECTED"] * (len(states) - 1) + ["COUNTED"]
    (counted,) = (row["document"] for row in told.story.state["lending_tables"].values() if row["state"] == "COUNTED")
    told.run(told.draft([told.story.documents[counted]], BUREAU_S))
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings


# ── tables ─────────────────────────────────────────────────────────────────────────────────────────────────


def _off_by_a_fen(told: Lending) -> lending_pb2.LendingTable:
    table = table_of(told.cast.bank, SMALL)
    table.margins[1].cells[0].sums.granted += 1
    return table


def _second_without_naming_the_first(told: Lending) -> None:
    told.report(table_of(told.cast.bank, SMALL))
    told.report(table_of(told.cast.bank, LARGE))


def _held_beside_another(told: Lending) -> None:
    told.report(table_of(told.cast.bank, SMALL))
    told.report(table_of(told.cast.bank, LARGE), questions=[ASKED])


def _corrects_what_is_held(told: Lending) -> None:
    first = told.report(table_of(told.cast.bank, SMALL))
    held = told.report(correction_of(first, told.cast.bank, LARGE), questions=[ASKED])
    told.report(correction_of(held, told.cast.bank, SMALL), replaces=False)


def _corrects_what_was_corrected(told: Lending) -> None:
    first = told.report(table_of(told.cast.bank, SMALL))
    told.report(correction_of(first, told.cast.bank, LARGE))
    told.report(correction_of(first, told.cast.bank, SMALL), replaces=False)


def _confirmed_behind_its_correction(told: Lending) -> None:
    held = _held(told)
    told.report(correction_of(held, told.cast.bank, LARGE))  # type: ignore[arg-type]
    told.confirm(held)  # type: ignore[arg-type]


def _held(told: Lending) -> object:
    return told.report(table_of(told.cast.bank, SMALL), questions=[ASKED])


def _confirmed_twice(told: Lending) -> None:
    held = _held(told)
    told.confirm(held)
    told.confirm(held, reason="it is right, once more")


def _corrects_another_bank(told: Lending) -> None:
    other = told.report(table_of(told.cast.bank_2, SMALL))
    told.report(correction_of(other, told.cast.bank, SMALL), replaces=False)


TABLES: dict[str, tuple[Tell, str]] = {
    "sealed by another bank": (
        lambda told: told.report(table_of(told.cast.bank, SMALL), told.cast.bank_2), ""
    ),
    "issued by another holder of the bank": (
        lambda told: told.report(table_of(told.cast.bank, SMALL, issued_by=told.cast.teller.key.holder)), ""
    ),
    "a second that does not name the first": (_second_without_naming_the_first, "lending.conflict"),
    "held beside one that it does not name": (_held_beside_another, "lending.conflict"),
    "corrects what is held beside the one that counts": (_corrects_what_is_held, "lending.conflict"),
    "corrects what was corrected": (_corrects_what_was_corrected, "lending.conflict"),
    "confirmed behind its correction": (_confirmed_behind_its_correction, "lending_answer.document"),
    "counts although its cells do not add up": (lambda told: told.report(_off_by_a_fen(told)), "lending.sums"),
    "held for something else although its cells do not add up": (
        lambda told: told.report(_off_by_a_fen(told), questions=[ASKED]), "lending.sums"
    ),
    "confirmed although its cells do not add up": (
        lambda told: told.confirm(told.report(_off_by_a_fen(told), questions=[UNSETTLED])), "lending_answer.document"
    ),
    "confirmed by a machine": (
        lambda told: told.confirm(_held(told), told.cast.bank), "lending_answer.answered_by"
    ),
    "confirmed by another bank": (lambda told: told.confirm(_held(told), told.cast.auditor), ""),
    "confirmed twice": (_confirmed_twice, "lending_answer.document"),
    "confirmed with outcomes": (
        lambda told: told.confirm(_held(told), outcome_ids=["o-1"]), "lending_answer.outcomes"
    ),
    "corrects a table of another bank": (_corrects_another_bank, "table.corrects"),
    "corrects what never came": (
        lambda told: told.report(
            table_of(told.cast.bank, SMALL, corrects=os.urandom(32), reason="late"), replaces=False
        ),
        "table.corrects",
    ),
    "receipt of another table": (
        lambda told: told.report(table_of(told.cast.bank, SMALL), table=os.urandom(32)), "evidence.table"
    ),
    "receipt of another outcome": (
        lambda told: told.report(table_of(told.cast.bank, SMALL), state=lending_pb2.REPORT_STATE_HELD),
        "evidence.state",
    ),
    "receipt of another time": (
        lambda told: told.report(table_of(told.cast.bank, SMALL), recorded_at_ms=NOW_MS - 1),
        "evidence.recorded_at_ms",
    ),
    "an entry of another agreement": (
        lambda told: told.report(table_of(told.cast.bank, SMALL), about={"agreement_id": "2018-2"}),
        "evidence.agreement_id",
    ),
    "an entry of the quarter's first month": (
        lambda told: told.report(
            table_of(told.cast.bank, SMALL), about={"period": edition_pb2.Period(year=2018, month=1)}
        ),
        "evidence.period",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_a_false_table_is_found(told: Lending, check: Check, case: str) -> None:
    tell, basis = TABLES[case]
    tell(told)
    report = check(told.story)
    assert verdicts(report) == {"lending": FALSE}, report.findings
    assert {basis} <= reasons(report) if basis else "not sealed by" in report.findings[0].reason


def test_a_bank_s_receipt_is_the_gateway_s(told: Lending, check: Check, cast: Cast) -> None:
    """A receipt that anybody else seals proves nothing."""
    gateway, cast.gateway = cast.gateway, cast.bank
    try:
        table = table_of(cast.bank, SMALL)
        sealed = envelope.seal(table, cast.bank)
        receipt = lending_pb2.TableReceipt(table=envelope.digest(sealed), state=lending_pb2.REPORT_STATE_COUNTED)
        told.story.log("lending.counted", [sealed, envelope.seal(receipt, cast.bank)])
    finally:
        cast.gateway = gateway
    assert verdicts(check(told.story))["seals"] == FALSE


@pytest.mark.parametrize("state", ["HELD", "CORRECTED"])
def test_a_row_that_tells_another_state_than_the_log_is_found(told: Lending, check: Check, state: str) -> None:
    """Even where the gateway logged it so."""
    sealed = told.report(table_of(told.cast.bank, SMALL))
    told.story.log("partner.active", rows=[("lending_tables", {"document": envelope.digest(sealed), "state": state})])
    report = check(told.story)
    assert (verdicts(report), reasons(report)) == ({"lending": FALSE}, {"lending.row"})


# ── single loans ───────────────────────────────────────────────────────────────────────────────────────────


def _finding(outcome_id: str, state: int = REFUSED, first: bytes = b"") -> lending_pb2.OutcomeFinding:
    return lending_pb2.OutcomeFinding(outcome_id=outcome_id, state=state, first=first)  # type: ignore[arg-type]


REPEATED = lending_pb2.REPORT_STATE_REPEATED
BATCHES: dict[str, tuple[Tell, str]] = {
    "counts that are not the batch's": (lambda told: told.send(batch_of(told.cast.bank), counted=2), "evidence.counts"),
    "a row of which nothing is said": (
        lambda told: told.send(batch_of(told.cast.bank), counted=2, refused=1), "outcome_receipt.findings"
    ),
    "findings in disorder": (
        lambda told: told.send(
            batch_of(told.cast.bank), counted=1, refused=2, findings=[_finding("o-2"), _finding("o-1")]
        ),
        "outcome_receipt.findings",
    ),
    "repeated, but not of which batch": (
        lambda told: told.send(batch_of(told.cast.bank), counted=2, repeated=1, findings=[_finding("o-1", REPEATED)]),
        "outcome_receipt.first",
    ),
    "repeated of a batch that never came": (
        lambda told: told.send(
            batch_of(told.cast.bank), counted=2, repeated=1, findings=[_finding("o-1", REPEATED, os.urandom(32))]
        ),
        "outcome_receipt.first",
    ),
    "repeated of another bank's batch": (
        lambda told: told.send(
            batch_of(told.cast.bank), counted=2, repeated=1,
            findings=[_finding("o-1", REPEATED, envelope.digest(told.send(batch_of(told.cast.bank_2))))],
        ),
        "outcome_receipt.first",
    ),
    "a number given twice": (
        lambda told: [told.send(batch_of(told.cast.bank)), told.send(batch_of(told.cast.bank))], "batch.number"
    ),
    "issued long before": (lambda told: told.send(_back_dated(told)), "batch.issued_at"),
    "a root that does not follow": (lambda told: told.send(_uprooted(told)), "does not follow"),
    "answered for by another bank": (
        lambda told: told.answer_for(told.send(batch_of(told.cast.bank_2))), ""
    ),
    "answered for nothing": (
        lambda told: told.answer_for(told.send(batch_of(told.cast.bank)), outcome_ids=[]), "lending_answer.outcomes"
    ),
}  # fmt: skip


def _back_dated(told: Lending) -> Batch:
    batch = batch_of(told.cast.bank)
    batch.message.issued_at_ms -= 11 * DAY_MS
    return batch


def _uprooted(told: Lending) -> Batch:
    batch = batch_of(told.cast.bank)
    batch.message.root = os.urandom(32)
    return batch


def _refused(outcome_id: str) -> dict[str, Any]:
    """Of a receipt, with one row of three that is refused."""
    return {"counted": 2, "refused": 1, "findings": [_finding(outcome_id)]}


def test_a_refused_row_is_a_commitment_alone(told: Lending, check: Check) -> None:
    """What the borrower did not authorise is nowhere in the export; all else proves itself."""
    rows = [outcome_of(0), outcome_of(1), outcome_of(2, valid_to="2018-03-01")]
    told.send(batch_of(told.cast.bank, rows=rows, withheld=1), **_refused("o-2"))
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings
    assert report["records"].examined == 2
    assert b"2018-03-01" not in told.story.outcomes[0][2]


def _changed(chunk: bytes, **changes: Any) -> bytes:
    kept = records_pb2.Chunk.FromString(chunk)
    row = lending_pb2.LendingOutcome.FromString(kept.records[1].record)
    for name, value in changes.items():
        setattr(row, name, value)
    kept.records[1].record = row.SerializeToString(deterministic=True)
    return kept.SerializeToString(deterministic=True)


def _sent(told: Lending, batch: Batch, kept: bytes | None = None, **receipt: Any) -> None:
    told.send(replace(batch, chunk=kept or batch.chunk), **receipt)


ROWS: dict[str, tuple[Tell, str]] = {
    "an amount changed": (
        lambda told: _sent(told, batch := batch_of(told.cast.bank), _changed(batch.chunk, amount=1)), "not the rows"
    ),
    "a row without authorisation is kept": (
        lambda told: _sent(told, batch_of(told.cast.bank, rows=[outcome_of(0, valid_to="2018-03-01")])),
        "outcome.authorisation",
    ),
    "a counted row is withheld": (
        lambda told: _sent(told, batch_of(told.cast.bank, withheld=1)), "batch.withheld"
    ),
    "rows in disorder": (
        lambda told: _sent(told, batch_of(told.cast.bank, rows=[outcome_of(1), outcome_of(0)])), "ascending"
    ),
    "a row that breaks a rule": (
        lambda told: _sent(told, batch_of(told.cast.bank, rows=[_unstaged()])), "outcome.stage"
    ),
    "a chunk of no batch": (
        lambda told: told.story.outcomes.append((os.urandom(32), 0, batch_of(told.cast.bank).chunk)), "no batch"
    ),
    "one chunk too many": (
        lambda told: told.story.outcomes.append(
            (envelope.digest(told.send(batch_of(told.cast.bank))), 1, b"x")
        ),
        "no batch",
    ),
}  # fmt: skip


def _unstaged() -> lending_pb2.LendingOutcome:
    row = outcome_of(0)
    row.ClearField("stage")
    return row


@pytest.mark.parametrize("case", ROWS)
def test_false_rows_are_found(told: Lending, check: Check, case: str) -> None:
    tell, reason = ROWS[case]
    tell(told)
    report = check(told.story)
    assert report.verdict == FALSE
    assert set(verdicts(report)) == {"records"}, report.findings
    assert any(reason in finding.reason for finding in report.findings), report.findings


def test_rows_that_are_missing_cannot_be_decided(told: Lending, tmp_path: Path, cast: Cast) -> None:
    """Nor are they wanted of an export without records."""
    told.send(batch_of(told.cast.bank))
    bare = told.story.export(tmp_path / "bare", with_records=False)
    assert verify(bare, cast.policy()).verdict == HOLDS
    told.story.outcomes.clear()
    assert verdicts(verify(told.story.export(tmp_path / "whole"), cast.policy())) == {"records": UNDECIDED}


@pytest.mark.parametrize("case", BATCHES)
def test_a_false_batch_is_found(told: Lending, check: Check, case: str) -> None:
    tell, basis = BATCHES[case]
    tell(told)
    report = check(told.story)
    assert set(verdicts(report)) - {"records"} == {"lending"}, report.findings
    assert any((basis or "not sealed by") in finding.reason for finding in report.findings)


# ── challenges ─────────────────────────────────────────────────────────────────────────────────────────────


def _table(told: Lending) -> object:
    return told.report(table_of(told.cast.bank, SMALL))


def _older_checkpoint(told: Lending) -> None:
    note = told.head()
    told.challenge(_table(told), checkpoint=note)


def _of_the_future(told: Lending) -> None:
    sealed = _table(told)
    position = len(told.story.entries)
    told.challenge(sealed)
    told.story.announce("contract-2")
    late = told.challenge(sealed, checkpoint=told.head(), size=3)
    told.story.entries.insert(position, told.story.entries.pop())
    assert late


def _forked(told: Lending) -> None:
    """The log key signs a head that is not of this log."""
    sealed, kept = _table(told), list(told.story.entries)
    told.story.entries.append((bytes(33), b"", b""))
    note = told.head()
    told.story.entries[:] = kept
    told.story.announce("contract-2")
    told.challenge(sealed, checkpoint=note)


def _answered_twice(told: Lending) -> None:
    asked = told.challenge(_table(told))
    told.open(asked)
    told.open(asked)


def _late(told: Lending, days: int) -> None:
    asked = told.challenge(_table(told))
    told.story.later_ms = days * DAY_MS
    told.leave_unanswered(asked)


def _unanswered_although_answered(told: Lending) -> None:
    asked = told.challenge(_table(told))
    told.open(asked)
    told.story.later_ms = 100 * DAY_MS
    told.leave_unanswered(asked)


CHALLENGES: dict[str, tuple[Tell, str]] = {
    "an older checkpoint": (_older_checkpoint, "challenge.checkpoint"),
    "a checkpoint of the future": (_of_the_future, "challenge.checkpoint"),
    "a checkpoint of another log": (_forked, "challenge.checkpoint"),
    "by a bank's person": (lambda told: told.challenge(_table(told), told.cast.teller), "challenge.asked_by"),
    "of another bank": (lambda told: told.challenge(_table(told), bank=BANK_2), "evidence.bank"),
    "answered by another bank": (
        lambda told: told.open(told.challenge(_table(told)), told.cast.bank_2), ""
    ),
    "more rows than there are": (
        lambda told: told.open(told.challenge(_table(told)), rows=15), "challenge_answer.rows"
    ),
    "answered twice": (_answered_twice, "challenge_answer.challenge"),
    "told as unanswered too early": (lambda told: _late(told, 9), "challenge.due_on"),
    "told as unanswered although answered": (_unanswered_although_answered, "challenge.unanswered"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHALLENGES)
def test_a_false_challenge_is_found(told: Lending, check: Check, case: str) -> None:
    tell, basis = CHALLENGES[case]
    tell(told)
    report = check(told.story)
    assert verdicts(report) == {"challenges": FALSE}, report.findings
    assert {basis} <= reasons(report) if basis else "not sealed by" in report.findings[0].reason


def test_silence_is_told_when_the_due_date_is_over(told: Lending, check: Check) -> None:
    """The same day is still in time; an answer that comes late is an answer."""
    _late(told, 30)
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings
    (waiting,) = report.notes["open_challenges"]
    assert (waiting["bank"], waiting["overdue"], waiting["days"]) == (BANK, True, 30)


# ── statistics ─────────────────────────────────────────────────────────────────────────────────────────────

Draft = Callable[[Lending, list[Sealed]], lending_pb2.Statistics]


def two_tables(told: Lending) -> list[Sealed]:
    return [told.report(table_of(told.cast.bank, SMALL)), told.report(table_of(told.cast.bank_2, LARGE))]


def two_versions(told: Lending) -> tuple[Sealed, Sealed]:
    """Of the bureau's: a correction comes in between."""
    first, second = two_tables(told)
    one = told.run(told.draft([first, second], BUREAU_S))
    told.run(told.draft([first, second], BANKS_S))
    corrected = told.report(correction_of(first, told.cast.bank, SMALL | {"C": (2, 2, 400)}))
    return one, told.run(told.draft([corrected, second], BUREAU_S))


def test_honest_statistics_hold(told: Lending, check: Check) -> None:
    """Two audiences, two versions, given and confirmed; a cell of two enterprises is not shown, nor what tells it."""
    one, two = two_versions(told)
    shown = lending_pb2.Statistics.FromString(two.payload)
    grades = {cell.value: list(cell.suppressed) for cell in shown.margins[2].cells}
    assert (shown.margins[2].dimension, grades["C"]) == ("grade", [lending_pb2.SUM_GROUP_GRANTED])
    assert sum(bool(hidden) for hidden in grades.values()) == 2
    for sealed in (one, two):
        told.give(sealed, BUREAU)
        told.confirm_statistics(sealed, told.cast.maker)
        told.confirm_statistics(sealed, told.cast.approver)
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings
    assert report["statistics"].examined == 3 + 2 + 4


def test_a_table_of_zeros_hinders_no_dimension(told: Lending, check: Check) -> None:
    """Rows of which nothing was granted, owed or refused: no cell but the total's."""
    table = table_of(told.cast.bank_2, LARGE)
    del table.margins[1:]
    table.margins[0].cells[0].ClearField("sums")
    table.margins[0].cells[0].sums.SetInParent()
    counted = [told.report(table_of(told.cast.bank, SMALL)), told.report(table)]
    statistics = told.draft(counted, BUREAU_S)
    told.run(statistics)
    assert [margin.dimension for margin in statistics.margins] == ["total", "bank", "grade"]
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings


def test_an_older_moment_counts_what_stood_then(told: Lending, check: Check) -> None:
    """What came, was confirmed or was replaced behind it changes nothing."""
    first, second = two_tables(told)
    then = told.now_ms - 1
    third = told.report(correction_of(first, told.cast.bank, LARGE))
    told.run(told.draft([first, second], BUREAU_S, counted_until_ms=then))
    held = told.report(correction_of(third, told.cast.bank, SMALL), questions=[ASKED])
    before = told.now_ms - 1
    told.run(told.draft([third, second], BUREAU_S, counted_until_ms=before))
    told.confirm(held)
    told.run(told.draft([held, second], BUREAU_S))
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings


def _more(cell: lending_pb2.PublishedCell) -> None:
    cell.sums.granted += 1


def _fen_more(told: Lending, audience: int) -> None:
    statistics = told.draft(two_tables(told), audience)  # type: ignore[arg-type]
    _more(statistics.margins[0].cells[0])
    told.run(statistics)


def _cell(statistics: lending_pb2.Statistics, value: str) -> lending_pb2.PublishedCell:
    return next(c for m in statistics.margins if m.dimension == "grade" for c in m.cells if c.value == value)


def _shows_few(told: Lending) -> None:
    table = told.report(table_of(told.cast.bank, SMALL | {"C": (2, 2, 400)}))
    statistics = told.draft([table], BANKS_S)
    cell = _cell(statistics, "C")
    del cell.suppressed[:]
    cell.sums.MergeFrom(lending_pb2.LendingSums(loans=2, firms=2, granted=400))
    told.run(statistics)


def _hides_many(told: Lending) -> None:
    statistics = told.draft(two_tables(told), BANKS_S)
    cell = _cell(statistics, "A")
    cell.suppressed.append(lending_pb2.SUM_GROUP_GRANTED)
    cell.ClearField("sums")
    cell.sums.SetInParent()
    told.run(statistics)


def _twice(told: Lending) -> None:
    first, second = two_tables(told)
    told.run(told.draft([first, first, second], BUREAU_S))


def _replaced(told: Lending) -> None:
    first, second = two_tables(told)
    told.report(correction_of(first, told.cast.bank, LARGE))
    told.run(told.draft([first, second], BANKS_S))


def _left_out(told: Lending) -> None:
    told.run(told.draft(two_tables(told)[:1], BANKS_S))


def _unheld(told: Lending) -> None:
    held = told.report(table_of(told.cast.bank, SMALL), questions=[ASKED])
    told.run(told.draft([held, told.report(table_of(told.cast.bank_2, LARGE))], BUREAU_S))


def _nothing_new(told: Lending) -> None:
    counted = two_tables(told)
    told.run(told.draft(counted, BUREAU_S))
    told.run(told.draft(counted, BUREAU_S))


def _skipped(told: Lending, **changes: object) -> None:
    first, second = two_tables(told)
    told.run(told.draft([first], BUREAU_S, counted_until_ms=told.recorded[envelope.digest(first)]))
    told.run(told.draft([first, second], BUREAU_S, **changes))


def _back(told: Lending) -> None:
    first, second = two_tables(told)
    told.run(told.draft([first, second], BUREAU_S))
    told.run(told.draft([first], BUREAU_S, counted_until_ms=told.recorded[envelope.digest(first)]))


def _out_of_order(told: Lending) -> None:
    statistics = told.draft(two_tables(told), BUREAU_S)
    margins = list(statistics.margins)
    del statistics.margins[:]
    statistics.margins.extend(reversed(margins))
    told.run(statistics)


def _to_a_bank(told: Lending) -> None:
    told.give(told.run(told.draft(two_tables(told), BUREAU_S)), BANK)


def _given_twice(told: Lending) -> None:
    sealed = told.run(told.draft(two_tables(told), BANKS_S))
    told.give(sealed, BANK)
    told.give(sealed, BANK)


def _confirmed_by_another(told: Lending) -> None:
    sealed = told.run(told.draft(two_tables(told), BANKS_S))
    told.give(sealed, BANK)
    told.confirm_statistics(sealed, told.cast.bank_2, BANK)


def _confirmed_without(told: Lending) -> None:
    told.confirm_statistics(told.run(told.draft(two_tables(told), BANKS_S)), told.cast.bank)


def _cells(**told: tuple[int, int, int]) -> dict[str, lending_pb2.LendingSums]:
    return {
        value.replace("_", ">"): lending_pb2.LendingSums(loans=loans, firms=firms, granted=granted)
        for value, (loans, firms, granted) in told.items()
    }


#: Of grade A's twenty events nine are by enterprises that were no A.
FAMILY = {
    "grade": _cells(A=(20, 15, 900), B=(9, 9, 400), none=(5, 5, 90)),
    "true-grade": _cells(A=(11, 8, 500), B=(9, 9, 400), none=(5, 5, 90), withdrawn=(9, 8, 400)),
    "grade-pair": _cells(A_A=(11, 8, 500), A_withdrawn=(9, 8, 400), B_B=(9, 9, 400), none_none=(5, 5, 90)),
}
Change = Callable[[dict[str, lending_pb2.PublishedMargin]], object]


def _consenting(told: Lending, change: Change, families: dict[str, Any] = FAMILY, stage: str = "disbursed") -> None:
    """A version with rows with consent, of whose margins something is changed. Args: change — of margins by kind."""
    counted = two_tables(told)
    tables = (lending_pb2.LendingTable.FromString(sealed.payload) for sealed in counted)
    figures = replace(add_up(tables), consented={stage: families})
    statistics = told.draft(counted, BUREAU_S)
    del statistics.margins[:]
    statistics.margins.extend(publish(figures, BUREAU_S))
    prefix = f"consented/{stage}/"
    change({m.dimension.removeprefix(prefix): m for m in statistics.margins if m.dimension.startswith(prefix)})
    told.run(statistics)


def _of(margins: dict[str, lending_pb2.PublishedMargin], kind: str, value: str) -> lending_pb2.PublishedCell:
    return next(cell for cell in margins[kind].cells if cell.value == value)


def _set_sums(kind: str, value: str, **sums: int) -> Change:
    def change(margins: dict[str, lending_pb2.PublishedMargin]) -> None:
        for name, number in sums.items():
            setattr(_of(margins, kind, value).sums, name, number)

    return change


def _suppress(kind: str, value: str) -> Change:
    def change(margins: dict[str, lending_pb2.PublishedMargin]) -> None:
        cell = _of(margins, kind, value)
        cell.sums.Clear()
        cell.sums.SetInParent()
        cell.suppressed.append(lending_pb2.SUM_GROUP_GRANTED)

    return change


CONSENTED: dict[str, Change] = {
    "an amount": _set_sums("grade", "A", granted=901),
    "an amount of a pair": _set_sums("grade-pair", "A>A", granted=501),
    "a number of events": _set_sums("true-grade", "withdrawn", loans=10),
    "more enterprises than its pairs have": _set_sums("grade", "A", firms=17),
    "fewer enterprises than a pair has": _set_sums("grade", "A", firms=7),
    "two enterprises": _set_sums("grade", "none", firms=2),
    "more enterprises than events": _set_sums("grade", "none", firms=6),
    "a balance": _set_sums("grade", "none", balance=1),
    "a grade alone suppressed": _suppress("grade", "B"),
    "a pair alone suppressed": _suppress("grade-pair", "A>withdrawn"),
    "a true grade suppressed whose pairs are shown": _suppress("true-grade", "B"),
    "another group suppressed": lambda m: _of(m, "grade", "B").suppressed.append(lending_pb2.SUM_GROUP_BAD),
    "a grade that is none": lambda m: setattr(_of(m, "grade", "none"), "value", "z"),
    "a margin of no stage": lambda m: setattr(m["grade"], "dimension", "consented/disbursed/gradd"),
    "a grade without its pairs": lambda m: m["grade-pair"].cells.pop(),
    "cells in disorder": lambda m: m["grade"].cells.reverse(),
}


@pytest.mark.parametrize("case", CONSENTED)
def test_lies_about_rows_with_consent_are_found(told: Lending, check: Check, case: str) -> None:
    """What the three margins of a stage say of each other."""
    _consenting(told, CONSENTED[case])
    report = check(told.story)
    assert verdicts(report) == {"statistics": FALSE}, report.findings
    assert reasons(report) & {"statistics.consented", "margin.cells"}


FEW = FAMILY | {
    "grade": FAMILY["grade"] | _cells(C=(2, 2, 40)),
    "true-grade": FAMILY["true-grade"] | _cells(C=(2, 2, 40)),
    "grade-pair": FAMILY["grade-pair"] | _cells(C_C=(2, 2, 40)),
}


@pytest.mark.parametrize("families", [FAMILY, FEW])
@pytest.mark.parametrize("stage", ["disbursed", "rejected", "written-off"])
def test_honest_figures_over_rows_with_consent_hold(
    told: Lending, check: Check, stage: str, families: dict[str, Any]
) -> None:
    """The report says that nobody recomputed them, and which are more than the tables say."""
    _consenting(told, lambda _: None, families, stage)
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings
    assert report.notes["consented"]["versions"] == 1
    above = {cell["cell"] for cell in report.notes["consented"]["above_tables"]}
    assert bool(above) == (stage == "rejected"), "the tables refused nobody"


STATISTICS: dict[str, tuple[Tell, str]] = {
    "one fen more, for the bureau": (lambda told: _fen_more(told, BUREAU_S), "statistics.margins"),
    "one fen more, for banks": (lambda told: _fen_more(told, BANKS_S), "statistics.margins"),
    "a cell of two enterprises is shown": (_shows_few, "statistics.margins"),
    "a cell of many is hidden": (_hides_many, "statistics.margins"),
    "a table counted twice": (_twice, "statistics.tables"),
    "a table that was replaced": (_replaced, "statistics.margins"),
    "a table left out": (_left_out, "statistics.tables"),
    "a held table": (_unheld, "statistics.tables"),
    "nothing new": (_nothing_new, "statistics.restatement"),
    "a number left out": (lambda told: _skipped(told, version=3), "statistics.version"),
    "no predecessor": (lambda told: _skipped(told, predecessor=b""), "statistics.predecessor"),
    "no restatement": (lambda told: _skipped(told, restatement=""), "statistics.restatement"),
    "a moment before the last version's": (_back, "statistics.counted_until"),
    "a moment to come": (
        lambda told: told.run(told.draft(two_tables(told), BUREAU_S, counted_until_ms=NOW_MS + DAY_MS)),
        "statistics.counted_until",
    ),
    "who has a table is missing": (
        lambda told: told.run(told.draft(two_tables(told), BUREAU_S, missing=[BANK])), "statistics.missing"
    ),
    "of another period": (
        lambda told: told.run(
            told.draft(two_tables(told), BUREAU_S), period=edition_pb2.Period(year=2018, month=2)
        ),
        "statistics.period",
    ),
    "dimensions in disorder": (_out_of_order, "statistics.margins"),
    "the bureau's given to a bank": (_to_a_bank, "statistics.audience"),
    "given twice": (_given_twice, "statistics.offered"),
    "confirmed by another bank": (_confirmed_by_another, ""),
    "confirmed by whom it was not given": (_confirmed_without, "statistics_receipt.statistics"),
}  # fmt: skip


@pytest.mark.parametrize("case", STATISTICS)
def test_false_statistics_are_found(told: Lending, check: Check, case: str) -> None:
    tell, basis = STATISTICS[case]
    tell(told)
    report = check(told.story)
    assert verdicts(report) == {"statistics": FALSE}, report.findings
    assert {basis} <= reasons(report) if basis else "not sealed by" in report.findings[0].reason


def test_statistics_by_other_definitions_cannot_be_decided(told: Lending, check: Check) -> None:
    told.run(told.draft(two_tables(told), BUREAU_S, definitions="lending-statistics/2"))
    assert verdicts(check(told.story)) == {"statistics": UNDECIDED}


# ── what is missing ────────────────────────────────────────────────────────────────────────────────────────


def test_what_an_erased_opening_may_have_said_is_no_lie(told: Lending, check: Check) -> None:
    """The table that a challenge, a correction and a confirmation rest on."""
    first = told.report(table_of(told.cast.bank, SMALL))
    position = len(told.story.entries) - 1
    told.report(correction_of(first, told.cast.bank, LARGE))
    told.challenge(first)
    told.story.erase(position)
    report = check(told.story)
    assert report.verdict == UNDECIDED, report.findings
    assert {"lending", "challenges"} <= set(verdicts(report))
