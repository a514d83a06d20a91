"""How a one-shot command ends where there was nothing to do, or the time is not right. Said on stderr."""

from __future__ import annotations

from datetime import datetime

import typer

from xinyi.days import CHINA
from xinyi.errors import Invalid
from xinyi.terminal import Exit, notices


def end(done: bool, otherwise: str) -> None:
    if not done:
        notices.print(otherwise)
        raise typer.Exit(Exit.NOTHING)


def check_window(window: str) -> None:
    """Ends with 7 outside "HH:MM-HH:MM", Chinese time; a window may pass midnight."""
    if not window:
        return
    try:
        begins, ends = (datetime.strptime(part, "%H:%M").time() for part in window.split("-"))  # noqa: DTZ007
    except ValueError as error:
        raise Invalid("a window is HH:MM-HH:MM", basis="window") from error
    now = datetime.now(CHINA).time()
    inside = begins <= now < ends if begins <= ends else now >= begins or now < ends
    end(inside, f"outside the window {window}")
