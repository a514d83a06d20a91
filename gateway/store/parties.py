"""Queries about parties, their keys, agreements and entitlements. Never commits."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, select

from audit.keys import Keyring
from gateway.store.rows import Row, first, rows
from gateway.store.tables import agreements, entitlements, keys, parties, products
from xinyi.errors import Invalid
from xinyi.v1 import party_pb2


def find_party(conn: Connection, party: str) -> Row | None:
    return first(conn, select(parties).where(parties.c.party == party))


def list_parties(conn: Connection) -> list[Row]:
    return rows(conn, select(parties).order_by(parties.c.party))


def find_key(conn: Connection, keyid: str) -> Row | None:
    return first(conn, select(keys).where(keys.c.keyid == keyid))


def list_keys(conn: Connection, party: str = "") -> list[Row]:
    query = select(keys).order_by(keys.c.party, keys.c.registered_at_ms)
    if party:
        query = query.where(keys.c.party == party)
    return rows(conn, query)


def public_key(row: Row) -> party_pb2.PublicKey:
    return party_pb2.PublicKey(
        algorithm=row["algorithm"],
        purpose=row["purpose"],
        spki=row["spki"],
        party=row["party"],
        holder=row["holder"],
    )


def keyring(conn: Connection) -> Keyring:
    """Document keys whose signatures count now. A row that was damaged counts for nobody and hinders no other."""
    active = select(keys).where(keys.c.state == "ACTIVE", keys.c.purpose == party_pb2.KEY_PURPOSE_DOCUMENT)
    ring = Keyring()
    for row in rows(conn, active):
        with suppress(Invalid):
            ring.add(public_key(row))
    return ring


def find_product(conn: Connection, product: str) -> Row | None:
    return first(conn, select(products).where(products.c.product == product))


def list_products(conn: Connection) -> list[Row]:
    return rows(conn, select(products).order_by(products.c.product))


def list_agreements(conn: Connection) -> list[Row]:
    return rows(conn, select(agreements).order_by(agreements.c.party, agreements.c.number))


def find_agreement(conn: Connection, agreement_id: str) -> Row | None:
    return first(conn, select(agreements).where(agreements.c.agreement_id == agreement_id))


def find_entitlement(conn: Connection, party: str, product: str) -> Row | None:
    e = entitlements.c
    return first(conn, select(entitlements).where(e.party == party, e.product == product))


def entitled_parties(conn: Connection, product: str) -> list[Row]:
    """Active entitlements to a product, by party."""
    query = (
        select(entitlements)
        .where(entitlements.c.product == product, entitlements.c.state == "ACTIVE")
        .order_by(entitlements.c.party)
    )
    return rows(conn, query)
