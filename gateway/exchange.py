"""The one door: business rows and the log entry of an exchange commit in one database transaction.

Every exchange, refusals included, passes here; nothing else writes a LOGGED table or the log. Concurrent
exchanges share a transaction (group commit): one thread takes whatever waits, lets each piece of work read
and decide, and writes the rows of those that succeeded together. What fails has written nothing: work never
writes with its connection. If the shared transaction itself fails, each is tried again alone, so one bad
exchange never takes another along.

Knows nothing of what an exchange means.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog
from google.protobuf.message import Message
from sqlalchemy import Connection, Table, delete
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit import entries, log
from audit import envelope as envelopes
from audit.bulk import Key, Write, column_names, key_names, write_rows
from audit.keys import Signer, keyid
from gateway.row_cache import RowCache, key_of
from gateway.store import tables
from gateway.store.db import Database
from gateway.work import Need as Need
from gateway.work import Outcome, Work, settle
from xinyi.checks import CLOCKS_MS
from xinyi.errors import Conflict, Unavailable
from xinyi.fields import check_no_identifier
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, log_pb2

T = TypeVar("T")
Row = dict[str, Any]
#: Milliseconds since 1970-01-01 UTC.
Clock = Callable[[], int]

MAX_BATCH = 128
GATHER_S = 0.002

logger = structlog.get_logger()
_LOGGED = {table.name for table in tables.LOGGED}
_ORDER = [*tables.metadata.sorted_tables]


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


class Exchange:
    """One exchange in the making: what it reads, what it writes, what it is logged as."""

    def __init__(
        self, conn: Connection, now_ms: int, cache: RowCache | None = None, salts: Iterator[bytes] | None = None
    ) -> None:
        self.conn = conn
        self.now_ms = now_ms
        self._cache = cache if cache is not None else RowCache(conn)
        self._salts = salts if salts is not None else _salts(1)
        self._adds: list[tuple[Table, Row]] = []
        self._replaces: list[tuple[Table, Row]] = []
        self._removes: list[tuple[Table, Key]] = []
        self._documents: dict[bytes, bytes] = {}
        self._changes: list[log_pb2.RowChange] = []
        self._entries: list[dict[str, bytes]] = []

    def get(self, table: Table, *key: Any) -> Row | None:
        """A row by its primary key, a copy; read ahead with the others' where `needs` named it."""
        return self._cache.get(table, key)

    def add(self, table: Table, row: Row) -> None:
        """Inserts; a uniqueness conflict fails the exchange with Conflict."""
        self._adds.append((table, row))
        self._note(table, row)

    def replace(self, table: Table, row: Row) -> None:
        """Inserts or overwrites the whole row by its primary key."""
        self._replaces.append((table, row))
        self._note(table, row)

    def remove(self, table: Table, *key: Any) -> None:
        """Deletes the rows whose primary key begins with `key`; those of LOGGED tables stay, in another state."""
        if table.name in _LOGGED:
            raise ValueError(f"rows of {table.name} are never deleted")
        self._removes.append((table, key))

    def seal(self, message: Message, signer: Signer) -> envelope_pb2.Envelope:
        """Seals in the gateway's name.

        Raises Unavailable where its key was retired or reported meanwhile: what it sealed from there on would
        make the whole log false, and nothing takes it back. A process with the new key will seal.
        """
        key = self.get(tables.keys, keyid(signer.key))
        if key is not None and key["state"] != "ACTIVE":
            raise Unavailable("the gateway cannot sign at the moment: try again", basis="signing.key")
        return envelopes.seal(message, signer)

    def document(self, envelope: envelope_pb2.Envelope) -> bytes:
        """Keeps a sealed document; returns its digest. The same document twice is kept once."""
        digest = envelopes.digest(envelope)
        self._documents[digest] = envelope.SerializeToString()
        return digest

    def answer(self, document: bytes, sealed: envelope_pb2.Envelope) -> None:
        """Binds the sealed answer to a document's digest: an honest retry gets exactly this again.

        Comes after `log`, because the answer names the leaf; the log finds it through the leaf.
        """
        self._adds.append((tables.answers, {"document": document, "answer": self.document(sealed)}))

    def log(
        self,
        kind: str,
        *,
        actor: str,
        counterparty: str = "",
        product: str = "",
        period: edition_pb2.Period | None = None,
        agreement_id: str = "",
        manifest_digest: bytes = b"",
        delivery_id: str = "",
        documents: Sequence[bytes] = (),
        record_count: int = 0,
        channel: exchange_pb2.Channel = exchange_pb2.CHANNEL_UNSPECIFIED,
        code: str = "",
        detail: str = "",
        since_ms: int = 0,
    ) -> bytes:
        """Ends the exchange's business rows and writes its log entry. Returns the 33-byte leaf.

        Raises Invalid where `detail`, an operator's words among it, holds an identifier.
        """
        check_no_identifier(detail, "the reason or detail")
        entry = log_pb2.LogEntry(
            kind=kind,
            recorded_at_ms=self.now_ms,
            actor=actor,
            counterparty=counterparty,
            product=product,
            period=period,
            agreement_id=agreement_id,
            manifest_digest=manifest_digest,
            delivery_id=delivery_id,
            documents=documents,
            record_count=record_count,
            channel=channel,
            code=code,
            detail=detail,
            changes=self._changes,
            since_ms=since_ms,
        )
        self._changes = []
        row = log.new_entry(next(self._salts), entry.SerializeToString(deterministic=True))
        self._entries.append(row)
        if documents and (name := delivery_id or manifest_digest.hex()):
            self._adds.append((tables.entries_by_name, {"name": name, "leaf": row["leaf"]}))
        return row["leaf"]

    def _note(self, table: Table, row: Row) -> None:
        if table.name not in _LOGGED:
            return
        if len(row) != len(column_names(table)):
            missing = set(column_names(table)) ^ row.keys()
            raise ValueError(f"a row of {table.name} is written whole; check {sorted(missing)}")
        key = {name: row[name] for name in key_names(table)}
        self._changes.append(
            log_pb2.RowChange(
                table=table.name, key=entries.canonical_json(key), row_sha256=entries.row_digest(row)
            )
        )

    def check_complete(self) -> None:
        if self._changes:
            raise ValueError("business rows were written after the exchange was logged, or it never was")


def _salts(at_once: int) -> Iterator[bytes]:
    """Fresh random salts. To draw them lets go of the interpreter lock: once for many, not once for each."""
    while True:
        drawn = os.urandom(32 * at_once)
        yield from (drawn[start : start + 32] for start in range(0, len(drawn), 32))


class _Batch:
    """One shared transaction: collects what its exchanges write and flushes it table by table."""

    def __init__(self, conn: Connection, now_ms: int, works: Sequence[Work[Any]]) -> None:
        self._conn = conn
        self._now_ms = now_ms
        self._pending: list[Exchange] = []
        self._keys: set[str] = set()
        self._salts = _salts(len(works))
        self._cache = RowCache(conn)
        self._cache.prefetch(need for work in works for need in work.needs)

    def run(self, work: Work[Any]) -> Any:
        if work.key is None or work.key in self._keys:
            self.flush()
        exchange = Exchange(self._conn, self._now_ms, self._cache, self._salts)
        result = work.run(exchange)
        exchange.check_complete()
        for table, row in (*exchange._replaces, *exchange._adds):
            self._cache.put(table, key_of(table, row), row)
        for table, key in exchange._removes:
            self._cache.drop(table, key)
        self._pending.append(exchange)
        if work.key is None:
            self.flush()
        else:
            self._keys.add(work.key)
        return result

    def flush(self) -> None:
        """Writes table by table, in foreign-key order."""
        pending, self._pending = self._pending, []
        self._keys.clear()
        documents = {digest: data for exchange in pending for digest, data in exchange._documents.items()}
        adds: dict[Table, list[Row]] = {}
        replaces: dict[Table, dict[Key, Row]] = {}
        for exchange in pending:
            for table, row in exchange._adds:
                adds.setdefault(table, []).append(row)
            for table, row in exchange._replaces:
                replaces.setdefault(table, {})[key_of(table, row)] = row
        entries_ = [row for exchange in pending for row in exchange._entries]
        writes: list[Write] = [
            (tables.documents, [{"digest": digest, "envelope": data} for digest, data in documents.items()], "keep")
        ]
        for table in _ORDER:
            writes.append((table, list(replaces.get(table, {}).values()), "replace"))
            writes.append((table, adds.get(table, []), "fail"))
        writes.append((log.log_entries, entries_, "fail"))
        write_rows(self._conn, [write for write in writes if write[1]])
        for table, removed in (remove for exchange in pending for remove in exchange._removes):
            columns = zip(table.primary_key.columns, removed, strict=False)
            self._conn.execute(delete(table).where(*(column == value for column, value in columns)))


class Door:
    """Runs exchanges in shared transactions, in one thread per process.

    Two processes on one database take turns: SQLite has one writer, PostgreSQL an advisory lock. So what an
    exchange reads is still true when it writes.
    """

    def __init__(self, database: Database, clock: Clock = wall_clock) -> None:
        self._database = database
        self._clock = clock
        self._queue: queue.SimpleQueue[Work[Any] | None] = queue.SimpleQueue()
        self._committed: list[Callable[[], None]] = []
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="door", daemon=True)
        self._thread.start()

    def now(self) -> int:
        """Milliseconds since 1970 UTC by the gateway's clock."""
        return self._clock()

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Called in the door's thread after each transaction that logged something; must not block."""
        self._committed.append(callback)

    async def run(
        self, work: Callable[[Exchange], T], *, key: str | None = None, needs: Sequence[Need] = ()
    ) -> T:
        """Commits one exchange and returns what `work` returned.

        Args:
            work: reads with `x.conn`, writes with `x.add`, `x.replace`, `x.document`, and calls `x.log`
                once. May run more than once; must have no effect outside `x`, and none through `x.conn`.
            key: names everything `work` reads that another exchange could write, for instance a delivery
                id: exchanges of different keys may share one write. None runs it apart from all others.
            needs: rows that `work` will `x.get`, so that a group of exchanges reads them together.

        Raises:
            Conflict: a uniqueness rule of the database decided against it.
            whatever `work` raises: then nothing of it was written.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit(Work(work, key, future, loop, needs))
        return await future

    def run_sync(self, work: Callable[[Exchange], T], *, key: str | None = None) -> T:
        future: Future[T] = Future()
        self._submit(Work(work, key, future))
        return future.result()

    def close(self) -> None:
        """Finishes what waits, then stops."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _submit(self, work: Work[Any]) -> None:
        with self._closing:  # or it came to stand behind the end of the queue, and its caller waited for ever
            if self._closed:
                raise Unavailable("the gateway is stopping")
            self._queue.put(work)

    def _serve(self) -> None:
        crowded = False
        while (first := self._queue.get()) is not None:
            # A lone caller never waits; once several came together, a short wait gathers the next group. It is
            # slept through: to be woken by everyone who comes would take turns from those who are on their way.
            if crowded:
                time.sleep(GATHER_S)
            batch, stop = self._gather(first)
            crowded = len(batch) > 1
            self._commit(batch)
            if stop:
                return

    def _gather(self, first: Work[Any]) -> tuple[list[Work[Any]], bool]:
        """Whatever waits, and whether the door is to close behind it."""
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                break
            if work is None:
                return batch, True
            batch.append(work)
        return batch, False

    def _commit(self, batch: list[Work[Any]]) -> None:
        try:
            outcomes = self._transact(batch)
        except Exception as error:
            if len(batch) == 1:
                settle([(batch[0], None, _translated(error))])
                return
            for work in batch:  # each alone: one bad exchange never takes another along
                self._commit([work])
            return
        settle(outcomes)
        if any(error is None for _, _, error in outcomes):
            for callback in self._committed:
                callback()

    def _transact(self, batch: list[Work[Any]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        with self._database.writing() as conn:
            log.lock(conn, log.DOOR_LOCK)
            shared = _Batch(conn, _not_before(log.newest_opening(conn), self._clock()), batch)
            for work in batch:
                try:
                    outcomes.append((work, shared.run(work), None))
                except SQLAlchemyError:  # on PostgreSQL the transaction is lost, and would commit as nothing
                    raise
                except Exception as error:  # the work's own refusal; it wrote nothing
                    outcomes.append((work, None, error))
            shared.flush()
        return outcomes


def _not_before(newest: bytes, now_ms: int) -> int:
    """The clock's time, or that of the newest entry where another process's clock is a little ahead of ours.

    Times of entries then ascend as the entries do, so what was recorded until a moment stays what it was. Clocks that
    differ by more are not corrected: one that was set to next year would hold all others there.
    """
    last_ms = log_pb2.LogEntry.FromString(newest).recorded_at_ms
    if last_ms <= now_ms:
        return now_ms
    if last_ms - now_ms <= CLOCKS_MS:
        return last_ms
    logger.error("alarm.clock_behind", behind_ms=last_ms - now_ms)
    return now_ms


def _translated(error: Exception) -> Exception:
    if isinstance(error, IntegrityError):
        logger.warning("door.conflict", constraint=str(error.orig).splitlines()[0][:200])
        conflict = Conflict("another exchange has taken this place already", basis="unique")
        conflict.__cause__ = error
        return conflict
    return error
