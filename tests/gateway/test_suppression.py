"""No published table tells of one or two enterprises: every figure that it can be brought to give stands for three.

The adversary knows the published margins and adds and takes away whatever it can; the enterprises behind the cells,
which nobody but the banks sees, are made up here, so that what it finds can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rules.statistics import audience_of
from gateway.rules.true_grades import Moved, by_true_grade
from xinyi.errors import NotEntitled
from xinyi.figures import GROUPS, margins_of, shown
from xinyi.margins import ADDITIVE, ALL, SUMS, TOTAL
from xinyi.suppression import GRADE, GRADE_PAIR, TRUE_GRADE, Figures, Sums, hide, pair, publish
from xinyi.v1 import lending_pb2

BUREAU, BANKS = lending_pb2.AUDIENCE_BUREAU, lending_pb2.AUDIENCE_BANKS
GRANTED = lending_pb2.SUM_GROUP_GRANTED
GRADES = ("A", "B", "C", "D")

#: A loan: enterprise, granted, its value by two dimensions, grade relied on and true one, refused, bad.
loans = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(1, 50), st.sampled_from("wxyz"), st.sampled_from(GRADES),
        st.sampled_from((*GRADES, "", "", "", "", "", "")), st.sampled_from(("granted", "granted", "bad", "refused")),
    ),
    max_size=24,
)  # fmt: skip
Loan = tuple[int, int, str, str, str, str]


def sums_of(rows: Iterable[Loan]) -> Sums:
    rows = list(rows)
    granted = [row for row in rows if row[5] != "refused"]
    bad = [row for row in rows if row[5] == "bad"]
    refused = [row for row in rows if row[5] == "refused"]

    def firms(of: list[Loan]) -> int:
        return len({row[0] for row in of})

    def amount(of: list[Loan]) -> int:
        return sum(row[1] for row in of)

    return Sums(
        loans=len(granted), firms=firms(granted), granted=amount(granted),
        outstanding_loans=len(granted), outstanding_firms=firms(granted), balance=amount(granted),
        bad_loans=len(bad), bad_firms=firms(bad), bad_balance=amount(bad),
        refused=len(refused), refused_firms=firms(refused),
    )  # fmt: skip


def cells_by(rows: list[Loan], value: int | str) -> dict[str, list[Loan]]:
    """Value → rows of its cell."""
    found: dict[str, list[Loan]] = {}
    for row in rows:
        key = (row[4] or row[3]) if value == "true" else row[int(value)]
        found.setdefault(str(key), []).append(row)
    return found


def figures_of(rows: list[Loan]) -> tuple[Figures, dict[str, dict[str, list[Loan]]]]:
    behind = {
        TOTAL: {ALL: rows},
        "product": cells_by(rows, 2),
        GRADE: cells_by(rows, 3),
        TRUE_GRADE: cells_by(rows, "true"),
    }
    margins = {name: {v: sums_of(of) for v, of in cells.items()} for name, cells in behind.items()}
    return Figures(margins, {"test-city/bank-1": sums_of(rows)}), behind


def determined(equations: list[list[Fraction]], unknowns: int) -> set[int]:
    """Unknowns that linear equations fix. Args: equations — coefficients of each."""
    rows = [list(row) for row in equations]
    pivots: list[int] = []
    for column in range(unknowns):
        at = next((i for i in range(len(pivots), len(rows)) if rows[i][column]), None)
        if at is None:
            continue
        place = len(pivots)
        rows[place], rows[at] = rows[at], rows[place]
        lead = rows[place][column]
        rows[place] = [x / lead for x in rows[place]]
        for i, row in enumerate(rows):
            if i != place and row[column]:
                factor = row[column]
                rows[i] = [x - factor * y for x, y in zip(row, rows[place], strict=True)]
        pivots.append(column)
    fixed = set()
    for place, column in enumerate(pivots):
        if not any(x for i, x in enumerate(rows[place]) if i != column):
            fixed.add(column)
    return fixed


def firms_behind(rows: Iterable[Loan], group: int) -> int:
    word = {lending_pb2.SUM_GROUP_BAD: ("bad",), lending_pb2.SUM_GROUP_REFUSED: ("refused",)}
    return len({row[0] for row in rows if row[5] in word.get(group, ("granted", "bad"))})


@settings(max_examples=250, deadline=None)
@given(loans)
def test_nothing_of_one_or_two_enterprises_is_shown_or_can_be_found_by_subtraction(rows: list[Loan]) -> None:
    """Each margin by itself: no shown cell, and no sum that follows, stands for one or two."""
    figures, behind = figures_of(rows)
    for margin in publish(figures, BANKS):
        for group in GROUPS:
            hidden = [cell.value for cell in margin.cells if group in cell.suppressed]
            for cell in margin.cells:
                of = behind[margin.dimension][cell.value]
                if group in cell.suppressed:
                    assert not any(getattr(cell.sums, name) for name in GROUPS[group]), "suppressed, and yet told"
                else:
                    assert firms_behind(of, group) not in (1, 2)
                    assert shown(cell, GROUPS[group][0]) == firms_behind(of, group)
            total_hidden = 0 < firms_behind(rows, group) < 3
            if hidden and not total_hidden:
                # Nothing but their sum follows from the total: of a single one, that one, which is then no small one.
                together = [row for value in hidden for row in behind[margin.dimension][value]]
                assert firms_behind(together, group) >= 3


@settings(max_examples=250, deadline=None)
@given(loans)
def test_the_grade_relied_on_and_the_true_one_do_not_give_each_other_away(rows: list[Loan]) -> None:
    """Where both are shown, they are the same, or what left and came are three enterprises or more."""
    figures, behind = figures_of(rows)
    margins = {m.dimension: {c.value: c for c in m.cells} for m in publish(figures, BANKS)}
    for value in margins[GRADE].keys() & margins[TRUE_GRADE].keys():
        relied, true = margins[GRADE][value], margins[TRUE_GRADE][value]
        if GRANTED in relied.suppressed:
            assert GRANTED in true.suppressed
        elif GRANTED not in true.suppressed and relied.sums != true.sums:
            names = ("loans", "firms", "granted")
            if any(getattr(relied.sums, name) != getattr(true.sums, name) for name in names):
                moved = [row for row in rows if row[4] and row[3] != row[4] and value in row[3:5]]
                assert firms_behind(moved, GRANTED) >= 3
    assert behind[TOTAL][ALL] == rows


consented = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(1, 50), st.sampled_from(GRADES),
        st.sampled_from(("", "", "", *GRADES, "withdrawn")),
    ),
    max_size=24,
)  # fmt: skip


def family_of(rows: list[tuple[int, int, str, str]]) -> Mapping[str, Mapping[str, Sums]]:
    """As the gateway makes it: grades by addition, what was corrected row by row."""
    relied: dict[str, Sums] = {}
    for grade in GRADES:
        of = [row for row in rows if row[2] == grade]
        if of:
            relied[grade] = Sums(loans=len(of), firms=len({r[0] for r in of}), granted=sum(r[1] for r in of))
    moved = [Moved("disbursed", row[2], row[3], f"firm-{row[0]}", row[1]) for row in rows if row[3]]
    names = {m.taxpayer_id for m in moved}
    counts: dict[tuple[str, str, str], int] = {}
    for firm, _, grade, _ in rows:
        if f"firm-{firm}" in names:
            key = ("disbursed", grade, f"firm-{firm}")
            counts[key] = counts.get(key, 0) + 1
    return by_true_grade({"disbursed": relied}, moved, counts)["disbursed"]


@settings(max_examples=300, deadline=None)
@given(consented)
def test_rows_with_consent_are_counted_by_both_grades(rows: list[tuple[int, int, str, str]]) -> None:
    """Adding up and looking at the corrected rows alone gives what looking at every row gives."""
    family = family_of(rows)
    wanted: dict[str, dict[str, list[tuple[int, int]]]] = {GRADE: {}, TRUE_GRADE: {}, GRADE_PAIR: {}}
    for firm, amount, relied, told in rows:
        true = told or relied
        for kind, value in ((GRADE, relied), (TRUE_GRADE, true), (GRADE_PAIR, pair(relied, true))):
            wanted[kind].setdefault(value, []).append((firm, amount))
    for kind, cells in wanted.items():
        made = {value: (sums.loans, sums.firms, sums.granted) for value, sums in family[kind].items()}
        assert made == {
            value: (len(of), len({firm for firm, _ in of}), sum(amount for _, amount in of))
            for value, of in cells.items()
        }


@settings(max_examples=300, deadline=None)
@given(consented, st.booleans())
def test_pairs_of_grades_are_not_found_through_their_margins(
    rows: list[tuple[int, int, str, str]], total_is_known: bool
) -> None:
    """Rows, columns and cells of the table of pairs as linear equations: no suppressed one of few is fixed by them."""
    family = family_of(rows)
    figures = Figures({TOTAL: {ALL: Sums()}}, {}, {"disbursed": family})
    margins = {m.dimension: {c.value: c for c in m.cells} for m in publish(figures, BANKS)}
    told = {
        kind: {v: GRANTED not in c.suppressed for v, c in margins[f"consented/disbursed/{kind}"].items()}
        for kind in (GRADE, TRUE_GRADE, GRADE_PAIR)
    }
    unknown = [value for value, is_shown in told[GRADE_PAIR].items() if not is_shown]
    firms = {
        value: {firm for firm, _, relied, true in rows if pair(relied, true or relied) == value}
        for value in told[GRADE_PAIR]
    }
    for value, is_shown in told[GRADE_PAIR].items():
        assert not is_shown or len(firms[value]) >= 3
    equations = []
    for place, kind in ((0, GRADE), (1, TRUE_GRADE)):
        for value, is_shown in told[kind].items():
            row = [Fraction(name.split(">")[place] == value) for name in unknown]
            if is_shown and any(row):
                equations.append(row)
    if total_is_known and unknown and len({firm for firm, *_ in rows}) >= 3:
        equations.append([Fraction(1)] * len(unknown))
    fixed = {unknown[i] for i in determined(equations, len(unknown))}
    assert not {value for value in fixed if len(firms[value]) < 3}
    # Nor is what an equation gives together that of one or two.
    for row in equations:
        together = set().union(*(firms[name] for name, one in zip(unknown, row, strict=True) if one))
        assert len(together) >= 3


def test_the_smallest_further_cell_is_taken() -> None:
    """Two cells at least and three enterprises; an empty cell only where nothing else is left."""
    assert hide({"a": 5, "b": 9, "c": 7}, 21) == set()
    assert hide({"a": 1, "b": 9, "c": 7, "d": 0}, 17) == {"a", "c"}
    assert hide({"a": 1, "b": 2, "c": 7, "d": 9}, 19) == {"a", "b"}
    # One enterprise may stand in both: of the total, the others leave two.
    assert hide({"a": 1, "b": 2, "c": 7, "d": 9}, 18) == {"a", "b", "c"}
    assert hide({"a": 0, "b": 40}, 40) == set()
    assert hide({"a": 1, "b": 1}, 2) == {"a", "b"}
    assert hide({"a": 2, "b": 0}, 5) == {"a", "b"}, "a margin that does not come to its total"


def test_a_total_of_two_enterprises_shows_nothing_of_its_group() -> None:
    """Two refused; everything else of the same cells is told."""
    rows: list[Loan] = [(n, 10, "w", "A", "", "granted") for n in range(5)]
    rows += [(7, 1, "w", "A", "", "refused"), (8, 1, "x", "B", "", "refused")]
    figures, _ = figures_of(rows)
    for margin in publish(figures, BUREAU):
        for cell in margin.cells:
            assert lending_pb2.SUM_GROUP_REFUSED in cell.suppressed
            assert (cell.sums.refused, cell.sums.refused_firms) == (0, 0)
    total = margins_of(lending_pb2.Statistics(margins=publish(figures, BUREAU)))[TOTAL][ALL]
    assert (shown(total, "loans"), shown(total, "granted"), shown(total, "refused")) == (5, 50, None)


def test_rows_with_consent_do_not_leave_few_others_of_the_city() -> None:
    """All but one enterprise of grade B consented: their cell would tell what the one was granted."""
    city = {
        TOTAL: {ALL: Sums(loans=30, firms=30, granted=3000)},
        GRADE: {"A": Sums(loans=20, firms=20, granted=2000), "B": Sums(loans=10, firms=10, granted=1000)},
    }
    family = by_true_grade(
        {"disbursed": {"A": Sums(loans=12, firms=12, granted=1200), "B": Sums(loans=9, firms=9, granted=870)}}, [], {}
    )
    margins = {m.dimension: {c.value: c for c in m.cells} for m in publish(Figures(city, {}, family), BANKS)}
    for kind, value in product((GRADE, TRUE_GRADE), "AB"):
        assert GRANTED in margins[f"consented/disbursed/{kind}"][value].suppressed
    assert not any(cell.suppressed for cell in margins[GRADE].values())


def test_what_is_suppressed_is_a_whole_group() -> None:
    """Every sum belongs to one group, so that no count gives its amount away, nor the other way round."""
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(SUMS)
    assert set(ADDITIVE) < set(SUMS)


def test_statistics_go_to_the_bureau_and_to_banks_with_the_right() -> None:
    assert audience_of("TAX_BUREAU", city_totals=False) == BUREAU
    assert audience_of("BANK", city_totals=True) == BANKS
    for kind, given_, basis in (
        ("BANK", False, "statistics.city_totals"),
        ("AUDITOR", True, "statistics.audience"),
        ("CITY", True, "statistics.audience"),
    ):
        with pytest.raises(NotEntitled) as refused:
            audience_of(kind, city_totals=given_)
        assert refused.value.basis == basis
