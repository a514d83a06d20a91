"""Landing an edition in a SQL database: staged in a table of its own, made visible by one small transaction.

    <name>                  a view: the accepted records, the columns of the message, nothing else
    <name>__<sequence>      one edition: every record in the order of the tree, and the rule that refused it
    xinyi_landings          one row per product: which edition the view shows

Readers see the old edition or the new one. Grants on the view stay. A crash while staging leaves a table that
no view shows; the next run drops it. Rows go in with the driver's own means (COPY on PostgreSQL).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy import Column as SqlColumn
from sqlalchemy.exc import DBAPIError, OperationalError

from adapters.tables.bulk import BUSY_TIMEOUT_S, Bulk, open_engine
from adapters.tables.columns import Column, Value
from adapters.tables.target import Landed, Row
from xinyi.errors import Conflict, Invalid, Unavailable

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_READ_RECORDS = 1024
_TYPES = {"text": Text, "integer": BigInteger}


class SqlTarget:
    """A view in SQLite or PostgreSQL. Raises Unavailable where the database is, or is locked for too long."""

    def __init__(self, url: str, name: str, columns: Sequence[Column]) -> None:
        if not _NAME.fullmatch(name):
            raise Invalid(f"{name!r} cannot be the name of a landed table", basis="settings.tables")
        self._name = name
        self._columns = columns
        self._shown = ", ".join(f'"{c.name}"' for c in columns)
        self._metadata = MetaData()
        self._landings = _landings(self._metadata)
        self._engine = open_engine(url)
        self._edition: Table | None = None
        self._bulk: Bulk | None = None

    def landed(self, product: str) -> Landed | None:
        with self._transaction() as conn:
            self._landings.create(conn, checkfirst=True)
            row = (
                conn.execute(select(self._landings).where(self._landings.c.product == product))
                .mappings()
                .first()
            )
            return Landed(**row) if row is not None else None

    def stage(self, sequence: int) -> None:
        edition = self._edition = self._describe(f"{self._name}__{sequence:06d}")
        with self._transaction() as conn:
            if self._name in inspect(conn).get_table_names():
                raise Conflict(
                    f"the database has a table {self._name} that this program did not make; "
                    "give the landed one another name under [bank.tables]",
                    basis="landing.table",
                )
            edition.drop(conn, checkfirst=True)
            edition.create(conn)
        self._bulk = Bulk(self._engine, edition)

    def write(self, rows: Sequence[Row]) -> None:
        assert self._bulk is not None
        with self._failures():
            self._bulk.write(rows)

    def written(self) -> None:
        if self._bulk is None:
            return
        with self._failures():
            self._bulk.finish()
        self._bulk = None
        name = self._current.name
        with self._transaction() as conn:
            conn.execute(text(f'CREATE UNIQUE INDEX "{name}_key" ON "{name}" ("{self._columns[0].name}")'))

    def reopen(self, landed: Landed) -> None:
        self._edition = self._describe(landed.relation)

    def rows(self) -> Iterator[tuple[Value, ...]]:
        return self._read(f'SELECT {self._shown} FROM "{self._current.name}" WHERE refused IS NULL AND')

    def publish(self, landed: Landed) -> None:
        """One transaction: the view, and the row that says what it shows."""
        landed = replace(landed, relation=self._current.name)
        view = f'VIEW "{self._name}" AS SELECT {self._shown} FROM "{landed.relation}" WHERE refused IS NULL'
        t = self._landings
        with self._transaction() as conn:
            if conn.dialect.name == "postgresql":
                conn.execute(text(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'"))
                conn.execute(text(f"LOCK TABLE {t.name} IN EXCLUSIVE MODE"))
            newest = conn.execute(select(t.c.sequence).where(t.c.product == landed.product)).scalar()
            if newest is not None and newest >= landed.sequence:
                raise Conflict(f"edition {newest} has landed meanwhile", basis="edition.replayed")
            if conn.dialect.name == "postgresql":
                conn.execute(text(f"CREATE OR REPLACE {view}"))
            else:
                conn.execute(text(f'DROP VIEW IF EXISTS "{self._name}"'))
                conn.execute(text(f"CREATE {view}"))
            conn.execute(delete(t).where(t.c.product == landed.product))
            conn.execute(insert(t).values(**vars(landed)))

    def discard(self) -> None:
        edition = re.compile(re.escape(self._name) + r"__[0-9]{6,}")
        with self._transaction() as conn:
            shown = set(conn.execute(select(self._landings.c.relation)).scalars())
            for name in inspect(conn).get_table_names():
                if edition.fullmatch(name) and name not in shown:
                    conn.execute(text(f'DROP TABLE "{name}"'))

    def close(self) -> None:
        if self._bulk is not None:
            self._bulk.close()
        self._engine.dispose()

    @property
    def _current(self) -> Table:
        assert self._edition is not None, "stage or reopen first"
        return self._edition

    def _read(self, query: str) -> Iterator[tuple[Any, ...]]:
        """By ranges of the key: no cursor or transaction stays open, and memory stays flat."""
        with self._failures():
            connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            mark = "?"
            if self._engine.dialect.name == "postgresql":
                connection.driver_connection.autocommit = True  # type: ignore[union-attr]
                mark = "%s"
            cursor.execute(f'SELECT max(position) FROM "{self._current.name}"')
            last = cursor.fetchone()[0]  # type: ignore[index]
            query = f"{query} position >= {mark} AND position < {mark} ORDER BY position"
            for start in range(0, -1 if last is None else last + 1, _READ_RECORDS):
                cursor.execute(query, (start, start + _READ_RECORDS))
                yield from cursor.fetchall()
        finally:
            connection.close()

    def _describe(self, name: str) -> Table:
        return Table(
            name,
            self._metadata,
            SqlColumn("position", Integer, primary_key=True, autoincrement=False),
            SqlColumn("refused", Text),
            *(SqlColumn(c.name, _TYPES[c.kind]) for c in self._columns),
            extend_existing=True,
        )

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._failures(), self._engine.begin() as conn:
            yield conn

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """The text of a database's error may quote rows: only its kind goes on."""
        driver = self._engine.dialect.loaded_dbapi
        try:
            yield
        except (DBAPIError, driver.Error) as error:
            kind = type(error).__name__
            if isinstance(error, OperationalError | driver.OperationalError):
                raise Unavailable(
                    f"the database cannot be used now ({kind})", basis="landing.database"
                ) from error
            raise Invalid(
                f"the database does not take these records as they are ({kind}): is its encoding UTF-8?",
                basis="landing.database",
            ) from error


def _landings(metadata: MetaData) -> Table:
    return Table(
        "xinyi_landings",
        metadata,
        SqlColumn("product", Text, primary_key=True),
        SqlColumn("origin", Text, nullable=False),
        SqlColumn("delivery_id", Text, nullable=False),
        SqlColumn("manifest_digest", Text, nullable=False),
        SqlColumn("sequence", BigInteger, nullable=False),
        SqlColumn("relation", Text, nullable=False),
        SqlColumn("accepted", BigInteger, nullable=False),
        SqlColumn("rejected", BigInteger, nullable=False),
        SqlColumn("root", Text, nullable=False),
        SqlColumn("landed_at_ms", BigInteger, nullable=False),
    )
