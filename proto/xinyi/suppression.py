"""Which figures of a period may be published, and in which form. Pure.

Behind a number that can be read from one published document, or computed from it by adding and taking away, stand at
least three customers (an enterprise at a bank). What that does not promise: docs/statistics.md.

    one margin      every cell with one or two is suppressed, then further ones, the smallest first, until two or more
                    are and at least three customers stand behind what they come to together
    grades          a grade whose enterprises are told another true one, one or two of them, is suppressed among the
                    true grades: the two margins of one grade would tell of them by subtraction
    with consent    pairs are cells of a row whose total is the grade's cell; a true grade is shown where every pair
                    it adds up is, so it tells nothing more; a cell that leaves one or two of the city's is not shown
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from xinyi.figures import FEWEST_FIRMS, GROUPS
from xinyi.margins import ALL, TOTAL
from xinyi.v1 import lending_pb2

DEFINITIONS = "lending-statistics/1"
BANK, GRADE, TRUE_GRADE, GRADE_PAIR = "bank", "grade", "true-grade", "grade-pair"

Sums = lending_pb2.LendingSums
#: Value → what its cell comes to.
Cells = Mapping[str, Sums]
#: Dimension, value → groups that are not shown.
Hidden = dict[tuple[str, str], set[lending_pb2.SumGroup]]

_GRANTED = lending_pb2.SUM_GROUP_GRANTED
#: Stages whose rows lie within a group of the tables' sums.
_WITHIN = {"disbursed": _GRANTED, "rejected": lending_pb2.SUM_GROUP_REFUSED}


@dataclass(frozen=True)
class Figures:
    """A period's sums before anything is suppressed."""

    #: Dimensions that every counted table has whose total is not zero; "total" among them.
    margins: Mapping[str, Cells]
    #: A table's total, by bank.
    banks: Cells
    #: Stage → "grade", "true-grade", "grade-pair" → cells of rows with consent.
    consented: Mapping[str, Mapping[str, Cells]] = field(default_factory=dict)


def publish(figures: Figures, audience: lending_pb2.Audience) -> list[lending_pb2.PublishedMargin]:
    """The margins of one audience, what has to be is suppressed; "total" first, then ascending."""
    margins = dict(figures.margins)
    if audience == lending_pb2.AUDIENCE_BUREAU:
        margins[BANK] = figures.banks
    hidden: Hidden = {}
    for group in GROUPS:
        _hide_group(margins, group, hidden)
    for stage, family in figures.consented.items():
        for kind in (GRADE, TRUE_GRADE, GRADE_PAIR):
            margins[f"consented/{stage}/{kind}"] = family[kind]
        _hide_consented(stage, family, figures.margins, hidden)
    return [
        lending_pb2.PublishedMargin(
            dimension=dimension,
            cells=[
                _cell(value, sums, hidden.get((dimension, value), set()))
                for value, sums in sorted(margins[dimension].items())
            ],
        )
        for dimension in sorted(margins, key=lambda name: (name != TOTAL, name))
    ]


def _cell(value: str, sums: Sums, groups: Set[lending_pb2.SumGroup]) -> lending_pb2.PublishedCell:
    left = lending_pb2.LendingSums()
    left.CopyFrom(sums)
    for group in groups:
        for name in GROUPS[group]:
            left.ClearField(name)
    return lending_pb2.PublishedCell(value=value, sums=left, suppressed=sorted(groups))


# One margin


def hide(firms: Mapping[str, int], total: int, known: Set[str] = frozenset()) -> set[str]:
    """Values of one margin that are not shown.

    Args:
        firms: value → customers behind its cell.
        total: behind the margin's total, or a number that they are not fewer than.
        known: values that are not shown for another reason.
    """
    if 0 < total < FEWEST_FIRMS:
        return set(firms)
    out = {value for value, number in firms.items() if 0 < number < FEWEST_FIRMS} | known
    further = sorted(firms.keys() - out, key=lambda value: (firms[value] == 0, firms[value], value))
    for value in further:
        if not out or (len(out) > 1 and _behind(out, firms, total) >= FEWEST_FIRMS):
            break
        out.add(value)
    return out


def _behind(out: Set[str], firms: Mapping[str, int], total: int) -> int:
    """So many customers stand behind a margin's suppressed cells for certain.

    One may stand in several cells: their numbers do not add up. But no fewer than in the largest cell, and no fewer
    than what the cells that are shown leave of the total.
    """
    rest = total - sum(number for value, number in firms.items() if value not in out)
    return max(rest, *(firms[value] for value in out))


def _hide_group(margins: Mapping[str, Cells], group: lending_pb2.SumGroup, hidden: Hidden) -> None:
    name = GROUPS[group][0]
    total = getattr(margins[TOTAL][ALL], name)
    firms = {
        dimension: {value: getattr(sums, name) for value, sums in cells.items()}
        for dimension, cells in margins.items()
    }
    out = {dimension: hide(numbers, total) for dimension, numbers in firms.items()}
    if GRADE in margins and TRUE_GRADE in margins:
        out[GRADE], out[TRUE_GRADE] = _hide_grades(margins[GRADE], margins[TRUE_GRADE], group, total)
    for dimension, values in out.items():
        for value in values:
            hidden.setdefault((dimension, value), set()).add(group)


# Grades


def _hide_grades(
    relied: Cells, true: Cells, group: lending_pb2.SumGroup, total: int
) -> tuple[set[str], set[str]]:
    """What is not shown of the grades relied on, and of the true ones: neither margin gives the other's away."""
    name = GROUPS[group][0]
    firms = {value: getattr(sums, name) for value, sums in relied.items()}
    true_firms = {value: getattr(sums, name) for value, sums in true.items()}
    both = relied.keys() & true.keys()
    same = {value for value in both if _same(relied[value], true[value], group)}
    few = {value for value in both - same if abs(firms[value] - true_firms[value]) < FEWEST_FIRMS}
    out, true_out = hide(firms, total), hide(true_firms, total, few)
    while True:
        more = hide(firms, total, out | (true_out & same))
        true_more = hide(true_firms, total, true_out | (more & true.keys()))
        if (more, true_more) == (out, true_out):
            return out, true_out
        out, true_out = more, true_more


def _same(one: Sums, other: Sums, group: lending_pb2.SumGroup) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in GROUPS[group])


# Rows with consent


def pair(relied: str, true: str) -> str:
    """The value of a cell of the grade pairs."""
    return f"{relied}>{true}"


def _hide_consented(
    stage: str, family: Mapping[str, Cells], city: Mapping[str, Cells], hidden: Hidden
) -> None:
    grades = {value: sums.firms for value, sums in family[GRADE].items()}
    pairs = {value: sums.firms for value, sums in family[GRADE_PAIR].items()}
    # Their total is published nowhere in this document, but told in others: taken as known.
    least = max(grades.values(), default=0)
    out = hide(grades, least, _leaving_few(stage, family[GRADE], city, GRADE))
    true_few = _leaving_few(stage, family[TRUE_GRADE], city, TRUE_GRADE)
    pairs_out: set[str] = set()
    for value, number in grades.items():
        row = {name: firms for name, firms in pairs.items() if name.startswith(f"{value}>")}
        known = {name for name in row if _true(name) in true_few}
        pairs_out |= set(row) if value in out else hide(row, number, known)
    true_out = set(map(_true, pairs_out))
    for kind, values in (
        (GRADE, out),
        (GRADE_PAIR, pairs_out),
        (TRUE_GRADE, true_out & family[TRUE_GRADE].keys()),
    ):
        for value in values:
            hidden.setdefault((f"consented/{stage}/{kind}", value), set()).add(_GRANTED)


def _true(name: str) -> str:
    """The true grade of a pair."""
    return name.partition(">")[2]


def _leaving_few(stage: str, cells: Cells, city: Mapping[str, Cells], dimension: str) -> set[str]:
    """Values whose rows with consent, taken from the city's, leave those of one or two customers."""
    group = _WITHIN.get(stage)
    if group is None:
        return set()
    if dimension in city:
        whole = city[dimension]
        return {value for value, sums in cells.items() if value in whole and _leaves_few(whole[value], sums, group)}
    together = Sums()
    for sums in cells.values():
        together.loans += sums.loans
        together.firms += sums.firms
        together.granted += sums.granted
    return set(cells) if _leaves_few(city[TOTAL][ALL], together, group) else set()


def _leaves_few(whole: Sums, part: Sums, group: lending_pb2.SumGroup) -> bool:
    """By what is summed in both: amounts for what was granted, applications for what was refused."""
    firms, counted = GROUPS[group][:2]
    left = whole.granted - part.granted if group == _GRANTED else getattr(whole, counted) - part.loans
    few: bool = getattr(whole, firms) - part.firms < FEWEST_FIRMS
    return left > 0 and few
