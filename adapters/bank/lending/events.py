"""Events of single loans out of a bank's file: what a row tells of, when, of how much, and on whose consent.

A row tells of one event (columns `stage` and `event_date`), or of several as the profile's [[events]] say. A row
without an authorisation that is valid on the day of the report ends here: it does not leave the bank.
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from adapters.bank.lending.profile import EventProfile
from adapters.bank.lending.reading import NOTHING, Block, LoanFile, Loans, Reliances, fill, rely
from adapters.bank.lending.rules import CONSENT
from xinyi.errors import Invalid
from xinyi.lending import check_authorisation
from xinyi.v1 import lending_pb2

#: Of a LendingOutcome's own and a loan's id.
_MOST_LETTERS = 64
_REJECTED, _DISBURSED = lending_pb2.STAGE_REJECTED, lending_pb2.STAGE_DISBURSED
#: Stages that say nothing without an amount.
_PAID = frozenset({_DISBURSED, lending_pb2.STAGE_REPAID, lending_pb2.STAGE_WRITTEN_OFF})


@dataclass(frozen=True, slots=True)
class EventRow:
    """What one row of a file comes to; each of its events is reported, or none."""

    line: int
    outcomes: Sequence[lending_pb2.LendingOutcome]


class EventRows:
    """The rows of a file that are reported as single loans. Iterate once; `file.tally` is whole then.

    Args: day — of the report, in China.

    Raises Invalid where the profile says nothing of events or consent, and as the table does.
    """

    def __init__(self, file: LoanFile, reliances: Reliances, day: datetime.date) -> None:
        file.profile.check_outcomes()
        self.file = file
        self._reliances = reliances
        self._day, self._today = day, day.isoformat()
        self._loans = Loans(file.profile.given)
        self._of_row = not file.profile.events
        self._events = [(event, _latest(event, file.profile.move_days)) for event in file.profile.events]

    def __iter__(self) -> Iterator[EventRow]:
        for block in self.file.blocks():
            yield from self._rows(block)

    def _rows(self, block: Block) -> Iterator[EventRow]:
        shared = self._loans.shared(block)
        relied = rely(block, self.file.profile, self._reliances)
        fields = list(block.values)
        texts = {field: self.file.texts(block, field) for event, _ in self._events for field in event.when}
        clean = 0
        for place, values in enumerate(zip(*block.values.values(), strict=True)):
            row = dict(zip(fields, values, strict=True))
            rules = block.rules.get(place, [])
            readings: list[tuple[str, str]] = []
            outcomes: list[lending_pb2.LendingOutcome] = []
            if place not in block.void:
                consent = self._consent(row)
                if consent is None:
                    rules = [*rules, CONSENT]
                else:
                    told = {field: column[place] for field, column in texts.items()}
                    outcomes, broken = self._outcomes(row, told, readings)
                    rules = [*rules, *broken]
                    if any(outcome.event_date > self._today for outcome in outcomes):
                        rules.append("outcome.event_date")
                    for outcome in outcomes:
                        outcome.identifier_kind = block.kinds[place]  # type: ignore[assignment]
                        held = outcome.event_date >= relied[place].since
                        fill(
                            outcome.loan, shared[place], row["reference"], row.get("rate"), row.get("term"),
                            relied[place] if held else NOTHING,
                        )  # fmt: skip
                        if not held:
                            readings.append(("reliance", "of no grade: the event lies before the edition came"))
                        outcome.authorisation.CopyFrom(consent)
            number = block.numbers[place]
            if not rules:
                clean += 1
            elif not self.file.end(number, rules, block.rows[place]):
                continue
            for field, how in readings:
                self.file.tally.read(field, how)
            yield EventRow(number, outcomes)
        self.file.tally.count_clean(clean)

    def _consent(self, row: dict[str, Any]) -> lending_pb2.Authorisation | None:
        """Of the row, where it is valid today."""
        digest = row["authorisation_digest"]
        if digest is None:
            return None
        authorisation = lending_pb2.Authorisation(
            digest=digest or self.file.table.sha256,
            scope=row["authorisation_scope"],
            valid_from=row["authorisation_from"],
            valid_to=row["authorisation_to"],
        )
        try:
            check_authorisation(authorisation, self._day)
        except Invalid:
            return None
        return authorisation

    def _outcomes(
        self, row: dict[str, Any], told: dict[str, str], readings: list[tuple[str, str]]
    ) -> tuple[list[lending_pb2.LendingOutcome], list[str]]:
        """(events, rules that the row breaks by what they say together)."""
        if self._of_row:
            return _event_of_row(row)
        happened = [
            (event, latest)
            for event, latest in self._events
            if all(told[field] in words for field, words in event.when.items())
        ]
        if not happened:
            return [], ["outcome.event"]
        rules = ["outcome.status"] if self._contradicts(row, [event for event, _ in happened]) else []
        found = []
        for event, latest in happened:
            day = _day_of(event, row, latest, readings)
            amount = row[event.amount] if event.amount else 0
            if day is None:
                return [], [*rules, "outcome.event_date"]
            if amount is None or (event.stage == "disbursed" and not amount):
                return [], [*rules, "outcome.amount"]
            outcome_id = f"{row['reference']}.{event.stage.replace('_', '-')}"
            if len(outcome_id) > _MOST_LETTERS:
                return [], [*rules, "outcome.id"]
            found.append(
                lending_pb2.LendingOutcome(
                    outcome_id=outcome_id, taxpayer_id=row["taxpayer_id"], stage=event.number, event_date=day,
                    amount=amount, balance=row[event.balance] if event.balance else None,
                    credit_line=row[event.credit_line] if event.credit_line else None,
                )
            )  # fmt: skip
            if event.because:
                readings.append((event.stage, event.because))
        return found, rules

    def _contradicts(self, row: dict[str, Any], happened: Sequence[EventProfile]) -> bool:
        """Whether the row has the day of an event that did not happen by its status."""
        used = {expression for event in happened for expression in event.date}
        return any(
            expression not in used and row.get(expression) is not None
            for event, _ in self._events
            if event not in happened
            for expression in event.date
        )


def _event_of_row(row: dict[str, Any]) -> tuple[list[lending_pb2.LendingOutcome], list[str]]:
    stage, day = row["stage"], row["event_date"]
    if stage is None:
        return [], ["outcome.stage"]
    if day is None:
        return [], ["outcome.event_date"]
    amount = row.get("amount")
    if stage in _PAID and (amount is None or (stage == _DISBURSED and not amount)):
        return [], ["outcome.amount"]
    word = lending_pb2.Stage.Name(stage).removeprefix("STAGE_").lower().replace("_", "-")
    outcome_id = row.get("outcome_id") or f"{row['reference']}.{word}"
    if len(outcome_id) > _MOST_LETTERS:
        return [], ["outcome.id"]
    if row.get("corrects") == outcome_id or (row.get("voids") and not row.get("corrects")):
        return [], ["outcome.corrects"]
    outcome = lending_pb2.LendingOutcome(
        outcome_id=outcome_id, taxpayer_id=row["taxpayer_id"], stage=stage, event_date=day, amount=amount,
        credit_line=row.get("credit_line"), balance=row.get("balance"), loan_class=row.get("loan_class"),
        days_overdue=row.get("days_overdue"), corrects=row.get("corrects"),
        voids=row.get("voids"),
        reason_code=row.get("reason_code") if stage == _REJECTED else None,
    )  # fmt: skip
    return [outcome], []


def _latest(event: EventProfile, moved: int) -> str:
    """The day after which nothing is dated, moved as all days are; empty for none."""
    if not event.not_after:
        return ""
    return (datetime.date.fromisoformat(event.not_after) + datetime.timedelta(moved)).isoformat()


def _day_of(
    event: EventProfile, row: dict[str, Any], latest: str, readings: list[tuple[str, str]]
) -> str | None:
    """The first day of the profile's that the row tells. What is not simply told is reported."""
    for expression in event.date:
        field, later = expression.removesuffix(" + term"), expression.endswith(" + term")
        day, term = row[field], row.get("term")
        if day is None or (later and term is None):
            continue
        if later:
            day = _months_later(day, term)
        if latest and day > latest:
            readings.append((event.stage, f"on {event.not_after}, moved as all days: {expression} would be later"))
            return latest
        if later or expression != event.date[0]:
            first = "" if expression == event.date[0] else f", as {event.date[0]} cannot be told"
            readings.append((event.stage, f"on the day of {expression}{first}"))
        return str(day)
    return None


@lru_cache(maxsize=65_536)
def _months_later(day: str, months: int) -> str:
    """The same day of a later month, or its last one."""
    begun = datetime.date.fromisoformat(day)
    year, month = divmod(begun.year * 12 + begun.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return datetime.date(year, month + 1, min(begun.day, last)).isoformat()
