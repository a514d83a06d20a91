"""Rows with consent by the grade relied on, the true one, and both. Pure.

Few rows are told another grade than they relied on: those are looked at one by one, all others are added up by the
database. Whoever has rows is counted once in each cell: an enterprise over all banks, or at each as a customer of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xinyi.suppression import GRADE, GRADE_PAIR, TRUE_GRADE, Sums, pair

#: The bank, or "" where it is one over all banks, and the taxpayer.
Who = tuple[str, str]


@dataclass(frozen=True)
class Moved:
    """A counted row that relied on a grade which a correction took back."""

    stage: str
    relied: str
    true: str
    who: Who
    amount: int


def by_true_grade(
    relied: Mapping[str, Mapping[str, Sums]],
    moved: Iterable[Moved],
    rows: Mapping[tuple[str, str, Who], int],
) -> dict[str, dict[str, dict[str, Sums]]]:
    """Stage → "grade", "true-grade", "grade-pair" → cells.

    Args:
        relied: stage → grade relied on → all counted rows: `loans` of them, `firms` that have them, `granted` what they
            come to.
        moved: all of them that are told another grade.
        rows: stage, grade relied on, who → counted rows; of all that `moved` names.
    """
    by_stage: dict[str, list[Moved]] = {stage: [] for stage in relied}
    for row in moved:
        if row.true != row.relied:
            by_stage[row.stage].append(row)
    return {
        stage: _family(cells, by_stage[stage], {key[1:]: n for key, n in rows.items() if key[0] == stage})
        for stage, cells in relied.items()
    }


def _family(
    relied: Mapping[str, Sums], moved: list[Moved], rows: Mapping[tuple[str, Who], int]
) -> dict[str, dict[str, Sums]]:
    gone = Counter((row.relied, row.who) for row in moved)
    # Those of whose rows something is left under the grade it relied on.
    stays = {key for key, number in rows.items() if number > gone[key]}
    pairs = {pair(grade, grade): _copy(sums) for grade, sums in relied.items()}
    true = {grade: _copy(sums) for grade, sums in relied.items()}
    for grade, who in gone:
        if (grade, who) not in stays:
            pairs[pair(grade, grade)].firms -= 1
            true[grade].firms -= 1
    came: set[tuple[str, Who]] = set()
    for row in moved:
        for left in (pairs[pair(row.relied, row.relied)], true[row.relied]):
            left.loans -= 1
            left.granted -= row.amount
        for key, cells in ((pair(row.relied, row.true), pairs), (row.true, true)):
            cell = cells.setdefault(key, Sums())
            cell.loans += 1
            cell.granted += row.amount
            known = (key, row.who)
            if known not in came and known not in stays:
                cell.firms += 1
            came.add(known)
    return {
        GRADE: dict(relied),
        TRUE_GRADE: {value: sums for value, sums in true.items() if sums.loans},
        GRADE_PAIR: {value: sums for value, sums in pairs.items() if sums.loans},
    }


def _copy(sums: Sums) -> Sums:
    made = Sums()
    made.CopyFrom(sums)
    return made
