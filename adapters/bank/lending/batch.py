"""A batch of single loans, sealed once and kept until the gateway has said what became of each.

    lending/outcomes/<number>.part/     being made; whatever lies here counts for nothing
    lending/outcomes/<number>/          sealed: from the rename on it is sent as it is, salts and all
        batch.dsse, chunks.db           what goes out, chunk by chunk
        quality.json                    what became of the source's rows
        what the gateway answered (answers.py); refused for good, another number is taken
    lending/outcomes/left-out-<number>.csv  rows of the source that are not in it, with what to do about each

Knows nothing of the network.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.bank.lending.answers import Answers, locked, making, read_envelope
from adapters.bank.lending.events import EventRows
from adapters.bank.lending.scratch import open_scratch
from adapters.party.home import Home
from adapters.tables.reading import Table
from audit import merkle, outcomes
from audit.envelope import digest, parse_strict, seal
from audit.records import CHUNK_RECORDS, SALT_BYTES, chunk_entry
from xinyi import files
from xinyi.errors import Contradiction, Unavailable
from xinyi.fields import check_name
from xinyi.lending import check_outcome_batch
from xinyi.v1 import edition_pb2, envelope_pb2, lending_pb2

BATCH, CHUNKS, QUALITY = "batch.dsse", "chunks.db", "quality.json"
_ROWS = "rows.db"
_CACHE_KIB = 16_384
_EVENTS = """CREATE TABLE events (
    id TEXT, line INTEGER, stage INTEGER, amount INTEGER, salt BLOB, record BLOB, taxpayer TEXT, consent BLOB
)"""
#: A public record is of many borrowers; a document that one of them signed is of that one.
_SHARED = """SELECT DISTINCT line FROM events WHERE consent IN (
    SELECT consent FROM events GROUP BY consent HAVING COUNT(DISTINCT taxpayer) > 1
) ORDER BY line"""


@dataclass(frozen=True)
class KeptBatch(Answers):
    sealed: envelope_pb2.Envelope
    message: lending_pb2.OutcomeBatch

    @classmethod
    def open(cls, path: Path) -> KeptBatch:
        sealed = read_envelope(path / BATCH)
        return cls(path, sealed, parse_strict(sealed.payload, lending_pb2.OutcomeBatch))

    @property
    def digest(self) -> bytes:
        return digest(self.sealed)

    @property
    def receipt(self) -> lending_pb2.OutcomeReceipt | None:
        return self.read_receipt(lending_pb2.OutcomeReceipt)

    def quality(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / QUALITY).read_text(encoding="utf-8"))
        return found

    def chunks(self, start: int) -> Iterator[tuple[int, bytes]]:
        with closing(sqlite3.connect(f"file:{self.path / CHUNKS}?mode=ro", uri=True)) as connection:
            yield from connection.execute("SELECT number, data FROM chunks WHERE number >= ? ORDER BY number", (start,))


class KeptBatches:
    def __init__(self, home: Home) -> None:
        self.path = home.path / "lending" / "outcomes"
        self._home = home

    def lock(self) -> AbstractContextManager[None]:
        return locked(self.path, "batch.lock")

    def left_out(self, number: str) -> Path:
        return self.path / f"left-out-{number}.csv"

    def find(self, number: str, source: edition_pb2.SourceFile) -> KeptBatch | None:
        """The batch of this number. Raises Contradiction where it is of another source, or was refused."""
        path = self.path / number
        if not (path / BATCH).exists():
            return None
        kept = KeptBatch.open(path)
        held = kept.message.source
        if (held.sha256, held.profile_sha256) != (source.sha256, source.profile_sha256):
            raise Contradiction(
                f"batch {number} is of another file, or of another profile: give this one a number of its own",
                basis="batch.number",
            )
        if kept.refused:
            raise Contradiction(
                f"batch {number} was refused as a whole ({kept.refusal}): put right what it says and give the file "
                "another number",
                basis="batch.number",
            )
        return kept

    def all(self) -> list[KeptBatch]:
        """Oldest first."""
        found = [KeptBatch.open(path.parent) for path in self.path.glob(f"*/{BATCH}") if path.parent.suffix != ".part"]
        return sorted(found, key=lambda kept: (kept.message.issued_at_ms, kept.path.name))

    def unproven(self) -> list[KeptBatch]:
        return [kept for kept in self.all() if kept.unproven]

    def making(self, number: str) -> AbstractContextManager[Path]:
        return making(self.path / f"{number}.part")

    def keep(self, place: Path, batch: lending_pb2.OutcomeBatch, quality: dict[str, Any]) -> KeptBatch:
        """Seals the batch and gives the folder its name. A crash before leaves nothing sealed that anybody saw; a
        crash after, a batch that the next run sends."""
        sealed = seal(batch, *self._home.signers())
        files.write_atomically(place / QUALITY, json.dumps(quality, ensure_ascii=False, indent=2).encode())
        files.write_atomically(place / BATCH, sealed.SerializeToString(deterministic=True))
        path = self.path / batch.number
        place.rename(path)
        files.sync(self.path)
        return KeptBatch(path, sealed, batch)


@dataclass(frozen=True)
class Draft:
    """What a file comes to, before a person has seen it."""

    batch: lending_pb2.OutcomeBatch
    #: Stage → events, and what they come to in the hundredth part of the currency's unit.
    stages: dict[str, tuple[int, int]]


def make(
    place: Path,
    home: Home,
    rows: EventRows,
    number: str,
    agreement: str,
    made: Callable[[int], object] = lambda chunks: None,
) -> Draft:
    """The batch as it would be sealed now, its chunks in the folder. Memory stays flat.

    Args: place — of `KeptBatches.making`; made — is told how many chunks are made.

    Raises Invalid for a number that is none, Unavailable where the disk is full.
    """
    try:
        with closing(open_scratch(place / _ROWS, _CACHE_KIB)) as scratch:
            scratch.execute(_EVENTS)
            _take(scratch, rows)
            roots, stages = _chunks(scratch, rows, place / CHUNKS, made)
            for (line,) in scratch.execute(_SHARED):
                rows.file.tally.recount(line, "authorisation.shared")
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the events cannot be put in order in {place}: {error}", basis="batch.disk") from error
    (place / _ROWS).unlink()
    count = sum(events for events, _ in stages.values())
    batch = lending_pb2.OutcomeBatch(
        bank=home.party,
        number=number,
        agreement_id=agreement,
        count=count,
        root=merkle.root(roots) if roots else b"",
        chunk_roots=roots,
        source=rows.file.source(),
        issued_by=home.settings.holder,
        issued_at_ms=time.time_ns() // 1_000_000,
    )
    if agreement and count:  # else it is only looked at
        check_outcome_batch(batch)
    return Draft(batch, stages)


def number_of(table: Table, number: str = "") -> str:
    """The number of the batch of a source: the one given, else one of its digests. Raises Invalid."""
    if number:
        check_name(number, "batch.number")
        return number
    return f"loans-{hashlib.sha256(table.sha256 + table.profile.sha256).hexdigest()[:16]}"


def _take(scratch: sqlite3.Connection, rows: EventRows) -> None:
    insert = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    waiting: list[tuple[Any, ...]] = []
    scratch.execute("BEGIN")
    for row in rows:
        for outcome in row.outcomes:
            record, authorisation = outcome.SerializeToString(deterministic=True), outcome.authorisation
            consent = authorisation.digest if authorisation.scope != "public-record" else None
            waiting.append(
                (
                    outcome.outcome_id, row.line, outcome.stage, outcome.amount, os.urandom(SALT_BYTES), record,
                    outcome.taxpayer_id, consent,
                )
            )  # fmt: skip
        if len(waiting) >= 4 * CHUNK_RECORDS:
            scratch.executemany(insert, waiting)
            waiting.clear()
    scratch.executemany(insert, waiting)
    scratch.execute("COMMIT")


def _chunks(
    scratch: sqlite3.Connection, rows: EventRows, place: Path, made: Callable[[int], object]
) -> tuple[list[bytes], dict[str, tuple[int, int]]]:
    """(chunk roots, stages). Where an id stands twice, rows that have it are taken out, and all is done anew: that is
    rare, and a search beforehand would cost every file as much."""
    while True:
        with closing(open_scratch(place, _CACHE_KIB)) as chunks:
            chunks.execute("CREATE TABLE chunks (number INTEGER PRIMARY KEY, data BLOB NOT NULL)")
            repeated = _write(scratch, chunks, made)
        if not repeated:
            break
        for line in sorted(repeated):
            rows.file.leave_out(line, "outcome.repeated")
        named = json.dumps(sorted(repeated))
        scratch.execute("DELETE FROM events WHERE line IN (SELECT value FROM json_each(?))", (named,))
    files.sync(place)
    with closing(sqlite3.connect(place)) as chunks:
        roots = [root for (root,) in chunks.execute("SELECT root FROM roots ORDER BY number")]
    stages = scratch.execute("SELECT stage, COUNT(*), SUM(amount) FROM events GROUP BY stage ORDER BY stage")
    return roots, {stage_word(stage): (count, amount) for stage, count, amount in stages}


def _write(
    scratch: sqlite3.Connection, chunks: sqlite3.Connection, made: Callable[[int], object]
) -> set[int]:
    """Writes the chunks; lines that are to be left out, after which what was written is void.

    Of an event that comes several times, each time the same, the first row stays. Where they differ nobody can tell
    which one is right: none does.
    """
    chunks.execute("CREATE TABLE roots (number INTEGER PRIMARY KEY, root BLOB NOT NULL)")
    chunks.execute("BEGIN")
    repeated: set[int] = set()
    last, first, told, number = "", 0, b"", 0
    events = scratch.execute("SELECT id, line, salt, record FROM events ORDER BY id, line")
    while block := events.fetchmany(CHUNK_RECORDS):
        for name, line, _, record in block:
            if name != last:
                last, first, told = name, line, record
                continue
            repeated.add(line)
            if record != told:
                repeated.add(first)
        if repeated:
            continue
        sealed = [outcomes.commitment(salt, record) for _, _, salt, record in block]
        data = b"".join([chunk_entry(salt, record) for _, _, salt, record in block])
        chunks.execute("INSERT INTO chunks VALUES (?, ?)", (number, data))
        chunks.execute("INSERT INTO roots VALUES (?, ?)", (number, merkle.root(outcomes.leaf_hashes(sealed))))
        number += 1
        made(number)
    chunks.execute("COMMIT")
    return repeated


def stage_word(stage: int) -> str:
    return lending_pb2.Stage.Name(stage).removeprefix("STAGE_").lower()
