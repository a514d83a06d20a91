"""Days begin in China at 16:00 UTC of the day before."""

from __future__ import annotations

from datetime import UTC, date, datetime

from xinyi import days

NEW_YEAR = int(datetime(2018, 12, 31, 16, tzinfo=UTC).timestamp() * 1000)


def test_a_day_begins_and_ends_by_the_legal_time_of_china() -> None:
    first = date(2019, 1, 1)
    assert (days.begin_of(first), days.end_of(first)) == (NEW_YEAR, NEW_YEAR + 86_400_000 - 1)
    assert [days.day_of(NEW_YEAR + ms) for ms in (-1, 0, 86_400_000 - 1)] == [date(2018, 12, 31), first, first]


def test_a_moment_is_shown_in_it() -> None:
    assert days.moment(NEW_YEAR + 1).isoformat(" ", "milliseconds") == "2019-01-01 00:00:00.001+08:00"
