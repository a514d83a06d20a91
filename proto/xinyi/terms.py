"""The terms of terms.toml, and the dates that follow from a term."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from xinyi import calendar
from xinyi.errors import Invalid
from xinyi.v1 import objection_pb2 as pb

#: An enterprise objects to its tax credit grade.
TAX_OBJECTION = "tax-objection"


def _term(values: Mapping[str, Any]) -> pb.Term:
    term = pb.Term(
        nature=f"TERM_NATURE_{values['nature'].upper()}",
        basis=values["basis"],
        amount=values["amount"],
        unit=f"TERM_UNIT_{values['unit'].upper()}",
        confirmed=values["confirmed"],
    )
    if term.unit == pb.TERM_UNIT_WORKING_DAYS:
        term.calendar = calendar.VERSION
    return term


TERMS: Mapping[str, pb.Term] = {
    name: _term(values)
    for name, values in tomllib.loads(
        (Path(__file__).parent / "terms.toml").read_text(encoding="utf-8")
    ).items()
}


def due_on(term: pb.Term, start: date) -> date:
    """The last day of a term that begins on `start`, which is not counted.

    Counted with this program's calendar, whatever the term names. Raises Invalid (calendar.year, term.amount).
    """
    if term.unit == pb.TERM_UNIT_WORKING_DAYS:
        return calendar.add_working_days(start, term.amount)
    try:
        return start + timedelta(days=term.amount)
    except OverflowError as error:
        raise Invalid(f"a term of {term.amount} days ends in no year", basis="term.amount") from error
