"""The options that every command of a party's program has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[Path, typer.Option("--home", envvar="XINYI_HOME", help="The party's home directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]
