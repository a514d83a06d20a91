"""What a version says depends on what counted at its moment alone: not on the order, nor on what came later."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert

from gateway import statistics
from gateway.store import migrations, tables
from gateway.store.db import open_engine
from tests.figures.made_up import sums_of
from tests.lending import Q1, firms_of
from xinyi.margins import SUMS
from xinyi.suppression import publish
from xinyi.v1 import lending_pb2

BUREAU = lending_pb2.AUDIENCE_BUREAU
BANKS = [f"test-city/bank-{number}" for number in range(5)]
DIMENSIONS = ("grade", "guarantee", "size/GXB300", "true-grade")
#: Tables of each bank, one behind the other: counted from a moment on, until the next one is.
MOMENTS = (100, 200, 300)
T = tuple[str, int]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = open_engine(database_url)
    migrations.upgrade(made)
    yield made
    made.dispose()


def table_rows(bank: str, number: int) -> tuple[dict[str, object], list[dict[str, object]]]:
    """The row and the cells of a bank's n-th table."""
    chance = random.Random(f"{bank} {number}")
    document = chance.randbytes(32)
    amounts = [chance.randrange(10**6, 10**9) for _ in range(chance.randrange(1, 9))]
    row: dict[str, object] = {
        "document": document, "bank": bank, "year": 2018, "month": 1, "months": 3, "currency": "CNY",
        "agreement_id": f"agreement of {bank}", "state": "COUNTED" if number == len(MOMENTS) - 1 else "CORRECTED",
        "row_count": len(amounts), "corrects": None, "replaced_by": None, "receipt": document, "answer": None,
        "recorded_at_ms": MOMENTS[number], "counted_at_ms": MOMENTS[number],
        "replaced_at_ms": MOMENTS[number + 1] if number + 1 < len(MOMENTS) else None,
        "counted_slot": number + 1,
    }  # fmt: skip
    cells = [
        {"document": document, "dimension": dimension, "value": value}
        | {name: getattr(sums, name) for name in SUMS}
        for dimension, values in sums_of(firms_of(amounts), DIMENSIONS).items()
        for value, sums in values.items()
    ]
    return row, cells


@contextmanager
def filled(engine: Engine, order: list[T]) -> Iterator[Connection]:
    """The tables put in in this order, and taken out again."""
    with engine.connect() as conn:
        for bank in BANKS:
            party = {"party": bank, "kind": "BANK", "state": "ACTIVE", "display_name": "", "changed_at_ms": 1}
            conn.execute(insert(tables.parties), [party])
            agreement = {
                "agreement_id": f"agreement of {bank}", "party": bank, "number": "1", "valid_from": "2018-01-01",
                "valid_until": "2018-12-31", "disclosure_class": 1, "state": "IN_FORCE", "annex": None,
            }  # fmt: skip
            conn.execute(insert(tables.agreements), [agreement])
        for bank, number in order:
            row, cells = table_rows(bank, number)
            conn.execute(insert(tables.lending_tables), [row])
            conn.execute(insert(tables.lending_cells), cells)
        yield conn
        conn.rollback()


def version_at(conn: Connection, until_ms: int) -> bytes:
    counted = statistics.count(conn, Q1, "CNY", until_ms)
    made = lending_pb2.Statistics(
        tables=counted.tables, banks=len(counted.tables), margins=publish(counted.figures, BUREAU)
    )
    return made.SerializeToString(deterministic=True)


ALL_TABLES: list[T] = [(bank, number) for bank in BANKS for number in range(len(MOMENTS))]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(ALL_TABLES))
def test_any_order_of_the_same_tables_gives_the_same_bytes(engine: Engine, order: list[T]) -> None:
    """And at each moment what counted then, however many came later; not a fen is lost or doubled."""
    with filled(engine, ALL_TABLES) as conn:
        wanted = {until: version_at(conn, until) for until in (99, *MOMENTS, 999)}
    with filled(engine, order) as conn:
        assert {until: version_at(conn, until) for until in wanted} == wanted
    for number, until in enumerate(MOMENTS):
        with filled(engine, [table for table in order if table[1] <= number]) as conn:
            assert version_at(conn, until) == wanted[until]
            granted = sum(
                int(str(cell["granted"]))
                for bank in BANKS
                for cell in table_rows(bank, number)[1]
                if cell["dimension"] == "total"
            )
            total = statistics.count(conn, Q1, "CNY", until).figures.margins["total"]["all"]
            assert total.granted == granted
    assert wanted[999] == wanted[MOMENTS[-1]]
    assert lending_pb2.Statistics.FromString(wanted[99]).banks == 0


def test_a_run_is_over_its_period_and_currency(engine: Engine) -> None:
    """Tables of another quarter, month or currency are in no sum."""
    with filled(engine, ALL_TABLES) as conn:
        for period, currency in (
            (lending_pb2.LendingPeriod(year=2018, month=4, months=3), "CNY"),
            (lending_pb2.LendingPeriod(year=2018, month=1, months=1), "CNY"),
            (Q1, "USD"),
        ):
            assert not statistics.count(conn, period, currency, 999).tables
