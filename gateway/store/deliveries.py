"""Queries about deliveries and receipts. Never commits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import deliveries, documents, editions, receipts
from xinyi.v1 import envelope_pb2, exchange_pb2


def find_delivery(conn: Connection, delivery_id: str) -> Row | None:
    return first(conn, select(deliveries).where(deliveries.c.delivery_id == delivery_id))


def deliveries_of_edition(conn: Connection, manifest_digest: bytes) -> list[Row]:
    query = (
        select(deliveries)
        .where(deliveries.c.manifest_digest == manifest_digest)
        .order_by(deliveries.c.recipient)
    )
    return rows(conn, query)


def carried_deliveries(conn: Connection, states: Sequence[str]) -> list[Row]:
    """Deliveries that the gateway itself carries, the oldest edition first, with its `edition_state`."""
    query = (
        select(deliveries, editions.c.state.label("edition_state"))
        .join(editions, editions.c.manifest_digest == deliveries.c.manifest_digest)
        .where(deliveries.c.state.in_(states), deliveries.c.channel != exchange_pb2.CHANNEL_PULL)
        .order_by(editions.c.sequence)
    )
    return rows(conn, query)


def deliveries_by_channel(
    conn: Connection, channel: int, states: Sequence[str], before_ms: int | None = None
) -> list[Row]:
    """Those in one of the states; with `before_ms` those alone that came into it earlier."""
    query = select(deliveries).where(deliveries.c.channel == channel, deliveries.c.state.in_(states))
    if before_ms is not None:
        query = query.where(deliveries.c.changed_at_ms < before_ms)
    return rows(conn, query)


def newest_finished(conn: Connection, recipient: str, product: str, states: Sequence[str]) -> bytes:
    """Manifest digest of the newest edition that the recipient has finished with; empty where there is none."""
    query = (
        select(editions.c.manifest_digest)
        .join(deliveries, deliveries.c.manifest_digest == editions.c.manifest_digest)
        .where(
            deliveries.c.recipient == recipient,
            deliveries.c.product == product,
            deliveries.c.state.in_(states),
        )
        .order_by(editions.c.sequence.desc())
        .limit(1)
    )
    return conn.execute(query).scalar() or b""


def receipts_of(conn: Connection, delivery_id: str) -> list[envelope_pb2.Envelope]:
    """The bank's sealed receipts, oldest first."""
    query = (
        select(documents.c.envelope)
        .join(receipts, receipts.c.document == documents.c.digest)
        .where(receipts.c.delivery_id == delivery_id)
        .order_by(receipts.c.stage)
    )
    return [envelope_pb2.Envelope.FromString(data) for data in conn.execute(query).scalars()]
