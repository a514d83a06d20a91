"""Landing an edition in a SQL database: staged in a table of its own, made visible by one small transaction.

    <name>                       a view: the accepted records, the columns of the message, and `disputed_since`
    <name>__<sequence>           a FULL, and what DELTAs and CORRECTIONS made of it: every record and the rule that
                                 refused it; first in the order of the tree, what changed behind it
    <name>__<sequence>_shared    what thousands of its records have in common (grade, year, tax office)
    <name>__disputes             records under objection
    xinyi_landings               one row per product: which edition the view shows
    xinyi_recalls                every row that a CORRECTION took back

Readers see the edition before or the edition after. Grants on the view stay. A crash while staging leaves a table
that no view shows; the next run drops it. Rows go in with the driver's own means (COPY on PostgreSQL); what
changed is then moved within the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from adapters.tables.bulk import BUSY_TIMEOUT_S, Bulk, open_engine
from adapters.tables.columns import Value
from adapters.tables.relations import NUMBER, SHARED, Relations
from adapters.tables.target import ABSENT, GONE, Columns, Landed, Recall, Recalled, Row, Shown
from xinyi.errors import Conflict, Invalid, Unavailable

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_READ_RECORDS = 1024


class SqlTarget:
    """A view in SQLite or PostgreSQL. Raises Unavailable where the database is, or is locked for too long."""

    def __init__(self, url: str, name: str, columns: Columns) -> None:
        if not _NAME.fullmatch(name):
            raise Invalid(f"{name!r} cannot be the name of a landed table", basis="settings.tables")
        self._name = name
        self._columns = columns
        self._relations = Relations(name, columns)
        self._engine = open_engine(url)
        #: What is staged; behind `reopen` and `merge`, what `rows` reads, from which position and number on.
        self._staged = self._relation = ""
        self._first = self._number = 0
        self._bulk: Bulk | None = None
        #: Shared columns → their number, while an edition is staged.
        self._shared: dict[tuple[Value, ...], int] = {}
        #: The transaction that `merge` began.
        self._merging: Connection | None = None
        self._open = ExitStack()

    def landed(self, product: str) -> Landed | None:
        with self._transaction() as conn:
            for table in self._relations.lasting:
                table.create(conn, checkfirst=True)
            return self._landed(conn, product)

    def _landed(self, conn: Connection, product: str) -> Landed | None:
        t = self._relations.landings
        row = conn.execute(select(t).where(t.c.product == product)).mappings().first()
        return Landed(**row) if row is not None and not self._lost(conn, row["relation"]) else None

    def lost(self, product: str) -> str:
        t = self._relations.landings
        with self._transaction() as conn:
            if not inspect(conn).has_table(t.name):
                return ""
            relation = conn.execute(select(t.c.relation).where(t.c.product == product)).scalar()
            return self._lost(conn, relation) if relation is not None else ""

    def _lost(self, conn: Connection, relation: str) -> str:
        """The view counts as well: without it nothing is shown."""
        there = inspect(conn).has_table
        return next((name for name in (relation, f"{relation}_shared", self._name) if not there(name)), "")

    def stage(self, sequence: int) -> None:
        self._staged = self._relation = f"{self._name}__{sequence:06d}"
        self._first = self._number = 0
        edition, shared = self._relations.edition(self._staged)
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
            self._bulk = Bulk(self._engine, self._relations.edition(self._staged)[1])
            self._bulk.write([(number, *values) for values, number in self._shared.items()])
            self._bulk.finish()
        self._bulk = None
        name = self._staged
        with self._transaction() as conn:
            conn.execute(text(f'CREATE UNIQUE INDEX "{name}_key" ON "{name}" ("{self._key}")'))

    @property
    def _key(self) -> str:
        return self._columns.own[0].name

    def reopen(self, landed: Landed) -> None:
        self._relation, self._first, self._number = landed.relation, 0, 0

    def merge(self, base: Landed) -> int:
        """What its rows share is added, without a look whether it stands there already: the next FULL begins anew."""
        conn = self._open.enter_context(self._begun())
        self._lock(conn)
        if self._landed(conn, base.product) != base:
            raise Conflict("another edition has landed meanwhile; run this again", basis="landing.meanwhile")
        staged, relation = self._staged, base.relation
        of_staged = f'"{self._key}" IN (SELECT "{self._key}" FROM "{staged}")'
        shown = conn.execute(
            text(f'SELECT count(*) FROM "{relation}" WHERE refused IS NULL AND {of_staged}')
        ).scalar_one()
        conn.execute(text(f'DELETE FROM "{relation}" WHERE {of_staged}'))
        first, number = (
            conn.execute(text(f'SELECT coalesce(max("{column}"), -1) + 1 FROM "{table}"')).scalar_one()
            for column, table in (("position", relation), (NUMBER, f"{relation}_shared"))
        )
        shared = ", ".join(f'"{c.name}"' for c in self._columns.shared)
        conn.execute(
            text(
                f'INSERT INTO "{relation}_shared" ("{NUMBER}", {shared}) '
                f'SELECT "{NUMBER}" + :number, {shared} FROM "{staged}_shared"'
            ),
            {"number": number},
        )
        own = ", ".join(f'"{c.name}"' for c in self._columns.own)
        conn.execute(
            text(
                f'INSERT INTO "{relation}" (position, refused, {own}, "{SHARED}") '
                f'SELECT position + :first, refused, {own}, "{SHARED}" + :number FROM "{staged}" '
                "WHERE refused IS NULL OR refused NOT IN (:gone, :absent)"
            ),
            {"first": first, "number": number, "gone": GONE, "absent": ABSENT},
        )
        self._relation, self._first, self._number = relation, first, number
        return int(shown)

    def rows(self) -> Iterator[Shown]:
        names = ", ".join(f'"{c.name}"' for c in self._columns.shared)
        own = ", ".join(f'"{c.name}"' for c in self._columns.own)
        with self._failures(), self._reading() as cursor:
            table = f"{self._relation}_shared"
            cursor.execute(f'SELECT "{NUMBER}", {names} FROM "{table}" WHERE "{NUMBER}" >= {self._number}')
            shared = {number: tuple(values) for number, *values in cursor.fetchall()}
            query = f'SELECT {own}, "{SHARED}" FROM "{self._relation}" WHERE refused IS NULL AND'
            for *values, number in self._read(cursor, query):
                yield (*values, shared.get(number))

    def recall(self, recall: Recall) -> None:
        with self._transaction() as conn:
            conn.execute(
                text(
                    "INSERT INTO xinyi_recalls "
                    "(product, taxpayer_id, correction, corrects, sequence, what, received_at_ms) "
                    f'SELECT :product, "{self._key}", :correction, :corrects, :sequence, '
                    f"CASE refused WHEN '{GONE}' THEN 'gone' ELSE 'changed' END, :received_at_ms "
                    f'FROM "{self._staged}" WHERE true ON CONFLICT DO NOTHING'
                ),
                vars(recall),
            )

    def publish(self, landed: Landed, disputes: Mapping[str, str] | None) -> None:
        """One transaction: the rows or the view, and the row that says what it shows."""
        with self._transaction() as conn:
            if not landed.relation:
                landed = replace(landed, relation=self._staged)
                self._show(conn, landed)
            t = self._relations.landings
            conn.execute(delete(t).where(t.c.product == landed.product))
            conn.execute(insert(t).values(**vars(landed)))
            if disputes is not None:
                self._mark(conn, disputes)
        if self._merging is not None:
            with self._failures():
                self._merging.commit()
            self._open.close()

    def _show(self, conn: Connection, landed: Landed) -> None:
        self._lock(conn)
        newest = self._landed(conn, landed.product)
        if newest is not None and newest.sequence >= landed.sequence:
            raise Conflict(f"edition {newest.sequence} has landed meanwhile", basis="edition.replayed")
        own = ", ".join(f'e."{c.name}"' for c in self._columns.own)
        shared = ", ".join(f's."{c.name}"' for c in self._columns.shared)
        view = (
            f'VIEW "{self._name}" AS SELECT {own}, {shared}, d.disputed_since FROM "{landed.relation}" e '
            f'JOIN "{landed.relation}_shared" s ON s."{NUMBER}" = e."{SHARED}" '
            f'LEFT JOIN "{self._name}__disputes" d ON d.taxpayer_id = e."{self._key}" WHERE e.refused IS NULL'
        )
        if conn.dialect.name == "postgresql":
            conn.execute(text(f"CREATE OR REPLACE {view}"))
        else:
            conn.execute(text(f'DROP VIEW IF EXISTS "{self._name}"'))
            conn.execute(text(f"CREATE {view}"))

    def _mark(self, conn: Connection, disputes: Mapping[str, str]) -> None:
        t = self._relations.disputes
        conn.execute(delete(t))
        if disputes:
            rows = [{"taxpayer_id": name, "disputed_since": since} for name, since in disputes.items()]
            conn.execute(insert(t), rows)

    def _lock(self, conn: Connection) -> None:
        """One landing at a time; SQLite's transactions are one at a time anyway."""
        if conn.dialect.name == "postgresql":
            conn.execute(text(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'"))
            conn.execute(text(f"LOCK TABLE {self._relations.landings.name} IN EXCLUSIVE MODE"))

    def recalled(self, product: str) -> Iterator[Recalled]:
        t = self._relations.recalls
        query = select(t).where(t.c.product == product).order_by(t.c.received_at_ms.desc(), t.c.taxpayer_id)
        with self._transaction() as conn:
            t.create(conn, checkfirst=True)
            for row in conn.execution_options(yield_per=_READ_RECORDS).execute(query).mappings():
                yield Recalled(**row)

    def discard(self) -> None:
        edition = re.compile("(" + re.escape(self._name) + r"__[0-9]{6,})(?:_shared)?")
        with self._transaction() as conn:
            shown = set(conn.execute(select(self._relations.landings.c.relation)).scalars())
            for name in inspect(conn).get_table_names():
                found = edition.fullmatch(name)
                if found is not None and found[1] not in shown:
                    conn.execute(text(f'DROP TABLE "{name}"'))

    def close(self) -> None:
        if self._bulk is not None:
            self._bulk.close()
        self._open.close()  # a merge that was not published is undone
        self._engine.dispose()

    def _read(self, cursor: Any, query: str) -> Iterator[tuple[Any, ...]]:
        """By ranges of the key: no cursor or transaction stays open, and memory stays flat."""
        mark = "%s" if self._engine.dialect.name == "postgresql" else "?"
        cursor.execute(f'SELECT max(position) FROM "{self._relation}"')
        last = cursor.fetchone()[0]
        query = f"{query} position >= {mark} AND position < {mark} ORDER BY position"
        for start in range(self._first, self._first if last is None else last + 1, _READ_RECORDS):
            cursor.execute(query, (start, start + _READ_RECORDS))
            yield from cursor.fetchall()

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        if self._merging is not None:
            yield self._merging.connection.cursor()
            return
        connection = self._engine.raw_connection()
        try:
            if self._engine.dialect.name == "postgresql":
                connection.driver_connection.autocommit = True  # type: ignore[union-attr]
            yield connection.cursor()
        finally:
            connection.close()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """A transaction that stays open: closed without a commit it is undone."""
        with self._failures(), self._engine.connect() as conn:
            conn.begin()
            self._merging = conn
            try:
                yield conn
            finally:
                self._merging = None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._failures():
            if self._merging is not None:
                yield self._merging
                return
            with self._engine.begin() as conn:
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
