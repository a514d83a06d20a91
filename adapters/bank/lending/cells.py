"""What the cells of a loan file say, a column at a time: exact, and never a guess.

Money is counted in hundredths by whole numbers; a text is never taken through a float. Each distinct text of a column
is read once, so the cost of a row is that of looking its texts up.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from adapters.bank.lending import profile as profiles
from adapters.bank.lending.profile import LoanProfile
from adapters.bank.lending.quality import Tally
from adapters.bank.lending.rules import OF_WORD
from xinyi.errors import Invalid
from xinyi.fields import check_name
from xinyi.lending import CURRENCIES, MAX_SUM, check_product, check_reference
from xinyi.margins import SIZES
from xinyi.v1 import lending_pb2, records_pb2

#: Texts of a column that are remembered.
_REMEMBERED = 65_536
_DECIMAL = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?")
_WHOLE = re.compile(r"[0-9]{1,9}")
_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
_YES_NO = {"yes": True, "no": False}


class Broken(Exception):
    """Args: rule — of rules.RULES that the cell breaks."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Column(dict[str, Any]):
    """Text → what it stands for; None where the cell tells nothing, or breaks a rule.

    Args: read — of a text without outer blanks, not empty; gives the value and how it was read, "" where it is what
    it says. Raises Broken.
    """

    def __init__(self, field: str, profile: LoanProfile, read: Callable[[str], tuple[Any, str]]) -> None:
        super().__init__()
        self.field = field
        #: Text → the rule it breaks, how it was read.
        self.broken: dict[str, str] = {}
        self.how: dict[str, str] = {}
        self._profile = profile
        self._read = read
        self._absent = frozenset(profile.absent.get(field, ()))

    def __missing__(self, cell: str) -> Any:
        text = self._profile.tidy(self.field, cell)
        value, how = None, ""
        if text in self._absent:
            how = f"{text!r} means that it is not known"
        elif text:
            try:
                value, how = self._read(text)
            except Broken as broken:
                self.broken[cell] = broken.rule
        if how:
            self.how[cell] = how
        self[cell] = value
        return value

    def of(self, cells: Sequence[str], tally: Tally) -> list[Any]:
        if len(self) > _REMEMBERED:
            for kept in (self, self.broken, self.how):
                kept.clear()
        found = list(map(self.__getitem__, cells))
        if self.how:
            for cell, rows in Counter(cells).items():
                if cell in self.how:
                    tally.read(self.field, self.how[cell], rows)
        return found


class UniqueColumn(Column):
    """Of texts that hardly ever come again: most are read at once, the others as any column's.

    Args: quick — the value of a text that is plainly one, None for any other; how — such a value was read.
    """

    def __init__(
        self,
        field: str,
        profile: LoanProfile,
        read: Callable[[str], tuple[Any, str]],
        quick: Callable[[str], Any],
        how: str = "",
    ) -> None:
        super().__init__(field, profile, read)
        self._quick = quick
        self._quickly = how

    def of(self, cells: Sequence[str], tally: Tally) -> list[Any]:
        found = list(map(self._quick, cells))
        if None in found:
            places = [place for place, value in enumerate(found) if value is None]
            slow = super().of([cells[place] for place in places], tally)
            for place, value in zip(places, slow, strict=True):
                found[place] = value
        else:
            places = []
        if self._quickly:
            tally.read(self.field, self._quickly, len(cells) - len(places))
        return found


def column(field: str, profile: LoanProfile) -> Column:
    """How a field's cells are read."""
    read = _reader(field, profile)
    listed = bool(profile.words.get(field) or profile.absent.get(field) or profile.drop_suffixes.get(field))
    if field in profiles.AMOUNTS and profile.units[field] in ("yuan", "dollar") and not listed:
        return UniqueColumn(field, profile, read, _plain_amount, _how_scaled(profile.units[field]))
    if field in _REFERENCES and not listed:
        return UniqueColumn(field, profile, read, _plain_reference)
    if field == "authorisation_digest":
        return UniqueColumn(field, profile, read, _plain_digest)
    return Column(field, profile, read)


def _reader(field: str, profile: LoanProfile) -> Callable[[str], tuple[Any, str]]:
    if field in profiles.AMOUNTS:
        return _amounts(profile.units[field])
    if field in profiles.DATES or field in ("authorisation_from", "authorisation_to"):
        return _dates(profile, moved=field in profiles.DATES)
    if field.startswith(profiles.SIZE):
        return _sizes(field, profile)
    if field == "rate":
        return _rates(profile.rate_unit)
    if field == "term":
        return _terms(profile.term_unit)
    known = _ENUMS.get(field)
    if known is not None:
        return _words(field, profile, known)
    return _texts(field, profile)


# Exact numbers


def _hundredths(text: str, factor: int, form: str, parts: str) -> int:
    """A decimal number times `factor`, exactly. Raises Broken with `form`, or `parts` where it is no whole number."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise Broken(form)
    whole, decimals = match[1].replace(",", ""), (match[2] or "").rstrip("0")
    scaled = int(whole + decimals) * factor
    divisor: int = 10 ** len(decimals)
    if scaled % divisor:
        raise Broken(parts)
    return scaled // divisor


def _amounts(unit: str) -> Callable[[str], tuple[int, str]]:
    factor = profiles.UNITS[unit]
    how = _how_scaled(unit)

    def read(text: str) -> tuple[int, str]:
        value = _hundredths(text, factor, "amount.form", "amount.parts")
        if value > MAX_SUM:
            raise Broken("amount.form")
        return value, how

    return read


def _how_scaled(unit: str) -> str:
    factor = profiles.UNITS[unit]
    return f"in {unit}: times {factor:,} in hundredths of the currency's unit" if factor > 1 else ""


def _plain_amount(text: str) -> int | None:
    """ "1234.50": hundredths are its digits."""
    if text[-3:-2] != "." or not 4 <= len(text) <= 18:
        return None
    digits = text[:-3] + text[-2:]
    return int(digits) if digits.isdecimal() and digits.isascii() else None


def _rates(unit: str) -> Callable[[str], tuple[int, str]]:
    factor = profiles.RATES[unit]
    how = "in per cent a year: times 100 in hundredths of a per cent" if factor > 1 else ""

    def read(text: str) -> tuple[int, str]:
        value = _hundredths(text.removesuffix("%").rstrip() if factor > 1 else text, factor, "loan.rate", "loan.rate")
        if value > 10_000:
            raise Broken("loan.rate")
        return value, how

    return read


def _terms(unit: str) -> Callable[[str], tuple[int, str]]:
    factor = profiles.TERMS[unit]

    def read(text: str) -> tuple[int, str]:
        months = int(text) * factor if _WHOLE.fullmatch(text) else 0
        if not 1 <= months <= 1200:
            raise Broken("loan.term")
        return months, "in years: times 12 in months" if factor > 1 else ""

    return read


# Days


def _dates(profile: LoanProfile, *, moved: bool) -> Callable[[str], tuple[str, str]]:
    since = datetime.date.fromisoformat(profile.days_since) if profile.days_since else None
    days = profile.move_days if moved else 0

    def read(text: str) -> tuple[str, str]:
        try:
            if since is not None and moved and _WHOLE.fullmatch(text):
                day, how = since + datetime.timedelta(int(text)), f"days since {since}"
            else:
                day = datetime.date.fromisoformat(profile.date(text))
                how = "" if day.isoformat() == text[:10] else "in a format of the profile"
            day += datetime.timedelta(days)
        except (ValueError, OverflowError) as error:
            raise Broken("date.form") from error
        if days:
            how = f"{how}, " if how else how
            how += f"moved by {days:,} days"
        return day.isoformat(), how

    return read


# Words and texts


def _enum(enum: Any, prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix).lower(): number for name, number in enum.items() if number}


_ENUMS: dict[str, dict[str, Any]] = {
    "guarantee": _enum(lending_pb2.Guarantee, "GUARANTEE_"),
    "loan_class": _enum(lending_pb2.LoanClass, "LOAN_CLASS_"),
    "stage": _enum(lending_pb2.Stage, "STAGE_"),
    "grade": {name.removeprefix("GRADE_"): number for name, number in records_pb2.Grade.items() if number},
    "first_time": {"yes": lending_pb2.FIRST_TIME_YES, "no": lending_pb2.FIRST_TIME_NO},
    "newly_granted": _YES_NO,
    "refused": _YES_NO,
    "voids": _YES_NO,
}


def _words(field: str, profile: LoanProfile, known: dict[str, Any]) -> Callable[[str], tuple[Any, str]]:
    def read(text: str) -> tuple[Any, str]:
        word = profile.word(field, text)
        if word not in known:
            raise Broken(OF_WORD[field])
        return known[word], f"{text!r} is {word}" if word != text else ""

    return read


def _sizes(field: str, profile: LoanProfile) -> Callable[[str], tuple[str, str]]:
    definition = field.removeprefix(profiles.SIZE)

    def read(text: str) -> tuple[str, str]:
        word = profile.word(field, text)
        if word not in SIZES[definition]:
            raise Broken("loan.sizes")
        return word, f"{text!r} is {word}" if word != text else ""

    return read


def _text(form: str, rule: str) -> Callable[[str], str]:
    pattern = re.compile(form)

    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise Broken(rule)
        return text

    return read


def _checked(check: Callable[[str, str], None], rule: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            check(text, rule)
        except Invalid as error:
            raise Broken(rule) from error
        return text

    return read


def _digest(text: str) -> bytes:
    if text == profiles.OF_FILE:
        return b""
    if _HEX64.fullmatch(text) is None:
        raise Broken("outcome.authorisation")
    return bytes.fromhex(text)


_REFERENCES = frozenset(("reference", "outcome_id"))


def _plain_reference(text: str) -> str | None:
    try:
        check_reference(text, "loan.reference")
    except Invalid:
        return None
    return text


def _plain_digest(text: str) -> bytes | None:
    return bytes.fromhex(text) if len(text) == 64 and _HEX64.fullmatch(text) is not None else None


def _whole_days(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise Broken("outcome.days_overdue")
    return int(text)


def _currency(text: str) -> str:
    if text not in CURRENCIES:
        raise Broken("loan.currency")
    return text


_TEXTS: dict[str, Callable[[str], Any]] = {
    "reference": _checked(check_reference, "loan.reference"),
    "outcome_id": _checked(check_reference, "outcome.id"),
    "corrects": _checked(check_reference, "outcome.corrects"),
    "branch": _checked(check_reference, "loan.branch"),
    "product": _checked(check_product, "loan.product"),
    "reason_code": _checked(check_name, "outcome.reason_code"),
    "industry": _text(r"[A-T]", "loan.industry"),
    "district": _text(r"[0-9]{6}", "loan.district"),
    "currency": _currency,
    "authorisation_digest": _digest,
    "authorisation_scope": str,
    "status": str,
    "days_overdue": _whole_days,
}


def _texts(field: str, profile: LoanProfile) -> Callable[[str], tuple[Any, str]]:
    check = _TEXTS[field]

    def read(text: str) -> tuple[Any, str]:
        word = profile.word(field, text)
        return check(word), f"{text!r} is {word}" if word != text else ""

    return read
