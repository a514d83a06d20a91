"""Reading a table or a query of somebody's database as a file is read: through a profile, in constant memory.

One read-only transaction sees one snapshot from the first look to the last (REPEATABLE READ on PostgreSQL, a read
transaction on SQLite), so that what is sealed is what was read, however often. Rows are ordered by the columns of
identifiers, then by all others, the least first, NULL before all, texts by their code points: their numbers, from 1,
are the same whenever the same rows are read.

What a raw file's bytes are for a file is here the *canonical form*: UTF-8 lines, each a JSON array without blanks and
without escapes but those JSON demands, each ended by a newline; first the column names, then every row; a cell is the
text that is read, or null. SourceFile.sha256 and size_bytes are those of the canonical form.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from adapters.tables.bulk import parse_url
from adapters.tables.profile import Profile
from adapters.tables.reading import ROWS_PER_BLOCK, NumberCell, Parsed, Piece, Table, cell_text
from xinyi.errors import Conflict, Invalid, Unavailable

#: Kinds of columns in PostgreSQL (pg_type.typcategory) that have one text: text, number, date or time, boolean, enum.
_CATEGORIES = "SNDBE"
_PLAIN = (int, float, Decimal, bool, datetime.date, datetime.time, uuid.UUID)
_NUMBERS = (int, float, Decimal)
_LEAVE_OUT = "read by a --query that leaves it out or casts it"
#: A day in a tax bureau's table is a day in China.
_PREPARE = "SET LOCAL TIME ZONE 'Asia/Shanghai'"
#: SQLSTATE class of what is wrong with the statement itself: such a text quotes no row.
_STATEMENT = "42"


@dataclass(frozen=True)
class Source:
    """What to read. Args: table — "schema.table" or "table"; query — a file with one SELECT, instead of it."""

    url: str
    table: str = ""
    query: Path | None = None
    #: Beside the URL, never in it; empty where .pgpass has it or none is needed.
    password: str = field(default="", repr=False)
    #: Name of the variable that the password comes from.
    secret: str = ""

    @property
    def name(self) -> str:
        """Tells neither host nor account."""
        return self.query.name if self.query is not None else self.table

    def select(self) -> str:
        """Raises Invalid."""
        if bool(self.table) == (self.query is not None):
            raise Invalid("a database is read by --table or by --query", basis="source.table")
        if self.query is not None:
            return self.query.read_text(encoding="utf-8").strip().rstrip(";")
        parts = self.table.split(".")
        if len(parts) > 2 or not all(parts):
            raise Invalid(f"{self.table}: a table is named schema.table", basis="source.table")
        return f"SELECT * FROM {'.'.join(map(_quoted, parts))}"


@dataclass(frozen=True)
class DatabaseTable(Table):
    """Rows of one snapshot, for as long as it is open."""

    source: Source
    rows: _Rows

    @property
    def name(self) -> str:
        return self.source.name

    def pieces(self) -> Iterator[tuple[int, Piece]]:
        """The headings as row 0, then pieces of rows from 1 on."""
        rows = self.rows
        digest = hashlib.sha256(_canonical(rows.headings))
        yield 0, Parsed([rows.headings])
        first = 1
        for block in rows.blocks():
            texts = [rows.texts(row) for row in block]
            digest.update(b"".join(map(_canonical, texts)))
            numbered = enumerate(zip(block, texts, strict=True), first)
            yield first, Parsed([rows.cells(row, text, number) for number, (row, text) in numbered])
            first += len(block)
        if digest.digest() != self.sha256:
            raise Conflict(
                f"{self.name} changed while it was read, which no snapshot does: try again", basis="source.changed"
            )


@contextmanager
def open_database(source: Source, profile: Profile) -> Iterator[DatabaseTable]:
    """Reads all rows once, for their digest.

    Raises Invalid where the table, the query or a column cannot be read as the profile wants it, Unavailable where
    the database is.
    """
    select, url = source.select(), _url(source)
    with _failures(source), _snapshot(url) as conn:
        rows = _Rows.of(conn, select, profile)
        head = _canonical(rows.headings)
        digest, size = hashlib.sha256(head), len(head)
        for block in rows.blocks():
            data = b"".join(_canonical(rows.texts(row)) for row in block)
            digest.update(data)
            size += len(data)
        yield DatabaseTable(profile, digest.digest(), size, url.get_backend_name(), "format", source, rows)


@dataclass(frozen=True)
class _Rows:
    conn: Connection
    statement: str
    headings: list[str]
    #: Places of columns that hold identifiers.
    identifiers: frozenset[int]

    @classmethod
    def of(cls, conn: Connection, select: str, profile: Profile) -> _Rows:
        """Args: select — a SELECT, without order."""
        # On a line of its own: a query may end in a comment.
        inner = f"SELECT * FROM (\n{select}\n) AS source"
        # SQLite would rename the second of two columns inside; there nothing is computed before it is fetched.
        description = _run(conn, select if conn.dialect.name == "sqlite" else f"{inner} LIMIT 0").cursor.description
        headings = [column[0] for column in description]
        if len(set(headings)) < len(headings):
            raise Invalid(
                f"two columns have the same name; there are: {', '.join(headings)[:300]}", basis="source.columns"
            )
        positions = profile.positions(headings)
        identifiers = [
            positions[name] for name in profile.columns if name in profile.identifiers or name == "taxpayer_id"
        ]
        texts: frozenset[int] = frozenset()
        if conn.dialect.name == "postgresql":
            texts = _check_types(conn, headings, [column[1] for column in description], identifiers)
        others = (place for place in range(len(headings)) if place not in identifiers)
        collation = "C" if conn.dialect.name == "postgresql" else "BINARY"
        order = ", ".join(
            _quoted(headings[place])
            + (f' COLLATE "{collation}"' if place in texts or collation == "BINARY" else "")
            + " NULLS FIRST"
            for place in (*identifiers, *others)
        )
        return cls(conn, f"{inner} ORDER BY {order}", headings, frozenset(identifiers))

    def blocks(self) -> Iterator[Sequence[Sequence[object]]]:
        """Through a cursor of the server, some thousand rows at a time."""
        blocks: Iterator[Sequence[Sequence[object]]] = _run(
            self.conn, self.statement, stream_results=True, max_row_buffer=ROWS_PER_BLOCK
        ).partitions(ROWS_PER_BLOCK)
        return blocks

    def texts(self, row: Sequence[object]) -> list[str | None]:
        """Raises Invalid where a value has no one text, which is known of SQLite's values only now."""
        return [
            cell if cell is None or isinstance(cell, str) else self._text(cell, heading)
            for cell, heading in zip(row, self.headings, strict=True)
        ]

    def _text(self, cell: object, heading: str) -> str:
        if isinstance(cell, _PLAIN):
            return cell_text(cell)
        raise Invalid(
            f"column {heading} holds {type(cell).__name__}, which has no one text: {_LEAVE_OUT}",
            basis="source.columns",
        )

    def cells(self, row: Sequence[object], texts: Sequence[str | None], number: int) -> list[str]:
        """As a file's: nothing where NULL is, and numbers in a column of identifiers marked."""
        cells = [text or "" for text in texts]
        for place in self.identifiers:
            if isinstance(row[place], _NUMBERS):
                cells[place] = NumberCell(cells[place], f"{self.headings[place]} of row {number}")
        return cells


def _check_types(
    conn: Connection, headings: Sequence[str], types: Sequence[int], identifiers: Sequence[int]
) -> frozenset[int]:
    """Places of texts. Raises Invalid."""
    texts = []
    for place, (heading, kind) in enumerate(zip(headings, types, strict=True)):
        query = f"SELECT typcategory, format_type(oid, NULL) FROM pg_type WHERE oid = {int(kind)}"
        category, name = _run(conn, query).one()
        if place in identifiers and category == "N":
            raise Invalid(
                f"column {heading} has the type {name}: a number cannot hold an identifier, its zeros and letters "
                "are lost. Read the table where identifiers are text",
                basis="source.identifier",
            )
        if category not in _CATEGORIES and name != "uuid":
            raise Invalid(
                f"column {heading} has the type {name}, which has no one text: {_LEAVE_OUT}",
                basis="source.columns",
            )
        if category == "S":
            texts.append(place)
    return frozenset(texts)


def _run(conn: Connection, statement: str, **options: Any) -> Any:
    # Without parameters: a percent sign in a query is a percent sign.
    return conn.exec_driver_sql(statement, execution_options={"no_parameters": True, **options})


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _canonical(row: Sequence[str | None]) -> bytes:
    return _encode(row).encode() + b"\n"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# The connection


def _url(source: Source) -> URL:
    url = parse_url(source.url)
    if url.password is not None or "password" in url.query:
        raise Invalid(
            "everybody on this machine sees a command's arguments: take the password out of the URL, and give it as "
            f"{source.secret or 'a variable'} or in ~/.pgpass",
            basis="source.password",
        )
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise Invalid(f"{url.database} is no file", basis="source.file")
    return url.set(password=source.password) if source.password else url


@contextmanager
def _snapshot(url: URL) -> Iterator[Connection]:
    engine = _engine(url)
    try:
        with engine.connect() as conn, conn.begin():
            if conn.dialect.name == "postgresql":
                _run(conn, _PREPARE)
            yield conn
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    event.listen(engine, "connect", _read_only)
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN"))
    return engine


def _read_only(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we begin the transaction ourselves
    connection.execute("PRAGMA query_only = ON")


@contextmanager
def _failures(source: Source) -> Iterator[None]:
    """A database's error may quote rows: only what it says of the connection or of the statement goes on."""
    try:
        yield
    except DBAPIError as error:
        raise _failure(source, error.orig or error) from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{source.name} is not UTF-8", basis="source.encoding") from error


def _failure(source: Source, error: BaseException) -> Invalid | Unavailable:
    state = getattr(error, "sqlstate", None) or ""
    kind = type(error).__name__
    if state.startswith(_STATEMENT):
        said = error.diag.message_primary  # type: ignore[attr-defined]
        return Invalid(f"{source.name} cannot be read: {said}", basis="source.table")
    if isinstance(error, sqlite3.OperationalError) and "locked" not in str(error):
        return Invalid(f"{source.name} cannot be read: {error}", basis="source.table")
    if kind == "OperationalError" and not state:
        said = str(error).strip().splitlines()[-1]
        return Unavailable(f"the database of {source.name} cannot be used now: {said}", basis="source.database")
    if kind in ("OperationalError", "InterfaceError") or state[:2] in ("08", "28", "40", "53", "57"):
        return Unavailable(f"the database of {source.name} cannot be used now ({kind})", basis="source.database")
    return Invalid(f"{source.name} cannot be read ({kind} {state})".rstrip(), basis="source.table")
