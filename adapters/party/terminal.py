"""What the parties' programs share beyond `xinyi.terminal`: the options every command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xinyi.terminal import (
    Exit,
    console,
    emit,
    exit_code,
    findings,
    notices,
    outcome,
    print_json,
    program,
    progress,
    run,
    table,
)

__all__ = [
    "Exit",
    "HomeOption",
    "JsonOption",
    "console",
    "emit",
    "exit_code",
    "findings",
    "notices",
    "outcome",
    "print_json",
    "program",
    "progress",
    "run",
    "table",
]

HomeOption = Annotated[Path, typer.Option("--home", envvar="XINYI_HOME", help="The party's home directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]
