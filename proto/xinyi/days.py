"""Days as they are counted in China: one legal time for the whole country, eight hours ahead of UTC, all year.

Days of agreements, of deadlines, of questions and of decisions are such days; times are shown in it.
"""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
DAY_MS = 86_400_000


def moment(ms: int) -> datetime:
    """Args: ms — since 1970 UTC, as in all below."""
    return datetime.fromtimestamp(ms / 1000, CHINA)


def day_of(ms: int) -> date:
    return moment(ms).date()


def today() -> date:
    return day_of(time.time_ns() // 1_000_000)


def begin_of(day: date) -> int:
    """The first millisecond of a day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp() * 1000)


def end_of(day: date) -> int:
    """The last millisecond of a day."""
    return begin_of(day) + DAY_MS - 1
