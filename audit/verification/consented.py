"""Step 9, statistics: margins over rows with consent, as far as they can be held against each other.

The judgement of single rows is in no document, so what a cell comes to is the gateway's word. But the three margins of
a stage tell the same rows: by the grade relied on, by the true one, and by both. What one shows or leaves out binds
the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from xinyi.errors import Invalid
from xinyi.figures import FEWEST_FIRMS
from xinyi.margins import ALL, TOTAL, check_value
from xinyi.suppression import CONSENTED, GRADE, GRADE_PAIR, TRUE_GRADE, pair
from xinyi.v1 import lending_pb2

#: The only sums that they have, all of one group.
_SUMS = ("loans", "firms", "granted")
_GROUPS: tuple[list[int], list[int]] = ([], [lending_pb2.SUM_GROUP_GRANTED])
_KINDS = (GRADE, TRUE_GRADE, GRADE_PAIR)
_STAGES = {name.removeprefix("STAGE_").lower().replace("_", "-") for name in lending_pb2.Stage.keys()[1:]}
#: Stages, and what is summed of the city's tables within which their rows lie.
_WITHIN = {"disbursed": ("granted", "granted"), "rejected": ("loans", "refused")}

#: Value → its sums; None where it is suppressed.
Cells = Mapping[str, lending_pb2.LendingSums | None]


def check(margins: Iterable[lending_pb2.PublishedMargin]) -> list[str]:
    """Cells, as "<dimension> <value>", whose rows come to more than the city's tables, where both are shown.

    That is no falsehood: a bank reports single loans before its table, and may correct it behind them.

    Raises Invalid where the margins contradict each other, show what tells of few, or are in no form that there is.
    """
    known = {margin.dimension: margin for margin in margins}
    families: dict[str, dict[str, Cells]] = {}
    for dimension, margin in known.items():
        if dimension.startswith(CONSENTED):
            stage, _, kind = dimension.removeprefix(CONSENTED).partition("/")
            _require(stage in _STAGES and kind in _KINDS, dimension, "is no margin over rows with consent")
            families.setdefault(stage, {})[kind] = _read(margin, kind)
    above: list[str] = []
    for stage, family in families.items():
        _require(len(family) == len(_KINDS), CONSENTED + stage, "stands without the two margins beside it")
        _check_family(CONSENTED + stage, family)
        above += _find_above(stage, family, known)
    return above


def _read(margin: lending_pb2.PublishedMargin, kind: str) -> Cells:
    """Its cells have a form, values that rows can have, and behind each that is shown are enough enterprises."""
    values = [cell.value for cell in margin.cells]
    ascending = bool(values) and all(before < after for before, after in pairwise(values))
    _require(ascending, margin.dimension, "has no cells, or they are not ascending")
    cells: dict[str, lending_pb2.LendingSums | None] = {}
    for cell in margin.cells:
        if kind == GRADE_PAIR:
            relied, _, true = cell.value.partition(">")
            check_value(GRADE, relied)
            check_value(TRUE_GRADE, true)
        else:
            check_value(kind, cell.value)
        _require(list(cell.suppressed) in _GROUPS, margin.dimension, "suppresses what it does not have")
        filled = {field.name for field, _ in cell.sums.ListFields()}
        hidden = bool(cell.suppressed)
        _require(filled <= (set() if hidden else set(_SUMS)), margin.dimension, "has sums that are not to be told")
        enough = hidden or FEWEST_FIRMS <= cell.sums.firms <= cell.sums.loans
        _require(enough, margin.dimension, "shows fewer than three enterprises, or more than loans")
        cells[cell.value] = None if hidden else cell.sums
    lonely = list(cells.values()).count(None) == 1 < len(cells)
    _require(not lonely or kind != GRADE, margin.dimension, "suppresses one cell alone, which the others tell")
    return cells


def _check_family(dimension: str, family: Mapping[str, Cells]) -> None:
    pairs = family[GRADE_PAIR]
    named = [name.partition(">")[::2] for name in pairs]
    grades, true_grades = {relied for relied, _ in named}, {true for _, true in named}
    same = grades == set(family[GRADE]) and true_grades == set(family[TRUE_GRADE])
    _require(same, dimension, "tells grades in one margin and not in another")
    for relied, whole in family[GRADE].items():
        row = {true: pairs[pair(relied, true)] for one, true in named if one == relied}
        if whole is None:
            _require(not any(row.values()), dimension, "suppresses a grade and shows pairs of it")
        else:
            _check_parts(dimension, whole, list(row.values()))
            _require(list(row.values()).count(None) != 1 or len(row) == 1, dimension, "leaves out one pair of a row")
    for true, whole in family[TRUE_GRADE].items():
        column = [pairs[pair(relied, true)] for relied, one in named if one == true]
        _require((whole is None) == (None in column), dimension, "shows a true grade without its pairs, or them alone")
        if whole is not None:
            _check_parts(dimension, whole, column)


def _check_parts(dimension: str, whole: lending_pb2.LendingSums, parts: list[lending_pb2.LendingSums | None]) -> None:
    """Rows add up; an enterprise is counted once in the whole, and may stand in several parts."""
    shown = [part for part in parts if part is not None]
    all_shown = len(shown) == len(parts)
    for name in _SUMS:
        told, parts_told = getattr(whole, name), [getattr(part, name) for part in shown]
        most = sum(parts_told)
        least = max(parts_told, default=0) if name == "firms" else most
        comes_to = least <= told and (told <= most or not all_shown)
        _require(comes_to, dimension, f"has pairs that do not come to its {name}")


def _find_above(
    stage: str, family: Mapping[str, Cells], known: Mapping[str, lending_pb2.PublishedMargin]
) -> Iterator[str]:
    if stage not in _WITHIN:
        return
    name, city_name = _WITHIN[stage]
    group = lending_pb2.SUM_GROUP_GRANTED if stage == "disbursed" else lending_pb2.SUM_GROUP_REFUSED
    for kind in (GRADE, TRUE_GRADE):
        margin = known.get(kind)
        city = {cell.value: cell for cell in margin.cells} if margin is not None else {}
        total = {cell.value: cell for cell in known[TOTAL].cells}[ALL]
        for value, sums in family[kind].items():
            cell = city.get(value, total)
            shown = sums is not None and group not in cell.suppressed
            if shown and getattr(sums, name) > getattr(cell.sums, city_name):
                yield f"{CONSENTED}{stage}/{kind} {value}"


def _require(holds: bool, dimension: str, otherwise: str) -> None:
    if not holds:
        raise Invalid(f"{dimension} {otherwise}", basis="statistics.consented")
