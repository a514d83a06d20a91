"""Many rows into one table by the driver's own means: tuples on SQLite, COPY on PostgreSQL.

SQLAlchemy's inserts cost two to ten times as much. A transaction ends every 65,536 rows, so that no log grows
with the edition.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from sqlalchemy import BigInteger, Engine, Integer, LargeBinary, NullPool, Table, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from xinyi.errors import Invalid

BUSY_TIMEOUT_S = 30
TRANSACTION_ROWS = 65_536

_COPY_TYPES = {Integer: "int4", BigInteger: "int8", LargeBinary: "bytea"}


def open_engine(url: str) -> Engine:
    """SQLite or PostgreSQL; raises Invalid for others. The bank's own journal mode is left alone."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, poolclass=NullPool, hide_parameters=True)
    engine = create_engine(
        parsed, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves; DDL is part of them
    connection.execute("PRAGMA page_size = 16384")  # takes effect in a new, empty file only


def parse_url(url: str) -> URL:
    """Of a database that this program knows. Raises Invalid, never showing the URL: there may be a password in it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise Invalid("that is no URL of a database", basis="settings.database") from error
    backend = parsed.get_backend_name()
    if backend not in ("postgresql", "sqlite"):
        raise Invalid(
            f"databases are sqlite:///FILE and postgresql://host/name, not {backend}", basis="settings.database"
        )
    if backend == "postgresql" and find_spec("psycopg") is None:
        raise Invalid(
            "PostgreSQL needs psycopg: python -m pip install 'xinyi-gateway[postgres]'", basis="settings.extra"
        )
    return parsed


class _Abandoned(Exception):
    """What the server is told of a COPY that is not finished."""


class Bulk:
    """Write, then `finish`; `close` without it leaves what was committed so far, for the next run to drop."""

    def __init__(self, engine: Engine, table: Table) -> None:
        self._connection = engine.raw_connection()
        self._cursor = self._connection.cursor()
        self._rows = 0
        self._table = table
        self._copying = ExitStack()
        self._copy: Any = None
        columns = ", ".join(f'"{c.name}"' for c in table.columns)
        marks = ", ".join("?" * len(table.columns))
        self._postgresql = engine.dialect.name == "postgresql"
        self._statement = (
            f'COPY "{table.name}" ({columns}) FROM STDIN (FORMAT BINARY)'
            if self._postgresql
            else f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'
        )

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if self._rows == 0:
            self._begin()
        if self._postgresql:
            for row in rows:
                self._copy.write_row(row)
        else:
            self._cursor.executemany(self._statement, rows)
        self._rows += len(rows)
        if self._rows >= TRANSACTION_ROWS:
            self._commit()

    def finish(self) -> None:
        if self._rows:
            self._commit()
        self.close()

    def close(self) -> None:
        # psycopg's COPY holds the connection's lock until it ends; abandoned, it ends in an error at the server.
        abandoned = _Abandoned("not finished")
        self._copying.__exit__(_Abandoned, abandoned, None)
        self._connection.close()

    def _begin(self) -> None:
        if not self._postgresql:
            self._cursor.execute("BEGIN IMMEDIATE")
            return
        self._copy = self._copying.enter_context(self._cursor.copy(self._statement))
        self._copy.set_types([_COPY_TYPES.get(type(c.type), "text") for c in self._table.columns])

    def _commit(self) -> None:
        self._copying.close()
        if self._postgresql:
            self._connection.commit()
        else:
            self._cursor.execute("COMMIT")
        self._rows = 0
