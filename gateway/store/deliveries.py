"""Queries about deliveries and receipts. Never commits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, exists, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import deliveries, documents, editions, recalls, receipts
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
    """Deliveries that the gateway itself carries, the oldest edition first, with its `edition_kind`."""
    query = (
        select(deliveries, editions.c.kind.label("edition_kind"))
        .join(editions, editions.c.manifest_digest == deliveries.c.manifest_digest)
        .where(deliveries.c.state.in_(states), deliveries.c.channel != exchange_pb2.CHANNEL_PULL)
        .order_by(editions.c.sequence)
    )
    return rows(conn, query)


def deliveries_to(conn: Connection, recipient: str, product: str) -> dict[bytes, Row]:
    """What a recipient was or is to be given of a product, by manifest digest."""
    d = deliveries.c
    found = rows(conn, select(deliveries).where(d.recipient == recipient, d.product == product))
    return {row["manifest_digest"]: row for row in found}


def takers(
    conn: Connection, corrected: Row, correction: Row, stages: Sequence[int]
) -> list[Row]:
    """For each party that gave a receipt of these stages for any edition from the corrected one up to the
    correction, its delivery of the newest such one; by recipient."""
    e, d = editions.c, deliveries.c
    took = exists().where(receipts.c.delivery_id == d.delivery_id, receipts.c.stage.in_(stages))
    numbers = e.sequence.between(corrected["sequence"], correction["sequence"] - 1)
    query = (
        select(deliveries)
        .join(editions, e.manifest_digest == d.manifest_digest)
        .where(e.origin == correction["origin"], e.product == correction["product"], numbers, took)
        .order_by(d.recipient, e.sequence)
    )
    return list({row["recipient"]: row for row in rows(conn, query)}.values())


def open_recalls(conn: Connection, recipient: str, product: str, done: Sequence[str]) -> list[bytes]:
    """Corrections that are recalls for this recipient and not in these states of delivery, the oldest first."""
    e, r, d = editions.c, recalls.c, deliveries.c
    query = (
        select(r.correction)
        .join(editions, e.manifest_digest == r.correction)
        .join(deliveries, d.delivery_id == r.delivery_id)
        .where(r.recipient == recipient, r.state == "OPEN", e.product == product, e.state != "STOPPED")
        .where(d.state.not_in(done))
        .order_by(e.sequence)
    )
    return list(conn.execute(query).scalars())


def recalls_of(conn: Connection, correction: bytes) -> list[Row]:
    return rows(conn, select(recalls).where(recalls.c.correction == correction).order_by(recalls.c.recipient))


def list_recalls(conn: Connection) -> list[Row]:
    """Every recall with product, period, number and state of its correction, and the state of its delivery."""
    e = editions.c
    query = (
        select(
            recalls,
            *(e.product, e.year, e.month, e.sequence),
            e.state.label("edition_state"),
            deliveries.c.state.label("delivery_state"),
        )
        .join(editions, e.manifest_digest == recalls.c.correction)
        .join(deliveries, deliveries.c.delivery_id == recalls.c.delivery_id)
        .order_by(e.product, e.sequence, recalls.c.recipient)
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


def is_receipted(conn: Connection, delivery_id: str, document: bytes) -> bool:
    """Whether a receipt names this Delivery."""
    return any(
        exchange_pb2.DeliveryReceipt.FromString(sealed.payload).delivery_digest == document  # verified when it came
        for sealed in receipts_of(conn, delivery_id)
    )


def last_signed_ms(conn: Connection, delivery_id: str) -> int:
    """When the bank signed the latest of a delivery's receipts, by its own clock; 0 where there is none."""
    signed = (exchange_pb2.DeliveryReceipt.FromString(sealed.payload) for sealed in receipts_of(conn, delivery_id))
    return max((receipt.signed_at_ms for receipt in signed), default=0)


def receipts_of(conn: Connection, delivery_id: str) -> list[envelope_pb2.Envelope]:
    """The bank's sealed receipts, oldest first."""
    query = (
        select(documents.c.envelope)
        .join(receipts, receipts.c.document == documents.c.digest)
        .where(receipts.c.delivery_id == delivery_id)
        .order_by(receipts.c.stage)
    )
    return [envelope_pb2.Envelope.FromString(data) for data in conn.execute(query).scalars()]
