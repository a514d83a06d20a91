"""What the operator names on the command line: a source file, its profile, a period."""

from __future__ import annotations

from pathlib import Path

from adapters.tables.profile import Profile
from adapters.tables.reading import Table, open_table
from xinyi.errors import Invalid
from xinyi.v1 import edition_pb2

PROFILES = Path(__file__).parent / "profiles"


def open_source(file: Path, profile: str, encoding: str) -> Table:
    return open_table(file, find_profile(profile), encoding=encoding)


def find_profile(name: str) -> Profile:
    """A profile file, or one of those that come with the program, by name. Raises Invalid."""
    shipped = {path.stem: path for path in PROFILES.glob("*.toml")}
    path = shipped.get(name, Path(name))
    if not name or not path.is_file():
        raise Invalid(f"no profile {name!r}; shipped: {', '.join(sorted(shipped))}", basis="profile.file")
    return Profile.load(path)


def check_coverage(profile: Profile, *, changes: bool) -> None:
    """Raises Invalid where a whole file is taken for a file of changes, or the other way round."""
    if changes and not profile.tells_changes:
        raise Invalid(
            f"profile {profile.name} has no column `change` that says how each row changes what stands",
            basis="profile.change",
        )
    if profile.tells_changes and not changes:
        raise Invalid(
            f"profile {profile.name} is of a file of changes: publish it with --changes", basis="profile.change"
        )


def parse_period(text: str) -> edition_pb2.Period:
    """Year and month, "2019-04". Raises Invalid."""
    year, _, month = text.partition("-")
    if not (year.isdigit() and month.isdigit() and len(year) == 4 and 1 <= int(month) <= 12):
        raise Invalid(f"{text}: a period is a year and a month, 2019-04", basis="manifest.period")
    return edition_pb2.Period(year=int(year), month=int(month))
