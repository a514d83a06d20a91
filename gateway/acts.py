"""An act of a bank: a batch, a table that counts, an answer. Each may change which of the bank's rows count.

    judged in a thread  →  the door: made real, where no other act came first; else judged anew
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from gateway.exchange import Exchange
from gateway.judgement import Judge, Judgement
from gateway.reception import Reception
from gateway.store import outcomes as store
from gateway.store import tables
from xinyi.errors import Unavailable

T = TypeVar("T")
#: How often an act is judged anew because another one of its bank came first.
MOST_JUDGED = 8


class Overtaken(Exception):
    """Another act of the bank came between a judgement and the door."""


async def perform(
    reception: Reception,
    prepare: Callable[[Connection], Judge | None],
    work: Callable[[Exchange, Judgement | None], T],
) -> T:
    """What the work returns.

    A judgement that no act names is dropped. That of a call that was cancelled stays: the door may take it still.
    `purge` drops it later, as after a crash.

    Args:
        prepare: what is to be judged; None where the exchange changes no rows.
        work: in the door; calls `next_act` where it changes rows.

    Raises Unavailable where other acts keep coming first, and what both raise.
    """
    database = reception.database
    for _ in range(MOST_JUDGED):
        judge = await database.read(prepare)
        try:
            judgement = await database.in_thread(judge.run) if judge is not None else None
            done = await reception.door.run(lambda x: work(x, judgement))  # noqa: B023 - awaited
        except Overtaken:
            await _drop(reception, judge)
        except Exception:
            await _drop(reception, judge)
            raise
        else:
            await _drop(reception, judge)
            return done
    raise Unavailable("other reports of this bank keep coming first: send it again", basis="report.overtaken")


async def _drop(reception: Reception, judge: Judge | None) -> None:
    if judge is not None:
        await reception.database.in_thread(judge.drop)


def next_act(x: Exchange, bank: str, document: bytes, judgement: Judgement | None) -> int:
    """Writes the act that makes a judgement real; returns its place.

    Raises Overtaken, also where there is no judgement: what was asked for has changed since.
    """
    if judgement is None or store.last_act(x.conn, bank) != judgement.upon:
        raise Overtaken
    sequence = judgement.upon + 1
    act = {
        "bank": bank,
        "sequence": sequence,
        "document": document,
        "judgement": judgement.identity,
        "recorded_at_ms": x.now_ms,
    }
    x.add(tables.outcome_acts, act)
    return sequence
