"""What stands after an edition, by buckets: where each record and its salt lie, without a pass over all of them.

One SQLite file per FULL, `state/states/<its digest>.db`: the FULL's buckets, and for each edition that builds on it
the buckets that it changed. A bucket holds blinded key ‖ commitment of its records, ascending (audit.buckets), then
where each of them lies: sequence of its edition and byte in that edition's `chunks`.

The file is derived from the edition folders, which are the durable truth: it may be deleted at any time, and is made
anew where it is missing. Nothing in it is trusted: the digests come to the sealed state root, each bucket to its
digest, each record to its commitment. So it is written without waiting for the disk.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property, lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from adapters.bureau.comparison import Standing
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.serialised import identifier_of, is_gone
from audit import buckets, records
from xinyi import files
from xinyi.errors import Conflict, DigestMismatch, ProofInvalid
from xinyi.v1 import edition_pb2

#: FULLs whose files are kept; that of an older one is made anew where somebody asks.
_KEPT = 3
# Pages that hold many buckets: what does not fit into a quarter of a page has one of its own.
_SCHEMA = """
PRAGMA page_size = 16384;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE states (sequence INTEGER PRIMARY KEY, manifest BLOB NOT NULL, digests BLOB NOT NULL);
CREATE TABLE buckets (number INTEGER, sequence INTEGER, entries BLOB NOT NULL, places BLOB NOT NULL,
    PRIMARY KEY (number, sequence)) WITHOUT ROWID;
"""
#: Those of one part of an edition are asked for together.
_BUCKETS_HELD = 64
#: Where a record lies: sequence of its edition, then the byte in its chunks, in one number.
_PLACE_BYTES, _OFFSET_BITS = 8, 44
_READ_BYTES = 1024


class State:
    """What stands after one edition. Travels to other processes by value.

    Args:
        chain: folders of the editions from the FULL on to this one.
        sequence: of this one.
    """

    def __init__(self, path: Path, chain: Sequence[Path], sequence: int) -> None:
        self.path = path
        self.sequence = sequence
        self._chain = tuple(chain)
        #: (entries, places) of a bucket, ascending. Raises Conflict where the file is damaged.
        self.bucket = lru_cache(_BUCKETS_HELD)(self._read_bucket)

    def __reduce__(self) -> tuple[Any, ...]:
        return State, (self.path, self._chain, self.sequence)

    @cached_property
    def connection(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)

    @cached_property
    def _chunks(self) -> dict[int, int]:
        """Sequence → descriptor of the chunks of that edition."""
        first = self.sequence - len(self._chain) + 1
        return {first + n: os.open(folder / "chunks", os.O_RDONLY) for n, folder in enumerate(self._chain)}

    def close(self) -> None:
        if "connection" in self.__dict__:
            self.connection.close()
        for descriptor in self.__dict__.get("_chunks", {}).values():
            os.close(descriptor)

    @cached_property
    def digests(self) -> buckets.Digests:
        query = "SELECT digests FROM states WHERE sequence = ?"
        row = self.connection.execute(query, (self.sequence,)).fetchone()
        if row is None:
            raise self._damaged()
        return buckets.Digests(row[0])

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Standing]:
        """The records of these blinded keys; those that do not stand are left out. Raises Conflict."""
        found = {}
        for number, wanted in groupby(sorted(keys), key=buckets.number_of):
            entries, places = self.bucket(number)
            at = {entries[i : i + 32]: i for i in range(0, len(entries), buckets.ENTRY_BYTES)}
            for key in wanted:
                if (i := at.get(key)) is not None:
                    n = i // buckets.ENTRY_BYTES * _PLACE_BYTES
                    place = int.from_bytes(places[n : n + _PLACE_BYTES], sys.byteorder)
                    found[key] = self._read(place, entries[i + 32 : i + buckets.ENTRY_BYTES])
        return found

    def _read_bucket(self, number: int) -> tuple[bytes, bytes]:
        query = (
            "SELECT entries, places FROM buckets WHERE number = ? AND sequence <= ? "
            "ORDER BY sequence DESC LIMIT 1"
        )
        entries, places = self.connection.execute(query, (number, self.sequence)).fetchone() or (b"", b"")
        if buckets.digest(entries) != self.digests[number]:
            raise self._damaged()
        return entries, places

    def _read(self, place: int, commitment: bytes) -> Standing:
        offset = place & (1 << _OFFSET_BITS) - 1
        descriptor = self._chunks.get(place >> _OFFSET_BITS)
        if descriptor is None:
            raise self._damaged()
        data = os.pread(descriptor, _READ_BYTES, offset)
        length, start = _length(data, 1)
        if start + length > len(data):
            data = os.pread(descriptor, start + length, offset)
        salt_at = start + 2
        salt = data[salt_at : salt_at + records.SALT_BYTES]
        size, record_at = _length(data, salt_at + records.SALT_BYTES + 1)
        record = data[record_at : record_at + size]
        if records.commitment(salt, record) != commitment:
            raise self._damaged()
        return Standing(salt, record)

    def _damaged(self) -> Conflict:
        return Conflict(
            f"{self.path} does not hold what was sealed: delete it, it is made anew", basis="state.index"
        )


class States:
    """All states of one home."""

    def __init__(self, editions: Editions) -> None:
        self._editions = editions
        self.path = editions.path.parent / "states"
        files.make_directory(self.path)

    def after(self, edition: Edition) -> State:
        """What stands after an edition of this home. Makes what is missing from the edition folders.

        Raises Conflict where a folder between the FULL and this edition is missing; DigestMismatch where the folders
        do not come to the root that was sealed.
        """
        chain = self._editions.chain(edition)
        path = self._path(chain[0])
        state = State(path, [e.path for e in chain], edition.manifest.sequence)
        try:
            if path.exists():
                self._advance(path, chain)
                if state.digests.root() == edition.manifest.state_root:
                    return state
        except (sqlite3.DatabaseError, Conflict, ProofInvalid, ValueError):
            pass  # damaged, or left by a crash: it says nothing that the folders do not say better
        state.close()
        path.unlink(missing_ok=True)
        self._derive(path, chain[0])
        self._advance(path, chain)
        state = State(path, [e.path for e in chain], edition.manifest.sequence)
        if state.digests.root() != edition.manifest.state_root:
            raise DigestMismatch(
                f"the folders up to {edition.path} do not come to the sealed state: restore them from a backup",
                basis="state.root",
            )
        return state

    def writer(self, sequence: int) -> StateWriter:
        """For the FULL that is being built; nobody else builds at the same time (Editions.building)."""
        return StateWriter(self.path / "building.new", sequence)

    def adopt(self, written: StateWriter, full: Edition, digests: buckets.Digests) -> None:
        """Takes over what was written while a FULL was built. A crash before the end leaves nothing that counts."""
        written.finish(full, digests)
        written.path.replace(self._path(full))
        newest = sorted(self.path.glob("*.db"), key=lambda path: path.stat().st_mtime)
        for old in newest[:-_KEPT]:
            old.unlink(missing_ok=True)

    def _path(self, full: Edition) -> Path:
        return self.path / f"{full.path.name}.db"

    def _derive(self, path: Path, full: Edition) -> None:
        """A pass over all records of a FULL. A crash leaves a draft, which the next one writes over."""
        with (self.path / ".lock").open("w") as lock:
            # Two commands of one home may look for the same: one makes it after the other.
            fcntl.flock(lock, fcntl.LOCK_EX)
            with StateWriter(self.path / "deriving.new", full.manifest.sequence) as writer:
                blind, digests = records.blinder(full.blinding_key), buckets.Digests()
                for number, same in groupby(entries_of(full), key=lambda e: buckets.number_of(blind(e.identifier))):
                    found = list(same)
                    entries = b"".join(blind(e.identifier) + records.commitment(e.salt, e.record) for e in found)
                    digests.update({number: buckets.digest(entries)})
                    writer.add({number: entries}, [e.offset for e in found])
                writer.finish(full, digests)
                # Left by a crash beside a file that was deleted since: SQLite would play it back into this one.
                path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
                writer.path.replace(path)

    def _advance(self, path: Path, chain: Sequence[Edition]) -> None:
        """Adds the editions that the file lacks; throws out those of another history (one was cancelled)."""
        with closing(sqlite3.connect(path, timeout=60)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            known = dict(connection.execute("SELECT sequence, manifest FROM states"))
            for before, edition in pairwise(chain):
                sequence = edition.manifest.sequence
                if known.get(sequence) == edition.digest:
                    continue
                with connection:
                    if max(known) >= sequence:
                        for table in ("states", "buckets"):
                            connection.execute(f"DELETE FROM {table} WHERE sequence >= ?", (sequence,))
                        known = {n: digest for n, digest in known.items() if n < sequence}
                    known[sequence] = edition.digest
                    self._add(connection, State(path, [], before.manifest.sequence), edition)

    def _add(self, connection: sqlite3.Connection, before: State, edition: Edition) -> None:
        sequence, blind = edition.manifest.sequence, records.blinder(edition.blinding_key)
        correction = edition.manifest.kind == edition_pb2.EDITION_KIND_CORRECTION
        changed: dict[int, dict[bytes, tuple[bytes, bytes] | None]] = {}
        for entry in entries_of(edition):
            key = blind(entry.identifier)
            place = _place(sequence, entry.offset).to_bytes(_PLACE_BYTES, sys.byteorder)
            told = None if is_gone(entry.record) else (records.commitment(entry.salt, entry.record), place)
            changed.setdefault(buckets.number_of(key), {})[key] = told
        # This connection sees what it has just written of the edition before.
        before.connection = connection
        digests, rows = buckets.Digests(before.digests.packed), []
        for number, told_here in changed.items():
            entries, places = before.bucket(number)
            held = _unpacked(entries, places)
            for key, told in told_here.items():
                if told is not None:
                    held[key] = told
                elif held.pop(key, None) is None and not correction:
                    raise ProofInvalid("a taxpayer is gone that was not among the records", basis="state.gone")
            keys = sorted(held)
            after = b"".join(key + held[key][0] for key in keys)
            digests.update({number: buckets.digest(after)})
            rows.append((number, sequence, after, b"".join(held[key][1] for key in keys)))
        connection.executemany("INSERT INTO buckets VALUES (?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO states VALUES (?, ?, ?)", (sequence, edition.digest, digests.packed))


class StateWriter:
    """Writes the file of a FULL, bucket after bucket. Use as a context manager; whole after `finish`."""

    def __init__(self, path: Path, sequence: int) -> None:
        self.path = path
        self._sequence = sequence

    def __enter__(self) -> StateWriter:
        self.path.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self.path)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self.path.unlink(missing_ok=True)

    def add(self, entries: Mapping[int, bytes], offsets: Sequence[int]) -> None:
        """Args:
        entries: bucket → all its entries; above those added before.
        offsets: of each of these records in the edition's chunks.
        """
        first = _place(self._sequence, 0)
        places = array("Q", [first | offset for offset in offsets]).tobytes()
        rows, start = [], 0
        for number, own in entries.items():
            end = start + len(own) // buckets.ENTRY_BYTES * _PLACE_BYTES
            rows.append((number, self._sequence, own, places[start:end]))
            start = end
        self._connection.executemany("INSERT INTO buckets VALUES (?, ?, ?, ?)", rows)

    def finish(self, full: Edition, digests: buckets.Digests) -> None:
        row = (self._sequence, full.digest, digests.packed)
        self._connection.execute("INSERT INTO states VALUES (?, ?, ?)", row)
        self._connection.commit()


class Entry(NamedTuple):
    """One record of an edition, and the byte where it begins in the edition's chunks."""

    offset: int
    salt: bytes
    record: bytes

    @property
    def identifier(self) -> bytes:
        return identifier_of(self.record)


def entries_of(edition: Edition) -> Iterator[Entry]:
    offset = 0
    for _, data in edition.chunks():
        offset += Edition.LENGTH_BYTES
        for salt, record in zip(*records.split_chunk(data), strict=True):
            yield Entry(offset, salt, record)
            offset += len(records.chunk_entry(salt, record))


def _place(sequence: int, offset: int) -> int:
    return sequence << _OFFSET_BITS | offset


def _unpacked(entries: bytes, places: bytes) -> dict[bytes, tuple[bytes, bytes]]:
    size = _PLACE_BYTES
    held: dict[bytes, tuple[bytes, bytes]] = {}
    for i in range(len(entries) // buckets.ENTRY_BYTES):
        entry = entries[i * buckets.ENTRY_BYTES : (i + 1) * buckets.ENTRY_BYTES]
        held[entry[:32]] = (entry[32:], places[i * size : (i + 1) * size])
    return held


def _length(data: bytes, at: int) -> tuple[int, int]:
    """(a protobuf varint, where what follows it begins)."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
