"""An administrator at the gateway's database: one change past the door, and its undoing.

The changes are made from the tables' own description, so that a table or column that comes later is tried too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    create_engine,
    func,
    select,
    text,
)
from sqlalchemy.engine import make_url

Row = dict[str, Any]


class Administrator:
    """Has every right on the database, and no key of the gateway."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(make_url(url))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._engine.begin() as conn:
            if conn.dialect.name == "postgresql":
                conn.execute(text("SET LOCAL session_replication_role = replica"))  # no foreign keys
            yield conn

    def row(self, table: Table, party: str) -> Row:
        """A row of this party, where the table tells parties apart; else one from the middle."""
        query = select(table).order_by(*table.primary_key.columns)
        if table.name == "log_entries":
            query = select(table).where(table.c.position.is_not(None)).order_by(table.c.position)
        with self._transaction() as conn:
            rows = [dict(row) for row in conn.execute(query).mappings()]
        theirs = [row for row in rows if party in (row.get("party"), row.get("recipient"))]
        return (theirs or rows)[len(theirs or rows) // 2]

    def find(self, table: Table, **key: Any) -> Row:
        where = [table.c[name] == value for name, value in key.items()]
        with self._transaction() as conn:
            return dict(conn.execute(select(table).where(*where)).mappings().one())

    @contextmanager
    def changed(self, table: Table, row: Row, column: Column[Any], to: Any = None) -> Iterator[None]:
        other = self._other(column, row[column.name]) if to is None else to
        with self._put(table, row, row | {column.name: other}):
            yield

    @contextmanager
    def deleted(self, table: Table, row: Row) -> Iterator[None]:
        with self._transaction() as conn:
            conn.execute(table.delete().where(*_is(table, row)))
        try:
            yield
        finally:
            with self._transaction() as conn:
                conn.execute(table.insert().values(row))

    @contextmanager
    def forged(self, table: Table, row: Row) -> Iterator[None]:
        """One more row: a copy, unlike it only where two rows may not be alike."""
        unlike = {c.name for c in table.columns if c.unique} | {[*table.primary_key.columns][-1].name}
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint):
                unlike.add([*constraint.columns][-1].name)
        forged = row | {name: self._other(table.c[name], row[name]) for name in unlike}
        with self._transaction() as conn:
            conn.execute(table.insert().values(forged))
        try:
            yield
        finally:
            with self._transaction() as conn:
                conn.execute(table.delete().where(*_is(table, forged)))

    @contextmanager
    def swapped(self, table: Table, column: Column[Any]) -> Iterator[None]:
        """Two neighbours exchange their values of a unique column."""
        query = select(table).where(column.is_not(None)).order_by(column).offset(3).limit(2)
        with self._transaction() as conn:
            first, second = (dict(row) for row in conn.execute(query).mappings())

        def put(one: Any, other: Any) -> None:
            with self._transaction() as conn:
                for row, value in ((first, None), (second, other), (first, one)):
                    conn.execute(table.update().where(*_is(table, row)).values({column.name: value}))

        put(second[column.name], first[column.name])
        try:
            yield
        finally:
            put(first[column.name], second[column.name])

    @contextmanager
    def _put(self, table: Table, old: Row, new: Row) -> Iterator[None]:
        with self._transaction() as conn:
            assert conn.execute(table.update().where(*_is(table, old)).values(new)).rowcount == 1
        try:
            yield
        finally:
            with self._transaction() as conn:
                assert conn.execute(table.update().where(*_is(table, new)).values(old)).rowcount == 1

    def _other(self, column: Column[Any], value: Any) -> Any:
        if isinstance(column.type, LargeBinary):
            return value[:-1] + bytes([value[-1] ^ 1]) if value else b"\1" * 32
        if isinstance(column.type, Integer):
            with self._transaction() as conn:
                highest: int = conn.execute(select(func.max(column))).scalar() or 0
            return highest + 1
        return "2018-04-30" if value is None else f"{value}x"


def _is(table: Table, row: Row) -> list[Any]:
    return [column == row[column.name] for column in table.primary_key.columns]
