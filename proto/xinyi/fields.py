"""Parts that many messages have, and what makes each valid. Pure.

Every check raises Invalid with the rule that its caller names as basis.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from functools import lru_cache

from xinyi import identifiers
from xinyi.errors import Invalid
from xinyi.v1 import edition_pb2

FIRST_YEAR, LAST_YEAR = 2014, 2100
#: The rule of a text that holds an identifier; what breaks it is kept nowhere.
TEXT_IDENTIFIER = "text.identifier"

# 2014-01-01 and 2101-01-01 UTC: a time outside is in another unit or from a broken clock.
_FIRST_MS, _LAST_MS = 1_388_534_400_000, 4_133_980_800_000

_WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_PARTY = re.compile(rf"{_WORD}/{_WORD}")
_HOLDER = re.compile(rf"xinyi://({_WORD}/{_WORD})/(machine|person)/{_WORD}")
_NAME = re.compile(_WORD)
_RULE = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: A run in which an identifier has room.
_RUN = re.compile(r"[0-9A-Z]{15,}")
_HEX = re.compile(r"[0-9A-F]+")


def require(holds: bool, basis: str, explanation: str) -> None:
    if not holds:
        raise Invalid(explanation, basis=basis)


def is_text(text: str, most: int) -> bool:
    """1 to `most` characters, none of them a control character, no outer blanks."""
    return 0 < len(text) <= most and text.strip() == text and not _CONTROL.search(text)


def is_rule(text: str) -> bool:
    """The name of a rule or a code: lower-case words with dots."""
    return _RULE.fullmatch(text) is not None


def holds_identifier(text: str) -> bool:
    """Whether a text holds what reads as an enterprise's or a person's identifier, in whatever width and case.

    Digests and fingerprints pass: a run of hex digits alone counts only where it is an identifier from its first
    character to its last, so never one of 64 digits, nor an edition's first 16. In any other run a USCC or a
    resident number is found at every place, a number of 15 from where the letters before it end. The checks catch
    by accident as well: one number of 15 digits in ten, for instance.
    """
    if len(text) < 15:
        return False
    return any(map(_is_identifier, _RUN.findall(unicodedata.normalize("NFKC", text).upper())))


def _is_identifier(run: str) -> bool:
    if identifiers.readings(run) or identifiers.is_resident_like(run):
        return True
    if _HEX.fullmatch(run) and not run.isdecimal():
        return False
    number = run.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    windows = (run[at : at + 18] for at in range(len(run) - 17))
    return bool(identifiers.readings(number)) or any(
        identifiers.is_uscc(window) or identifiers.is_resident_like(window) for window in windows
    )


def check_no_identifier(text: str, field: str) -> None:
    """Free text goes into seals, the log and to others: no taxpayer is named in it. The text is never quoted."""
    require(
        not holds_identifier(text),
        TEXT_IDENTIFIER,
        f"{field} holds what reads as the identifier of an enterprise or a person, and would stand in the log for "
        "good: write it without, and point to rows, or to a document by a number of its own",
    )


def check_party(party: str, basis: str) -> None:
    require(len(party) <= 128 and _PARTY.fullmatch(party) is not None, basis, "not <city>/<party>")


def check_holder(holder: str, basis: str, *, party: str = "", person: bool = False) -> None:
    match = _HOLDER.fullmatch(holder)
    if match is None or len(holder) > 256:
        raise Invalid("not xinyi://<city>/<party>/<machine or person>/<name>", basis=basis)
    require(not party or match[1] == party, basis, "the holder is of another party")
    do = "this takes a person: use a home whose holder is xinyi://<city>/<party>/person/<name>"
    require(not person or match[2] == "person", basis, do)


def check_name(name: str, basis: str) -> None:
    """A product's name, a number that people give: lower-case words and digits with hyphens."""
    require(len(name) <= 64 and _NAME.fullmatch(name) is not None, basis, "no name of lower-case words")


def check_period(period: edition_pb2.Period, basis: str) -> None:
    require(FIRST_YEAR <= period.year <= LAST_YEAR and 1 <= period.month <= 12, basis, "no year and month")


def check_rule(rule: str, basis: str) -> None:
    require(is_rule(rule), basis, "the name of a rule is lower-case words with dots")


def check_digest(digest: bytes, basis: str) -> None:
    require(len(digest) == 32, basis, "a digest has 32 bytes")


def check_nonce(nonce: bytes, basis: str) -> None:
    require(len(nonce) == 16, basis, "a nonce has 16 bytes")


def check_sentence(text: str, basis: str) -> None:
    require(is_text(text, 500), basis, "1 to 500 characters are needed")
    check_no_identifier(text, basis)


def check_time(time_ms: int, basis: str) -> None:
    require(_FIRST_MS <= time_ms < _LAST_MS, basis, "no time in milliseconds since 1970")


@lru_cache(maxsize=8192)
def check_date(date: str, basis: str) -> None:
    """A calendar date as YYYY-MM-DD."""
    try:
        datetime.date.fromisoformat(date)
    except ValueError:
        raise Invalid("not a calendar date", basis=basis) from None
    require(_DATE.fullmatch(date) is not None, basis, "a date is not written YYYY-MM-DD")
