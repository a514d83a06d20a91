"""A piece of work that waits at the door, and how its result comes back to whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Table

from audit.bulk import Key

T = TypeVar("T")
#: A row that an exchange will read, by primary key.
Need = tuple[Table, Key]


@dataclass
class Work(Generic[T]):
    """`future` is asyncio's where `loop` is set, else a thread's."""

    run: Callable[[Any], T]
    key: str | None
    future: asyncio.Future[T] | Future[T]
    loop: asyncio.AbstractEventLoop | None = None
    needs: Sequence[Need] = ()


#: What became of one piece of work: its result, or the error it raised.
Outcome = tuple[Work[Any], Any, Exception | None]


def settle(outcomes: list[Outcome]) -> None:
    """Hands results to those who wait; each event loop is woken once for all of its own."""
    waiting: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        work = outcome[0]
        if work.loop is None:
            _resolve(outcome)
        else:
            waiting.setdefault(work.loop, []).append(outcome)
    for loop, group in waiting.items():
        loop.call_soon_threadsafe(_resolve_all, group)


def _resolve_all(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if not outcome[0].future.cancelled():
            _resolve(outcome)


def _resolve(outcome: Outcome) -> None:
    work, result, error = outcome
    if error is not None:
        work.future.set_exception(error)
    else:
        work.future.set_result(result)
