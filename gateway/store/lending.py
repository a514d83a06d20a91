"""Queries about reporting terms and banks' tables. Never commits."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import agreements, lending_tables, reporting_terms
from xinyi.v1 import lending_pb2

_t = lending_tables.c


def find_terms(conn: Connection, agreement_id: str) -> Row | None:
    return first(conn, select(reporting_terms).where(reporting_terms.c.agreement_id == agreement_id))


def agreements_with_terms(conn: Connection, party: str = "") -> list[tuple[Row, Row]]:
    """Agreements that want something reported, whatever their state, with their terms; by party, then number."""
    query = (
        select(agreements)
        .where(agreements.c.agreement_id.in_(select(reporting_terms.c.agreement_id)))
        .order_by(agreements.c.party, agreements.c.number)
    )
    if party:
        query = query.where(agreements.c.party == party)
    terms = {row["agreement_id"]: row for row in rows(conn, select(reporting_terms))}
    return [(agreement, terms[agreement["agreement_id"]]) for agreement in rows(conn, query)]


def find_table(conn: Connection, document: bytes) -> Row | None:
    """By the digest of the LendingTable."""
    return first(conn, select(lending_tables).where(_t.document == document))


def standing(conn: Connection, bank: str, period: lending_pb2.LendingPeriod, currency: str) -> list[Row]:
    """COUNTED and HELD tables of a place, oldest first."""
    query = select(lending_tables).where(
        _t.bank == bank,
        _t.year == period.year,
        _t.month == period.month,
        _t.months == period.months,
        _t.currency == currency,
        _t.state.in_(("COUNTED", "HELD")),
    )
    return rows(conn, query.order_by(_t.recorded_at_ms, _t.document))


def counted_tables(conn: Connection, row: Row) -> int:
    """How many tables of the same bank, period and currency were ever counted."""
    same = [_t[name] == row[name] for name in ("bank", "year", "month", "months", "currency")]
    return conn.execute(select(func.max(_t.counted_slot)).where(*same)).scalar() or 0


def tables_of(
    conn: Connection, bank: str = "", period: lending_pb2.LendingPeriod | None = None, until_ms: int | None = None
) -> list[Row]:
    """Tables that were recorded until a moment, oldest first; of one bank, of one period."""
    query = select(lending_tables).order_by(_t.recorded_at_ms, _t.document)
    if bank:
        query = query.where(_t.bank == bank)
    if period is not None:
        query = query.where(_t.year == period.year, _t.month == period.month, _t.months == period.months)
    if until_ms is not None:
        query = query.where(_t.recorded_at_ms <= until_ms)
    return rows(conn, query)
