"""Queries about what was disclosed: published editions, their deliveries, objections, and where the log tells of
them. Never commits.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, exists, func, insert, select

from gateway.store.rows import Row, rows
from gateway.store.tables import (
    buckets,
    deliveries,
    editions,
    entries_by_name,
    metadata,
    objections,
    states,
)
from xinyi.v1 import log_pb2

#: Entries indexed in one statement.
_PAGE = 1000


def published(conn: Connection, product: str = "", origin: str = "") -> list[Row]:
    """Editions that were ever published, in sequence within each origin and product.

    Each with `prepared`: whether its state is kept (states).
    """
    prepared = exists().where(states.c.manifest_digest == editions.c.manifest_digest)
    query = select(editions, prepared.label("prepared")).where(editions.c.approval.is_not(None))
    if product:
        query = query.where(editions.c.product == product)
    if origin:
        query = query.where(editions.c.origin == origin)
    return rows(conn, query.order_by(editions.c.origin, editions.c.product, editions.c.sequence))


def offered(conn: Connection, product: str, origin: str, recipient: str = "") -> list[Row]:
    """Deliveries of a product that were ever offered, in the order of the editions."""
    query = (
        select(deliveries)
        .join(editions, editions.c.manifest_digest == deliveries.c.manifest_digest)
        .where(
            deliveries.c.product == product,
            deliveries.c.document.is_not(None),
            editions.c.origin == origin,
            editions.c.approval.is_not(None),
        )
    )
    if recipient:
        query = query.where(deliveries.c.recipient == recipient)
    return rows(conn, query.order_by(editions.c.sequence, deliveries.c.recipient))


def leaves_of(conn: Connection, names: Sequence[str]) -> dict[str, list[bytes]]:
    """Delivery id, or manifest digest in hex → leaves of the entries that tell of it by a document."""
    found: dict[str, list[bytes]] = {name: [] for name in names}
    for row in conn.execute(select(entries_by_name).where(entries_by_name.c.name.in_(names))):
        found[row.name].append(row.leaf)
    return found


def objections_to(conn: Connection, product: str, origin: str, keys: Sequence[bytes]) -> list[Row]:
    """Objections to records under one of these blinded keys, the oldest first."""
    o = objections.c
    query = select(objections).where(o.product == product, o.origin == origin, o.blinded_key.in_(keys))
    return rows(conn, query.order_by(o.filed_on, o.number))


def own_buckets(conn: Connection, manifest_digests: Sequence[bytes], number: int) -> dict[bytes, bytes]:
    """One bucket after each of these editions that has a row of its own for it."""
    query = select(buckets.c.manifest_digest, buckets.c.entries).where(
        buckets.c.manifest_digest.in_(manifest_digests), buckets.c.number == number
    )
    return {row.manifest_digest: row.entries for row in conn.execute(query)}


def digests_from(
    conn: Connection, manifest_digests: Sequence[bytes], first: int, count: int
) -> dict[bytes, bytes]:
    """The digests of `count` buckets of states, one behind the other; those that the store holds whole."""
    part = func.substr(states.c.digests, 32 * first + 1, 32 * count)
    query = select(states.c.manifest_digest, part).where(states.c.manifest_digest.in_(manifest_digests))
    return {row[0]: row[1] for row in conn.execute(query)}


def index_entries(conn: Connection) -> None:
    """Fills `entries_by_name` from the whole log; once, where a database comes from before that table."""
    log_entries, last = metadata.tables["log_entries"], 0
    while True:
        page = conn.execute(
            select(log_entries.c.id, log_entries.c.leaf, log_entries.c.opening)
            .where(log_entries.c.id > last)
            .order_by(log_entries.c.id)
            .limit(_PAGE)
        ).all()
        if not page:
            return
        last = page[-1].id
        opened = [(row.leaf, log_pb2.LogEntry.FromString(row.opening)) for row in page]
        found = [
            {"name": entry.delivery_id or entry.manifest_digest.hex(), "leaf": leaf}
            for leaf, entry in opened
            if entry.documents and (entry.delivery_id or entry.manifest_digest)
        ]
        if found:
            conn.execute(insert(entries_by_name), found)
