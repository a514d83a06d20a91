"""Rules of lending that no vector shows: periods by name, how many cells, and which cells come to the total."""

from __future__ import annotations

import pytest

from proto.vectors.lending import cell, margin, table
from xinyi.errors import Invalid
from xinyi.lending import (
    MAX_CELLS,
    check_lending_table,
    find_shortfalls,
    first_day,
    last_day,
    parse_period,
    period_name,
)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2018-Q1", "2018-01-01", "2018-03-31"),
        ("2018-Q4", "2018-10-01", "2018-12-31"),
        ("2020-02", "2020-02-01", "2020-02-29"),
        ("2014", "2014-01-01", "2014-12-31"),
    ],
)
def test_a_period_has_one_name(name: str, first: str, last: str) -> None:
    period = parse_period(name)
    assert (period_name(period), first_day(period).isoformat(), last_day(period).isoformat()) == (name, first, last)


@pytest.mark.parametrize("name", ["", "2018-Q5", "2018-13", "2018-1", "2013", "2101-Q1", "2018-Q1 ", "１２３４"])
def test_another_name_is_none(name: str) -> None:
    with pytest.raises(Invalid):
        parse_period(name)


def test_a_table_has_a_measure_of_cells() -> None:
    """4,096 of them, the total among them."""
    full = table()
    full.margins.append(margin("product", *(cell(f"p{n:04d}") for n in range(MAX_CELLS - 3))))
    check_lending_table(full)
    full.margins[-1].cells.append(cell("q"))
    with pytest.raises(Invalid) as error:
        check_lending_table(full)
    assert error.value.basis == "margin.cells"


@pytest.mark.parametrize(
    ("cells", "missed"),
    [
        ([{"firms": 1, "loans": 1}, {"firms": 2, "loans": 2}], []),
        # One enterprise with loans in both cells is counted in each, and once in the total.
        ([{"firms": 2, "loans": 2}, {"firms": 1, "loans": 1}], []),
        ([{"firms": 1, "loans": 1}, {"firms": 1, "loans": 2}], []),
        ([{"firms": 1, "loans": 1}, {"firms": 0, "loans": 2}], ["firms"]),
        ([{"firms": 3, "loans": 1}, {"firms": 1, "loans": 2}], ["firms"]),
        ([{"firms": 1, "loans": 1}, {"firms": 1, "loans": 1}], ["loans"]),
    ],
)
def test_enterprises_come_to_the_total_within_what_is_possible(
    cells: list[dict[str, int]], missed: list[str]
) -> None:
    """Loans add up; enterprises are in no cell more than in the total, and in all cells not fewer."""
    told = table()
    del told.margins[:]
    nothing = dict.fromkeys(
        ("granted", "outstanding_loans", "outstanding_firms", "balance", "bad_loans", "bad_firms", "bad_balance"), 0
    )
    told.margins.append(margin("total", cell("all", **(nothing | {"loans": 3, "firms": 2}))))
    told.margins.append(margin("grade", *(cell(v, **(nothing | c)) for v, c in zip("AB", cells, strict=True))))
    assert find_shortfalls(told) == [("grade", name) for name in missed]
