"""Queries about objections. Never commits."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import objections

_c = objections.c


def find_objection(conn: Connection, objection: bytes) -> Row | None:
    """By the digest of the Objection."""
    return first(conn, select(objections).where(_c.objection == objection))


def find_number(conn: Connection, origin: str, number: str) -> Row | None:
    return first(conn, select(objections).where(_c.origin == origin, _c.number == number))


def open_objections(conn: Connection, origin: str, product: str) -> list[Row]:
    """Those that are not decided, filed first come first."""
    query = (
        select(objections)
        .where(_c.origin == origin, _c.product == product, _c.state == "OPEN")
        .order_by(_c.filed_on, _c.number)
    )
    return rows(conn, query)


def find_open(conn: Connection, manifest_digest: bytes, blinded_key: bytes) -> Row | None:
    """The one about a record of an edition that is not decided."""
    same = (_c.manifest_digest == manifest_digest, _c.blinded_key == blinded_key, _c.state == "OPEN")
    return first(conn, select(objections).where(*same).order_by(_c.filed_on, _c.number).limit(1))


def count_open(conn: Connection, origin: str, product: str) -> int:
    query = select(func.count()).where(_c.origin == origin, _c.product == product, _c.state == "OPEN")
    return conn.execute(query).scalar_one()


def list_objections(conn: Connection, origin: str, product: str = "") -> list[Row]:
    """Open ones first, then by due date."""
    query = (
        select(objections)
        .where(_c.origin == origin)
        .order_by((_c.state != "OPEN"), _c.due_on, _c.number)
    )
    if product:
        query = query.where(_c.product == product)
    return rows(conn, query)
