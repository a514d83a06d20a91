"""By what loans are counted: every row is in one cell of every dimension, what is unknown in one of its own."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.bank.reports import loan_lines
from xinyi.errors import Invalid
from xinyi.lending import check_loan_row
from xinyi.margins import (
    ADDITIVE,
    SUMS,
    Layout,
    amounts,
    check_dimension,
    check_value,
    lanes_of,
    pack_row,
    sums_of,
    true_grade,
    unpack_cell,
    value_of,
)
from xinyi.v1 import lending_pb2, records_pb2

DIMENSIONS = (
    "total", "district", "first-time", "grade", "guarantee", "industry", "product", "rate/350-435-600", "size/GXB300",
    "size/INCLUSIVE", "size/TAX_SMALL_LOW_PROFIT", "true-grade",
)  # fmt: skip
ROWS = [line.row for line in loan_lines(400)]


def row_of(**changes: object) -> lending_pb2.LoanRow:
    loan = lending_pb2.Loan(reference="L-1", product="tax-loan", currency="CNY", **changes)  # type: ignore[arg-type]
    return lending_pb2.LoanRow(loan=loan, newly_granted=True, granted=1)


def relying(grade: int, **told: object) -> lending_pb2.LoanRow:
    row = row_of(
        reliance=lending_pb2.Reliance(
            manifest_digest=b"\1" * 32, blinded_key=b"\2" * 32, commitment=b"\3" * 32, grade=grade,  # type: ignore[arg-type]
            evaluation_year=2018,
        )
    )  # fmt: skip
    row.MergeFrom(lending_pb2.LoanRow(**told))  # type: ignore[arg-type]
    return row


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_row_is_in_one_cell_that_may_be_there(dimension: str) -> None:
    check_dimension(dimension)
    cells: dict[str, int] = {}
    for row in ROWS:
        check_loan_row(row)
        value = value_of(dimension)(row)
        check_value(dimension, value)
        cells[value] = cells.get(value, 0) + row.granted
    assert sum(cells.values()) == sum(row.granted for row in ROWS)


def test_what_is_unknown_has_a_cell_of_its_own() -> None:
    bare = row_of()
    assert {dimension: value_of(dimension)(bare) for dimension in DIMENSIONS} == {
        "total": "all", "district": "unknown", "first-time": "unknown", "grade": "none", "guarantee": "unknown",
        "industry": "unknown", "product": "tax-loan", "rate/350-435-600": "unknown", "size/GXB300": "unknown",
        "size/INCLUSIVE": "unknown", "size/TAX_SMALL_LOW_PROFIT": "unknown", "true-grade": "none",
    }  # fmt: skip
    for dimension in DIMENSIONS:
        check_value(dimension, value_of(dimension)(bare))


def test_a_size_counts_under_its_own_definition_alone() -> None:
    sizes = [
        lending_pb2.SizeClass(definition="GXB300", size="medium"),
        lending_pb2.SizeClass(definition="INCLUSIVE", size="inclusive"),
    ]
    row = row_of(sizes=sizes)
    assert value_of("size/GXB300")(row) == "medium"
    assert value_of("size/INCLUSIVE")(row) == "inclusive"
    assert value_of("size/TAX_SMALL_LOW_PROFIT")(row) == "unknown"
    with pytest.raises(Invalid):
        check_value("size/GXB300", "inclusive")


@pytest.mark.parametrize(
    ("rate", "band"),
    [
        (0, "00000-00350"), (349, "00000-00350"), (350, "00350-00435"), (434, "00350-00435"), (435, "00435-00600"),
        (600, "00600-up"), (10_000, "00600-up"),
    ],
)  # fmt: skip
def test_the_lower_bound_is_in_its_band_the_upper_one_is_not(rate: int, band: str) -> None:
    assert value_of("rate/350-435-600")(row_of(annual_rate_bp=rate)) == band
    check_value("rate/350-435-600", band)


def test_bands_are_ordered_as_text() -> None:
    rates = range(0, 10_000, 50)
    bands = [value_of("rate/90-350-1000")(row_of(annual_rate_bp=rate)) for rate in rates]
    assert all(before <= after for before, after in pairwise(bands))


@pytest.mark.parametrize(
    "dimension",
    ["", "Grade", "size/", "size/OTHER", "rate/", "rate/0-5", "rate/5-5", "rate/6-5", "rate/005", "rate/5-", "bank"],
)
def test_what_is_no_dimension_is_refused(dimension: str) -> None:
    with pytest.raises(Invalid):
        check_dimension(dimension)
    with pytest.raises(Invalid):
        value_of(dimension)


def test_the_grade_relied_on_and_the_true_one() -> None:
    """A grade that was taken back stays the one relied on; the true one is what the correction tells, or withdrawn."""
    a, b = records_pb2.GRADE_A, records_pb2.GRADE_B
    assert (value_of("grade")(relying(a)), true_grade(relying(a))) == ("A", "A")
    recalled = relying(a, recalled=True, true_grade=b)
    assert (value_of("grade")(recalled), true_grade(recalled)) == ("A", "B")
    gone = relying(a, recalled=True)
    assert (value_of("grade")(gone), true_grade(gone)) == ("A", "withdrawn")
    check_value("true-grade", "withdrawn")
    with pytest.raises(Invalid):
        check_value("grade", "withdrawn")


def test_bad_is_what_is_outstanding_and_substandard_or_worse() -> None:
    def told(**fields: object) -> dict[str, int]:
        return dict(zip(ADDITIVE, amounts(lending_pb2.LoanRow(**fields)), strict=True))  # type: ignore[arg-type]

    good = told(balance=7, loan_class=lending_pb2.LOAN_CLASS_SPECIAL_MENTION)
    assert (good["outstanding_loans"], good["bad_loans"], good["bad_balance"]) == (1, 0, 0)
    for loan_class in (3, 4, 5):
        bad = told(balance=7, loan_class=loan_class)
        assert (bad["outstanding_loans"], bad["bad_loans"], bad["bad_balance"]) == (1, 1, 7)
    assert told(loan_class=5) == dict.fromkeys(ADDITIVE, 0), "nothing is owed any more"
    assert told(newly_granted=True, granted=3)["loans"] == 1
    assert told(granted=3)["loans"] == 0, "a further part of an older loan"
    assert told(refused=True)["refused"] == 1


@pytest.mark.parametrize("seed", range(6))
def test_an_enterprise_counts_once_in_each_of_its_cells(seed: int) -> None:
    """Its packed sums, its lanes, and the plain addition of its rows are the same."""
    chance = random.Random(seed)
    rows = chance.sample(ROWS, seed + 1)
    cells = [
        (dimension, value)
        for dimension in DIMENSIONS
        for value in sorted({value_of(dimension)(row) for row in rows if any(amounts(row))})
    ]
    layout = Layout(cells)
    firm = lending_pb2.FirmLending(rows=sorted(rows, key=lambda row: row.loan.reference))
    wanted = {0: len(rows)}
    for dimension, value in cells:
        inside = [row for row in rows if value_of(dimension)(row) == value]
        told = dict(zip(ADDITIVE, map(sum, zip(*map(amounts, inside), strict=True)), strict=True))
        told |= {"firms": int(told["loans"] > 0), "outstanding_firms": int(told["outstanding_loans"] > 0)}
        told |= {"bad_firms": int(told["bad_loans"] > 0), "refused_firms": int(told["refused"] > 0)}
        first = layout.places[dimension, value]
        wanted |= {first + lane: told[name] for lane, name in enumerate(SUMS) if told[name]}
    assert layout.sums(firm) == wanted
    assert list(layout.sums(firm)) == sorted(wanted)
    assert dict(lanes_of(layout.cell_sums(firm))) == wanted


def test_a_row_without_a_cell_is_no_row_of_the_table() -> None:
    layout = Layout([("total", "all"), ("grade", "A")])
    firm = lending_pb2.FirmLending(rows=[row_of()])
    with pytest.raises(Invalid):
        layout.sums(firm)
    nothing = lending_pb2.FirmLending(rows=[lending_pb2.LoanRow(loan=row_of().loan)])
    assert layout.sums(nothing) == {0: 1}, "nothing is in it, so it needs none"


def test_packed_sums_say_when_they_run_over() -> None:
    most = lending_pb2.LoanRow(newly_granted=True, granted=(1 << 63) - 1)
    assert dict(unpack_cell(sums_of([([1], pack_row(most))])[1]))[SUMS.index("granted")] == (1 << 63) - 1
    for many in (2, 3, 4):
        with pytest.raises(Invalid):
            sums_of([([1], pack_row(most))] * many)
    with pytest.raises(Invalid):
        unpack_cell(1 << 64 * len(SUMS))
