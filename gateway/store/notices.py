"""Queries about notices of changes. Never commits."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.store.rows import Row, first
from gateway.store.tables import documents, notices
from xinyi.v1 import envelope_pb2


def find_notice(conn: Connection, number: str) -> Row | None:
    return first(conn, select(notices).where(notices.c.number == number))


def standing_notices(conn: Connection) -> list[envelope_pb2.Envelope]:
    """ChangeNotices as they were sealed, those that no later one replaces, by effective date."""
    query = (
        select(documents.c.envelope)
        .join(notices, notices.c.document == documents.c.digest)
        .where(notices.c.replaced_by.is_(None))
        .order_by(notices.c.effective_on, notices.c.number)
    )
    return [envelope_pb2.Envelope.FromString(data) for data in conn.execute(query).scalars()]
