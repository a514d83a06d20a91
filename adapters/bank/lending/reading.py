"""A bank's loan file, read through a profile: which row is which loan, and under which rules each row ends.

    table → blocks of cells → values by field (cells.py) → loans with what they relied on (reliance.py)

Memory stays flat: a block of rows is read, judged and passed on before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from adapters.bank.lending import cells
from adapters.bank.lending import profile as profiles
from adapters.bank.lending.profile import LoanProfile
from adapters.bank.lending.quality import KeptRows, Tally
from adapters.bank.lending.rules import RULES, outcome_of
from adapters.tables import opening
from adapters.tables.identity import KINDS, find_doubtful, identify
from adapters.tables.profile import find_profile
from adapters.tables.reading import Table
from adapters.tables.rules import ACCEPTED, WARNED
from xinyi import identifiers
from xinyi.errors import Invalid
from xinyi.settings import LOANS_PASSWORD
from xinyi.v1 import edition_pb2, lending_pb2, records_pb2

_USCC = records_pb2.IDENTIFIER_KIND_USCC


@dataclass(frozen=True, slots=True)
class LoanLine:
    """One row of a loan file that is reported."""

    #: As people count rows in the file.
    line: int
    taxpayer_id: str
    identifier_kind: int
    row: lending_pb2.LoanRow


class Relied(NamedTuple):
    """What a loan relied on. See reliance.py."""

    #: The rule that says why there is none, or that it was taken back; empty for a grade that stands.
    rule: str = ""
    reliance: lending_pb2.Reliance | None = None
    recalled: bool = False
    #: Where recalled and told by the correction.
    true_grade: int = 0
    #: ISO date from which this bank held what it relied on.
    since: str = ""


class Reliances(Protocol):
    def find(self, asked: Sequence[tuple[str, str]]) -> list[Relied]:
        """Args: asked — taxpayer and day (ISO) of each loan."""
        ...


NOT_ASKED = Relied("reliance.day")
NOTHING = Relied()


@dataclass
class Block:
    """Rows that lie together, by field. Rows about which something is wrong stay in, with their rules."""

    numbers: list[int]
    rows: Sequence[Sequence[str]]
    #: field → value of each row; None where the cell tells nothing
    values: dict[str, list[Any]]
    #: place → rules it breaks
    rules: dict[int, list[str]]
    kinds: list[int]
    #: Places of rows that are not reported.
    void: set[int] = field(default_factory=set)

    def column(self, field: str) -> Sequence[Any]:
        found = self.values.get(field)
        return found if found is not None else [None] * len(self.numbers)

    def breaks(self, place: int, rule: str) -> None:
        self.rules.setdefault(place, []).append(rule)
        if RULES[rule].outcome not in (ACCEPTED, WARNED):
            self.void.add(place)


class LoanFile:
    """One opened loan file.

    Args:
        table: opened through `profile`.
        tally: counts what becomes of the rows.
        kept: takes those that are not reported.
        progress: called with the number of rows read.
    """

    def __init__(
        self,
        table: Table,
        profile: LoanProfile,
        tally: Tally,
        kept: KeptRows | None = None,
        progress: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.table = table
        self.profile = profile
        self.tally = tally
        self._kept = kept
        self._progress = progress
        self._columns = {field: cells.column(field, profile) for field in sorted(profile.given - {"taxpayer_id"})}
        self._positions: dict[str, int] = {}
        self._left_out: dict[int, str] = {}
        self._fixed = {}
        for name, word in profile.fixed.items():
            column = self._columns[name]
            self._fixed[name] = column[word]
            if word in column.broken:
                raise Invalid(f"profile {profile.name}: {word!r} is no value of {name}", basis="profile.fixed")

    def source(self) -> edition_pb2.SourceFile:
        table = self.table
        return edition_pb2.SourceFile(
            sha256=table.sha256,
            size_bytes=table.size_bytes,
            encoding=table.encoding,
            profile_sha256=table.profile.sha256,
            coverage=edition_pb2.SOURCE_COVERAGE_WHOLE,
        )

    def blocks(self) -> Iterator[Block]:
        """Rows that are empty, or have not as many cells as the heading, are counted and left out."""
        blocks = self.table.blocks()
        _, (headings,) = next(blocks)
        self._positions = self.profile.positions(headings)
        if self._kept is not None:
            self._kept.headings(headings)
        for first, rows in blocks:
            block = self._read(first, rows, len(headings))
            if block.numbers:
                yield block
            self._progress(first + len(rows) - 1)

    def texts(self, block: Block, field: str) -> list[str]:
        """The cells of a field as they stand there, without outer blanks."""
        if field in self._fixed:
            return [self.profile.fixed[field]] * len(block.numbers)
        place = self._positions[field]
        return [row[place].strip() for row in block.rows]

    def _read(self, first: int, rows: Sequence[Sequence[str]], width: int) -> Block:
        numbers: list[int] = list(range(first, first + len(rows)))
        if set(map(len, rows)) != {width}:
            for number, row in zip(numbers, rows, strict=True):
                if any(row) and len(row) != width:
                    self.end(number, ["row.columns"], row)
            fits = [len(row) == width and any(row) for row in rows]
            numbers, rows = list(compress(numbers, fits)), list(compress(rows, fits))
        block = Block(numbers, rows, {}, {}, [_USCC] * len(numbers))
        if not numbers:
            return block
        if not self.table.certain:
            self.tally.read("file", f"as {self.table.encoding}, found by trial: state it by --encoding", len(numbers))
        columns = list(zip(*rows, strict=True))
        self._identify(block, columns[self._positions["taxpayer_id"]])
        for name, column in self._columns.items():
            if name in self._fixed:
                block.values[name] = [self._fixed[name]] * len(numbers)
                self.tally.read(name, f"{self.profile.fixed[name]!r} for every row", len(numbers))
                continue
            texts = columns[self._positions[name]]
            block.values[name] = column.of(texts, self.tally)
            if column.broken:
                for place, text in enumerate(texts):
                    if text in column.broken:
                        block.breaks(place, column.broken[text])
        for name in ("reference", "product", "currency"):
            found = block.values[name]
            for place in range(len(found)) if None in found else ():
                if found[place] is None and place not in block.rules:
                    block.breaks(place, f"loan.{name}")
        return block

    def _identify(self, block: Block, texts: Sequence[str]) -> None:
        found = list(texts)
        for place in sorted(find_doubtful(texts)):
            identifier = identifiers.normalise(texts[place])
            declared = self.profile.identifiers["taxpayer_id"]
            reading, rules, _ = identify(texts[place], identifier, declared)
            found[place] = identifier
            if outcome_of(rules) in (ACCEPTED, WARNED):
                block.kinds[place] = KINDS[reading]
            for rule in rules:
                block.breaks(place, rule)
        block.values["taxpayer_id"] = found

    def end(self, number: int, rules: Sequence[str], row: Sequence[str]) -> bool:
        """How a row ends that broke rules; whether it is reported nevertheless."""
        outcome = self.tally.count(number, rules)
        reported = outcome in (ACCEPTED, WARNED)
        if not reported and self._kept is not None:
            self._kept.add(number, rules, row, self._positions["taxpayer_id"])
        return reported


    def leave_out(self, number: int, rule: str) -> None:
        """A row that was given is not reported after all: other rows decide that."""
        self.tally.recount(number, rule)
        self._left_out[number] = rule

    def keep_left_out(self) -> None:
        """The end: reads the table again where rows were left out after they were given, for their cells."""
        if not self._left_out or self._kept is None:
            return
        for first, rows in self.table.blocks():
            for number in sorted(self._left_out.keys() & range(first, first + len(rows))):
                rules = [self._left_out[number]]
                self._kept.add(number, rules, rows[number - first], self._positions["taxpayer_id"])


@contextmanager
def open_loans(
    source: str,
    profile: str,
    encoding: str = "",
    *,
    table: str = "",
    query: Path | None = None,
    kept: Path | Callable[[Table], Path] | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Iterator[LoanFile]:
    """
    Args:
        source: a CSV or XLSX file, or the URL of a database that is read by `table` or `query`.
        profile: name of one that comes with the program, or a file.
        kept: where rows that are not reported are kept, for the bank's own people; by the source, where it tells.

    Raises Invalid, UsageInvalid; Unavailable where a database is.
    """
    found = find_profile(profile, profiles.PROFILES, LoanProfile)
    with ExitStack() as stack:
        made = opening.opened(source, found, encoding, table=table, query=query, secret=LOANS_PASSWORD)
        opened = stack.enter_context(made)
        place = kept(opened) if callable(kept) else kept
        rows = stack.enter_context(KeptRows(place)) if place is not None else None
        file = LoanFile(opened, found, Tally(), rows, progress)
        yield file
        file.keep_left_out()


class Loans:
    """What is known of each loan. What thousands of loans share is made once and copied."""

    def __init__(self, given: frozenset[str]) -> None:
        self._sizes = [(name, name.removeprefix(profiles.SIZE)) for name in sorted(profiles.SIZE_FIELDS & given)]
        self._shared: dict[tuple[Any, ...], lending_pb2.Loan] = {}

    def shared(self, block: Block) -> list[lending_pb2.Loan]:
        """Of each row, but for what `fill` adds. Not to be changed: others have the same one."""
        columns = [block.column(name) for name in (*_SHARED, *(name for name, _ in self._sizes))]
        if len(self._shared) > 65_536:
            self._shared.clear()
        found = self._shared
        return [found[key] if key in found else self._make(key) for key in zip(*columns, strict=True)]

    def _make(self, key: tuple[Any, ...]) -> lending_pb2.Loan:
        product, guarantee, industry, district, first_time, currency, branch, *sizes = key
        made = lending_pb2.Loan(
            product=product, guarantee=guarantee, industry=industry, district=district, first_time=first_time,
            currency=currency, branch=branch,
            sizes=[
                lending_pb2.SizeClass(definition=definition, size=size)
                for (_, definition), size in zip(self._sizes, sizes, strict=True)
                if size is not None
            ],
        )  # fmt: skip
        self._shared[key] = made
        return made


_SHARED = ("product", "guarantee", "industry", "district", "first_time", "currency", "branch")


def fill(
    loan: lending_pb2.Loan,
    shared: lending_pb2.Loan,
    reference: str,
    rate: int | None,
    term: int | None,
    relied: Relied,
) -> None:
    """A row's own loan. It is void where the row's cells are."""
    loan.CopyFrom(shared)
    if reference is not None:
        loan.reference = reference
    if rate is not None:
        loan.annual_rate_bp = rate
    if term is not None:
        loan.term_months = term
    if relied.reliance is not None:
        loan.reliance.CopyFrom(relied.reliance)


def rely(block: Block, profile: LoanProfile, reliances: Reliances) -> list[Relied]:
    """What each row relied on; grades that the rows tell otherwise are reported."""
    rows = len(block.numbers)
    days: list[Any] = [None] * rows
    for name in reversed(profile.relied_on):
        if name in block.values:
            days = [day or before for day, before in zip(block.values[name], days, strict=True)]
    names = block.values["taxpayer_id"]
    asked = [place for place, day in enumerate(days) if day is not None and place not in block.void]
    found = [NOTHING if place in block.void else NOT_ASKED for place in range(rows)]
    for place, relied in zip(asked, reliances.find([(names[p], days[p]) for p in asked]), strict=True):
        found[place] = relied
    for place, relied in enumerate(found):
        if relied.rule:
            block.breaks(place, relied.rule)
    for place, grade in enumerate(block.values.get("grade", ())):
        if grade is not None and place not in block.void:
            reliance = found[place].reliance
            if reliance is None:
                block.breaks(place, "grade.unproven")
            elif grade != reliance.grade:
                block.breaks(place, "grade.differs")
    return found
