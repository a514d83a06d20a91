"""A bank's loan file as the rows of a report: read through its profile, every row under a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.bank.lending.lines import LoanLines
from adapters.bank.lending.reading import LoanFile, LoanLine, Reliances, open_loans
from adapters.bank.lending.reliance import open_reliances
from adapters.party.home import Home
from xinyi.v1 import edition_pb2, lending_pb2


class LoanRows:
    def __init__(self, file: LoanFile, period: lending_pb2.LendingPeriod, reliances: Reliances) -> None:
        self._file = file
        self._lines = LoanLines(file, period, reliances)

    def __iter__(self) -> Iterator[LoanLine]:
        return iter(self._lines)

    def leave_out(self, line: int, rule: str) -> None:
        self._file.leave_out(line, rule)

    def source(self) -> edition_pb2.SourceFile:
        return self._file.source()

    def rules(self) -> list[edition_pb2.RuleCount]:
        return self._file.tally.sealed()

    def report(self) -> dict[str, Any]:
        """The quality report, whole once all rows were given."""
        return self._file.tally.report()


@contextmanager
def open_rows(
    home: Home,
    source: str,
    profile: str,
    period: lending_pb2.LendingPeriod,
    *,
    encoding: str = "",
    table: str = "",
    query: Path | None = None,
    kept: Path | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Iterator[LoanRows]:
    """Rows with the grades that they relied on, from the editions held here.

    Args: as `open_loans`. Raises as that, as `open_reliances`, and UsageInvalid where the profile is none of totals.
    """
    loans = open_loans(source, profile, encoding, table=table, query=query, kept=kept, progress=progress)
    with loans as file, open_reliances(home) as reliances:
        yield LoanRows(file, period, reliances)
