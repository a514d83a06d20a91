"""Chinese working days, and the terms that are counted in them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from xinyi import calendar, terms
from xinyi.errors import Invalid
from xinyi.objections import check_term
from xinyi.v1 import objection_pb2


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        ("2018-02-13", 3, "2018-02-23"),  # over the Spring Festival
        ("2018-09-28", 3, "2018-10-08"),  # a Saturday and a Sunday are worked before the National Day
        ("2018-02-10", 1, "2018-02-11"),  # a Sunday that is worked
        ("2017-12-29", 1, "2018-01-02"),  # over the end of a year
        ("2018-02-15", 0, "2018-02-15"),
        ("2020-01-23", 1, "2020-02-03"),  # prolonged in January 2020
        ("2026-02-13", 2, "2026-02-24"),
    ],
)
def test_working_days_are_counted(start: str, count: int, end: str) -> None:
    """The day a term begins on is not counted; moved days are."""
    assert calendar.add_working_days(date.fromisoformat(start), count) == date.fromisoformat(end)


def test_the_tenth_or_the_next_working_day() -> None:
    """10 February 2018 is a Saturday; the Sunday after it is worked."""
    assert calendar.on_or_next_working_day(date(2018, 2, 10)) == date(2018, 2, 11)
    assert calendar.on_or_next_working_day(date(2018, 4, 10)) == date(2018, 4, 10)
    assert calendar.is_working_day(date(2018, 2, 11))
    assert not calendar.is_working_day(date(2018, 2, 17))
    assert not calendar.is_working_day(date(2018, 10, 1))


@pytest.mark.parametrize("day", [date(2003, 12, 31), date(2027, 1, 1)])
def test_a_year_without_data_is_refused(day: date) -> None:
    """Nobody guesses a year that was not announced; what is asked for before it is still answered."""
    with pytest.raises(Invalid, match=str(day.year)) as refused:
        calendar.is_working_day(day)
    assert refused.value.basis == "calendar.year"
    with pytest.raises(Invalid):
        calendar.add_working_days(date(2026, 12, 21), 15)
    assert calendar.add_working_days(date(2026, 12, 21), 8) == date(2026, 12, 31)


def test_every_year_is_plausible() -> None:
    """About 250 working days a year; new year, Labour Day and National Day are none of them."""
    for year in range(2004, 2027):
        days = [date(year, 1, 1) + timedelta(n) for n in range(366)]
        worked = [day for day in days if day.year == year and calendar.is_working_day(day)]
        assert 247 <= len(worked) <= 253, (year, len(worked))
        assert not {date(year, 1, 1), date(year, 5, 1), date(year, 10, 1)} & set(worked)


def test_terms_are_valid_and_counted() -> None:
    """The shipped terms pass the contract's own check; a tax objection is decided in 15 working days."""
    for term in terms.TERMS.values():
        check_term(term, "term")
    objection = terms.TERMS[terms.TAX_OBJECTION]
    assert (objection.amount, objection.calendar, objection.confirmed) == (15, calendar.VERSION, False)
    assert terms.due_on(objection, date(2018, 2, 13)) == date(2018, 3, 12)
    plain = objection_pb2.Term(amount=20, unit=objection_pb2.TERM_UNIT_CALENDAR_DAYS)
    assert terms.due_on(plain, date(2018, 2, 13)) == date(2018, 3, 5)
