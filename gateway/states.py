"""The records as they stand after an edition: in buckets (audit.buckets), and one by one.

A bucket after an edition is the row of the newest edition of its chain (back to its FULL) that changed it. What is
not kept, or was lost, is made from the chunks while it is read; gateway/preparation.py keeps it. Reading needs a
connection and nothing else, so that every answer of one call comes from one moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, select

from audit import buckets
from audit.bulk import read_places
from audit.records import CHUNK_RECORDS, blinder, commitments, split_chunk
from gateway.store import editions as store
from gateway.store import tables
from gateway.store.rows import Row
from xinyi.errors import Unavailable, Unknown
from xinyi.grade_columns import GradeColumns
from xinyi.v1 import records_pb2

_blinder = lru_cache(maxsize=16)(blinder)


class FoundRecord(NamedTuple):
    """A record in force, and which edition told it."""

    manifest_digest: bytes
    chunk: int
    salt: bytes
    record: bytes


def chain(conn: Connection, manifest_digest: bytes) -> list[Row]:
    """The edition and what it builds on, newest first, back to a FULL. Raises Unknown."""
    edition = store.find_edition(conn, manifest_digest)
    if edition is None:
        raise Unknown("there is no such edition", basis="edition.unknown")
    return store.chain(conn, edition)


def bucket(conn: Connection, manifest_digest: bytes, number: int) -> bytes:
    """The entries of one bucket after an edition. Raises Unknown; Unavailable where the store lost its chunks."""
    return entries(conn, chain(conn, manifest_digest), {number})[number]


def digests(conn: Connection, manifest_digest: bytes) -> buckets.Digests:
    """Of all buckets after an edition. Raises as `bucket`."""
    return digests_of(conn, chain(conn, manifest_digest))


def find_record(conn: Connection, manifest_digest: bytes, key: bytes) -> FoundRecord | None:
    """The record of a blinded key that is in force after an edition; None where the taxpayer is not among them.

    Raises as `bucket`.
    """
    links = chain(conn, manifest_digest)
    number = buckets.number_of(key)
    if buckets.find(entries(conn, links, {number})[number], key) is None:
        return None
    changed = _changed_by(conn, links, number)
    for link in links:
        if link["prepared"] and link["manifest_digest"] not in changed:
            continue
        chunk = store.find_chunk(conn, link["manifest_digest"], key)
        if chunk is not None and (found := _find_in(chunk[1], link["blinding_key"], key)) is not None:
            return FoundRecord(link["manifest_digest"], chunk[0], *found)
    raise Unavailable("chunks of this edition are missing at the gateway", basis="edition.chunks")


def entries(conn: Connection, links: list[Row], numbers: Set[int]) -> dict[int, bytes]:
    """The entries of some buckets after the newest edition of a chain. Raises Unavailable."""
    if not numbers:
        return {}
    link, *before = links
    if link["prepared"]:
        own = _kept(conn, link, numbers)
        others = numbers - own.keys()
        return own | (entries(conn, before, others) if before else dict.fromkeys(others, b""))
    check_chunks(conn, link)
    if not before:
        return _cut(conn, link, numbers)
    own_changes = buckets.by_bucket(changes(conn, link["manifest_digest"], link["blinding_key"]))
    return {
        number: buckets.changed(held, own_changes.get(number, ()), strict=False)
        for number, held in entries(conn, before, numbers).items()
    }


def digests_of(conn: Connection, links: list[Row]) -> buckets.Digests:
    """Of all buckets after the newest edition of a chain. Raises Unavailable."""
    link, *before = links
    digest = link["manifest_digest"]
    if link["prepared"]:
        query = select(tables.states.c.digests).where(tables.states.c.manifest_digest == digest)
        return buckets.Digests(conn.execute(query).scalar_one())
    check_chunks(conn, link)
    if before:
        touched = buckets.by_bucket(changes(conn, digest, link["blinding_key"]))
        found = digests_of(conn, before)
        found.update({n: buckets.digest(held) for n, held in entries(conn, links, touched.keys()).items()})
        return found
    found = buckets.Digests()
    chunks = (data for _, data in store.stream_chunks(conn, digest))
    cut = gathered(part for data in chunks for part in cut_chunk(data, link["blinding_key"]))
    found.update({number: buckets.digest(held) for number, held in cut})
    return found


def changes(conn: Connection, manifest_digest: bytes, blinding_key: bytes) -> Iterator[buckets.Change]:
    """What the chunks of a DELTA or CORRECTION change, ascending."""
    for _, data in store.stream_chunks(conn, manifest_digest):
        salts, raw = split_chunk(data)
        records = GradeColumns(raw)
        # Of a taxpayer that is gone no name is told: such a record is no plain one.
        gone = {place for place, record in records.others.items() if record.gone}
        keys = map(_blinder(blinding_key), records.keys())
        for place, (key, sealed) in enumerate(zip(keys, commitments(raw, salts), strict=True)):
            yield key, None if place in gone else sealed


def cut_chunk(data: bytes, blinding_key: bytes) -> list[tuple[int, bytes]]:
    """(bucket, its entries) of the records of one chunk of a FULL; may run in another process."""
    salts, raw = split_chunk(data)
    keys = list(map(_blinder(blinding_key), GradeColumns(raw).keys()))
    return buckets.cut(keys, b"".join(map(bytes.__add__, keys, commitments(raw, salts))))


def gathered(parts: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Whole buckets from parts that ascend: the same bucket may end one chunk and begin the next."""
    number, held = -1, b""
    for part_number, part in parts:
        if part_number == number:
            held += part
            continue
        if held:
            yield number, held
        number, held = part_number, part
    if held:
        yield number, held


def check_chunks(conn: Connection, link: Row) -> None:
    """Raises Unavailable where an edition's records are not all here: its state would be another one."""
    if store.staged(conn, link["manifest_digest"])[0] != -(-link["record_count"] // CHUNK_RECORDS):
        raise Unavailable("chunks of this edition are missing at the gateway", basis="edition.chunks")


def _kept(conn: Connection, link: Row, numbers: Set[int]) -> dict[int, bytes]:
    return read_places(conn, tables.buckets, link["manifest_digest"], numbers, "entries")


def _changed_by(conn: Connection, links: list[Row], number: int) -> set[bytes]:
    """Which of the editions keep a row for this bucket."""
    b = tables.buckets.c
    those = [link["manifest_digest"] for link in links]
    query = select(b.manifest_digest).where(b.manifest_digest.in_(those), b.number == number)
    return set(conn.execute(query).scalars())


def _cut(conn: Connection, link: Row, numbers: Set[int]) -> dict[int, bytes]:
    """Buckets of a FULL from those of its chunks that can hold them."""
    found = dict.fromkeys(numbers, b"")
    done = -1
    for number in sorted(numbers):
        first = store.find_chunk(conn, link["manifest_digest"], (number << 2).to_bytes(2, "big"))
        start = max(first[0], done + 1) if first is not None else None
        while start is not None and (rows := store.read_chunks(conn, link["manifest_digest"], start, start + 1)):
            done = start
            parts = cut_chunk(rows[0][1], link["blinding_key"])
            for held, part in parts:
                if held in found:
                    found[held] += part
            start = start + 1 if parts[-1][0] <= number else None
    return found


def _find_in(data: bytes, blinding_key: bytes, key: bytes) -> tuple[bytes, bytes] | None:
    """(salt, record) of a blinded key in a chunk, whose records ascend by it."""
    salted = records_pb2.Chunk.FromString(data).records  # verified at intake
    blind = _blinder(blinding_key)
    low, high = 0, len(salted)
    while low < high:
        middle = (low + high) // 2
        found = blind(GradeColumns([salted[middle].record]).keys()[0])
        if found == key:
            return salted[middle].salt, salted[middle].record
        low, high = (middle + 1, high) if found < key else (low, middle)
    return None
