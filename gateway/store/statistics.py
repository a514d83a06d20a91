"""Queries about a period's statistics: what was counted at a moment, versions, and who was given them. Never commits.

A table or a row with consent counts at a moment from its `counted_at_ms` on and before its `replaced_at_ms`: what
comes later changes no answer about a moment that is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, tuple_

from gateway.store.lending_tables import (
    lending_cells,
    lending_tables,
    outcome_batches,
    outcomes,
    reporting_terms,
    statistics,
    statistics_deliveries,
)
from gateway.store.rows import Row, first, rows
from gateway.store.tables import agreements, entries_by_name
from xinyi.lending import first_day, last_day
from xinyi.margins import SUMS, TOTAL
from xinyi.v1 import lending_pb2

T = TypeVar("T")
Period = lending_pb2.LendingPeriod

_t, _c, _o, _s, _d = (
    table.c for table in (lending_tables, lending_cells, outcomes, statistics, statistics_deliveries)
)
#: Names in one condition: SQLite takes 32,766 values in a statement.
_NAMES = 10_000


# What was counted


def _at(table: Any, until_ms: int) -> ColumnElement[bool]:
    return and_(
        table.c.counted_at_ms <= until_ms,
        or_(table.c.replaced_at_ms.is_(None), table.c.replaced_at_ms > until_ms),
    )


def _counted(period: Period, currency: str, until_ms: int) -> ColumnElement[bool]:
    return and_(
        _t.year == period.year,
        _t.month == period.month,
        _t.months == period.months,
        _t.currency == currency,
        _at(lending_tables, until_ms),
    )


def counted_tables(conn: Connection, period: Period, currency: str, until_ms: int) -> list[Row]:
    """bank, document, recorded_at_ms, row_count of every counted table, by bank."""
    query = select(_t.bank, _t.document, _t.recorded_at_ms, _t.row_count)
    return rows(conn, query.where(_counted(period, currency, until_ms)).order_by(_t.bank))


def add_up(conn: Connection, period: Period, currency: str, until_ms: int) -> list[Row]:
    """dimension, value, and the sums of every cell over all counted tables."""
    sums = [func.sum(_c[name]).label(name) for name in SUMS]
    query = (
        select(_c.dimension, _c.value, *sums)
        .join_from(lending_tables, lending_cells, _t.document == _c.document)
        .where(_counted(period, currency, until_ms))
        .group_by(_c.dimension, _c.value)
    )
    return rows(conn, query)


def count_reporters(conn: Connection, period: Period, currency: str, until_ms: int) -> dict[str, int]:
    """Dimension → counted tables that have it; a table without rows has none."""
    query = (
        select(_c.dimension, func.count(_c.document.distinct()))
        .join_from(lending_tables, lending_cells, _t.document == _c.document)
        .where(_counted(period, currency, until_ms))
        .group_by(_c.dimension)
    )
    return {row[0]: row[1] for row in conn.execute(query)}


def bank_totals(conn: Connection, period: Period, currency: str, until_ms: int) -> list[Row]:
    """bank and the sums of its table's total; not of tables without rows."""
    query = (
        select(_t.bank, *(_c[name] for name in SUMS))
        .join_from(lending_tables, lending_cells, _t.document == _c.document)
        .where(_counted(period, currency, until_ms), _c.dimension == TOTAL)
    )
    return rows(conn, query)


# Rows with consent


def _consented(period: Period, currency: str, until_ms: int) -> ColumnElement[bool]:
    """Rows are staged before their batch is there: those of one that is not do not count."""
    recorded = select(outcome_batches.c.document).where(outcome_batches.c.recorded_at_ms <= until_ms)
    return and_(
        _o.document.in_(recorded),
        _o.event_date.between(first_day(period).isoformat(), last_day(period).isoformat()),
        _o.currency == currency,
        _at(outcomes, until_ms),
    )


def add_up_consented(conn: Connection, period: Period, currency: str, until_ms: int) -> list[Row]:
    """stage, grade relied on, and how many rows, enterprises, and what they come to; by event date."""
    query = (
        select(
            *(_o.stage, _o.grade, func.count().label("loans")),
            func.count(_o.taxpayer_id.distinct()).label("firms"),
            func.sum(_o.amount).label("granted"),
        )
        .where(_consented(period, currency, until_ms))
        .group_by(_o.stage, _o.grade)
    )
    return rows(conn, query)


def consented_of_records(
    conn: Connection, period: Period, currency: str, until_ms: int, records: Collection[tuple[bytes, bytes]]
) -> list[Row]:
    """Rows that rely on these records. Args: records — manifest digest and blinded key of each."""
    columns = (_o.stage, _o.grade, _o.taxpayer_id, _o.amount, _o.manifest_digest, _o.blinded_key)
    found: list[Row] = []
    for some in _parts(sorted(records), _NAMES // 2):
        same = tuple_(_o.manifest_digest, _o.blinded_key).in_(some)
        found += rows(conn, select(*columns).where(_consented(period, currency, until_ms), same))
    return found


def count_consented(
    conn: Connection, period: Period, currency: str, until_ms: int, taxpayers: Collection[str]
) -> list[Row]:
    """stage, grade relied on, taxpayer_id, and how many rows: of these taxpayers."""
    keys = (_o.stage, _o.grade, _o.taxpayer_id)
    found: list[Row] = []
    for some in _parts(sorted(taxpayers), _NAMES):
        query = select(*keys, func.count().label("loans")).group_by(*keys)
        found += rows(conn, query.where(_consented(period, currency, until_ms), _o.taxpayer_id.in_(some)))
    return found


def _parts(names: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    yield from (names[start : start + size] for start in range(0, len(names), size))


# Terms


def list_terms(conn: Connection, party: str = "") -> list[Row]:
    """Every agreement that has terms of reporting, with them. Args: party — of this bank alone."""
    columns = (agreements, reporting_terms.c.version, reporting_terms.c.terms)
    query = select(*columns).join_from(agreements, reporting_terms)
    if party:
        query = query.where(agreements.c.party == party)
    return rows(conn, query.order_by(agreements.c.agreement_id))


# Versions


def find_statistics(conn: Connection, document: bytes) -> Row | None:
    return first(conn, select(statistics).where(_s.document == document))


def newest(conn: Connection, period: Period, currency: str, audience: int) -> Row | None:
    query = _of_period(period).where(_s.currency == currency, _s.audience == audience)
    return first(conn, query.order_by(_s.version.desc()).limit(1))


def list_statistics(conn: Connection, audience: int = 0, period: Period | None = None) -> list[Row]:
    """By period, currency, audience and version. Args: audience — 0 for all."""
    query = select(statistics) if period is None else _of_period(period)
    if audience:
        query = query.where(_s.audience == audience)
    return rows(conn, query.order_by(_s.year, _s.month, _s.months, _s.currency, _s.audience, _s.version))


def _of_period(period: Period) -> Select[Any]:
    return select(statistics).where(
        _s.year == period.year, _s.month == period.month, _s.months == period.months
    )


# Who was given them


def find_delivery(conn: Connection, document: bytes, recipient: str) -> Row | None:
    return first(
        conn, select(statistics_deliveries).where(_d.document == document, _d.recipient == recipient)
    )


def list_deliveries(conn: Connection) -> Iterator[Row]:
    yield from rows(conn, select(statistics_deliveries).order_by(_d.document, _d.recipient))


def offer_name(document: bytes, recipient: str) -> str:
    """Under which the entry that says it was offered is found in `entries_by_name`."""
    return f"{document.hex()}/{recipient}"


def find_offer(conn: Connection, document: bytes, recipient: str) -> bytes | None:
    """Leaf of that entry."""
    name = offer_name(document, recipient)
    leaf: bytes | None = conn.execute(
        select(entries_by_name.c.leaf).where(entries_by_name.c.name == name)
    ).scalar()
    return leaf
