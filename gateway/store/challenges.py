"""Queries about challenges. Never commits."""

from __future__ import annotations

from sqlalchemy import Connection, case, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import challenges

_c = challenges.c


def find_challenge(conn: Connection, challenge: bytes) -> Row | None:
    """By the digest of the Challenge."""
    return first(conn, select(challenges).where(_c.document == challenge))


def find_open(conn: Connection, table: bytes, auditor: str) -> Row | None:
    same = (_c.lending_table == table, _c.auditor == auditor, _c.state == "OPEN")
    return first(conn, select(challenges).where(*same).limit(1))


def list_challenges(conn: Connection, party: str, challenge: bytes = b"") -> list[Row]:
    """To a bank, or of an auditor: those without an answer by due date, then the others, that due last first."""
    query = (
        select(challenges)
        .where((_c.bank == party) | (_c.auditor == party))
        .order_by(
            _c.answer.is_not(None), case((_c.answer.is_(None), _c.due_on), else_=""), _c.due_on.desc(), _c.document
        )
    )
    if challenge:
        query = query.where(_c.document == challenge)
    return rows(conn, query)


def overdue(conn: Connection, today: str) -> list[bytes]:
    """OPEN ones whose due date is over. Args: today — ISO date in China."""
    query = select(_c.document).where(_c.state == "OPEN", _c.due_on < today).order_by(_c.due_on)
    return list(conn.execute(query).scalars())

