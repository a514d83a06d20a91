"""What a bank's counted tables say was granted, as far as single loans are compared with it. Never commits."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from gateway.store.rows import Row, rows
from gateway.store.tables import lending_cells, lending_tables
from xinyi.margins import ALL, TOTAL

#: Dimensions by which single loans are compared with a table.
_ADDED_UP = (TOTAL, "grade", "guarantee")


def counted_tables(conn: Connection, bank: str) -> list[Row]:
    t = lending_tables.c
    return rows(conn, select(lending_tables).where(t.bank == bank, t.state == "COUNTED").order_by(t.document))


def limits(conn: Connection, document: bytes) -> dict[tuple[str, str], int]:
    """What a table says was granted: see `limits_of`."""
    c = lending_cells.c
    query = select(c.dimension, c.value, c.granted).where(c.document == document, c.dimension.in_(_ADDED_UP))
    return limits_of((dimension, value, fen) for dimension, value, fen in conn.execute(query))


def limits_of(cells: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str], int]:
    """(dimension, value) → fen granted, for those dimensions that single loans are added up by.

    The total is always told: a table without rows has no cells, and says that nothing was granted.
    """
    told = {(dimension, value): fen for dimension, value, fen in cells if dimension in _ADDED_UP}
    return {(TOTAL, ALL): 0} | told
