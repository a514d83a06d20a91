"""What the records of a product come to, in buckets: a DELTA is checked where it changes something, nowhere else.

    spool/state/<product>.db    a row per bucket: its entries (audit.buckets), and the identifiers in the same order

Derived from the chunks in the spool, and made anew where it is missing, damaged, or of another edition. It stands
at one edition; a transaction takes it to the next. It holds identifiers, so it is for its owner alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from adapters.bank.package import VerifiedPackage
from adapters.bank.rows import ExaminedRows
from audit import buckets, records
from audit.records import check_state
from xinyi import files
from xinyi.errors import Unavailable
from xinyi.v1 import edition_pb2

log = structlog.get_logger()

_KEY_BYTES = 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS edition (manifest_digest BLOB NOT NULL, blinding_key BLOB NOT NULL, digests BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS buckets (number INTEGER PRIMARY KEY, entries BLOB NOT NULL, identifiers TEXT NOT NULL);
"""
#: Its journal is what makes a crash harmless. After a power cut what is damaged does not come to the sealed root,
#: and is made anew. 32 MiB of pages hold the state of a large city, of whose buckets a DELTA touches a sixth.
_SETTINGS = "PRAGMA synchronous = OFF; PRAGMA page_size = 16384; PRAGMA cache_size = -32768;"


class State:
    """The state of one product. Use as a context manager: what was not kept is undone.

    Raises Unavailable where another process has it, or the disk fails.
    """

    def __init__(self, folder: Path, product: str) -> None:
        files.make_directory(folder)
        self._path = folder / f"{product}.db"
        self._connection = self._connect()
        self._package: VerifiedPackage | None = None
        self._full = False
        self._gathering = buckets.Gathering()
        self._digests = buckets.Digests()
        #: The last bucket of a FULL so far: it may go on in the next chunk.
        self._last: tuple[int, bytes, str] | None = None

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise Unavailable(f"the state in the spool cannot be used: {error}", basis="spool.disk") from error
            log.warning("state.damaged", path=str(self._path))
            self._path.unlink()
            return self._opened()

    def _opened(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        connection.executescript(_SETTINGS + _SCHEMA)
        return connection

    def forget(self) -> None:
        """Begins with nothing."""
        self._connection.close()
        self._path.unlink(missing_ok=True)
        self._connection = self._connect()

    @property
    def edition(self) -> bytes:
        """Manifest digest of the edition it stands at; empty for none."""
        row = self._connection.execute("SELECT manifest_digest FROM edition").fetchone()
        return row[0] if row is not None else b""

    # To the next edition

    def begin(self, package: VerifiedPackage) -> None:
        """From here on `take` says what the edition holds, until `keep`; whatever was begun before is undone."""
        with self._failures():
            self.undo()
            self._connection.execute("BEGIN IMMEDIATE")
            self._package = package
            self._full = package.manifest.message.kind == edition_pb2.EDITION_KIND_FULL
            if self._full:
                self._connection.execute("DELETE FROM buckets")
                self._gathering, self._last = buckets.Gathering(), None
            else:
                (packed,) = self._connection.execute("SELECT digests FROM edition").fetchone()
                self._digests = buckets.Digests(packed)

    def take(self, chunk: ExaminedRows, identifiers: Sequence[str]) -> None:
        """The next verified chunk. Args: identifiers — of its records, in order.

        Raises ProofInvalid where a DELTA says that a taxpayer is gone who was not among the records.
        """
        with self._failures():
            if self._full:
                self._gathering.add(chunk.run)
                self._lay(chunk.entries, identifiers)
            else:
                self._change(chunk, identifiers)

    def _lay(self, entries: bytes, identifiers: Sequence[str]) -> None:
        place, laid = 0, []
        for number, part in buckets.cut(_keys(entries), entries):
            names = "\n".join(identifiers[place : (place := place + len(part) // buckets.ENTRY_BYTES)])
            if self._last is not None and self._last[0] == number:
                part, names = self._last[1] + part, f"{self._last[2]}\n{names}"
            elif self._last is not None:
                laid.append(self._last)
            self._last = number, part, names
        self._write(laid)

    def _change(self, chunk: ExaminedRows, identifiers: Sequence[str]) -> None:
        keys, entries = _keys(chunk.entries), chunk.entries
        size = buckets.ENTRY_BYTES
        changes = buckets.by_bucket(
            (key, None if place in chunk.gone else entries[place * size + _KEY_BYTES : (place + 1) * size])
            for place, key in enumerate(keys)
        )
        told = dict(zip(keys, identifiers, strict=True))
        held = self._read(changes.keys())
        assert self._package is not None
        strict = self._package.manifest.message.kind == edition_pb2.EDITION_KIND_DELTA
        changed: list[tuple[int, bytes, str]] = []
        for number, own in changes.items():
            before, names = held.get(number, (b"", ""))
            after = buckets.changed(before, own, strict=strict)
            known = dict(zip(_keys(before), names.split("\n"), strict=False))
            # Most changes leave the same taxpayers there.
            if len(after) != len(before) or any(key not in known for key, _ in own):
                known.update((key, told[key]) for key, _ in own)
                names = "\n".join(known[key] for key in _keys(after))
            changed.append((number, after, names))
        self._digests.update({number: buckets.digest(after) for number, after, _ in changed})
        self._write(changed)

    def _write(self, rows: Iterable[tuple[int, bytes, str]]) -> None:
        self._connection.executemany("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", rows)

    def _read(self, numbers: Iterable[int]) -> dict[int, tuple[bytes, str]]:
        """(entries, identifiers) by bucket; empty ones are left out."""
        query = (
            "SELECT number, entries, identifiers FROM buckets WHERE number IN (SELECT value FROM json_each(?))"
        )
        rows = self._connection.execute(query, (json.dumps(sorted(numbers)),))
        return {number: (entries, identifiers) for number, entries, identifiers in rows}

    def check(self) -> None:
        """Every chunk was taken. Raises ProofInvalid unless the records come to the root that is sealed."""
        assert self._package is not None
        if self._full:
            if self._last is not None:
                with self._failures():
                    self._write([self._last])
                self._last = None
            self._digests = self._gathering.digests
        check_state(self._digests, self._package.manifest.message)

    def keep(self) -> None:
        """Stands at this edition from here on. Behind `check`."""
        package = self._package
        assert package is not None
        with self._failures():
            self._connection.execute("DELETE FROM edition")
            self._connection.execute(
                "INSERT INTO edition VALUES (?, ?, ?)",
                (package.manifest.digest, package.blinding_key, self._digests.packed),
            )
            self._connection.execute("COMMIT")
        self._package = None

    def undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._package = None

    # Whose records

    def names(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Identifiers of the records with these blinded keys; those that are not among them are left out."""
        wanted: dict[int, list[bytes]] = {}
        for key in keys:
            wanted.setdefault(buckets.number_of(key), []).append(key)
        found: dict[bytes, str] = {}
        with self._failures():
            for number, (entries, names) in self._read(wanted).items():
                held = dict(zip(_keys(entries), names.split("\n"), strict=False))
                found.update((key, held[key]) for key in wanted[number] if key in held)
        return found

    def among(self, identifiers: Collection[str]) -> set[str]:
        """Those of the identifiers that have a record."""
        row = self._connection.execute("SELECT blinding_key FROM edition").fetchone()
        if row is None:
            return set()
        blind = records.blinder(row[0])
        return set(self.names(blind(name.encode()) for name in identifiers).values())

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            busy = "locked" in str(error)
            raise Unavailable(
                "another landing of this product is under way" if busy else f"the spool's state fails: {error}",
                basis="delivery.busy" if busy else "spool.disk",
            ) from error


def _keys(entries: bytes) -> list[bytes]:
    size = buckets.ENTRY_BYTES
    return [entries[start : start + _KEY_BYTES] for start in range(0, len(entries), size)]
