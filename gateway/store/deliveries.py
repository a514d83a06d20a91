"""Queries about deliveries and receipts. Never commits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import deliveries, documents, receipts
from xinyi.v1 import envelope_pb2


def find_delivery(conn: Connection, delivery_id: str) -> Row | None:
    return first(conn, select(deliveries).where(deliveries.c.delivery_id == delivery_id))


def deliveries_of_edition(conn: Connection, manifest_digest: bytes) -> list[Row]:
    query = (
        select(deliveries)
        .where(deliveries.c.manifest_digest == manifest_digest)
        .order_by(deliveries.c.recipient)
    )
    return rows(conn, query)


def list_deliveries(conn: Connection, states: Sequence[str]) -> list[Row]:
    query = select(deliveries).where(deliveries.c.state.in_(states)).order_by(deliveries.c.changed_at_ms)
    return rows(conn, query)


def deliveries_by_channel(conn: Connection, channel: int, states: Sequence[str]) -> list[Row]:
    query = select(deliveries).where(deliveries.c.channel == channel, deliveries.c.state.in_(states))
    return rows(conn, query)


def receipts_of(conn: Connection, delivery_id: str) -> list[envelope_pb2.Envelope]:
    """The bank's sealed receipts, oldest first."""
    query = (
        select(documents.c.envelope)
        .join(receipts, receipts.c.document == documents.c.digest)
        .where(receipts.c.delivery_id == delivery_id)
        .order_by(receipts.c.stage)
    )
    return [envelope_pb2.Envelope.FromString(data) for data in conn.execute(query).scalars()]
