"""Engines, and the one bridge between asyncio and the synchronous database.

SQLite: WAL, synchronous FULL, every write transaction begins IMMEDIATE (an upgrade from reading to writing
would fail at once with BUSY_SNAPSHOT). PostgreSQL: psycopg, READ COMMITTED.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from xinyi.errors import Invalid

T = TypeVar("T")

BUSY_TIMEOUT_S = 30
#: A connection to PostgreSQL that was used so lately is not tried before it is used again.
FRESH_S = 1.0


def open_engine(url: str, *, pool_size: int = 10) -> Engine:
    """An engine for one of our two databases; the SQLite file's folder must exist.

    Its errors hold no values: blinding keys and documents are among them, and operators read the tracebacks.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
            pool_size=pool_size,
            # The connection used last knows its statements and has the newest pages.
            pool_use_lifo=True,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(parsed, pool_size=pool_size, pool_use_lifo=True, hide_parameters=True)
    event.listen(engine, "handle_error", _without_details)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_check_alive, engine))
    return engine


def same_database(first: str, second: str) -> bool:
    """True where two URLs name one database: then a restore of one would take the other along.

    Told from the words alone: one server has many names. `check_apart` looks into the databases.
    """
    a, b = make_url(first), make_url(second)
    if a.get_backend_name() == b.get_backend_name() == "sqlite":
        return Path(a.database or "").resolve() == Path(b.database or "").resolve()
    return (a.get_backend_name(), a.host, a.port, a.database) == (
        b.get_backend_name(),
        b.host,
        b.port,
        b.database,
    )


def check_apart(data: Engine, heads: Engine) -> None:
    """Raises Invalid where the head store lies in a gateway's database, under whatever name."""
    look = [inspect(engine.execution_options(reading=True)) for engine in (heads, data)]
    if look[0].has_table("log_entries") or look[1].has_table("heads"):
        raise Invalid(
            "head_store is the gateway's database under another name: a restore would take the last signed "
            "head along and hide that entries are missing",
            basis="settings.head_store",
        )


def _note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _check_alive(engine: Engine, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Asks the server first, as `pool_pre_ping` would, unless it has just answered: that is a journey, too."""
    if time.monotonic() - record.info.get("used_at", 0.0) < FRESH_S:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError from error


def _without_details(context: ExceptionContext) -> None:
    """PostgreSQL quotes the row or key that was in the way behind its first line."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args and isinstance(error.args[0], str):
            error.args = (error.args[0].partition("\n")[0], *error.args[1:])


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    # Larger pages read chunk blobs three times faster; only a new, empty file takes the setting.
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # 64 MiB of write-ahead log instead of 16: an index page that many exchanges change is copied back less often.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")


def _begin_sqlite(conn: Connection) -> None:
    conn.exec_driver_sql(
        "BEGIN DEFERRED" if conn.get_execution_options().get("reading") else "BEGIN IMMEDIATE"
    )


class Database:
    """One database, its engine, and the threads that work on it for asyncio."""

    def __init__(self, url: str, *, threads: int = 8) -> None:
        self.engine = open_engine(url, pool_size=threads + 4)
        self._reading = self.engine.execution_options(reading=True)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="db")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only look at one moment of the database."""
        with self._reading.connect() as conn:
            yield conn

    @contextmanager
    def moment(self) -> Iterator[Connection]:
        """The same, where several queries must see one moment; it begins with the first of them."""
        options = {"isolation_level": "REPEATABLE READ"} if self.engine.dialect.name == "postgresql" else {}
        with self._reading.execution_options(**options).connect() as conn:
            yield conn

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction. Business rows go through the door instead."""
        with self.engine.begin() as conn:
            yield conn

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Runs a query function in a thread; it must return plain values, not open cursors."""

        def run() -> T:
            with self.reading() as conn:
                return query(conn)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """One write transaction. It is not given up with a call that is cancelled: that waits for its end."""

        def run() -> T:
            with self.writing() as conn:
                return work(conn)

        running = asyncio.get_running_loop().run_in_executor(self._threads, run)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        self.engine.dispose()
