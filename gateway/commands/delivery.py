"""delivery retry."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.commands import HomeOption, JsonOption, ReasonOption, act
from xinyi.terminal import group, outcome

app = group("Deliveries that need a person.")


@app.command()
def retry(
    home: HomeOption,
    delivery: Annotated[str, typer.Argument(metavar="ID")],
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Take up a DEAD delivery again; the serving gateway carries it out.

    Example: xinyi-gateway delivery retry 3f0a… --reason "the bank's inbox is back"
    """
    from gateway.delivery import revive

    state = act(home, lambda gateway, x: revive(x, delivery, gateway.holder, reason))
    outcome({"delivery": delivery, "state": state}, f"{state} again", as_json=as_json)
