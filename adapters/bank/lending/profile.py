"""Mapping profiles of loan files: which column means which field, in which unit, and which event happened when.

A profile says what the source means, never what a value should have been. Whatever is read in another way than it is
written stands in the quality report, so each line of a profile that does that is answered for (quality.py).
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from adapters.tables.profile import Profile
from xinyi.errors import UsageInvalid
from xinyi.margins import SIZES
from xinyi.settings import Section
from xinyi.v1 import lending_pb2

PROFILES = Path(__file__).parent / "profiles"

#: Hundredths of the currency's unit in one of these: fen for CNY, cents for USD.
UNITS = {"fen": 1, "cent": 1, "yuan": 100, "dollar": 100, "wan": 1_000_000}
#: Hundredths of a per cent a year in one of these.
RATES = {"per_cent": 100, "basis_points": 1}
TERMS = {"months": 1, "years": 12}

SIZE = "size/"
TEXTS = frozenset(("reference", "product", "industry", "district", "branch", "outcome_id", "corrects", "reason_code"))
WORDS = frozenset(
    (
        "guarantee", "first_time", "loan_class", "grade", "newly_granted", "refused", "stage", "status", "currency",
        "voids",
    )
)  # fmt: skip
AMOUNTS = frozenset(("granted", "balance", "amount", "credit_line"))
DATES = frozenset(("granted_on", "refused_on", "applied_on", "approved_on", "ended_on", "event_date"))
NUMBERS = frozenset(("rate", "term", "days_overdue"))
AUTHORISATION = frozenset(
    ("authorisation_digest", "authorisation_scope", "authorisation_from", "authorisation_to")
)
SIZE_FIELDS = frozenset(SIZE + definition for definition in SIZES)
FIELDS = frozenset({"taxpayer_id"}) | TEXTS | WORDS | AMOUNTS | DATES | NUMBERS | AUTHORISATION | SIZE_FIELDS
#: What a loan of a table has at least.
_LOAN = frozenset(("reference", "product", "currency"))
#: `authorisation_digest` of a public record: that of the file itself.
OF_FILE = "of-file"

_TERM_LATER = re.compile(r"([a-z_]+)(?: \+ term)?")


class EventProfile(Section):
    """One event that a row tells of."""

    stage: str
    #: Fields of dates, the first of them that the row has; "granted_on + term" adds the loan's term in months.
    date: tuple[str, ...] = Field(min_length=1)
    #: Where the day that this comes to is later: this one.
    not_after: str = ""
    #: Field of an amount; none where the stage has no amount.
    amount: str = ""
    balance: str = ""
    credit_line: str = ""
    #: field → words as they stand in the table: the event happened where the row has one of them in each
    when: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: Why it is read so, where the source does not say it; stands in the report.
    because: str = ""

    @model_validator(mode="after")
    def _known(self) -> EventProfile:
        if f"STAGE_{self.stage.upper()}" not in lending_pb2.Stage.keys()[1:]:
            raise ValueError(f"{self.stage!r} is no stage")
        for expression in self.date:
            match = _TERM_LATER.fullmatch(expression)
            if match is None or match[1] not in DATES:
                raise ValueError(f"{expression!r} is no date: granted_on, or granted_on + term")
        if self.not_after:
            date.fromisoformat(self.not_after)
        for amount in (self.amount, self.balance, self.credit_line):
            if amount and amount not in AMOUNTS:
                raise ValueError(f"{amount!r} is no field of an amount")
        return self

    @property
    def number(self) -> lending_pb2.Stage:
        return lending_pb2.Stage.Value(f"STAGE_{self.stage.upper()}")  # type: ignore[return-value]


class LoanProfile(Profile):
    # Of editions alone.
    product: str = ""
    #: field of an amount → unit, never left out
    units: dict[str, Literal["fen", "cent", "yuan", "dollar", "wan"]] = Field(default_factory=dict)
    rate_unit: Literal["per_cent", "basis_points"] = "per_cent"
    term_unit: Literal["months", "years"] = "months"
    #: field → cells that mean that it is not known, besides an empty one
    absent: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: Of dates: what a number counts, "days since 1960-01-01".
    days_since: str = ""
    #: All dates are moved by so many days, and the report says so.
    move_days: int = 0
    #: newly_granted, granted, refused → field of the date that has to lie in the period
    within_period: dict[Literal["newly_granted", "granted", "refused"], str] = Field(default_factory=dict)
    #: Fields of the day on which a grade was relied on: the first that the row has.
    relied_on: tuple[str, ...] = ("granted_on", "refused_on")
    events: tuple[EventProfile, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> LoanProfile:
        given = self.given
        unknown: frozenset[str] | set[str]
        if unknown := given - FIELDS:
            raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
        if missing := (_LOAN | {"taxpayer_id"}) - given:
            raise ValueError(f"missing fields: {', '.join(sorted(missing))}")
        if "taxpayer_id" not in self.columns or "taxpayer_id" not in self.identifiers:
            raise ValueError("taxpayer_id needs a column, and says in [identifiers] as what it is declared")
        if wrong := (AMOUNTS & given) ^ self.units.keys():
            raise ValueError(f"the unit of each amount is stated, and of nothing else: {', '.join(sorted(wrong))}")
        used: set[str] = {*self.within_period.values(), *(f for e in self.events for f in _fields_of(e))}
        used |= {*self.absent, *self.words}
        if unknown := used - given:
            raise ValueError(f"neither a column nor fixed: {', '.join(sorted(unknown))}")
        if self.days_since:
            date.fromisoformat(self.days_since)
        return self

    @property
    def given(self) -> frozenset[str]:
        """Fields that have a column or are fixed."""
        return frozenset(self.columns.keys() | self.fixed.keys())

    def check_table(self) -> None:
        """Raises Invalid where it cannot say how a loan stands at a period's end."""
        flags = self.given | self.within_period.keys()
        if missing := {"newly_granted", "granted", "balance", "loan_class"} - flags:
            raise UsageInvalid(
                f"profile {self.name} says nothing of {', '.join(sorted(missing))}, so it is none for totals of a "
                "period: add columns, fixed values or [within_period]",
                basis="profile.table",
            )

    def check_outcomes(self) -> None:
        """Raises Invalid where it cannot say which event happened, or on whose consent."""
        if missing := AUTHORISATION - self.given:
            raise UsageInvalid(
                f"profile {self.name} says nothing of {', '.join(sorted(missing))}: single loans travel with the "
                "borrower's authorisation only (征信业管理条例 art. 29 ¶2)",
                basis="profile.authorisation",
            )
        if not self.events and not {"stage", "event_date"} <= self.given:
            raise UsageInvalid(
                f"profile {self.name} has neither [[events]] nor columns stage and event_date", basis="profile.events"
            )


def _fields_of(event: EventProfile) -> set[str]:
    dates = {expression.removesuffix(" + term") for expression in event.date}
    if any(expression.endswith(" + term") for expression in event.date):
        dates.add("term")
    return dates | set(event.when) | {field for field in (event.amount, event.balance, event.credit_line) if field}
