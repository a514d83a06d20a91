"""Landing an edition in a SQL database: staged in a table of its own, made visible by one small transaction.

    <name>                       a view: the accepted records, the columns of the message, nothing else
    <name>__<sequence>           one edition: every record in the order of the tree, and the rule that refused it
    <name>__<sequence>_shared    what thousands of its records have in common (grade, year, tax office): once each
    xinyi_landings               one row per product: which edition the view shows

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
from adapters.tables.columns import Value
from adapters.tables.target import Columns, Landed, Row, Shown
from xinyi.errors import Conflict, Invalid, Unavailable

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_READ_RECORDS = 1024
#: The edition's column that names a row of its shared table, and that row's key.
_SHARED, _NUMBER = "shared", "number"
_TYPES = {"text": Text, "integer": BigInteger}


class SqlTarget:
    """A view in SQLite or PostgreSQL. Raises Unavailable where the database is, or is locked for too long."""

    def __init__(self, url: str, name: str, columns: Columns) -> None:
        if not _NAME.fullmatch(name):
            raise Invalid(f"{name!r} cannot be the name of a landed table", basis="settings.tables")
        self._name = name
        self._columns = columns
        self._metadata = MetaData()
        self._landings = _landings(self._metadata)
        self._engine = open_engine(url)
        self._relation = ""
        self._bulk: Bulk | None = None
        #: Shared columns → their number, while an edition is staged.
        self._shared: dict[tuple[Value, ...], int] = {}

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
        self._relation = f"{self._name}__{sequence:06d}"
        edition, shared = self._tables()
        with self._transaction() as conn:
            if self._name in inspect(conn).get_table_names():
                raise Conflict(
                    f"the database has a table {self._name} that this program did not make; "
                    "give the landed one another name under [bank.tables]",
                    basis="landing.table",
                )
            for table in (edition, shared):
                table.drop(conn, checkfirst=True)
                table.create(conn)
        self._shared = {}
        self._bulk = Bulk(self._engine, edition)

    def write(self, rows: Sequence[Row]) -> None:
        assert self._bulk is not None
        shared = self._shared
        numbered = [
            (position, refused, *shown[:-1], shared.setdefault(shown[-1], len(shared)))
            for position, refused, shown in rows
        ]
        with self._failures():
            self._bulk.write(numbered)

    def written(self) -> None:
        if self._bulk is None:
            return
        with self._failures():
            self._bulk.finish()
            # A second, small load: the same means, for their speed and their types.
            self._bulk = Bulk(self._engine, self._tables()[1])
            self._bulk.write([(number, *values) for values, number in self._shared.items()])
            self._bulk.finish()
        self._bulk = None
        name, key = self._relation, self._columns.own[0].name
        with self._transaction() as conn:
            conn.execute(text(f'CREATE UNIQUE INDEX "{name}_key" ON "{name}" ("{key}")'))

    def reopen(self, landed: Landed) -> None:
        self._relation = landed.relation

    def rows(self) -> Iterator[Shown]:
        names = ", ".join(f'"{c.name}"' for c in self._columns.shared)
        with self._failures():
            with self._reading() as cursor:
                cursor.execute(f'SELECT "{_NUMBER}", {names} FROM "{self._relation}_shared"')
                shared = {number: tuple(values) for number, *values in cursor.fetchall()}
            own = ", ".join(f'"{c.name}"' for c in self._columns.own)
            query = f'SELECT {own}, "{_SHARED}" FROM "{self._relation}" WHERE refused IS NULL AND'
            for *values, number in self._read(query):
                yield (*values, shared.get(number))

    def publish(self, landed: Landed) -> None:
        """One transaction: the view, and the row that says what it shows."""
        landed = replace(landed, relation=self._relation)
        own = ", ".join(f'e."{c.name}"' for c in self._columns.own)
        shared = ", ".join(f's."{c.name}"' for c in self._columns.shared)
        view = (
            f'VIEW "{self._name}" AS SELECT {own}, {shared} FROM "{landed.relation}" e '
            f'JOIN "{landed.relation}_shared" s ON s."{_NUMBER}" = e."{_SHARED}" WHERE e.refused IS NULL'
        )
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
        edition = re.compile("(" + re.escape(self._name) + r"__[0-9]{6,})(?:_shared)?")
        with self._transaction() as conn:
            shown = set(conn.execute(select(self._landings.c.relation)).scalars())
            for name in inspect(conn).get_table_names():
                found = edition.fullmatch(name)
                if found is not None and found[1] not in shown:
                    conn.execute(text(f'DROP TABLE "{name}"'))

    def close(self) -> None:
        if self._bulk is not None:
            self._bulk.close()
        self._engine.dispose()

    def _read(self, query: str) -> Iterator[tuple[Any, ...]]:
        """By ranges of the key: no cursor or transaction stays open, and memory stays flat."""
        with self._reading() as cursor:
            mark = "%s" if self._engine.dialect.name == "postgresql" else "?"
            cursor.execute(f'SELECT max(position) FROM "{self._relation}"')
            last = cursor.fetchone()[0]
            query = f"{query} position >= {mark} AND position < {mark} ORDER BY position"
            for start in range(0, -1 if last is None else last + 1, _READ_RECORDS):
                cursor.execute(query, (start, start + _READ_RECORDS))
                yield from cursor.fetchall()

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        connection = self._engine.raw_connection()
        try:
            if self._engine.dialect.name == "postgresql":
                connection.driver_connection.autocommit = True  # type: ignore[union-attr]
            yield connection.cursor()
        finally:
            connection.close()

    def _tables(self) -> tuple[Table, Table]:
        """The edition's table and the one of what its records share."""
        edition = Table(
            self._relation,
            self._metadata,
            SqlColumn("position", Integer, primary_key=True, autoincrement=False),
            SqlColumn("refused", Text),
            *(SqlColumn(c.name, _TYPES[c.kind]) for c in self._columns.own),
            SqlColumn(_SHARED, Integer, nullable=False),
            extend_existing=True,
        )
        shared = Table(
            f"{self._relation}_shared",
            self._metadata,
            SqlColumn(_NUMBER, Integer, primary_key=True, autoincrement=False),
            *(SqlColumn(c.name, _TYPES[c.kind]) for c in self._columns.shared),
            extend_existing=True,
        )
        return edition, shared

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
