"""Offline verification of editions over time: an honest year holds, and each rule has a story that breaks it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audit import envelope, records
from audit.verification.findings import Report, Verdict
from audit.verification.procedure import verify
from tests.audit.story import (
    BANK,
    BANK_2,
    BUREAU,
    CITY,
    NOW_MS,
    Cast,
    Edition,
    Story,
    mark_of,
    recall_row,
    record_of,
    seal_edition,
)
from tests.audit.test_verify import files_of, verdicts
from tests.audit.year import Year, year
from tests.world import made_up_uscc
from xinyi.v1 import edition_pb2, exchange_pb2

FALSE, UNDECIDED, HOLDS = Verdict.FALSE, Verdict.UNDECIDED, Verdict.HOLDS
RECALL = exchange_pb2.DELIVERY_GROUND_RECALL
APPLIED = exchange_pb2.RECEIPT_STAGE_APPLIED
DAY_MS = 86_400_000

Check = Callable[[Story], Report]


@pytest.fixture
def check(tmp_path: Path, cast: Cast) -> Check:
    return lambda story: verify(story.export(tmp_path / "export"), cast.policy())


@pytest.fixture
def told(cast: Cast) -> Year:
    """January's FULL, landed at both banks."""
    return Year.begin(cast)


def changed(edition: Edition, cast: Cast, **changes: object) -> Edition:
    """The edition under a manifest that says something else."""
    manifest = edition.message
    for name, value in changes.items():
        if isinstance(value, edition_pb2.Period):
            manifest.period.CopyFrom(value)
        else:
            setattr(manifest, name, value)
    edition.manifest = envelope.seal(manifest, cast.maker)
    return edition


def reasons(report: Report) -> set[str]:
    """The rules that are named."""
    return {finding.reason.rpartition("[")[2].rstrip("]") for finding in report.findings}


# ── honest years ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_honest_year_holds(cast: Cast, check: Check) -> None:
    """Nothing is examined in vain; a recall that is still open is told, and is no falsehood."""
    story = year(cast)
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    checks_in_vain = [name for name, found in report.checks.items() if not found.examined]
    assert checks_in_vain == []
    (waiting,) = report.notes["open_recalls"]
    assert (waiting["recipient"], waiting["since"][:10]) == (BANK_2, "2018-04-29")
    assert waiting["correction"] == story.editions[2].digest.hex()


def test_a_second_machine_of_a_pinned_bank_makes_nothing_false(cast: Cast, tmp_path: Path) -> None:
    """Its receipts and what rests on them, recalls and their rows, are undecided alone."""
    first = cast.signer(f"xinyi://{BANK_2}/machine/first", "")
    policy = replace(cast.policy(), keys=(*cast.policy().keys, first.key))
    report = verify(year(cast).export(tmp_path / "export"), policy)
    assert set(verdicts(report)) >= {"seals", "receipts"}
    assert {finding.verdict for finding in report.findings} == {UNDECIDED}, report.findings


def test_what_is_open_is_told_by_party_and_days(cast: Cast, told: Year, check: Check) -> None:
    """Up to the last entry of the log: recalls by recipient, objections by bureau, and which are late."""
    story = told.story
    story.object(told["january"], made_up_uscc(3))
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    story.later_ms = 10 * DAY_MS
    story.object(told["january"], made_up_uscc(5), "2018-2", filed_on="2018-05-08", due_on="2018-05-29")
    story.announce("contract-2")
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    assert report.notes["open"] == {
        "recalls": {BANK: {"count": 1, "days": 10}, BANK_2: {"count": 1, "days": 10}},
        "objections": {BUREAU: {"count": 2, "days": 10}},
    }
    assert [(one["days"], one["overdue"]) for one in report.notes["open_objections"]] == [(10, True), (0, False)]


def test_a_due_date_that_is_not_the_term_s_is_found(told: Year, check: Check) -> None:
    told.story.object(told["january"], made_up_uscc(3), due_on="2018-03-02")
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"objection.due_on"}


def test_a_due_date_that_cannot_be_counted_is_no_lie(told: Year, check: Check) -> None:
    """A year that the calendar does not have, and another calendar than this one."""
    story = told.story
    story.object(told["january"], made_up_uscc(3), filed_on="2034-12-20", due_on="2035-01-10")
    story.object(told["january"], made_up_uscc(5), "2018-2", due_on="2018-03-02", calendar="cn-2018.9")
    report = check(story)
    assert verdicts(report) == {"objections": UNDECIDED}
    assert [("calendar" in one.reason) for one in report.findings] == [True, True]


@pytest.mark.parametrize("year_on", [False, True])
@pytest.mark.parametrize("case", ["left out", "decided at once", "gone", "filed at once", "settled by a recall"])
def test_marks_are_exactly_the_open_objections(cast: Cast, told: Year, check: Check, case: str, year_on: bool) -> None:
    """One that is missing is found, where the records are of the year of the objection; one that is not due is none."""
    story = told.story
    objection = story.object(told["january"], made_up_uscc(2 if case == "gone" else 3))
    story.later_ms += 0 if case == "filed at once" else 3_600_000
    if year_on:
        told.chain.year, told.chain.month = 2019, 1
        left = (2,) if case == "gone" else ()
        edition = told.next("february", told.chain.full((record_of(n) for n in range(6) if n not in left), anew=True))
    else:
        edition = told.february()  # without 2
    if case == "settled by a recall":
        story.bring_out(edition)
        edition = told.march()  # of 4 alone
        story.bring_out(edition, recalled=(BANK, BANK_2))
        story.offer(edition, BANK_2, ground=RECALL)
    else:
        story.bring_out(edition)
        story.offer(edition)
    if case == "decided at once":
        story.decide(objection, "DENIED")
    report = check(story)
    if case == "left out" and not year_on:
        assert verdicts(report) == {"deliveries": FALSE}
        assert reasons(report) == {"delivery.disputes"}
        assert len(report.findings) == 1
    else:
        assert report.verdict == HOLDS, report.findings


@pytest.mark.parametrize("case", ["of nobody", "of who has left", "of who is not told"])
def test_a_mark_too_many_is_found(cast: Cast, told: Year, check: Check, case: str) -> None:
    """On no record, on one that the edition took away, and, as a recall, on one of which it does not tell."""
    story = told.story
    objection = story.object(told["january"], made_up_uscc(2))
    story.bring_out(told.february())
    edition, ground = told["february"], exchange_pb2.DELIVERY_GROUND_AGREEMENT
    if case == "of nobody":
        objection = story.object(told["january"], made_up_uscc(9), "2018-2")
    if case == "of who is not told":
        objection = story.object(told["january"], made_up_uscc(3), "2018-2")
        edition, ground = told.march(told=[1]), RECALL
        story.bring_out(edition, recalled=(BANK, BANK_2))
    story.offer(edition, BANK_2, ground=ground, disputes=[mark_of(objection)])
    report = check(story)
    assert verdicts(report)["deliveries"] == FALSE
    assert next(one for one in report.findings if one.check == "deliveries").reason.endswith("[delivery.disputes]")


def test_a_year_without_records_holds(tmp_path: Path, cast: Cast) -> None:
    """What the manifests say to each other shows without the records; what they come to does not."""
    report = verify(year(cast).export(tmp_path / "export", with_records=False), cast.policy())
    assert report.verdict == HOLDS, report.findings
    assert report["states"].examined == 0


def test_a_confirmed_recall_is_no_longer_told(cast: Cast, told: Year, check: Check) -> None:
    story = told.story
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    story.apply(told["march"], cast.bank)
    story.apply(told["march"], cast.bank_2, ground=RECALL)
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    assert "open_recalls" not in report.notes


def test_an_empty_delta_and_a_full_of_the_same_records_hold(cast: Cast, told: Year, check: Check) -> None:
    """Nothing changed is a statement; a FULL of what the chain came to seals its state root."""
    story, chain = told.story, told.chain
    story.bring_out(told.february())
    story.bring_out(told.next("empty", chain.delta()))
    story.bring_out(told.next("full", chain.full(list(chain.truth.values()))))
    assert told["full"].message.state_root == told["february"].message.state_root
    story.bring_out(told.next("last", chain.delta(gone=[made_up_uscc(1)])))
    report = check(story)
    assert report.verdict == HOLDS, report.findings


def test_the_next_year_begins_with_another_blinding_key(cast: Cast, told: Year, check: Check) -> None:
    """And a CORRECTION in it speaks of the taxpayers of a year whose keys are others."""
    story, chain = told.story, told.chain
    chain.year, chain.month = 2019, 1
    story.bring_out(told.next("new year", chain.full(map(record_of, range(6)), anew=True)))
    story.bring_out(told.march(told=[1], gone=[3]), recalled=(BANK, BANK_2))
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    assert report["states"].examined == 4  # both FULLs, the CORRECTION, its taxpayers


def test_many_chunks_and_buckets_hold(cast: Cast, check: Check) -> None:
    """Buckets that go over the end of a chunk, in a FULL and in a DELTA."""
    told = Year.begin(cast)
    story, chain = told.story, told.chain
    story.bring_out(told.next("large", chain.full(map(record_of, range(3000)))))
    more = [record_of(number) for number in range(2900, 5000)]
    for record in more[:100]:
        record.names[0] += "（新）"
    gone = [made_up_uscc(number) for number in range(0, 2000, 2)]
    story.bring_out(told.next("delta", chain.delta(more, gone)))
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    assert len(told["delta"].chunks) == 4


def test_a_cancelled_delta_leaves_its_place(cast: Cast, told: Year, check: Check) -> None:
    """Its records were never those of the product."""
    story, chain = told.story, told.chain
    before = (chain.truth, chain.salts, chain.sequence, chain.last)
    story.take_in(told.february())
    cancel(story, told["february"])
    chain.truth, chain.salts, chain.sequence, chain.last = before
    story.bring_out(told.next("again", chain.delta([record_of(9)])))
    report = check(story)
    assert report.verdict == HOLDS, report.findings


def cancel(story: Story, edition: Edition) -> None:
    message = edition_pb2.Cancellation(
        manifest_digest=edition.digest, cancelled_by=story.cast.maker.key.holder, reason="x", cancelled_at_ms=NOW_MS
    )
    sealed = envelope.seal(message, story.cast.maker)
    leaf = story.log("edition.cancelled", [sealed], manifest_digest=edition.digest)
    story.acknowledge(sealed, leaf)


def test_no_lawful_erasure_makes_a_year_false(cast: Cast, tmp_path: Path) -> None:
    """Whichever opening is erased, what rested on it cannot be decided, and nothing else suffers."""
    for position in range(len(year(cast).entries)):
        story = year(cast)
        story.erase(position)
        report = verify(story.export(tmp_path / str(position)), cast.policy())
        assert report.verdict != FALSE, (position, report.findings)


# ── editions ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_edition_in_the_place_of_another_is_found(cast: Cast, told: Year, check: Check) -> None:
    """Two editions behind one, both published."""
    story = told.story
    story.bring_out(told.february())
    other = seal_edition(cast.maker, sequence=2, predecessor=told["january"].digest)
    story.bring_out(other)
    report = check(story)
    assert verdicts(report) == {"editions": FALSE}
    assert reasons(report) == {"edition.sequence"}


@pytest.mark.parametrize(
    ("changes", "basis"),
    [
        ({"period": edition_pb2.Period(year=2019, month=1)}, "edition.year"),
        ({"period": edition_pb2.Period(year=2017, month=12)}, "edition.period"),
        ({"sequence": 3}, "edition.sequence"),
    ],
)
def test_a_delta_out_of_its_place_is_found(
    cast: Cast, told: Year, check: Check, changes: dict[str, object], basis: str
) -> None:
    """Another year, an earlier month, another number than comes behind its predecessor's."""
    told.story.bring_out(changed(told.february(), cast, **changes))
    report = check(told.story)
    assert verdicts(report) == {"editions": FALSE}
    assert basis in reasons(report)


def test_a_delta_under_another_blinding_key_is_found(cast: Cast, told: Year, check: Check) -> None:
    told.chain.blinding_key = os.urandom(32)
    told.story.bring_out(told.next("february", told.chain.delta([record_of(9)])))
    report = check(told.story)
    assert verdicts(report) == {"editions": FALSE, "states": FALSE}
    assert "edition.blinding_key" in reasons(report)


def test_a_new_year_under_the_old_blinding_key_is_found(cast: Cast, told: Year, check: Check) -> None:
    told.chain.year = 2019
    told.story.bring_out(told.next("new year", told.chain.full(map(record_of, range(5)))))
    report = check(told.story)
    assert verdicts(report) == {"editions": FALSE}
    assert reasons(report) == {"edition.blinding_key"}


@pytest.mark.parametrize("between", [False, True])
def test_a_delta_behind_a_stopped_edition_is_found(told: Year, check: Check, between: bool) -> None:
    """It would build on records that were called wrong, directly or over another DELTA; a FULL may follow."""
    story = told.story
    if between:
        story.bring_out(told.next("between", told.chain.delta()))
    story.stop(told["january"])
    story.bring_out(told.february())
    report = check(story)
    assert verdicts(report) == {"editions": FALSE}
    assert reasons(report) == {"edition.after_stop"}


def test_a_full_behind_a_stopped_edition_holds(told: Year, check: Check) -> None:
    told.story.stop(told["january"])
    told.story.bring_out(told.next("full", told.chain.full(map(record_of, range(4)))))
    assert check(told.story).verdict == HOLDS


def test_a_correction_of_what_was_never_published_is_found(cast: Cast, told: Year, check: Check) -> None:
    """An edition that was taken in and cancelled told nobody anything."""
    story, chain = told.story, told.chain
    before = (chain.sequence, chain.last)
    story.take_in(told.next("cancelled", chain.delta()))
    cancel(story, told["cancelled"])
    chain.sequence, chain.last = before
    told.editions["january"] = told["cancelled"]
    story.bring_out(told.march())
    report = check(story)
    assert "correction.corrects" in reasons(report)
    assert verdicts(report)["editions"] == FALSE


def test_a_correction_of_itself_or_a_later_edition_is_found(cast: Cast, told: Year, check: Check) -> None:
    other = seal_edition(cast.maker, product="grade-all")
    told.story.bring_out(other)
    edition = changed(told.march(), cast, corrects=other.digest)
    told.story.bring_out(edition)
    report = check(told.story)
    assert verdicts(report)["editions"] == FALSE
    assert "correction.corrects" in reasons(report)


def test_an_answer_for_rows_that_are_not_there_is_found(told: Year, check: Check) -> None:
    told.story.answer_rows(told["january"], *range(1, 8))
    report = check(told.story)
    assert verdicts(report) == {"editions": FALSE}
    assert reasons(report) == {"answer.rows"}


def test_an_answer_for_rows_by_a_bank_is_found(cast: Cast, told: Year, check: Check) -> None:
    told.story.answer_rows(told["january"], 1, signer=cast.auditor)
    assert verdicts(check(told.story)) == {"editions": FALSE}


# ── states ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["state_root", "root_of_a_full"])
def test_another_state_than_the_records_come_to_is_found(
    cast: Cast, told: Year, check: Check, name: str
) -> None:
    """A DELTA's with what was before; a FULL's with its own chunks, and then nothing can build on it."""
    if name == "state_root":
        told.story.bring_out(changed(told.february(), cast, state_root=bytes(32)))
        expected = {"states": FALSE}
    else:
        full = told.next("full", told.chain.full(map(record_of, range(4))))
        told.story.bring_out(changed(full, cast, state_root=bytes(32)))
        expected = {"records": FALSE}
    report = check(told.story)
    assert verdicts(report) == expected
    assert "state.root" in reasons(report)


def test_another_count_than_the_records_have_is_found(cast: Cast, told: Year, check: Check) -> None:
    edition = told.february()
    manifest = edition.message
    manifest.state_count += 1
    manifest.comparison.unchanged += 1
    edition.manifest = envelope.seal(manifest, cast.maker)
    told.story.bring_out(edition)
    report = check(told.story)
    assert verdicts(report) == {"states": FALSE}
    assert reasons(report) == {"state.count"}


def test_who_was_not_there_cannot_be_gone(cast: Cast, told: Year, check: Check) -> None:
    """A DELTA that takes away a taxpayer of whom nothing was told: it would name a stranger."""
    edition = told.next("february", told.chain.delta([record_of(9)], [made_up_uscc(77)]))
    manifest = edition.message
    manifest.comparison.gone = 1
    edition.manifest = envelope.seal(manifest, cast.maker)
    told.story.bring_out(edition)
    report = check(told.story)
    assert verdicts(report) == {"states": FALSE}
    assert reasons(report) == {"state.gone"}


def test_a_correction_takes_back_who_has_left_meanwhile(told: Year, check: Check) -> None:
    """It was told of in the corrected edition: gone again changes nothing."""
    told.story.bring_out(told.february())  # takes 2 away
    told.story.bring_out(told.march(gone=[2]), recalled=(BANK, BANK_2))
    report = check(told.story)
    assert report.verdict == HOLDS, report.findings


@pytest.mark.parametrize("anew", [False, True])
def test_a_correction_of_a_stranger_is_found(told: Year, check: Check, anew: bool) -> None:
    """Of whom the corrected edition did not tell, a correction tells nothing; also across years."""
    chain = told.chain
    if anew:
        chain.year, chain.month = 2019, 1
        told.story.bring_out(told.next("new year", chain.full(map(record_of, range(6)), anew=True)))
    else:
        told.story.bring_out(told.february())  # brings 7
    told.story.bring_out(told.march(told=[7], gone=[3]), recalled=(BANK, BANK_2))
    report = check(told.story)
    assert verdicts(report) == {"states": FALSE}
    assert reasons(report) == {"correction.subject"}


def test_what_builds_on_missing_records_cannot_be_decided(cast: Cast, told: Year, tmp_path: Path) -> None:
    """One lost chunk, or a lost key: the states behind it are not known, until a FULL begins again."""
    story, chain = told.story, told.chain
    story.bring_out(told.february())
    story.bring_out(told.next("full", chain.full(map(record_of, range(4)))))
    story.bring_out(told.next("last", chain.delta([record_of(8)])))
    for name in ("chunks/{}/000000.chunk", "blinding/{}.key"):
        path = story.export(tmp_path / os.urandom(4).hex())
        (path / name.format(told["january"].digest.hex())).unlink()
        report = verify(path, cast.policy())
        assert verdicts(report) == {"records": UNDECIDED, "states": UNDECIDED}
        about = {finding.subject[8:24] for finding in report["states"].findings}
        assert about == {told[name].digest.hex()[:16] for name in ("january", "february")}


def test_a_gone_record_that_tells_more_is_found(cast: Cast, told: Year, check: Check) -> None:
    """In a DELTA nothing but the identifier is told of a taxpayer that left."""
    gone = record_of(2)
    gone.gone = True
    edition = told.next("february", told.chain.delta([gone]))
    told.story.bring_out(edition)
    report = check(told.story)
    assert verdicts(report)["records"] == FALSE
    assert "grade.gone" in reasons(report)


# ── deliveries, receipts, recalls ──────────────────────────────────────────────────────────────────────────


def test_a_recall_of_what_corrects_nothing_is_found(told: Year, check: Check) -> None:
    """Whoever is not entitled gets a DELTA on no ground."""
    told.story.bring_out(told.february())
    told.story.offer(told["february"], BANK_2, ground=RECALL)
    report = check(told.story)
    assert verdicts(report) == {"deliveries": FALSE}
    assert reasons(report) == {"delivery.ground"}


def test_a_recall_to_who_was_never_told_is_found(told: Year, check: Check) -> None:
    """A correction would tell a stranger what it corrects: as a row of recalls, and as a delivery."""
    story, stranger = told.story, f"{CITY}/bank-9"
    story.bring_out(told.march(), recalled=(BANK, BANK_2, stranger))
    story.offer(told["march"], stranger, ground=RECALL)
    report = check(story)
    assert verdicts(report) == {"recalls": FALSE}
    assert reasons(report) == {"recall.recipient"}
    assert stranger in report.findings[0].reason


def test_a_recall_delivery_without_its_row_is_found(told: Year, check: Check) -> None:
    story = told.story
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    story.offer(told["march"], f"{CITY}/bank-9", ground=RECALL)
    report = check(story)
    assert verdicts(report) == {"deliveries": FALSE}
    assert reasons(report) == {"delivery.ground"}


def test_who_took_what_is_corrected_and_is_not_told_is_found(told: Year, check: Check) -> None:
    """Whatever became of the bank: its receipt is in the log."""
    told.story.bring_out(told.march(), recalled=(BANK,))
    report = check(told.story)
    assert verdicts(report) == {"recalls": FALSE}
    assert reasons(report) == {"recall.missing"}
    assert BANK_2 in report.findings[0].reason


@pytest.mark.parametrize("case", ["told", "not told", "another is told", "told twice", "stopped", "applied before"])
def test_whose_receipt_comes_behind_the_correction_is_told_with_it(
    cast: Cast, told: Year, check: Check, case: str
) -> None:
    """February's DELTA was fetched before March's correction of it, and receipted behind it."""
    story = told.story
    story.bring_out(told.february())
    late = story.offer(told["february"], BANK_2)
    told.editions["january"] = told["february"]
    story.bring_out(told.march())
    if case == "stopped":
        story.stop(told["march"])
    if case == "applied before":
        story.apply(told["march"], cast.bank_2)
    party = BANK if case == "another is told" else BANK_2
    rows = [recall_row(told["march"], party, "OPEN")] if case in ("told", "another is told", "told twice") else []
    story.receive(told["february"], late, cast.bank_2, rows=rows)
    again = rows if case == "told twice" else []
    story.receive(told["february"], late, cast.bank_2, rows=again, stage=exchange_pb2.RECEIPT_STAGE_ACCEPTED)
    if case == "told":
        story.offer(told["march"], BANK_2, ground=RECALL)
    report = check(story)
    expected = {
        "not told": {"recall.missing"}, "another is told": {"recall.missing", "recall.recipient"},
        "told twice": {"recall.recipient"},
    }.get(case, set())  # fmt: skip
    assert verdicts(report) == ({"recalls": FALSE} if expected else {})
    assert reasons(report) == expected
    if case == "not told":
        assert BANK_2 in report.findings[0].reason


def test_who_took_nothing_of_what_is_corrected_is_not_recalled(cast: Cast, told: Year, check: Check) -> None:
    """A correction of February reaches those of February alone; a rejected edition may be recalled."""
    story = told.story
    story.bring_out(told.february())
    story.apply(told["february"], cast.bank)
    rules = [edition_pb2.RuleCount(rule="bank.rule", outcome=edition_pb2.ROW_OUTCOME_REJECTED, rows=1)]
    story.receive(
        told["february"], story.offer(told["february"], BANK_2), cast.bank_2,
        stage=exchange_pb2.RECEIPT_STAGE_REJECTED, accepted=0, root=b"", rules=rules,
    )  # fmt: skip
    told.editions["january"] = told["february"]
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    story.state["recalls"].clear()
    assert verdicts(check_again(story, cast))["rows"] == FALSE


def check_again(story: Story, cast: Cast) -> Report:
    return verify(story.export(cast.folder / f"again-{os.urandom(4).hex()}"), cast.policy())


def test_a_recall_confirmed_without_a_receipt_is_found(told: Year, check: Check) -> None:
    """The gateway says of itself that a bank has confirmed."""
    story = told.story
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    story.log("partner.active", rows=[recall_row(told["march"], BANK_2, "CONFIRMED")])
    report = check(story)
    assert verdicts(report) == {"recalls": FALSE}
    assert reasons(report) == {"recall.confirmed"}


def test_a_recall_that_stays_open_beside_its_receipt_is_found(cast: Cast, told: Year, check: Check) -> None:
    story = told.story
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    rows = story.state["recalls"]
    story.state["recalls"] = {}  # the story's own way of noting it finds nothing
    story.apply(told["march"], cast.bank)
    story.state["recalls"] = rows
    report = check(story)
    assert verdicts(report) == {"recalls": FALSE}
    assert reasons(report) == {"recall.confirmed"}
    assert report["recalls"].false == 2  # the entry, and the row


def test_a_recall_is_closed_with_its_correction(cast: Cast, told: Year, check: Check) -> None:
    """Who confirmed has confirmed, also behind the stop; the others are neither open nor false."""
    story = told.story
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    story.apply(told["march"], cast.bank)
    taken = story.offer(told["march"], BANK_2, ground=RECALL)
    story.stop(told["march"], [BANK_2])
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    assert "open_recalls" not in report.notes
    for stage in (exchange_pb2.RECEIPT_STAGE_RECEIVED, exchange_pb2.RECEIPT_STAGE_ACCEPTED):
        story.receive(told["march"], taken, cast.bank_2, stage=stage)
    rows = [recall_row(told["march"], BANK_2, "CONFIRMED")]
    story.receive(told["march"], taken, cast.bank_2, stage=APPLIED, rows=rows)
    report = check_again(story, cast)
    assert report.verdict == HOLDS, report.findings


@pytest.mark.parametrize("closed", ["nobody's", "confirmed", "published"])
def test_a_recall_closed_without_a_reason_is_found(cast: Cast, told: Year, check: Check, closed: str) -> None:
    """Of who was not recalled, of who has confirmed, and where nothing was stopped."""
    story = told.story
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    if closed == "nobody's":
        story.stop(told["march"], [BANK_2, f"{CITY}/bank-9"])
    elif closed == "confirmed":
        story.apply(told["march"], cast.bank_2, ground=RECALL)
        story.stop(told["march"], [BANK_2])
    else:
        story.log("partner.active", rows=[recall_row(told["march"], BANK_2, "STOPPED")])
    report = check(story)
    assert verdicts(report) == {"recalls": FALSE}
    assert reasons(report) <= {"recall.stopped", "recall.confirmed"}


def test_recalls_with_another_publication_are_found(told: Year, check: Check) -> None:
    told.story.bring_out(told.february(), recalled=(BANK,))
    report = check(told.story)
    assert verdicts(report) == {"recalls": FALSE}
    assert "recall.correction" in reasons(report)


def test_two_receipts_of_one_stage_are_found(told: Year, check: Check) -> None:
    """The later one is no first receipt, whatever it says."""
    delivery = told.story.offer(told["january"])
    told.story.receive(told["january"], delivery, signed_at_ms=NOW_MS + 9)
    report = check(told.story)
    assert verdicts(report) == {"receipts": FALSE}
    assert reasons(report) == {"receipt.conflict"}


@pytest.mark.parametrize(("minutes", "found"), [(-10, True), (-3, False), (33, False), (40, True)])
def test_a_receipt_out_of_its_time_is_found(told: Year, check: Check, minutes: int, found: bool) -> None:
    """Before the Delivery, or behind its own entry; some minutes are the clocks'."""
    story, minute = told.story, 60_000
    story.later_ms = 30 * minute
    edition = told.february()
    story.bring_out(edition)
    delivery = story.offer(edition)
    story.receive(edition, delivery, signed_at_ms=NOW_MS + minutes * minute)
    report = check(story)
    assert verdicts(report) == ({"receipts": FALSE} if found else {})
    assert reasons(report) == ({"receipt.time"} if found else set())


def test_a_repeated_receipt_says_what_the_first_one_said(cast: Cast, told: Year, check: Check) -> None:
    story, edition = told.story, told["january"]
    delivery = story.offer(edition)
    accepted = {"accepted": 4, "rejected": 2, "stage": APPLIED}
    story.receive(edition, delivery, kind="receipt.repeated", **accepted)
    report = check(story)
    assert verdicts(report) == {"receipts": FALSE}
    assert reasons(report) == {"receipt.conflict"}


def test_a_receipt_is_not_repeated_for_one_and_the_same_offer(told: Year, check: Check) -> None:
    """The same Delivery document has one receipt of a stage, however it is called."""
    delivery = told.story.offer(told["january"])  # the very Delivery of January, offered once more
    told.story.receive(told["january"], delivery, kind="receipt.repeated", signed_at_ms=NOW_MS + 9)
    report = check(told.story)
    assert verdicts(report) == {"receipts": FALSE}
    assert reasons(report) == {"receipt.conflict"}


def test_a_repeated_receipt_without_a_first_one_is_found(told: Year, check: Check) -> None:
    story = told.story
    story.bring_out(told.february())
    story.receive(told["february"], story.offer(told["february"]), kind="receipt.repeated", stage=APPLIED)
    report = check(story)
    assert verdicts(report) == {"receipts": FALSE}
    assert reasons(report) == {"receipt.repeated"}


# ── objections ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mark_of_an_objection_that_nobody_filed_is_found(cast: Cast, told: Year, check: Check) -> None:
    """It exists and is sealed, and comes into the log behind the delivery that marks it."""
    story = told.story
    objection = story.object(told["january"], made_up_uscc(4))
    filed, answer = story.entries.pop(), story.answers.pop()
    story.offer(told["january"], f"{CITY}/bank-3", disputes=[mark_of(objection)])
    story.entries.append(filed)
    story.answers.append(answer)
    report = check(story)
    assert verdicts(report) == {"deliveries": FALSE}
    assert reasons(report) == {"delivery.disputes"}


def test_a_mark_of_a_decided_objection_is_found(told: Year, check: Check) -> None:
    story = told.story
    objection = story.object(told["january"], made_up_uscc(4))
    story.decide(objection, "DENIED")
    story.offer(told["january"], f"{CITY}/bank-3", disputes=[mark_of(objection)])
    report = check(story)
    assert verdicts(report) == {"deliveries": FALSE}
    assert "decided" in report.findings[0].reason


@pytest.mark.parametrize("field", ["filed_on", "due_on", "blinded_key"])
def test_a_mark_that_says_something_else_than_its_objection_is_found(
    told: Year, check: Check, field: str
) -> None:
    objection = told.story.object(told["january"], made_up_uscc(4))
    mark = mark_of(objection)
    setattr(mark, field, bytes(32) if field == "blinded_key" else "2018-02-20")
    told.story.offer(told["january"], f"{CITY}/bank-3", disputes=[mark])
    report = check(told.story)
    assert verdicts(report) == {"deliveries": FALSE}
    assert reasons(report) == {"delivery.disputes"}


def test_an_objection_against_no_record_is_found(told: Year, check: Check) -> None:
    told.story.object(told["january"], made_up_uscc(99))
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"objection.blinded_key"}


def test_an_objection_against_an_edition_nobody_published_is_found(told: Year, check: Check) -> None:
    told.story.take_in(told.february())
    told.story.object(told["february"], made_up_uscc(4))
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"objection.manifest_digest"}


def test_an_objection_taken_in_by_a_bank_is_found(cast: Cast, told: Year, check: Check) -> None:
    told.story.object(told["january"], made_up_uscc(4), signer=cast.auditor)
    assert verdicts(check(told.story)) == {"objections": FALSE}


def test_two_objections_under_one_number_are_found(told: Year, check: Check) -> None:
    told.story.object(told["january"], made_up_uscc(4))
    told.story.object(told["january"], made_up_uscc(5))
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"objection.number"}


def test_who_took_an_objection_in_cannot_decide_it(cast: Cast, told: Year, check: Check) -> None:
    objection = told.story.object(told["january"], made_up_uscc(4))
    told.story.decide(objection, "DENIED", signer=cast.maker)
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"objection_decision.second_person"}


def test_an_objection_is_decided_once(told: Year, check: Check) -> None:
    objection = told.story.object(told["january"], made_up_uscc(4))
    told.story.decide(objection, "DENIED")
    told.story.decide(objection, "UNDECIDABLE")
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"objection_decision.objection"}


def test_an_outcome_that_the_entry_calls_otherwise_is_found(told: Year, check: Check) -> None:
    objection = told.story.object(told["january"], made_up_uscc(4))
    told.story.decide(objection, "DENIED", kind="objection.undecidable")
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"evidence.outcome"}


def test_an_upheld_objection_names_a_correction(told: Year, check: Check) -> None:
    """A DELTA is none, though it was published."""
    told.story.bring_out(told.february())
    objection = told.story.object(told["january"], made_up_uscc(4))
    told.story.decide(objection, "UPHELD", told["february"].digest)
    report = check(told.story)
    assert verdicts(report) == {"objections": FALSE}
    assert reasons(report) == {"objection_decision.correction"}


def test_a_decision_on_an_objection_that_nobody_filed_is_found(told: Year, check: Check) -> None:
    story = told.story
    objection = story.object(told["january"], made_up_uscc(4))
    filed, answer = story.entries.pop(), story.answers.pop()
    story.decide(objection, "DENIED")
    story.entries.append(filed)
    story.answers.append(answer)
    report = check(story)
    assert verdicts(report)["objections"] == FALSE
    assert "objection_decision.objection" in reasons(report)


# ── notices, queries ───────────────────────────────────────────────────────────────────────────────────────


def test_a_number_is_given_to_one_notice(told: Year, check: Check) -> None:
    told.story.announce("contract-2")
    told.story.announce("contract-2", effective_on="2019-01-01")
    report = check(told.story)
    assert verdicts(report) == {"notices": FALSE}
    assert reasons(report) == {"notice.number"}


def test_a_notice_takes_the_place_of_an_earlier_one_alone(told: Year, check: Check) -> None:
    told.story.announce("contract-3", replaces="contract-2")
    report = check(told.story)
    assert verdicts(report) == {"notices": FALSE}
    assert reasons(report) == {"notice.replaces"}


def test_a_notice_that_the_gateway_did_not_seal_is_found(cast: Cast, told: Year, check: Check) -> None:
    told.story.announce("contract-2", signer=cast.bank)
    assert verdicts(check(told.story)) == {"seals": FALSE, "notices": UNDECIDED}


def test_a_subject_query_in_anothers_name_is_found(cast: Cast, told: Year, check: Check) -> None:
    query = exchange_pb2.SubjectQuery(
        asked_by=cast.auditor.key.holder, purpose="x", subject_commitment=bytes(32), requested_at_ms=NOW_MS,
        nonce=bytes(16),
    )  # fmt: skip
    told.story.log("subject.queried", [envelope.seal(query, cast.bank)], actor=query.asked_by)
    assert verdicts(check(told.story)) == {"queries": FALSE}


# ── changed bytes ──────────────────────────────────────────────────────────────────────────────────────────


def test_any_changed_byte_of_a_year_is_found(tmp_path: Path, cast: Cast) -> None:
    """Seeded flips of one bit in every file of the export: none holds."""
    story = year(cast)
    path, chosen, tried = story.export(tmp_path / "export"), random.Random(20180301), 0
    for file in files_of(path):
        data = file.read_bytes()
        for place in chosen.sample(range(len(data)), min(len(data), 20)):
            changed_data = bytearray(data)
            changed_data[place] ^= 1 << chosen.randrange(8)
            file.write_bytes(changed_data)
            tried += 1
            assert verify(path, cast.policy()).verdict != HOLDS, (file, place)
        file.write_bytes(data)
    assert tried > 500
    assert verify(path, cast.policy()).verdict == HOLDS


def test_a_coherent_year_of_another_bureau_is_refused(cast: Cast, tmp_path: Path) -> None:
    """Everything fits together, and the policy knows another bureau."""
    policy = replace(cast.policy(), bureaus=frozenset({f"{CITY}/other"}), keys=(*cast.policy().keys, other_key(cast)))
    found = verdicts(verify(year(cast).export(tmp_path / "export"), policy))
    assert found["editions"] == found["objections"] == FALSE


def other_key(cast: Cast):  # type: ignore[no-untyped-def]
    return cast.signer(f"xinyi://{CITY}/other/person/li-wei", "-other-bureau").key


def test_findings_of_a_year_hold_no_taxpayer_data(cast: Cast, told: Year, check: Check) -> None:
    told.story.bring_out(told.march(told=[1], gone=[7]), recalled=(BANK,))
    text = str(check(told.story).to_json())
    assert "示例企业" not in text
    assert "91999999" not in text
    assert records.blinder(told["january"].blinding_key)(made_up_uscc(1).encode()).hex() not in text
