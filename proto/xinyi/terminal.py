"""What all four programs share at the terminal: exit codes, output, one clear line when something fails.

The exit codes are part of the contract with job schedulers (docs/operations.md).
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from xinyi import files, logs
from xinyi.errors import ExchangeError, Refused, TooManyRequests, Unavailable, UsageInvalid, VerificationError
from xinyi.processes import collect_seldom
from xinyi.settings import SettingsInvalid

#: Results go to standard output, everything else (progress, notices, errors) to standard error.
console = Console(highlight=False, soft_wrap=True)
notices = Console(stderr=True, highlight=False, soft_wrap=True)


#: A file that was named is not there, or may not be read or written.
_FILES = FileNotFoundError | FileExistsError | NotADirectoryError | PermissionError | IsADirectoryError


class Exit(IntEnum):
    DONE = 0
    #: A defect or a broken machine.
    FAILED = 1
    USAGE = 2
    #: Will not succeed by trying again.
    REFUSED = 3
    #: They lied, or bytes were changed.
    FALSE = 4
    #: Evidence is missing: neither true nor false.
    UNDECIDED = 5
    UNAVAILABLE = 6
    #: Nothing to do, or outside the time window.
    NOTHING = 7


def group(text: str) -> typer.Typer:
    """Commands under one word: help where nothing is asked, errors left to `run`."""
    return typer.Typer(help=text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def program(text: str) -> typer.Typer:
    """A whole program: a group that tells its version."""
    app = group(text)

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", is_eager=True, callback=_version, help="Show it and exit.")
        ] = False,
    ) -> None: ...

    return app


def _version(wanted: bool) -> None:
    if wanted:
        console.print(version("xinyi-gateway"))
        raise typer.Exit


def exit_code(error: BaseException) -> Exit:
    if isinstance(error, UsageInvalid | SettingsInvalid | _FILES):
        return Exit.USAGE
    if isinstance(error, VerificationError):
        return Exit.FALSE
    if isinstance(error, Unavailable | TooManyRequests) or (
        isinstance(error, OSError) and error.errno in files.FULL
    ):
        return Exit.UNAVAILABLE
    if isinstance(error, Refused):
        return Exit.REFUSED
    return Exit.FAILED


def run(app: typer.Typer) -> NoReturn:
    """Entry of a program: runs it, and turns what it raises into an exit code and one line.

    What a program writes is for its own account alone, databases that libraries make included.
    """
    os.umask(0o077)
    collect_seldom()
    # What a command prints is its result; a service configures its logs by its settings.
    logs.configure("readable", "WARNING")
    try:
        app()
    except ExchangeError as error:
        _say(error.code, error.explanation + (f" [{error.basis}]" if error.basis else ""))
        sys.exit(exit_code(error))
    except OSError as error:
        _say("file" if error.filename else "system", f"{error.strerror}: {error.filename or ''}".rstrip(": "))
        sys.exit(exit_code(error))
    except Exception as error:
        # The text of a foreign error may quote rows (SQLAlchemy does): only its kind and place are shown.
        where = traceback.extract_tb(error.__traceback__)[-1]
        if os.environ.get("XINYI_TRACE"):
            traceback.print_exc()
        _say(
            "unexpected",
            f"{type(error).__name__} at {where.filename}:{where.lineno} (XINYI_TRACE=1 shows more)",
        )
        sys.exit(Exit.FAILED)
    sys.exit(Exit.DONE)


def _say(word: str, sentence: str) -> None:
    notices.print(f"[bold red]{word}[/]: ", end="")
    notices.print(sentence, markup=False)


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """One line for machines: sorted keys, UTF-8, bytes as lower-case hex, paths as text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    sys.stdout.write(text + "\n")


def outcome(value: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    """What a command did: a line for machines, or a sentence for people."""
    if as_json:
        print_json(value)
    else:
        console.print(sentence, markup=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people. Cells are shown as they are: no markup is read out of data."""
    grid = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text("" if cell is None else _plain(cell)) for cell in row))
    # A file or a pipe has no width of its own: identifiers must not be broken there.
    (console if console.is_terminal else Console(width=240, highlight=False)).print(grid)


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def progress() -> Progress:
    """Counts on standard error; silent where that is no terminal (job schedulers)."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notices,
        disable=not notices.is_terminal,
        transient=True,
    )


def findings(problems: Sequence[str], *, good: str, as_json: bool = False) -> NoReturn:
    """The end of every `check` command: what is wrong and what to do, or that all is well."""
    if as_json:
        print_json({"good": not problems, "problems": problems})
        raise typer.Exit(Exit.USAGE if problems else Exit.DONE)
    for problem in problems:
        notices.print("[bold red]✗[/] ", end="")
        notices.print(problem, markup=False)
    if problems:
        raise typer.Exit(Exit.USAGE)
    console.print(f"[green]✓[/] {good}")
    raise typer.Exit(Exit.DONE)


def emit(path: Path | None, data: bytes) -> None:
    """Writes a result to a file, or to standard output where none is named."""
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path.write_bytes(data)
    notices.print(f"written: {path}", markup=False)
