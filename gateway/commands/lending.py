"""lending status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from gateway.commands import HomeOption, JsonOption
from xinyi.terminal import group, print_json, table

app = group("What banks report of a period: totals of what they lent.")


@app.callback()
def lending() -> None:
    """A group, though it has one command."""


@app.command()
def status(
    home: HomeOption,
    period: Annotated[str, typer.Option(help="2018-Q1, 2018-03 or 2018.")],
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As it stood at the end of a day, China.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Whose table of a period counts, is held, due or missing. Tells nothing of what is in them.

    Example: xinyi-gateway lending status --period 2018-Q1 --as-of 2018-04-20
    """
    from gateway.office.inspection import read
    from gateway.office.reporting import standing_of
    from xinyi.days import end_of, today
    from xinyi.lending import parse_period

    wanted, day = parse_period(period), as_of.date() if as_of is not None else today()
    lines = read(home, lambda conn: standing_of(conn, wanted, day, end_of(day)))
    if as_json:
        return print_json(lines)
    columns = ["bank", "state", "due_on", "arrived_on", "late", "currency", "agreement", "held"]
    rows = [line | {"late": "late" if line["late"] else ""} for line in lines]
    return table("", columns, [[row[name] for name in columns] for row in rows])
