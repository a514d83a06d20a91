"""Mapping profiles: which column of a table means which field. Data, so that a new source is no code.

A profile says what the source means, never what a value should have been. Its digest is sealed beside every
edition that was read through it.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, PrivateAttr, ValidationError

from xinyi.errors import Invalid, UsageInvalid
from xinyi.settings import Section

#: As what the source declares a column of identifiers.
Declaration = Literal["taxpayer_number", "registration_number", "undeclared"]

_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00(?::00)?)?")


class Profile(Section):
    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    #: What a table read through it is published as.
    product: str
    #: Of a CSV file: "utf-8" or "gb18030". Where it is left out it has to be stated on the command line.
    encoding: str = ""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    #: Of a workbook; its only sheet where left out.
    sheet: str = ""
    header_row: int = Field(default=1, ge=1, le=100)
    #: field → heading, exactly as it stands in the table
    columns: dict[str, str]
    #: field → what its column is declared as
    identifiers: dict[str, Declaration] = Field(default_factory=dict)
    #: field → the same value for every row
    fixed: dict[str, str] = Field(default_factory=dict)
    #: field → word in the table → value
    words: dict[str, dict[str, str]] = Field(default_factory=dict)
    #: strptime formats, tried in this order, besides ISO dates
    date_formats: tuple[str, ...] = ()
    #: product → grades it holds, where these are not all: in a file of changes any other grade says that the taxpayer
    #: has left it
    grades: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: field → endings that a web page or a program put behind the value
    drop_suffixes: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    _sha256: bytes = PrivateAttr(default=b"")

    @property
    def sha256(self) -> bytes:
        """Of the profile's file."""
        return self._sha256

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises Invalid naming what is unknown, missing or contradictory in the file."""
        data = path.read_bytes()
        try:
            profile = cls.model_validate(tomllib.loads(data.decode()))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"{path} is not TOML: {error}", basis="profile.file") from error
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_input=False)
            )
            raise Invalid(f"{path}: {problems}", basis="profile.keys") from error
        both = profile.columns.keys() & profile.fixed.keys()
        if both:
            names = ", ".join(sorted(both))
            raise Invalid(f"{path}: {names} has a column and is fixed", basis="profile.keys")
        without = (profile.identifiers.keys() | profile.drop_suffixes.keys()) - profile.columns.keys()
        if without:
            raise Invalid(f"{path}: {', '.join(sorted(without))} has no column", basis="profile.keys")
        profile._sha256 = hashlib.sha256(data).digest()
        return profile

    @property
    def tells_changes(self) -> bool:
        """Whether a column says how each row changes what stands."""
        return "change" in self.columns

    def positions(self, headings: list[str]) -> dict[str, int]:
        """field → column number. Raises Invalid where a heading is missing or stands twice."""
        found = {}
        for field, heading in self.columns.items():
            times = headings.count(heading)
            if times != 1:
                raise Invalid(
                    f"the heading {heading!r} of {field} stands {times} times in row {self.header_row}; "
                    f"there are: {', '.join(headings)[:300]}",
                    basis="profile.columns",
                )
            found[field] = headings.index(heading)
        return found

    def tidy(self, field: str, value: str) -> str:
        """Without outer blanks and without what the profile declares to be no part of the value."""
        value = value.strip()
        for suffix in self.drop_suffixes.get(field, ()):
            value = value.removesuffix(suffix).rstrip()
        return value

    def word(self, field: str, value: str) -> str:
        """What the source's word stands for; a word that is not listed stands for itself."""
        return self.words.get(field, {}).get(value, value)

    def date(self, value: str) -> str:
        """ISO date. Raises ValueError where no format of the profile fits."""
        if match := _ISO.fullmatch(value):
            return datetime.date.fromisoformat(match[1]).isoformat()
        for form in self.date_formats:
            try:
                return datetime.datetime.strptime(value, form).date().isoformat()  # noqa: DTZ007
            except ValueError:
                continue
        raise ValueError("no date format of the profile fits")


P = TypeVar("P", bound=Profile)


def find_profile(name: str, shipped: Path, kind: type[P]) -> P:
    """A profile file, or one of those in the folder that comes with the program, by name. Raises Invalid."""
    known = {path.stem: path for path in shipped.glob("*.toml")}
    path = known.get(name, Path(name))
    if not name or not path.is_file():
        raise UsageInvalid(f"no profile {name!r}; shipped: {', '.join(sorted(known))}", basis="profile.file")
    return kind.load(path)
