"""Figures derived from published sums: shares and means, exact, rounded once at the end, half up. Pure.

Nothing is derived from what is suppressed: such a figure is None. Amounts are in the hundredth part of the currency's
unit (fen), shown in 亿 (10⁸ units) or 万 (10⁴ units).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from xinyi.margins import SMALL, TOTAL, UNKNOWN
from xinyi.v1 import lending_pb2

UNIT, WAN, YI = 100, 100 * 10**4, 100 * 10**8
#: An enterprise must not be told apart: cells with fewer are suppressed.
FEWEST_FIRMS = 3

#: Group of sums → those of its enterprises, of what is counted, and of its amount where it has one.
GROUPS: dict[lending_pb2.SumGroup, tuple[str, ...]] = {
    lending_pb2.SUM_GROUP_GRANTED: ("firms", "loans", "granted"),
    lending_pb2.SUM_GROUP_OUTSTANDING: ("outstanding_firms", "outstanding_loans", "balance"),
    lending_pb2.SUM_GROUP_BAD: ("bad_firms", "bad_loans", "bad_balance"),
    lending_pb2.SUM_GROUP_REFUSED: ("refused_firms", "refused"),
}
#: Name of a sum → its group.
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}


def quotient(numerator: int, denominator: int, places: int = 2) -> Decimal | None:
    """Of numbers that are not negative, half up. None where there is nothing to divide by."""
    if denominator == 0:
        return None
    scaled, rest = divmod(numerator * 10**places, denominator)
    return Decimal(scaled + (2 * rest >= denominator)).scaleb(-places)


def share(part: int, whole: int) -> Decimal | None:
    """In per cent with two decimals."""
    return quotient(part * 100, whole)


def mean_wan(amount: int, loans: int) -> Decimal | None:
    """Mean loan in 万 units with two decimals."""
    return quotient(amount, loans * WAN)


def in_wan(amount: int) -> Decimal:
    """Args: amount — in hundredths of a unit, as below."""
    return _parts(amount, WAN)


def in_yi(amount: int) -> Decimal:
    return _parts(amount, YI)


def _parts(amount: int, unit: int) -> Decimal:
    made = quotient(amount, unit)
    assert made is not None  # units are not 0
    return made


def shown(cell: lending_pb2.PublishedCell, name: str) -> int | None:
    """A sum of a cell; None where it is suppressed. Args: name — as in LendingSums."""
    return None if GROUP_OF[name] in cell.suppressed else getattr(cell.sums, name)


def margins_of(statistics: lending_pb2.Statistics) -> dict[str, Mapping[str, lending_pb2.PublishedCell]]:
    """Dimension → value → cell."""
    return {margin.dimension: {cell.value: cell for cell in margin.cells} for margin in statistics.margins}


@dataclass(frozen=True)
class Lent:
    """Loans and their amount, with what derives from the two."""

    loans: int
    granted: int

    @property
    def mean(self) -> Decimal | None:
        return mean_wan(self.granted, self.loans)


@dataclass(frozen=True)
class SmallMicro:
    """What went to small and micro enterprises by one definition. None where a cell it needs is suppressed."""

    definition: str
    whole: Lent | None
    small: Lent | None
    #: To enterprises that are larger by the definition, and to those whose size is not known.
    others: Lent | None
    unknown: Lent | None

    @property
    def share_of_loans(self) -> Decimal | None:
        return share(self.small.loans, self.whole.loans) if self.small and self.whole else None

    @property
    def share_of_amount(self) -> Decimal | None:
        return share(self.small.granted, self.whole.granted) if self.small and self.whole else None


def small_micro(statistics: lending_pb2.Statistics) -> list[SmallMicro]:
    """One for each definition of size that was published, by definition."""
    margins = margins_of(statistics)
    whole = _lent(margins.get(TOTAL, {}).values())
    found = []
    for dimension, cells in sorted(margins.items()):
        if not dimension.startswith("size/"):
            continue
        definition = dimension.removeprefix("size/")
        small = _lent(cell for value, cell in cells.items() if value in SMALL[definition])
        unknown = _lent(cell for value, cell in cells.items() if value == UNKNOWN)
        others = _lent(cell for value, cell in cells.items() if value not in SMALL[definition] | {UNKNOWN})
        found.append(SmallMicro(definition, whole, small, others, unknown))
    return found


def _lent(cells: Iterable[lending_pb2.PublishedCell]) -> Lent | None:
    loans = granted = 0
    for cell in cells:
        if lending_pb2.SUM_GROUP_GRANTED in cell.suppressed:
            return None
        loans += cell.sums.loans
        granted += cell.sums.granted
    return Lent(loans, granted)
