"""By what loans are counted: dimensions, the cell of each row, and what a row adds to it. Pure.

A dimension puts every row into exactly one cell; what is not known has a cell of its own, so that the cells of each
dimension come to the total. Enterprises (户) are counted once in each cell and in the total, so theirs do not.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from xinyi.errors import Invalid
from xinyi.fields import holds_identifier
from xinyi.v1 import lending_pb2, records_pb2

TOTAL, ALL, UNKNOWN = "total", "all", "unknown"
#: A grade was not relied on; the true grade is not told.
NO_GRADE, WITHDRAWN = "none", "withdrawn"

#: Names of the sums, in the order of their lanes.
SUMS = tuple(field.name for field in lending_pb2.LendingSums.DESCRIPTOR.fields)
#: Sums that add up over the cells of a dimension.
ADDITIVE = tuple(name for name in SUMS if not name.endswith("firms"))

#: definition → its sizes, largest first. Never added across definitions.
SIZES: dict[str, tuple[str, ...]] = {
    "GXB300": ("large", "medium", "small", "micro"),
    "INCLUSIVE": ("other", "inclusive"),
    "TAX_SMALL_LOW_PROFIT": ("other", "small-low-profit"),
}
#: definition → sizes that are small or micro (小微).
SMALL: dict[str, frozenset[str]] = {
    "GXB300": frozenset({"small", "micro"}),
    "INCLUSIVE": frozenset({"inclusive"}),
    "TAX_SMALL_LOW_PROFIT": frozenset({"small-low-profit"}),
}
#: Classes of bad loans (不良).
BAD = frozenset(
    {lending_pb2.LOAN_CLASS_SUBSTANDARD, lending_pb2.LOAN_CLASS_DOUBTFUL, lending_pb2.LOAN_CLASS_LOSS}
)

_RATE = re.compile(r"rate/[0-9]{1,5}(?:-[0-9]{1,5}){0,11}")
_PLAIN = ("district", "first-time", "grade", "guarantee", "industry", "product", "true-grade")

Value = Callable[[lending_pb2.LoanRow], str]


def check_dimension(dimension: str) -> None:
    """Raises Invalid for what is no dimension of a table."""
    known = dimension == TOTAL or dimension in _PLAIN
    known = known or (dimension.startswith("size/") and dimension[5:] in SIZES)
    if not known and _RATE.fullmatch(dimension) is not None:
        bounds = _bounds(dimension)
        known = (
            bounds == sorted(set(bounds))
            and bounds[0] > 0
            and dimension == "rate/" + "-".join(map(str, bounds))
        )
    if not known:
        raise Invalid("no dimension of a table", basis="margin.dimension")


@lru_cache(maxsize=1024)
def value_of(dimension: str) -> Value:
    """What finds the cell of a row. Raises Invalid."""
    check_dimension(dimension)
    if dimension.startswith("size/"):
        return _size_by(dimension[5:])
    if dimension.startswith("rate/"):
        return _band_of(_bounds(dimension))
    return _VALUES[dimension]


def check_value(dimension: str, value: str) -> None:
    """Raises Invalid for what no row can have there. The dimension was checked before."""
    if dimension.startswith("size/"):
        holds = value in SIZES[dimension[5:]] or value == UNKNOWN
    elif dimension.startswith("rate/"):
        holds = value == UNKNOWN or value in _bands(dimension)
    elif dimension in _OPEN:
        holds = value == UNKNOWN or _OPEN[dimension].fullmatch(value) is not None
    else:
        holds = value in _CLOSED[dimension]
    # A product is a word of the bank's, published with the cell: that of an enterprise would name it.
    if not holds or holds_identifier(value):
        raise Invalid("no row can be in that cell", basis="margin.cells")


def _size_by(definition: str) -> Value:
    def size(row: lending_pb2.LoanRow) -> str:
        for told in row.loan.sizes:
            if told.definition == definition:
                return told.size
        return UNKNOWN

    return size


def _bounds(dimension: str) -> list[int]:
    return [int(bound) for bound in dimension[5:].split("-")]


def _band_of(bounds: Sequence[int]) -> Value:
    """Lower bounds are in their band, upper ones are not."""
    names = _names(bounds)

    def band(row: lending_pb2.LoanRow) -> str:
        loan = row.loan
        return names[bisect_right(bounds, loan.annual_rate_bp)] if loan.HasField("annual_rate_bp") else UNKNOWN

    return band


def _names(bounds: Sequence[int]) -> list[str]:
    """Of the bands, ascending."""
    closed = [f"{below:05d}-{bound:05d}" for below, bound in pairwise((0, *bounds))]
    return [*closed, f"{bounds[-1]:05d}-up"]


@lru_cache(maxsize=64)
def _bands(dimension: str) -> frozenset[str]:
    return frozenset(_names(_bounds(dimension)))


_GRADE_NAMES = {number: name.removeprefix("GRADE_") for name, number in records_pb2.Grade.items()}


def grade_name(grade: int) -> str:
    return _GRADE_NAMES[grade]


def relied_on(row: lending_pb2.LoanRow) -> str:
    loan = row.loan
    return _GRADE_NAMES[loan.reliance.grade] if loan.HasField("reliance") else NO_GRADE


def true_grade(row: lending_pb2.LoanRow) -> str:
    """As the bank knows it: the one relied on, unless a correction took it back."""
    if not row.recalled:
        return relied_on(row)
    return grade_name(row.true_grade) if row.true_grade else WITHDRAWN


def _words(names: Iterable[tuple[str, int]], prefix: str) -> dict[int, str]:
    return {number: name.removeprefix(prefix).lower() if number else UNKNOWN for name, number in names}


_FIRST_TIME = _words(lending_pb2.FirstTime.items(), "FIRST_TIME_")
_GUARANTEE = _words(lending_pb2.Guarantee.items(), "GUARANTEE_")
_VALUES: dict[str, Value] = {
    TOTAL: lambda row: ALL,
    "district": lambda row: row.loan.district or UNKNOWN,
    "first-time": lambda row: _FIRST_TIME[row.loan.first_time],
    "grade": relied_on,
    "guarantee": lambda row: _GUARANTEE[row.loan.guarantee],
    "industry": lambda row: row.loan.industry or UNKNOWN,
    "product": lambda row: row.loan.product,
    "true-grade": true_grade,
}
_GRADES = frozenset(map(grade_name, records_pb2.Grade.values()[1:]))
_CLOSED = {
    TOTAL: frozenset({ALL}),
    "first-time": frozenset(_FIRST_TIME.values()),
    "grade": _GRADES | {NO_GRADE},
    "guarantee": frozenset(_GUARANTEE.values()),
    "true-grade": _GRADES | {NO_GRADE, WITHDRAWN},
}
_OPEN = {
    "district": re.compile(r"[0-9]{6}"),
    "industry": re.compile(r"[A-T]"),
    "product": re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+)*"),
}


def amounts(row: lending_pb2.LoanRow) -> tuple[int, ...]:
    """What a row adds to every cell it is in, without the enterprises: a value for each of ADDITIVE."""
    balance = row.balance
    bad = balance > 0 and row.loan_class in BAD
    return (
        int(row.newly_granted), row.granted, int(balance > 0), balance, int(bad), balance if bad else 0,
        int(row.refused),
    )  # fmt: skip


#: Places of the additive sums among all, and of the enterprises behind what they count.
_ADDITIVE_LANES = tuple(SUMS.index(name) for name in ADDITIVE)
_FIRMS = tuple((SUMS.index(loans), SUMS.index(firms)) for loans, firms in (
    ("loans", "firms"), ("outstanding_loans", "outstanding_firms"), ("bad_loans", "bad_firms"),
    ("refused", "refused_firms"),
))  # fmt: skip

#: Lanes of a cell as one number: lane i begins at bit 64·i (audit.sum_tree).
_CELL = struct.Struct(f"<{len(SUMS)}Q")
_FIRM_BITS = sum(1 << 64 * firms for _, firms in _FIRMS)
_ADDED = (1 << 64 * len(SUMS)) - 1 - _FIRM_BITS
#: The highest bit of each lane, which is always 0.
FULL = sum(1 << 64 * lane + 63 for lane in range(len(SUMS)))

#: First lane → what that and the next ones hold, packed. Lane 0, the rows, stands alone.
Sums = dict[int, int]


class Layout:
    """Which lane of a sum tree holds what: lane 0 the rows, then the sums of each cell in the order of the table.

    Args: cells — dimension and value of each, dimension by dimension, "total" first.
    """

    def __init__(self, cells: Iterable[tuple[str, str]]) -> None:
        self.cells = list(cells)
        #: Cell → its first lane.
        self.places = {cell: 1 + number * len(SUMS) for number, cell in enumerate(self.cells)}
        dimensions = dict.fromkeys(dimension for dimension, _ in self.cells)
        self._dimensions = [(name, value_of(name)) for name in dimensions]
        self.lanes = 1 + len(self.cells) * len(SUMS)

    @classmethod
    def of(cls, table: lending_pb2.LendingTable) -> Layout:
        return cls((margin.dimension, cell.value) for margin in table.margins for cell in margin.cells)

    def sums(self, firm: lending_pb2.FirmLending) -> dict[int, int]:
        """Lane → what the rows of one enterprise come to there, ascending; lanes with 0 are left out.

        Raises Invalid where a row belongs into a cell that is not there.
        """
        return dict(sorted(lanes_of(self.cell_sums(firm))))

    def cell_sums(self, firm: lending_pb2.FirmLending) -> Sums:
        """The same, packed by cell. Raises like `sums`."""
        return sums_of([(self._places(row), pack_row(row)) for row in firm.rows])

    def _places(self, row: lending_pb2.LoanRow) -> list[int]:
        try:
            return [self.places[name, value(row)] for name, value in self._dimensions]
        except KeyError:
            if not any(amounts(row)):
                return []
            raise Invalid("a row is in none of the table's cells", basis="margin.cells") from None

    def margins(self, values: Sequence[int]) -> list[lending_pb2.Margin]:
        """Args: values — of all lanes. The inverse of `values`; cells in which nothing is are there as well."""
        made: list[lending_pb2.Margin] = []
        for number, (dimension, value) in enumerate(self.cells):
            if not made or made[-1].dimension != dimension:
                made.append(lending_pb2.Margin(dimension=dimension))
            first = 1 + number * len(SUMS)
            told = dict(zip(SUMS, values[first : first + len(SUMS)], strict=True))
            made[-1].cells.append(lending_pb2.Cell(value=value, sums=lending_pb2.LendingSums(**told)))
        return made


def is_empty(sums: lending_pb2.LendingSums) -> bool:
    """Nothing was granted, is owed or was refused: a table of which that is the total has no cell besides."""
    return not any(getattr(sums, name) for name in ADDITIVE)


def pack_row(row: lending_pb2.LoanRow) -> int:
    """What a row adds to each cell it is in, with the enterprise behind it, packed."""
    loans, granted, outstanding, balance, bad, bad_balance, refused = amounts(row)
    told = (loans, loans, granted, outstanding, outstanding, balance, bad, bad, bad_balance, refused, refused)
    return int.from_bytes(_CELL.pack(*told), "little")


def sums_of(rows: Sequence[tuple[Sequence[int], int]]) -> Sums:
    """What the rows of one enterprise come to, which counts once in each cell.

    Args: rows — first lanes of the cells each is in, and what `pack_row` makes of it.

    Raises Invalid where a sum is out of range.
    """
    if len(rows) == 1:
        [(cells, added)] = rows
        return {0: 1} | dict.fromkeys(cells, added) if added else {0: 1}
    found: Sums = {0: len(rows)}
    for cells, added in rows:
        if added:
            for cell in cells:
                before = found.get(cell, 0)
                # Enterprises are or-ed, all else added.
                after = (before & _ADDED) + (added & _ADDED) | (before | added) & _FIRM_BITS
                if after & FULL:
                    raise Invalid("a sum is out of range", basis="sums.range")
                found[cell] = after
    return found


def lanes_of(sums: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """(lane, value) of each that is not 0, by first lane. Raises Invalid for what lanes cannot hold."""
    for first, packed in sums.items():
        for lane, value in unpack_cell(packed):
            yield first + lane, value


def unpack_cell(packed: int) -> list[tuple[int, int]]:
    """(lane within the cell, value) of each that is not 0, ascending. Raises Invalid for what lanes cannot hold."""
    try:
        values = _CELL.unpack(packed.to_bytes(_CELL.size, "little"))
    except OverflowError as error:
        raise Invalid("a sum is out of range", basis="sums.range") from error
    return [(lane, value) for lane, value in enumerate(values) if value]


def lane_values(table: lending_pb2.LendingTable) -> list[int]:
    """What the lanes of the root hold, as the table tells it."""
    values = [table.rows]
    for margin in table.margins:
        for cell in margin.cells:
            values += [getattr(cell.sums, name) for name in SUMS]
    return values
