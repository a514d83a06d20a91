"""Options that several commands have, and what they stand for: a home with its logs, a place to land."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xinyi.errors import Invalid, UsageInvalid
from xinyi.fields import check_date

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.party.home import Home
    from adapters.tables.target import Target

FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="Exchange folder instead of the network.")
]
ToOption = Annotated[
    str,
    typer.Option(
        help="sqlite:///FILE, postgresql://…, csv:///FILE, parquet:///FOLDER or oracle-files:///FOLDER; "
        "default: party.toml."
    ),
]
CsvOption = Annotated[Path | None, typer.Option(help="A CSV file instead of a database.")]
EncodingOption = Annotated[str, typer.Option(help="Of the CSV file: utf-8, utf-8-sig or gb18030.")]
ProductOption = Annotated[list[str] | None, typer.Option(help="Default: those in party.toml.")]
WindowOption = Annotated[
    str, typer.Option(help="Only between these times in China, for instance 01:00-05:00.")
]


def check_askable(*, yes: bool) -> None:
    """Raises UsageInvalid where somebody would have to be asked and nobody can be: a scheduler's run."""
    if not (yes or sys.stdin.isatty()):
        raise UsageInvalid("nobody is here to be asked: add --yes", basis="terminal.missing")


def confirmed(question: str) -> bool:
    """No answer is no consent either."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def check_day(day: str, option: str) -> None:
    """Raises UsageInvalid for what is no day. Args: day — empty for none."""
    try:
        if day:
            check_date(day, option)
    except Invalid as error:
        raise UsageInvalid(f"{day!r:.40}: a day is written YYYY-MM-DD", basis=option) from error


def open_home(path: Path) -> Home:
    """The home, and logs as its settings say: a scheduler may collect them."""
    from adapters.party.home import Home
    from xinyi import logs

    opened = Home.open(path)
    logs.configure(opened.settings.logs.form, opened.settings.logs.level)
    return opened


def targets(home: Home, to: str, csv: Path | None, encoding: str) -> Callable[[str], Target]:
    """Where each product lands."""
    from adapters.bank.rows import COLUMNS
    from adapters.bank.settings import BankSettings
    from adapters.bank.targets import open_target
    from adapters.tables.csv_file import CsvTarget

    settings = BankSettings.of(home)

    def target(product: str) -> Target:
        if csv is not None:
            return CsvTarget(csv, encoding, COLUMNS)
        return open_target(to or settings.target(product), settings.table(product))

    return target
