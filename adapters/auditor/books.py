"""What an auditor saw in a bank's books, beside the rows that the bank opened.

A CSV file with the columns loan, granted, balance, class; others may stand beside them. Amounts are in the currency's
unit with up to two decimals, 1200000 or 1200000.50; a class is one of the five, in English or Chinese, or blank where
nothing is owed. `granted` is what was disbursed within the period of the table; it is not compared where a row says
that nothing was, as of a loan of an earlier period.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from adapters.tables.encoding import find_encoding
from xinyi.errors import Invalid
from xinyi.v1 import lending_pb2

COLUMNS = ("loan", "granted", "balance", "class")
_FIELDS = ("granted", "balance", "loan_class")
_AMOUNT = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,2}))?")
_CHINESE = ("正常", "关注", "次级", "可疑", "损失")
_CLASSES = {
    "": 0,
    **{
        word: number
        for number in lending_pb2.LoanClass.values()
        if number
        for word in (lending_pb2.LoanClass.Name(number).removeprefix("LOAN_CLASS_").lower(), _CHINESE[number - 1])
    },
}


@dataclass(frozen=True)
class Booked:
    granted: int
    balance: int
    loan_class: int


@dataclass(frozen=True)
class Comparison:
    """Loans by what was found of them, ascending."""

    same: int
    #: What differs, a sentence each.
    different: list[str]
    #: Opened, and not in the file.
    unseen: list[str]
    #: In the file, and not opened.
    unopened: list[str]


def read_books(path: Path) -> dict[str, Booked]:
    """Raises Invalid where a line cannot be read, naming file, line and column."""
    encoding = find_encoding(path)
    books: dict[str, Booked] = {}
    with path.open(encoding="utf-8-sig" if encoding.mark else encoding.name, newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise Invalid(f"{path.name} has no column {', '.join(missing)}", basis="books.columns")
        for line in reader:
            where = f"{path.name}, line {reader.line_num}"
            loan, granted, balance, told = ((line[column] or "").strip() for column in COLUMNS)
            if not loan or loan in books:
                raise Invalid(f"{where}: loan is missing or stands twice", basis="books.loan")
            if told.lower() not in _CLASSES:
                raise Invalid(f"{where}: class is one of {', '.join(_CLASSES)}", basis="books.class")
            amounts = _amount(granted, f"{where}: granted"), _amount(balance, f"{where}: balance")
            books[loan] = Booked(*amounts, _CLASSES[told.lower()])
    return books


def _amount(text: str, where: str) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise Invalid(f"{where} is an amount like 1200000 or 1200000.50", basis="books.amount")
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def compare(rows: Iterable[lending_pb2.LoanRow], books: dict[str, Booked]) -> Comparison:
    opened = {row.loan.reference: row for row in rows}
    different, same = [], 0
    for reference in sorted(opened.keys() & books.keys()):
        row, booked = opened[reference], books[reference]
        told = Booked(row.granted, row.balance, row.loan_class)
        # A loan of an earlier period: its row says 0, the books what it once came to.
        compared = _FIELDS if row.newly_granted or row.granted else _FIELDS[1:]
        names = [name for name in compared if getattr(told, name) != getattr(booked, name)]
        if names:
            said = (f"{name}: {_shown(told, name)}, in the books {_shown(booked, name)}" for name in names)
            different.append(f"loan {reference}: the row says {'; '.join(said)}")
        else:
            same += 1
    unseen, unopened = sorted(opened.keys() - books.keys()), sorted(books.keys() - opened.keys())
    return Comparison(same, different, unseen, unopened)


def _shown(booked: Booked, name: str) -> str:
    value: int = getattr(booked, name)
    if name == "loan_class":
        return lending_pb2.LoanClass.Name(value).removeprefix("LOAN_CLASS_").lower() if value else "none"
    return amount_text(value)


def amount_text(hundredths: int) -> str:
    return f"{hundredths // 100:,}.{hundredths % 100:02d}"
