"""A bank's report of a period: its rows to a table, which a person sees, the bank seals, and the gateway receipts.

Every step can be repeated. What was sealed once is sent until the gateway has answered it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.bank.lending.answers import Answers
from adapters.bank.lending.building import build
from adapters.bank.lending.client import Way, is_final
from adapters.bank.lending.kept import KeptTable, KeptTables
from adapters.bank.lending.reading import LoanLine
from adapters.bank.lending.staging import Staging
from adapters.party.home import Home
from xinyi.days import today
from xinyi.errors import Conflict, Invalid, NotEntitled, Refused, Unavailable, UsageInvalid
from xinyi.lending import check_lending_table, last_day, period_name
from xinyi.v1 import edition_pb2, lending_pb2
from xinyi.v1.lending_service_pb2 import ReportingTerms

_POLL_S = 0.5
#: Where more than one row in so many is left out, somebody says that this is right.
FEW = 10


@dataclass(frozen=True)
class Order:
    """What is to be reported. Args: corrects — digest of the table whose place it takes; empty for none."""

    terms: ReportingTerms
    period: lending_pb2.LendingPeriod
    corrects: bytes = b""
    reason: str = ""

    def draft(self, home: Home) -> lending_pb2.LendingTable:
        """The table but for what the rows come to, and its time."""
        return lending_pb2.LendingTable(
            bank=home.party,
            period=self.period,
            currency=self.terms.currency,
            agreement_id=self.terms.agreement_id,
            corrects=self.corrects,
            reason=self.reason,
            issued_by=home.settings.holder,
        )


def choose_terms(
    terms: Sequence[ReportingTerms], period: lending_pb2.LendingPeriod, agreement: str = ""
) -> ReportingTerms:
    """Those under which this period is reported. Raises UsageInvalid, NotEntitled."""
    named = [one for one in terms if agreement in ("", one.agreement_id)]
    found = [one for one in named if one.months == period.months]
    if not named:
        raise NotEntitled(
            "no agreement in force wants tables of this bank"
            if not terms
            else f"of the agreements that want tables none is {agreement}: {', '.join(t.agreement_id for t in terms)}",
            basis="lending.terms",
        )
    if not found:
        lengths = ", ".join(f"{one.agreement_id}: {one.months} months" for one in named)
        raise UsageInvalid(
            f"{period_name(period)} has another length than is agreed ({lengths})", basis="lending.period"
        )
    if len(found) > 1:
        raise UsageInvalid(
            "several agreements want this period, name one with --agreement: "
            f"{', '.join(one.agreement_id for one in found)}",
            basis="lending.agreement",
        )
    return found[0]


def check_over(period: lending_pb2.LendingPeriod) -> None:
    """Raises Invalid for a period that is not over, in China."""
    if today() <= last_day(period):
        raise Invalid(f"{period_name(period)} ends on {last_day(period)}: it is not over", basis="table.issued_at")


def check_rows(
    made: lending_pb2.LendingTable, read: int, left_out: int, *, nothing_lent: bool, accepted: int | None
) -> bool:
    """Whether so few rows were left out, or so many by somebody's word, that the table tells of the file.

    Args: read, left_out — rows; accepted — so many may be missing.

    Raises Invalid where none is left, UsageInvalid for a table without rows that nobody meant, Conflict where another
    number was accepted.
    """
    if left_out and not made.rows:
        raise Invalid(
            f"none of the {read:,} rows is reported, {left_out:,} were left out: nothing was sealed; mend them, or the "
            "profile",
            basis="table.rows",
        )
    if nothing_lent is not (made.rows == 0):
        raise UsageInvalid(
            f"{made.rows:,} rows tell of loans: leave --nothing-lent out"
            if made.rows
            else "no row tells of a loan in this period: is it the right file? If nothing was lent and nothing is "
            "owed, say so by --nothing-lent",
            basis="table.rows",
        )
    if accepted is not None and accepted != left_out:
        raise Conflict(f"{left_out} rows were left out, and not {accepted}", basis="table.left_out")
    return accepted is not None or left_out * FEW <= read


class Rows(Protocol):
    """A source's rows, and what became of them."""

    def __iter__(self) -> Iterator[LoanLine]: ...

    def leave_out(self, line: int, rule: str) -> None:
        """One that was given is not in the table after all, under this rule."""
        ...

    def source(self) -> edition_pb2.SourceFile:
        """Known from the start."""
        ...

    def rules(self) -> Iterable[edition_pb2.RuleCount]:
        """Ascending by rule, then outcome."""
        ...


def make(
    place: Path, home: Home, order: Order, rows: Rows, counted: Callable[[int], object] = lambda leaves: None
) -> lending_pb2.LendingTable:
    """The table as it would be sealed now, its rows in the folder. Memory stays flat.

    Args: place — of `KeptTables.making`; counted — is told now and then how many enterprises are in the tree.

    Raises Invalid where rows are there and tell nothing, or one is out of range; Unavailable where the disk is full.
    """
    try:
        with Staging(place, order.terms.dimensions, order.terms.currency) as staging:
            staging.take(rows)
            staging.settle()
            for line, rule in staging.broken():
                rows.leave_out(line, rule)
            built = build(staging, place, counted)
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the rows cannot be put in order in {place}: {error}", basis="report.disk") from error
    table = order.draft(home)
    table.rows, table.firms, table.root = built.rows, built.firms, built.root
    table.margins.extend(built.margins)
    if table.rows and len(table.margins) == 1:
        raise Invalid(
            f"none of the {table.rows:,} rows has a loan granted in the period, a balance at its end, or a refusal: is "
            "the profile the right one?",
            basis="table.margins",
        )
    table.rules.extend(rows.rules())
    table.source.CopyFrom(rows.source())
    table.issued_at_ms = time.time_ns() // 1_000_000
    check_lending_table(table)
    return table


def seal_once(
    tables: KeptTables,
    home: Home,
    order: Order,
    rows: Rows,
    agreed: Callable[[lending_pb2.LendingTable], bool],
    counted: Callable[[int], object] = lambda leaves: None,
) -> KeptTable | None:
    """The table of this order and source: the one that was sealed before, or one that is made and sealed now.

    Call under the tables' lock. A crash anywhere leaves a sealed table, which the next time is found here, or none.

    Args: agreed — is shown what would leave the bank, unless it left before.

    None where that says no; nothing is sealed then. Raises as `make`.
    """
    kept = tables.find(order.draft(home), rows.source())
    if kept is not None:
        return kept if kept.receipt is not None or agreed(kept.message) else None
    with tables.making() as place:
        made = make(place, home, order, rows, counted)
        return tables.keep(place, made, *home.signers()) if agreed(made) else None


def send(kept: KeptTable, way: Way, *, wait_s: float = 0) -> lending_pb2.TableReceipt | None:
    """The receipt; None where a folder had no answer in time. After a crash, or a lost answer, the same table goes out
    again and gets the same answer. Raises the gateway's refusal, and keeps it where it is final."""
    until = time.monotonic() + wait_s
    try:
        while (answered := way.submit_table(kept.sealed)) is None and time.monotonic() < until:
            time.sleep(_POLL_S)
    except Refused as error:
        if error.sealed and is_final(error):
            kept.refuse(error.sealed)
        raise
    if answered is None:
        return None
    kept.answered(answered.acknowledgement.envelope, answered.receipt.envelope)
    return answered.receipt.message


def prove(kept: Answers, way: Way, *, wait_s: float) -> int | None:
    """Index of its entry in the log, the proof kept; None where the log has not published it in time."""
    if kept.log_index is None and (proof := way.prove(kept.leaf, wait_s=wait_s)) is not None:
        kept.proven(proof)
    return kept.log_index
