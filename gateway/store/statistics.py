"""Queries about a period's statistics: what was counted at a moment, versions, and who was given them. Never commits.

A table counts from its `counted_at_ms` on and before its `replaced_at_ms`, a row with consent as the last act until
the moment left it: what comes later changes no answer about a moment that is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Subquery, and_, func, or_, select

from gateway.store.lending_tables import (
    lending_cells,
    lending_tables,
    outcome_acts,
    outcome_batches,
    outcome_changes,
    outcomes,
    reporting_terms,
    statistics,
    statistics_deliveries,
)
from gateway.store.rows import Row, first, rows
from gateway.store.tables import agreements, editions, entries_by_name
from xinyi.lending import first_day, last_day
from xinyi.margins import SUMS, TOTAL
from xinyi.v1 import edition_pb2, lending_pb2

T = TypeVar("T")
Period = lending_pb2.LendingPeriod

_t, _c, _o, _s, _d = (
    table.c for table in (lending_tables, lending_cells, outcomes, statistics, statistics_deliveries)
)
#: Names in one condition: SQLite takes 32,766 values in a statement.
_NAMES = 10_000
_COUNTED = lending_pb2.REPORT_STATE_COUNTED


# What was counted


def _counted(period: Period, currency: str, until_ms: int) -> ColumnElement[bool]:
    return and_(
        _t.year == period.year,
        _t.month == period.month,
        _t.months == period.months,
        _t.currency == currency,
        _t.counted_at_ms <= until_ms,
        or_(_t.replaced_at_ms.is_(None), _t.replaced_at_ms > until_ms),
    )


def counted_tables(conn: Connection, period: Period, currency: str, until_ms: int) -> list[Row]:
    """bank, document, recorded_at_ms of every counted table, by bank."""
    query = select(_t.bank, _t.document, _t.recorded_at_ms)
    found = rows(conn, query.where(_counted(period, currency, until_ms)))
    return sorted(found, key=lambda row: str(row["bank"]))  # not by the database: its collation would be sealed


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


def _last_states(until_ms: int) -> Subquery:
    """document, place, state of rows that an act until then changed: by the last of these.

    In this form PostgreSQL reads the rows they belong to with several processes; a window function would forbid it.
    """
    a, c = outcome_acts.c, outcome_changes.c
    later, later_act = outcome_changes.alias(), outcome_acts.alias()
    overtaken = (
        select(later.c.place)
        .join_from(later, later_act, later_act.c.judgement == later.c.judgement)
        .where(later.c.document == c.document, later.c.place == c.place)
        .where(later_act.c.sequence > a.sequence, later_act.c.recorded_at_ms <= until_ms)
    )
    return (
        select(c.document, c.place, c.state)
        .join_from(outcome_changes, outcome_acts, a.judgement == c.judgement)
        .where(a.recorded_at_ms <= until_ms, ~overtaken.exists())
        .subquery()
    )


def _consented(
    conn: Connection, columns: Sequence[Any], period: Period, currency: str, until_ms: int
) -> Select[Any]:
    """Columns of rows that are counted, by event date.

    Rows are staged before their batch is there: those of one that is not do not count. They are detail inside the
    totals: those of a bank without a counted table are detail of nothing.
    """
    last = _last_states(until_ms)
    totals = select(_t.bank).where(_counted(period, currency, until_ms))
    batches = outcome_batches.c
    recorded = select(batches.document).where(batches.recorded_at_ms <= until_ms, batches.bank.in_(totals))
    query = select(*columns).where(
        _o.document.in_(recorded),
        _o.event_date.between(first_day(period).isoformat(), last_day(period).isoformat()),
        _o.currency == currency,
    )
    # Where no row was ever changed, there is nothing to look up for each.
    if conn.execute(select(last.c.place).limit(1)).first() is None:
        return query.where(_o.state == _COUNTED)
    same = and_(last.c.document == _o.document, last.c.place == _o.place)
    return query.outerjoin_from(outcomes, last, same).where(func.coalesce(last.c.state, _o.state) == _COUNTED)


def add_up_consented(conn: Connection, period: Period, currency: str, until_ms: int) -> list[Row]:
    """stage, grade relied on, and how many rows, enterprises, customers (an enterprise at a bank), and what the rows
    come to.

    Added up by customer, then by enterprise: to count either as distinct values takes PostgreSQL longer.
    """
    keys = (_o.stage, _o.grade, _o.taxpayer_id)
    columns = (*keys, func.count().label("loans"), func.sum(_o.amount).label("granted"))
    customer = _consented(conn, columns, period, currency, until_ms).group_by(*keys, _o.bank).subquery().c
    firm = (
        select(
            *(customer.stage, customer.grade, func.count().label("customers")),
            func.sum(customer.loans).label("loans"),
            func.sum(customer.granted).label("granted"),
        )
        .group_by(customer.stage, customer.grade, customer.taxpayer_id)
        .subquery()
        .c
    )
    added = select(
        *(firm.stage, firm.grade, func.count().label("firms")),
        *(func.sum(firm[name]).label(name) for name in ("loans", "customers", "granted")),
    )
    return rows(conn, added.group_by(firm.stage, firm.grade))


def consented_of(
    conn: Connection, period: Period, currency: str, until_ms: int, taxpayers: Collection[str]
) -> list[Row]:
    """The counted rows of these taxpayers."""
    reliance = (_o.manifest_digest, _o.blinded_key, _o.evaluation_year)
    columns = (_o.stage, _o.grade, _o.taxpayer_id, _o.bank, _o.amount, *reliance)
    found: list[Row] = []
    for some in _parts(sorted(taxpayers), _NAMES):
        query = _consented(conn, columns, period, currency, until_ms)
        found += rows(conn, query.where(_o.taxpayer_id.in_(some)))
    return found


def list_corrections(conn: Connection) -> list[Row]:
    """Every CORRECTION that was approved, stopped ones too."""
    e = editions.c
    return rows(
        conn, select(editions).where(e.kind == edition_pb2.EDITION_KIND_CORRECTION, e.approval.is_not(None))
    )


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
