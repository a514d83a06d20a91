"""Samples of a bank's table: drawn by the definition, opened whole and alone, and lies found as often as is stated."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from typing import Any

import pytest

from adapters.auditor.books import Booked, compare
from audit import checkpoint
from audit.challenge import Drawn, opened_leaves, population, seed, units_in, verify_opening
from audit.envelope import seal
from audit.lending_tree import SealedTable, verify_firm
from audit.sampling import chance_of_finding, draw
from audit.sum_tree import Node
from audit.verification.findings import EvidenceMissing
from audit.verification.policy import Policy
from tests.audit.story import AUDITOR, BUREAU, ORIGIN, Cast, Edition, approve, seal_edition
from tests.samples import BAD, Record, Table, firms_relying, records_of, seal_table
from xinyi.errors import DigestMismatch, ExchangeError, Invalid, ProofInvalid, VerificationError
from xinyi.lending import find_shortfalls
from xinyi.margins import Layout
from xinyi.v1 import lending_pb2, records_pb2

ROWS, GRANTED, BALANCE = 1, 2, 3
FIRMS, RUNS = 120, 1000


@dataclass(frozen=True)
class Stage:
    """A bureau's edition, and enterprises that had loans on it."""

    cast: Cast
    edition: Edition
    known: dict[bytes, Record]
    firms: list[lending_pb2.FirmLending]
    editions: list[lending_pb2.OpenedEdition]
    policy: Policy

    def drawn(self, table: Table, size: int, unit: int = ROWS, number: int = 0) -> Drawn:
        """Args: number — of the run: every one has a head of its own."""
        root = hashlib.sha256(b"head %d" % number).digest()
        head = checkpoint.sign(ORIGIN, 1000, root, self.cast.log)
        challenge = lending_pb2.Challenge(
            table=table.digest, bank=table.message.bank, unit=unit, size=size, checkpoint=head.note,  # type: ignore[arg-type]
            due_on="2018-12-31", asked_by=f"xinyi://{AUDITOR}/person/zhao-min", purpose="annual audit",
            asked_at_ms=1_541_030_500_000,
        )  # fmt: skip
        return Drawn.of(table.sealed, seal(challenge, self.cast.auditor), head)

    def open(self, table: Table, drawn: Drawn) -> lending_pb2.Opening:
        return table.opening(drawn, self.known, self.editions)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    cast = Cast(tmp_path_factory.mktemp("challenge"))
    edition = seal_edition(cast.maker, FIRMS)
    approval = approve(edition, cast.approver)
    known = records_of(edition)
    opened = lending_pb2.OpenedEdition(manifest=edition.manifest, approval=approval)
    by_commitment = {record.reliance.commitment: record for record in known}
    return Stage(cast, edition, by_commitment, firms_relying(known), [opened], cast.policy())


@pytest.fixture(scope="module")
def honest(stage: Stage) -> Table:
    return seal_table(stage.firms, stage.cast.bank)


def rows_of(table: Table) -> list[int]:
    """The leaf of each row."""
    return [index for index, (_, firm) in enumerate(table.leaves) for _ in firm.rows]


@pytest.mark.parametrize(("unit", "name"), [(ROWS, ""), (GRANTED, "granted"), (BALANCE, "balance")])
def test_what_is_drawn_is_the_definition_s(stage: Stage, honest: Table, unit: int, name: str) -> None:
    """The seed, and the leaf whose running sum covers each unit, computed here the plain way."""
    drawn = stage.drawn(honest, 25, unit)
    head = checkpoint.verify(drawn.challenge.checkpoint, stage.policy.log_key)
    key = hashlib.sha256(b"xinyi-sample-seed-v1\0" + honest.digest + head.root).digest()
    assert seed(honest.digest, head.root) == key
    held = [sum(getattr(row, name) if name else 1 for row in firm.rows) for _, firm in honest.leaves]
    assert population(honest.message, unit) == sum(held)
    units = draw(key, 25, sum(held))
    assert drawn.units == units
    running = list(accumulate(held))
    wanted = sorted({bisect_right(running, one) for one in units})
    verified = verify_opening(drawn, stage.open(honest, drawn), stage.policy)
    assert [firm.index for firm in verified.firms] == wanted
    assert [firm.firm for firm in verified.firms] == [honest.leaves[index][1] for index in wanted]
    assert verified.relied == sum(row.loan.HasField("reliance") for row in verified.rows) > 0
    assert verified.approved_after_period == verified.relied, "the story's edition is of May"


def test_a_whole_table_may_be_drawn(stage: Stage, honest: Table) -> None:
    drawn = stage.drawn(honest, 10_000)
    verified = verify_opening(drawn, stage.open(honest, drawn), stage.policy)
    assert (len(verified.firms), len(verified.rows)) == (FIRMS, honest.message.rows)
    assert drawn.fewest_found(0.99) == 1


Change = Callable[[lending_pb2.Opening, Stage, Table], None]


def _leave_out(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    del opening.firms[3]


def _leave_out_last(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    del opening.firms[-1]


def _open_more(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    opened = {firm.index for firm in opening.firms}
    other = next(
        index
        for index, (_, firm) in enumerate(table.leaves)
        if index not in opened and not any(row.loan.HasField("reliance") for row in firm.rows)
    )
    firms = sorted([*opening.firms, table.shown[other]], key=lambda firm: firm.index)
    del opening.firms[:]
    opening.firms.extend(firms)


def _open_twice(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    opening.firms.add().CopyFrom(opening.firms[-1])


def _exchange(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    opening.firms[0].index, opening.firms[1].index = opening.firms[1].index, opening.firms[0].index


def _no_edition(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    del opening.editions[:]


def _edition_twice(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    opening.editions.add().CopyFrom(opening.editions[0])


def _unused_edition(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    other = seal_edition(stage.cast.maker, 5)
    opening.editions.add(manifest=other.manifest, approval=approve(other, stage.cast.approver))


def _approved_by_the_maker(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    opening.editions[0].approval.CopyFrom(approve(stage.edition, stage.cast.maker))


def _relying(opening: lending_pb2.Opening) -> lending_pb2.OpenedFirm:
    return next(firm for firm in opening.firms if firm.reliances)


def _no_record(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    del _relying(opening).reliances[:]


def _other_record(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    mine = _relying(opening).reliances[0]
    mine.CopyFrom(next(record.shown for record in stage.known.values() if record.shown.record != mine.record))


def _record_twice(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    firm = _relying(opening)
    firm.reliances.add().CopyFrom(firm.reliances[0])


def _better_grade(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    mine = _relying(opening).reliances[0]
    record = records_pb2.GradeRecord.FromString(mine.record)
    record.grade = records_pb2.GRADE_B
    mine.record = record.SerializeToString(deterministic=True)


def _other_place(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    _relying(opening).reliances[0].index ^= 1


def _other_table(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    opening.table = b"\7" * 32


def _other_challenge(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    opening.challenge = b"\7" * 32


def _changed_row(opening: lending_pb2.Opening, stage: Stage, table: Table) -> None:
    firm = lending_pb2.FirmLending.FromString(opening.firms[0].record)
    firm.rows[0].granted *= 2
    opening.firms[0].record = firm.SerializeToString(deterministic=True)


CHANGES = [
    _leave_out, _leave_out_last, _open_more, _open_twice, _exchange, _no_edition, _edition_twice, _unused_edition,
    _approved_by_the_maker, _no_record, _other_record, _record_twice, _better_grade, _other_place, _other_table,
    _other_challenge, _changed_row,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.__name__.strip("_") for change in CHANGES])
def test_an_opening_shows_what_was_drawn_and_nothing_else(stage: Stage, honest: Table, change: Change) -> None:
    drawn = stage.drawn(honest, 30)
    opening = stage.open(honest, drawn)
    verify_opening(drawn, opening, stage.policy)
    change(opening, stage, honest)
    with pytest.raises(VerificationError):
        verify_opening(drawn, opening, stage.policy)


def test_rows_that_tell_another_grade_than_the_record(stage: Stage) -> None:
    """Sealed by the bank in its own tree, so that the tree holds: the edition does not say it."""

    def told(change: Callable[[lending_pb2.Reliance], Any]) -> ExchangeError:
        firms = [lending_pb2.FirmLending.FromString(firm.SerializeToString()) for firm in stage.firms[:20]]
        for firm in firms:
            for row in firm.rows:
                if row.loan.HasField("reliance"):
                    change(row.loan.reliance)
        table = seal_table(firms, stage.cast.bank)
        drawn = stage.drawn(table, 100)
        with pytest.raises(VerificationError) as error:
            verify_opening(drawn, stage.open(table, drawn), stage.policy)
        return error.value

    assert isinstance(told(lambda r: setattr(r, "grade", records_pb2.GRADE_M)), DigestMismatch)
    assert isinstance(told(lambda r: setattr(r, "evaluation_year", 2017)), DigestMismatch)
    assert isinstance(told(lambda r: setattr(r, "blinded_key", b"\7" * 32)), ProofInvalid)


def test_a_grade_of_somebody_else(stage: Stage) -> None:
    """An A borrowed from another enterprise's record, which the edition does hold."""
    first, other = stage.firms[:2]
    reliance = next(r.reliance for r in stage.known.values() if r.identifier == other.taxpayer_id)
    firm = lending_pb2.FirmLending.FromString(first.SerializeToString())
    for row in firm.rows:
        row.loan.reliance.CopyFrom(reliance)
    table = seal_table([firm], stage.cast.bank)
    drawn = stage.drawn(table, 5)
    with pytest.raises(DigestMismatch) as error:
        verify_opening(drawn, stage.open(table, drawn), stage.policy)
    assert "another taxpayer's" in error.value.explanation


def test_an_enterprise_in_two_leaves_is_found_where_both_are_opened(stage: Stage) -> None:
    whole = next(firm for firm in stage.firms if len(firm.rows) > 1)
    halves = [lending_pb2.FirmLending.FromString(whole.SerializeToString()) for _ in range(2)]
    del halves[0].rows[1:]
    del halves[1].rows[:1]
    table = seal_table([*halves, *(firm for firm in stage.firms[:9] if firm is not whole)], stage.cast.bank)
    drawn = stage.drawn(table, 100)
    with pytest.raises(ProofInvalid) as error:
        verify_opening(drawn, stage.open(table, drawn), stage.policy)
    assert error.value.basis == "opening.enterprises"


def test_an_edition_that_came_after_the_table(stage: Stage) -> None:
    table = seal_table(stage.firms[:9], stage.cast.bank, issued_at_ms=1_524_000_000_000)
    drawn = stage.drawn(table, 100)
    with pytest.raises(ProofInvalid) as error:
        verify_opening(drawn, stage.open(table, drawn), stage.policy)
    assert error.value.basis == "opening.reliance"


def test_a_bureau_that_is_not_in_the_policy_decides_nothing(stage: Stage, honest: Table) -> None:
    drawn = stage.drawn(honest, 30)
    other = Policy(stage.policy.log_key, BUREAU, frozenset({stage.policy.gateway}), stage.policy.keys)
    with pytest.raises(EvidenceMissing):
        verify_opening(drawn, stage.open(honest, drawn), other)


def test_nothing_is_drawn_from_nothing(stage: Stage) -> None:
    firm = lending_pb2.FirmLending.FromString(stage.firms[0].SerializeToString())
    del firm.rows[1:]
    row = firm.rows[0]
    row.newly_granted, row.granted, row.balance, row.loan_class, row.refused = False, 0, 0, 0, True
    table = seal_table([firm], stage.cast.bank)
    assert stage.drawn(table, 5).population == 1
    with pytest.raises(Invalid):
        stage.drawn(table, 5, GRANTED)


# ── banks that lie ─────────────────────────────────────────────────────────────────────────────────────────


def as_good(firm: lending_pb2.FirmLending) -> lending_pb2.FirmLending:
    """The same rows without their bad loans."""
    told = lending_pb2.FirmLending.FromString(firm.SerializeToString())
    for row in told.rows:
        if row.loan_class == BAD:
            row.loan_class = lending_pb2.LOAN_CLASS_NORMAL
    return told


def doubled(firm: lending_pb2.FirmLending) -> lending_pb2.FirmLending:
    told = lending_pb2.FirmLending.FromString(firm.SerializeToString())
    told.rows[0].granted *= 2
    return told


def found(stage: Stage, table: Table, size: int, unit: int) -> int:
    """In how many of the runs the opening does not hold. The proof of a leaf is the same in every run."""
    lies = {index for index, shown in enumerate(table.shown) if not holds(table, shown)}
    held = [units_in(firm, unit) for firm in table.counted]
    count = 0
    for number in range(RUNS):
        drawn = stage.drawn(table, size, unit, number)
        caught = any(hit and index in lies for index, hit in enumerate(opened_leaves(held, drawn.units)))
        caught = caught or drawn.units[-1] >= sum(held)  # a row that no leaf holds cannot be opened
        if number % 20 == 0:
            assert caught is (not verifies(drawn, stage.open(table, drawn), stage.policy))
        count += caught
    return count


def holds(table: Table, shown: lending_pb2.OpenedFirm) -> bool:
    try:
        verify_firm(SealedTable.of(table.message), shown)
    except (VerificationError, Invalid):
        return False
    return True


def verifies(drawn: Drawn, opening: lending_pb2.Opening, policy: Policy) -> bool:
    try:
        verify_opening(drawn, opening, policy)
    except VerificationError:
        return False
    return True


def check_rate(count: int, stated: float) -> None:
    """Within four standard deviations of what is stated; where that is certain, always."""
    assert abs(count / RUNS - stated) <= 4 * sqrt(stated * (1 - stated) / RUNS), (count, stated)


def only(name: str, change: Callable[[lending_pb2.FirmLending], lending_pb2.FirmLending]) -> Any:
    """Counts one enterprise otherwise, the others as they are."""
    return lambda firm: change(firm) if firm.taxpayer_id == name else firm


def test_a_bad_loan_hidden_from_a_leaf_s_sums(stage: Stage) -> None:
    """One enterprise's leaf counts its bad loan as good: found when any of its rows is drawn."""
    bad = next(firm for firm in stage.firms if firm.rows[0].loan_class == BAD)
    table = seal_table(stage.firms, stage.cast.bank, counts=only(bad.taxpayer_id, as_good))
    check_rate(found(stage, table, 20, ROWS), chance_of_finding(len(bad.rows), 20, table.message.rows))


def test_an_amount_doubled_in_a_leaf_s_sums(stage: Stage) -> None:
    """By fen granted a loan is as likely to be drawn as it is large, as the bank itself tells it."""
    large = max(stage.firms, key=lambda firm: firm.rows[0].granted)
    table = seal_table(stage.firms, stage.cast.bank, counts=only(large.taxpayer_id, doubled))
    units = large.rows[0].granted + sum(row.granted for row in large.rows)
    total = population(table.message, GRANTED)
    stated = chance_of_finding(units, 30, total)
    assert stated == pytest.approx(1 - (1 - units / total) ** 30, rel=1e-6), "fen are many: with repetition or without"
    check_rate(found(stage, table, 30, GRANTED), stated)


def test_an_amount_doubled_in_the_row_itself(stage: Stage) -> None:
    """The tree holds it, and so does the opening: the bank's books say otherwise, once it is opened."""
    large = max(stage.firms, key=lambda firm: firm.rows[0].granted)
    firms = [doubled(firm) if firm is large else firm for firm in stage.firms]
    table = seal_table(firms, stage.cast.bank)
    true = [row for firm in stage.firms for row in firm.rows]
    books = {row.loan.reference: Booked(row.granted, row.balance, row.loan_class) for row in true}
    held = [units_in(firm, GRANTED) for _, firm in table.leaves]
    total, size, count = population(table.message, GRANTED), 30, 0
    for number in range(RUNS):
        drawn = stage.drawn(table, size, GRANTED, number)
        hits = opened_leaves(held, drawn.units)
        rows = [row for hit, (_, firm) in zip(hits, table.leaves, strict=True) if hit for row in firm.rows]
        if number % 20 == 0:
            assert rows == verify_opening(drawn, stage.open(table, drawn), stage.policy).rows
        count += bool(compare(rows, books).different)
    units = large.rows[0].granted + sum(row.granted for row in large.rows)
    check_rate(count, chance_of_finding(units, size, total))


def test_a_bad_loan_hidden_from_a_node_s_sums(stage: Stage, honest: Table) -> None:
    """Everything below the node that tells less than its children is proof against it; every dimension adds up."""
    bad = next(firm for _, firm in honest.leaves[:64] if any(row.loan_class == BAD for row in firm.rows))
    layout = Layout.of(honest.message)
    good = layout.sums(as_good(bad))
    hidden = sum(value - good.get(lane, 0) << 64 * lane for lane, value in layout.sums(bad).items())
    seen: list[Node] = []

    def third(node: Node) -> Node:
        seen.append(node)
        return Node(node.hash, node.sums - hidden) if len(seen) == 3 else node

    # The third node joins the first and the second one, of two pages of 16 leaves each.
    table = seal_table(stage.firms, stage.cast.bank, node=third)
    assert find_shortfalls(table.message) == []
    total, true = (sealed.message.margins[0].cells[0].sums for sealed in (table, honest))
    assert (total.bad_loans, total.loans) == (true.bad_loans - 1, true.loans)
    below = [index for index in range(FIRMS) if not holds(table, table.shown[index])]
    assert below == list(range(64))
    rows = sum(len(table.leaves[index][1].rows) for index in below)
    check_rate(found(stage, table, 2, ROWS), chance_of_finding(rows, 2, table.message.rows))


def _hide_in_the_total(table: lending_pb2.LendingTable) -> None:
    """One bad loan, as far as a reader can see."""
    sums = table.margins[0].cells[0].sums
    sums.bad_loans, sums.bad_firms, sums.bad_balance = sums.bad_loans - 1, sums.bad_firms - 1, sums.bad_balance - 1


def _double_in_a_cell(table: lending_pb2.LendingTable) -> None:
    table.margins[1].cells[0].sums.granted *= 2


def _claim_a_row(table: lending_pb2.LendingTable) -> None:
    table.rows += 1


@pytest.mark.parametrize("lie", [_hide_in_the_total, _double_in_a_cell, _claim_a_row])
def test_a_lie_in_the_table_s_cells_is_found_by_whatever_is_opened(
    stage: Stage, lie: Callable[[lending_pb2.LendingTable], None]
) -> None:
    table = seal_table(stage.firms, stage.cast.bank, tells=lie)
    check_rate(found(stage, table, 1, ROWS), 1.0)


def test_a_table_of_other_rows_than_the_tree_s(stage: Stage) -> None:
    """Its cells come from rows without bad loans, its root from the true ones: found by whatever is opened."""
    better = seal_table(map(as_good, stage.firms), stage.cast.bank)

    def tell(table: lending_pb2.LendingTable) -> None:
        del table.margins[:]
        table.margins.extend(better.message.margins)

    check_rate(found(stage, seal_table(stage.firms, stage.cast.bank, tells=tell), 1, ROWS), 1.0)


def test_a_tree_that_counts_other_rows_than_it_commits_to(stage: Stage) -> None:
    """Every bad loan is counted as good: found when one of those enterprises is opened."""
    table = seal_table(stage.firms, stage.cast.bank, counts=as_good)
    rows = sum(len(firm.rows) for firm in stage.firms if any(row.loan_class == BAD for row in firm.rows))
    check_rate(found(stage, table, 15, ROWS), chance_of_finding(rows, 15, table.message.rows))
