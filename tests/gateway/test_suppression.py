"""No published table tells of one or two enterprises: every figure that it can be brought to give stands for three.

The adversary knows the published margins and adds and takes away whatever it can; the enterprises behind the cells,
which nobody but the banks sees, are made up here, so that what it finds can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rules.reporting import terms_row
from gateway.rules.statistics import FEWEST_BANKS, audience_of, banks_behind
from gateway.rules.true_grades import Moved, by_true_grade
from tests.world import TERMS
from xinyi.errors import Invalid, NotEntitled
from xinyi.figures import GROUPS, margins_of, shown
from xinyi.margins import ADDITIVE, ALL, SUMS, TOTAL, value_of
from xinyi.suppression import GRADE, GRADE_PAIR, TRUE_GRADE, Figures, Sums, hide, pair, publish
from xinyi.v1 import lending_pb2

BUREAU, BANKS = lending_pb2.AUDIENCE_BUREAU, lending_pb2.AUDIENCE_BANKS
GRANTED = lending_pb2.SUM_GROUP_GRANTED
GRADES = ("A", "B", "C", "D")

KINDS = ("granted", "granted", "drawn", "bad", "old bad", "refused")
#: A loan: enterprise, amount, its value by two dimensions, grade relied on and true one, and what it is: granted in
#: the period (bad by now), of before it (drawn on, or bad), or refused.
loans = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(1, 50), st.sampled_from("wxyz"), st.sampled_from(GRADES),
        st.sampled_from((*GRADES, "", "", "", "", "", "")), st.sampled_from(KINDS),
    ),
    max_size=32,
)  # fmt: skip
Loan = tuple[int, int, str, str, str, str]


#: Group → kinds of loans whose amounts, or numbers, are in it; PERFORMING is what two of them leave.
PERFORMING = 0
WITHIN: dict[int, tuple[str, ...]] = {
    lending_pb2.SUM_GROUP_GRANTED: ("granted", "drawn", "bad"),
    lending_pb2.SUM_GROUP_OUTSTANDING: ("granted", "drawn", "bad", "old bad"),
    lending_pb2.SUM_GROUP_BAD: ("bad", "old bad"),
    lending_pb2.SUM_GROUP_REFUSED: ("refused",),
    PERFORMING: ("granted", "drawn"),
}


def sums_of(rows: Iterable[Loan]) -> Sums:
    rows = list(rows)

    def of(*kinds: str) -> list[Loan]:
        return [row for row in rows if row[5] in kinds]

    def firms(of: list[Loan]) -> int:
        return len({row[0] for row in of})

    def amount(of: list[Loan]) -> int:
        return sum(row[1] for row in of)

    new, granted, outstanding, bad, refused = (
        of("granted", "bad"), *(of(*WITHIN[group]) for group in GROUPS)
    )  # fmt: skip
    return Sums(
        loans=len(new), firms=firms(new), granted=amount(granted),
        outstanding_loans=len(outstanding), outstanding_firms=firms(outstanding), balance=amount(outstanding),
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


def follows(figure: list[int], equations: list[list[int]]) -> bool:
    """Whether a figure can be computed from what is told. Args: coefficients of the figure, and of what is told."""
    rows = [[*(Fraction(x) for x in row), Fraction(0)] for row in equations]
    rows.append([*(Fraction(x) for x in figure), Fraction(-1)])
    return len(figure) in determined(rows, len(figure) + 1)


def firms_behind(rows: Iterable[Loan], group: int) -> int:
    return len({row[0] for row in rows if row[5] in WITHIN[group]})


@settings(max_examples=250, deadline=None)
@given(loans)
def test_nothing_of_one_or_two_enterprises_is_shown_or_can_be_found_by_subtraction(rows: list[Loan]) -> None:
    """Each margin by itself: no shown cell, and no sum of cells that follows from it, stands for one or two.

    Nor does what is outstanding and not bad, which two groups tell together.
    """
    figures, behind = figures_of(rows)
    margins = publish(figures, BANKS)
    (whole,) = margins[0].cells
    for margin in margins:
        cells = list(margin.cells)
        for cell in cells:
            for group in GROUPS:
                if group in cell.suppressed:
                    assert not any(getattr(cell.sums, name) for name in GROUPS[group]), "suppressed, and yet told"
                else:
                    assert all(
                        shown(cell, name) == getattr(sums_of(behind[margin.dimension][cell.value]), name)
                        for name in GROUPS[group]
                    )
        places = range(len(cells))
        told: dict[int, list[list[int]]] = {}
        for group in GROUPS:
            told[group] = [[int(i == j) for j in places] for i in places if group not in cells[i].suppressed]
            if group not in whole.suppressed:
                told[group].append([1] * len(cells))
        nothing = [0] * len(cells)
        outstanding, bad = lending_pb2.SUM_GROUP_OUTSTANDING, lending_pb2.SUM_GROUP_BAD
        both = [[*row, *nothing] for row in told[outstanding]] + [[*nothing, *row] for row in told[bad]]
        for chosen in product((0, 1), repeat=len(cells)):
            together = [
                row for i in places if chosen[i] for row in behind[margin.dimension][cells[i].value]
            ]
            for group in GROUPS:
                if firms_behind(together, group) in (1, 2):
                    assert not follows(list(chosen), told[group]), (margin.dimension, group, chosen)
            if firms_behind(together, PERFORMING) in (1, 2) and firms_behind(together, bad):
                figure = [*chosen, *(-one for one in chosen)]
                assert not follows(figure, both), (margin.dimension, "performing", chosen)


@settings(max_examples=250, deadline=None)
@given(loans)
def test_the_grade_relied_on_and_the_true_one_do_not_give_each_other_away(rows: list[Loan]) -> None:
    """Where both are shown, they are the same, or what left and came are three enterprises or more."""
    figures, behind = figures_of(rows)
    margins = {m.dimension: {c.value: c for c in m.cells} for m in publish(figures, BANKS)}
    for value in margins[GRADE].keys() & margins[TRUE_GRADE].keys():
        relied, true = margins[GRADE][value], margins[TRUE_GRADE][value]
        moved = [row for row in rows if row[4] and row[3] != row[4] and value in row[3:5]]
        for group, names in GROUPS.items():
            if group in relied.suppressed or group in true.suppressed:
                continue
            if any(getattr(relied.sums, name) != getattr(true.sums, name) for name in names):
                assert firms_behind(moved, group) >= 3
        both = {lending_pb2.SUM_GROUP_OUTSTANDING, lending_pb2.SUM_GROUP_BAD}
        if not both & {*relied.suppressed, *true.suppressed}:
            left = [cell.sums.balance - cell.sums.bad_balance for cell in (relied, true)]
            assert left[0] == left[1] or firms_behind(moved, PERFORMING) >= 3
    assert behind[TOTAL][ALL] == rows


RATES = {300: 0, 500: 1, 700: 2, 900: 3}  # by the bands of RATE_DIMENSIONS[0]
RATE_DIMENSIONS = ("rate/435-600-800", "rate/435", "rate/435-600", "rate/800")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50), st.sampled_from(sorted(RATES))), max_size=24),
    st.lists(st.sampled_from(RATE_DIMENSIONS), min_size=1, max_size=3, unique=True),
)
def test_bands_within_bands_tell_nothing_of_one_or_two(
    rows: list[tuple[int, int, int]], dimensions: list[str]
) -> None:
    """All margins by rate that an agreement may want, looked at together; several of them are not taken."""
    try:
        terms_row("1", TERMS | {"dimensions": [*dimensions, "size/GXB300"]})
    except Invalid:
        assert len(dimensions) > 1
        return
    behind: dict[str, dict[str, list[Loan]]] = {}
    for dimension in (TOTAL, *dimensions):
        for firm, amount, rate in rows:
            loan = lending_pb2.LoanRow(loan=lending_pb2.Loan(annual_rate_bp=rate))
            row = (firm, amount, str(RATES[rate]), "", "", "granted")
            behind.setdefault(dimension, {}).setdefault(value_of(dimension)(loan), []).append(row)
    margins = {name: {v: sums_of(of) for v, of in cells.items()} for name, cells in behind.items()}
    margins.setdefault(TOTAL, {ALL: Sums()})
    told = []
    for margin in publish(Figures(margins, {}), BANKS):
        for cell in margin.cells:
            if GRANTED not in cell.suppressed and rows:
                bands = {row[2] for row in behind[margin.dimension][cell.value]}
                told.append([int(str(band) in bands) for band in range(4)])
    for chosen in product((0, 1), repeat=4):
        together = {firm for firm, _, rate in rows if chosen[RATES[rate]]}
        there = {RATES[rate] for _, _, rate in rows}
        if len(together) in (1, 2) and all(band in there for band in range(4) if chosen[band]):
            assert not follows(list(chosen), told)


consented = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(1, 50), st.sampled_from(GRADES),
        st.sampled_from(("", "", "", *GRADES, "withdrawn")),
    ),
    max_size=24,
)  # fmt: skip


def family_of(rows: list[tuple[int, int, str, str]]) -> dict[str, dict[str, Sums]]:
    """As the gateway makes it: grades by addition, what was corrected row by row."""
    relied: dict[str, Sums] = {}
    for grade in GRADES:
        of = [row for row in rows if row[2] == grade]
        if of:
            relied[grade] = Sums(loans=len(of), firms=len({r[0] for r in of}), granted=sum(r[1] for r in of))
    moved = [Moved("disbursed", row[2], row[3], ("", f"firm-{row[0]}"), row[1]) for row in rows if row[3]]
    names = {m.who for m in moved}
    counts: dict[tuple[str, str, tuple[str, str]], int] = {}
    for firm, _, grade, _ in rows:
        if ("", f"firm-{firm}") in names:
            key = ("disbursed", grade, ("", f"firm-{firm}"))
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


def test_what_was_drawn_on_an_older_loan_is_somebodys() -> None:
    """Four new loans, and one enterprise that draws on an old one: no new loan is behind that amount, but it is."""
    rows: list[Loan] = [(n, 10 + n, "w", "A", "", "granted") for n in range(4)]
    rows += [(n, 20, "x", "A", "", "granted") for n in range(4)]
    rows += [(8, 500, "y", "A", "", "drawn")]
    figures, _ = figures_of(rows)
    assert (figures.margins["product"]["y"].firms, figures.margins["product"]["y"].granted) == (0, 500)
    product_ = margins_of(lending_pb2.Statistics(margins=publish(figures, BANKS)))["product"]
    assert [GRANTED in product_[value].suppressed for value in "wxy"] == [True, False, True]


def test_what_is_bad_does_not_tell_the_rest_of_one_or_two() -> None:
    """Four owe 100 of a kind, three of them 60 that is bad: the other's 40 would follow."""
    bad = lending_pb2.SUM_GROUP_BAD
    rows: list[Loan] = [(n, 20, "w", "A", "", "bad") for n in range(3)] + [(3, 40, "w", "A", "", "granted")]
    rows += [(n, 10, "x", "A", "", "granted") for n in range(4, 9)]
    rows += [(n, 10, "y", "A", "", "granted") for n in range(4, 10)]
    product_ = margins_of(lending_pb2.Statistics(margins=publish(figures_of(rows)[0], BANKS)))["product"]
    assert [bad in product_[value].suppressed for value in "wxy"] == [True, True, False]
    assert shown(product_["w"], "balance") == 100

    # One of three that all have bad loans owes something besides.
    rows = [(n, 20, "w", "A", "", "bad") for n in range(3)] + [(0, 40, "w", "A", "", "granted")]
    rows += [(n, 10, "x", "A", "", "granted") for n in range(4, 9)]
    product_ = margins_of(lending_pb2.Statistics(margins=publish(figures_of(rows)[0], BANKS)))["product"]
    assert bad in product_["w"].suppressed


def test_rows_with_consent_are_taken_from_the_citys_by_customers() -> None:
    """Six enterprises consent at two banks each: of the city's thirteen customers that leaves one, not seven."""
    rows = [(n, 10, "A", "") for n in range(6)] * 2
    city = {
        TOTAL: {ALL: Sums(loans=13, firms=13, granted=150)},
        GRADE: {"A": Sums(loans=13, firms=13, granted=150)},
    }
    enterprises = {"disbursed": family_of(rows)}
    customers = {"disbursed": family_of([(n, *row[1:]) for n, row in enumerate(rows)])}
    for counted, hidden in ((enterprises, False), (customers, True)):
        made = publish(Figures(city, {}, enterprises, counted), BANKS)
        (cell,) = (m.cells[0] for m in made if m.dimension == "consented/disbursed/grade")
        assert (GRANTED in cell.suppressed) is hidden
        assert hidden or cell.sums.firms == 6


@given(
    st.dictionaries(st.sampled_from("ABC"), st.integers(0, 3), min_size=1),
    st.dictionaries(st.sampled_from("ABCDEF"), st.integers(0, 3)),
)
def test_no_bank_finds_anothers_table_in_what_banks_are_told(were: dict[str, int], are: dict[str, int]) -> None:
    """A bank takes its own tables away from a version, and from the difference of two: two others' are left or none."""
    old, new = ({bank: bytes([number]) for bank, number in told.items()} for told in (were, are))
    banks = sorted({*were, *are})
    for own in banks:
        for told in ({*are}, {bank for bank in banks if were.get(bank) != are.get(bank)}):
            assert banks_behind(old, new) < FEWEST_BANKS or len(told - {own}) >= 2


def test_rows_with_consent_do_not_leave_few_others_of_the_city() -> None:
    """All but one enterprise of grade B consented: their cell would tell what the one was granted."""
    city = {
        TOTAL: {ALL: Sums(loans=30, firms=30, granted=3000)},
        GRADE: {"A": Sums(loans=20, firms=20, granted=2000), "B": Sums(loans=10, firms=10, granted=1000)},
    }
    family = by_true_grade(
        {
            "disbursed": {
                "A": Sums(loans=12, firms=12, granted=1200),
                "B": Sums(loans=9, firms=9, granted=870),
            }
        },
        [],
        {},
    )
    margins = {m.dimension: {c.value: c for c in m.cells} for m in publish(Figures(city, {}, family), BANKS)}
    for kind, value in product((GRADE, TRUE_GRADE), "AB"):
        assert GRANTED in margins[f"consented/disbursed/{kind}"][value].suppressed
    assert not any(cell.suppressed for cell in margins[GRADE].values())


def test_nor_of_a_true_grade_nor_of_the_whole_city() -> None:
    """The city's tables tell nine loans whose grade was taken back; eight of them are among the rows with consent."""
    family = family_of([(n, 10, "A", "withdrawn" if n < 8 else "") for n in range(40)])
    of_city = Sums(loans=60, firms=60, granted=6000)
    city = {
        TOTAL: {ALL: of_city},
        TRUE_GRADE: {
            "A": Sums(loans=51, firms=51, granted=5910),
            "withdrawn": Sums(loans=9, firms=9, granted=90),
        },
    }
    margins = {
        m.dimension: {c.value: c for c in m.cells}
        for m in publish(Figures(city, {}, {"disbursed": family}), BANKS)
    }
    assert GRANTED not in margins["consented/disbursed/grade"]["A"].suppressed
    for kind, value in ((TRUE_GRADE, "withdrawn"), (GRADE_PAIR, "A>withdrawn"), (GRADE_PAIR, "A>A")):
        assert GRANTED in margins[f"consented/disbursed/{kind}"][value].suppressed

    # Where the tables have no grades, their total is what is left of.
    whole = {TOTAL: {ALL: Sums(loans=41, firms=41, granted=450)}}
    margins = {
        m.dimension: {c.value: c for c in m.cells}
        for m in publish(Figures(whole, {}, {"disbursed": family}), BANKS)
    }
    for kind in (GRADE, TRUE_GRADE, GRADE_PAIR):
        assert all(GRANTED in cell.suppressed for cell in margins[f"consented/disbursed/{kind}"].values())


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


def test_cells_of_one_each_are_not_counted_off() -> None:
    """Three suppressed cells, three left of the total: each would be one. An empty cell goes with them, if needed."""
    assert hide({"a": 1, "b": 1, "c": 1, "d": 9, "e": 0}, 12) == {"a", "b", "c", "d"}
    assert hide({"a": 1, "b": 1, "c": 1, "d": 0, "e": 0}, 3) == {"a", "b", "c", "d"}
    assert hide({"a": 1, "b": 2, "c": 0}, 3) == {"a", "b"}
    assert hide({"a": 1, "b": 1, "c": 1}, 3) == {"a", "b", "c"}
