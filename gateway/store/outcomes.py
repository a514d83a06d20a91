"""Queries about batches of single loans, their rows, and what acts made of these. Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import (
    outcome_acts,
    outcome_batches,
    outcome_changes,
    outcome_chunks,
    outcome_intakes,
    outcomes,
)
from xinyi.v1.lending_pb2 import REPORT_STATE_REFUSED

#: Values in one IN.
MOST_VALUES = 500
_o, _c, _a = outcomes.c, outcome_changes.c, outcome_acts.c


# Batches


def find_batch(conn: Connection, document: bytes) -> Row | None:
    return first(conn, select(outcome_batches).where(outcome_batches.c.document == document))


def find_number(conn: Connection, bank: str, number: str) -> Row | None:
    b = outcome_batches.c
    return first(conn, select(outcome_batches).where(b.bank == bank, b.number == number))


def batches_of(conn: Connection, bank: str, until_ms: int) -> list[Row]:
    """A bank's batches that were recorded until a moment, oldest first."""
    b = outcome_batches.c
    query = select(outcome_batches).where(b.bank == bank, b.recorded_at_ms <= until_ms)
    return rows(conn, query.order_by(b.sequence))


def find_intake(conn: Connection, document: bytes) -> Row | None:
    return first(conn, select(outcome_intakes).where(outcome_intakes.c.document == document))


def staged(conn: Connection, document: bytes) -> tuple[int, str]:
    """How many chunks are staged (they are staged in order), and the last outcome id among them."""
    c = outcome_chunks.c
    query = select(func.count()).select_from(outcome_chunks).where(c.document == document)
    count: int = conn.execute(query).scalar_one()
    last = select(_o.outcome_id).where(_o.document == document).order_by(_o.place.desc()).limit(1)
    return count, conn.execute(last).scalar() or ""


def drop_last_chunk(conn: Connection, document: bytes, before_ms: int, chunk_rows: int) -> bool:
    """Of an upload that was begun before a moment and left, with its rows: what is here stays its beginning.

    False where nothing is left, or it was taken up again: whoever begins it meanwhile waits for us, or we for them.

    Args: chunk_rows — of every chunk but the batch's last.
    """
    i, c = outcome_intakes.c, outcome_chunks.c
    old = select(i.document).where(i.document == document, i.begun_at_ms < before_ms).with_for_update()
    if conn.execute(old).first() is None or find_batch(conn, document) is not None:
        return False
    last = conn.execute(select(func.max(c.number)).where(c.document == document)).scalar()
    if last is None:
        return False
    conn.execute(delete(outcomes).where(_o.document == document, _o.place >= last * chunk_rows))
    conn.execute(delete(outcome_chunks).where(c.document == document, c.number == last))
    return True


def find_chunk(conn: Connection, document: bytes, number: int) -> bytes | None:
    """As it is kept: rows that were refused are their commitments."""
    c = outcome_chunks.c
    data: bytes | None = conn.execute(select(c.data).where(c.document == document, c.number == number)).scalar()
    return data


# Acts


def last_act(conn: Connection, bank: str) -> int:
    """Place of the bank's last act; 0 before the first."""
    return conn.execute(select(func.max(_a.sequence)).where(_a.bank == bank)).scalar() or 0


# As they stood at a moment


def places(conn: Connection, document: bytes, ids: Sequence[str]) -> dict[str, tuple[int, int, str]]:
    """Outcome id → (place, state, rule by itself) of rows of a batch."""
    found: dict[str, tuple[int, int, str]] = {}
    for start in range(0, len(ids), MOST_VALUES):
        query = select(_o.outcome_id, _o.place, _o.state, _o.rule).where(
            _o.document == document, _o.outcome_id.in_(ids[start : start + MOST_VALUES])
        )
        found.update({name: (place, state, rule) for name, place, state, rule in conn.execute(query)})
    return found


def states_of(conn: Connection, document: bytes, places: tuple[int, int], until_ms: int) -> dict[int, tuple[int, str]]:
    """Place → (state, rule) of rows [first, end) of a batch, as acts until a moment left them."""
    within = and_(_c.document == document, _c.place >= places[0], _c.place < places[1])
    own = select(_o.place, _o.state, _o.rule).where(
        _o.document == document, _o.place >= places[0], _o.place < places[1]
    )
    changed = (
        select(_c.place, _c.state, _c.rule)
        .join(outcome_acts, _a.judgement == _c.judgement)
        .where(within, _a.recorded_at_ms <= until_ms)
        .order_by(_a.sequence)
    )
    found = {place: (state, rule) for place, state, rule in conn.execute(own)}
    found.update({place: (state, rule) for place, state, rule in conn.execute(changed)})
    return found


def refused_ids(conn: Connection, document: bytes, places: tuple[int, int]) -> dict[int, str]:
    """Place → outcome id of rows [first, end) of a batch that were refused."""
    within = (_o.document == document, _o.place >= places[0], _o.place < places[1])
    query = select(_o.place, _o.outcome_id).where(*within, _o.state == REPORT_STATE_REFUSED)
    return dict(conn.execute(query).all())


def count_states(conn: Connection, batch: Row, until_ms: int) -> dict[int, int]:
    """ReportState → rows of a batch, as acts until a moment left them."""
    found: dict[int, int] = dict(
        conn.execute(
            select(_o.state, func.count()).where(_o.document == batch["document"]).group_by(_o.state)
        ).all()
    )
    acts = select(_a.judgement, _a.sequence).where(_a.bank == batch["bank"], _a.recorded_at_ms <= until_ms).subquery()
    last = (
        select(_c.place, func.max(acts.c.sequence).label("sequence"))
        .join(acts, acts.c.judgement == _c.judgement)
        .where(_c.document == batch["document"])
        .group_by(_c.place)
        .subquery()
    )
    query = (
        select(_o.state, _c.state, func.count())
        .join(last, last.c.place == _c.place)
        .join(acts, and_(acts.c.judgement == _c.judgement, acts.c.sequence == last.c.sequence))
        .join(outcomes, and_(_o.document == _c.document, _o.place == _c.place))
        .where(_c.document == batch["document"])
        .group_by(_o.state, _c.state)
    )
    for before, after, count in conn.execute(query):
        found[before] -= count
        found[after] = found.get(after, 0) + count
    return {state: count for state, count in found.items() if count}


def rows_of_taxpayer(conn: Connection, identifier: str) -> Sequence[Any]:
    """Rows about a taxpayer in batches that were recorded: batch, place, id, and how each stands by itself; by batch
    and place.
    """
    query = (
        select(_o.document, _o.place, _o.outcome_id, _o.state, _o.rule)
        .join(outcome_batches, outcome_batches.c.document == _o.document)
        .where(_o.taxpayer_id == identifier, _o.state != REPORT_STATE_REFUSED)
        .order_by(outcome_batches.c.recorded_at_ms, _o.document, _o.place)
    )
    return conn.execute(query).all()
