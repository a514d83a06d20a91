"""Chinese working days: weekends and holidays, moved rest days and make-up working days (调休).

The State Council's office announces each year's days late in the year before; calendar.json holds what it said.
No year is computed from a rule: one that was not announced, or not entered yet, is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from xinyi.errors import Invalid

_DAY = timedelta(days=1)
_SATURDAY = 5


@dataclass(frozen=True)
class _Year:
    #: Mondays to Fridays without work.
    rest: frozenset[date]
    #: Saturdays and Sundays with work.
    work: frozenset[date]


def _year(year: int, entered: Mapping[str, Any]) -> _Year:
    """Raises ValueError where a day stands that would change nothing: then it is a slip."""
    rest = frozenset(date.fromisoformat(f"{year}-{day}") for day in entered["rest"])
    work = frozenset(date.fromisoformat(f"{year}-{day}") for day in entered["work"])
    for day in rest | work:
        if (day in rest) == (day.weekday() >= _SATURDAY):
            raise ValueError(f"calendar.json: {day} is no day off or at work other than its weekday says")
    return _Year(rest, work)


_ENTERED = json.loads((Path(__file__).parent / "calendar.json").read_text(encoding="utf-8"))
_YEARS = {int(year): _year(int(year), entered) for year, entered in _ENTERED["years"].items()}

#: Of the data; stands beside every due date that was counted with it.
VERSION: str = _ENTERED["version"]


def is_working_day(day: date) -> bool:
    """Raises Invalid (calendar.year) for a year that was not entered."""
    year = _YEARS.get(day.year)
    if year is None:
        raise Invalid(
            f"the working days of {day.year} are not in calendar {VERSION} ({min(_YEARS)} to {max(_YEARS)}): "
            "install the release that holds them, or enter them (docs/operations.md, The calendar)",
            basis="calendar.year",
        )
    return day in year.work or (day.weekday() < _SATURDAY and day not in year.rest)


def on_or_next_working_day(day: date) -> date:
    """`day` itself where it is worked. Raises Invalid (calendar.year)."""
    while not is_working_day(day):
        day += _DAY
    return day


def add_working_days(day: date, count: int) -> date:
    """The `count`-th working day after `day`, which is not counted itself; 0 is the day as it is.

    Raises Invalid (calendar.year) where a day that has to be counted is of a year that was not entered.
    """
    for _ in range(count):
        day = on_or_next_working_day(day + _DAY)
    return day
