"""Which figures of a period may be published, and in which form. Pure.

Behind a number that can be read from one published document, or computed from it by adding and taking away, stand at
least three customers (an enterprise at a bank). What that does not promise: docs/statistics.md.

    one margin      every cell with one or two is suppressed, then further ones, the smallest first and those with
                    nothing last, until two or more are, at least three customers stand behind what they come to
                    together, and not each has just one
    bad             is part of what is outstanding: where the rest would tell of one or two, what is bad is suppressed
    grades          a grade whose enterprises are told another true one, one or two of them, is suppressed among the
                    true grades: the two margins of one grade would tell of them by subtraction
    with consent    pairs are cells of a row whose total is the grade's cell; a true grade is shown where every pair
                    it adds up is, so it tells nothing more; a cell that leaves one or two of the city's is not shown
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from xinyi.figures import FEWEST_FIRMS, GROUPS
from xinyi.margins import ALL, TOTAL
from xinyi.v1 import lending_pb2

DEFINITIONS = "lending-statistics/1"
BANK, GRADE, TRUE_GRADE, GRADE_PAIR = "bank", "grade", "true-grade", "grade-pair"
#: How dimensions over rows with consent begin; stage and kind follow.
CONSENTED = "consented/"

Sums = lending_pb2.LendingSums
#: Value → what its cell comes to.
Cells = Mapping[str, Sums]
#: Dimension, value → groups that are not shown.
Hidden = dict[tuple[str, str], set[lending_pb2.SumGroup]]

_GRANTED = lending_pb2.SUM_GROUP_GRANTED
_OUTSTANDING, _BAD = lending_pb2.SUM_GROUP_OUTSTANDING, lending_pb2.SUM_GROUP_BAD
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
    #: The same, where `firms` are customers: one that authorised three banks is three. A stage that is not here has
    #: none that authorised more than one.
    customers: Mapping[str, Mapping[str, Cells]] = field(default_factory=dict)


def publish(figures: Figures, audience: lending_pb2.Audience) -> list[lending_pb2.PublishedMargin]:
    """The margins of one audience, what has to be is suppressed; "total" first, then ascending."""
    margins = dict(figures.margins)
    if audience == lending_pb2.AUDIENCE_BUREAU:
        margins[BANK] = figures.banks
    hidden: Hidden = {}
    for group in GROUPS:  # outstanding before bad
        _hide_group(margins, group, hidden)
    for stage, family in figures.consented.items():
        for kind in (GRADE, TRUE_GRADE, GRADE_PAIR):
            margins[f"{CONSENTED}{stage}/{kind}"] = family[kind]
        by_bank = figures.customers.get(stage, family)
        _hide_consented(stage, family, by_bank, figures.margins, hidden)
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


def content(version: lending_pb2.Statistics) -> lending_pb2.Statistics:
    """What a version says, without what makes it this version: a later one says something else."""
    told = lending_pb2.Statistics()
    told.CopyFrom(version)
    for name in _OF_THE_VERSION:
        told.ClearField(name)
    return told


_OF_THE_VERSION: tuple[Literal["version", "counted_until_ms", "predecessor", "restatement"], ...] = (
    "version", "counted_until_ms", "predecessor", "restatement",
)  # fmt: skip


def _cell(value: str, sums: Sums, groups: Set[lending_pb2.SumGroup]) -> lending_pb2.PublishedCell:
    left = lending_pb2.LendingSums()
    left.CopyFrom(sums)
    for group in groups:
        for name in GROUPS[group]:
            left.ClearField(name)
    return lending_pb2.PublishedCell(value=value, sums=left, suppressed=sorted(groups))


# One margin


def customers(sums: Sums, group: lending_pb2.SumGroup) -> int:
    """So many stand behind a group of a cell for certain.

    `firms` counts new loans alone: what is granted without any was drawn on older ones, by one customer at least.
    """
    firms, *others = (getattr(sums, name) for name in GROUPS[group])
    return firms or int(any(others))


def hide(firms: Mapping[str, int], total: int, known: Set[str] = frozenset()) -> set[str]:
    """Values of one margin that are not shown.

    Args:
        firms: value → customers behind its cell.
        total: behind the margin's total, or a number that they are not fewer than.
        known: values that are not shown for another reason.
    """
    if 0 < total < FEWEST_FIRMS:
        return set(firms)
    return _further({value for value, number in firms.items() if 0 < number < FEWEST_FIRMS} | known, firms, total)


def _further(first: Set[str], firms: Mapping[str, int], total: int) -> set[str]:
    """Suppressed values, and those beside which they are not found by subtraction."""
    out = set(first)
    further = sorted(firms.keys() - out, key=lambda value: (firms[value] == 0, firms[value], value))
    for value in further:
        if not out or (len(out) > 1 and _behind(out, firms, total) >= FEWEST_FIRMS and not _all_one(out, firms)):
            break
        out.add(value)
    return out


def _all_one(out: Set[str], firms: Mapping[str, int]) -> bool:
    """What is left of the total would be as many as there are suppressed cells, so each is read as one."""
    return all(firms[value] == 1 for value in out)


def _behind(out: Set[str], firms: Mapping[str, int], total: int) -> int:
    """So many customers stand behind a margin's suppressed cells for certain.

    One may stand in several cells: their numbers do not add up. But no fewer than in the largest cell, and no fewer
    than what the cells that are shown leave of the total.
    """
    rest = total - sum(number for value, number in firms.items() if value not in out)
    return max(rest, *(firms[value] for value in out))


def _hide_group(margins: Mapping[str, Cells], group: lending_pb2.SumGroup, hidden: Hidden) -> None:
    total = margins[TOTAL][ALL]

    def close(dimension: str, known: Set[str] = frozenset()) -> set[str]:
        cells = margins[dimension]
        if group == _BAD:
            unshown = {value for value in cells if _OUTSTANDING in hidden.get((dimension, value), ())}
            return _hide_bad(cells, total, unshown, known)
        firms = {value: customers(sums, group) for value, sums in cells.items()}
        return hide(firms, customers(total, group), known)

    out = {dimension: close(dimension) for dimension in margins}
    if GRADE in margins and TRUE_GRADE in margins:
        out[GRADE], out[TRUE_GRADE] = _hide_grades(margins[GRADE], margins[TRUE_GRADE], group, close)
    for dimension, values in out.items():
        for value in values:
            hidden.setdefault((dimension, value), set()).add(group)


# Bad within outstanding


def _performing(sums: Sums) -> int:
    """So many customers stand behind what is outstanding and not bad, for certain.

    One with both is counted among the bad: where all are, one of them has the rest.
    """
    return max(sums.outstanding_firms - sums.bad_firms, int(sums.balance > sums.bad_balance))


def _hide_bad(cells: Cells, total: Sums, unshown: Set[str], known: Set[str]) -> set[str]:
    """As `hide`; together, too, what is not shown leaves of what is outstanding nothing of one or two.

    Args: unshown — values whose outstanding group is not shown: where some of it is bad, that is not shown either, or
        what is outstanding of them together would tell the rest.
    """
    bad = {value: customers(sums, _BAD) for value, sums in cells.items()}
    performing = {value: _performing(sums) for value, sums in cells.items()}
    all_bad, all_performing = customers(total, _BAD), _performing(total)
    if all_bad and 0 < all_performing < FEWEST_FIRMS:
        return set(cells)
    out = known | {value for value in cells if bad[value] and 0 < performing[value] < FEWEST_FIRMS}
    if any(bad[value] for value in unshown):
        out |= unshown
    while True:
        more = _further(hide(bad, all_bad, out), performing, all_performing)
        if more == out:
            return more
        out = more


# Grades


def _hide_grades(
    relied: Cells, true: Cells, group: lending_pb2.SumGroup, close: Callable[[str, Set[str]], set[str]]
) -> tuple[set[str], set[str]]:
    """What is not shown of the grades relied on, and of the true ones: neither margin gives the other's away.

    Args: close — dimension, values that are not shown → these and what is not shown beside them.
    """
    both = relied.keys() & true.keys()
    same = {value for value in both if _same(relied[value], true[value], group)}
    few = {value for value in both - same if _few_moved(relied[value], true[value], group)}
    out, true_out = close(GRADE, frozenset()), close(TRUE_GRADE, few)
    while True:
        more = close(GRADE, out | (true_out & same))
        true_more = close(TRUE_GRADE, true_out | (more & true.keys()))
        if (more, true_more) == (out, true_out):
            return out, true_out
        out, true_out = more, true_more


def _few_moved(one: Sums, other: Sums, group: lending_pb2.SumGroup) -> bool:
    moved = abs(customers(one, group) - customers(other, group))
    if group == _BAD:
        moved = min(moved, abs(_performing(one) - _performing(other)))
    return moved < FEWEST_FIRMS


def _same(one: Sums, other: Sums, group: lending_pb2.SumGroup) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in GROUPS[group])


# Rows with consent


def pair(relied: str, true: str) -> str:
    """The value of a cell of the grade pairs."""
    return f"{relied}>{true}"


def _hide_consented(
    stage: str,
    family: Mapping[str, Cells],
    by_bank: Mapping[str, Cells],
    city: Mapping[str, Cells],
    hidden: Hidden,
) -> None:
    grades = {value: sums.firms for value, sums in family[GRADE].items()}
    pairs = {value: sums.firms for value, sums in family[GRADE_PAIR].items()}
    # Their total is published nowhere in this document, but told in others: taken as known.
    least = max(grades.values(), default=0)
    out = hide(grades, least, _leaving_few(stage, by_bank[GRADE], city, GRADE))
    true_few = _leaving_few(stage, by_bank[TRUE_GRADE], city, TRUE_GRADE)
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
            hidden.setdefault((f"{CONSENTED}{stage}/{kind}", value), set()).add(_GRANTED)


def _true(name: str) -> str:
    """The true grade of a pair."""
    return name.partition(">")[2]


def _leaving_few(stage: str, cells: Cells, city: Mapping[str, Cells], dimension: str) -> set[str]:
    """Values whose rows with consent, taken from the city's, leave those of one or two customers.

    Args: cells — where `firms` are customers, as the city's are.
    """
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
