"""What the operator names on the command line: a source (a file or a database), its profile, a period."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

from adapters.tables import opening
from adapters.tables.profile import Profile, find_profile
from adapters.tables.reading import Table
from xinyi import days
from xinyi.errors import UsageInvalid
from xinyi.fields import FIRST_YEAR
from xinyi.settings import SOURCE_PASSWORD
from xinyi.v1 import edition_pb2

PROFILES = Path(__file__).parent / "profiles"


def opened(
    source: str, profile: str, encoding: str = "", *, table: str = "", query: Path | None = None
) -> AbstractContextManager[Table]:
    """As `adapters.tables.opening.opened`."""
    found = find_profile(profile, PROFILES, Profile)
    return opening.opened(source, found, encoding, table=table, query=query, secret=SOURCE_PASSWORD)


def check_coverage(profile: Profile, *, changes: bool) -> None:
    """Raises Invalid where a whole file is taken for a file of changes, or the other way round."""
    if changes and not profile.tells_changes:
        raise UsageInvalid(
            f"profile {profile.name} has no column `change` that says how each row changes what stands",
            basis="profile.change",
        )
    if profile.tells_changes and not changes:
        raise UsageInvalid(
            f"profile {profile.name} is of a file of changes: publish it with --changes", basis="profile.change"
        )


def parse_period(text: str, today: date | None = None) -> edition_pb2.Period:
    """Year and month, "2019-04", from 2014 to the month after this one: a list may be ready before its month begins.

    Args: today — in China; now where None.

    Raises Invalid.
    """
    year, _, month = text.partition("-")
    if not (year.isdigit() and month.isdigit() and len(year) == 4 and 1 <= int(month) <= 12):
        raise UsageInvalid(f"{text}: a period is a year and a month, 2019-04", basis="manifest.period")
    day = today or days.today()
    if int(year) < FIRST_YEAR:
        raise UsageInvalid(f"{text}: periods begin with {FIRST_YEAR}-01", basis="manifest.period")
    if 12 * int(year) + int(month) > 12 * day.year + day.month + 1:
        raise UsageInvalid(
            f"{text}: that is to come; the period of an edition is at most the month after this one",
            basis="manifest.period",
        )
    return edition_pb2.Period(year=int(year), month=int(month))
