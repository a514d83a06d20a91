"""Queries about editions, their chunks and what is still arriving. Never commits."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import answers, chunks, documents, editions, intakes, keys
from xinyi.v1 import envelope_pb2

#: Chunks read in one query while an edition streams out: bounds memory at about 1.5 MiB, twice that read ahead,
#: and what each database thread keeps of it for its next read.
READ_AHEAD = 8


def find_document(conn: Connection, digest: bytes) -> envelope_pb2.Envelope | None:
    data = conn.execute(select(documents.c.envelope).where(documents.c.digest == digest)).scalar()
    return None if data is None else envelope_pb2.Envelope.FromString(data)


def get_document(conn: Connection, digest: bytes) -> envelope_pb2.Envelope:
    """Raises LookupError: a document named by a row of ours must be there."""
    found = find_document(conn, digest)
    if found is None:
        raise LookupError(f"document {digest.hex()} is missing from the store")
    return found


def find_answer(conn: Connection, document: bytes) -> envelope_pb2.Envelope | None:
    """The sealed answer this document was given before."""
    data = conn.execute(
        select(documents.c.envelope)
        .join(answers, answers.c.answer == documents.c.digest)
        .where(answers.c.document == document)
    ).scalar()
    return None if data is None else envelope_pb2.Envelope.FromString(data)


def find_edition(conn: Connection, manifest_digest: bytes) -> Row | None:
    return first(conn, select(editions).where(editions.c.manifest_digest == manifest_digest))


def edition_state(conn: Connection, manifest_digest: bytes) -> str:
    """Of an edition that is there."""
    state: str = conn.execute(
        select(editions.c.state).where(editions.c.manifest_digest == manifest_digest)
    ).scalar_one()
    return state


def newest_edition(conn: Connection, origin: str, product: str) -> Row | None:
    """The live edition with the highest sequence number (cancelled ones have no place in the sequence)."""
    query = (
        select(editions)
        .where(
            editions.c.origin == origin, editions.c.product == product, editions.c.sequence_slot.is_not(None)
        )
        .order_by(editions.c.sequence_slot.desc())
        .limit(1)
    )
    return first(conn, query)


def newest_published(conn: Connection, product: str) -> Row | None:
    query = (
        select(editions)
        .where(editions.c.product == product, editions.c.state == "PUBLISHED")
        .order_by(editions.c.sequence.desc())
        .limit(1)
    )
    return first(conn, query)


def list_editions(conn: Connection, origin: str, product: str = "") -> list[Row]:
    query = (
        select(editions).where(editions.c.origin == origin).order_by(editions.c.product, editions.c.sequence)
    )
    if product:
        query = query.where(editions.c.product == product)
    return rows(conn, query)


def publishers(conn: Connection, edition: Row) -> set[str]:
    """Who issued an edition, and holders and ids of all keys that sealed its manifest, ended ones included."""
    ids = [signature.keyid for signature in get_document(conn, edition["manifest_digest"]).signatures]
    holders = conn.execute(select(keys.c.holder).where(keys.c.keyid.in_(ids))).scalars()
    return {edition["issued_by"], *ids, *holders}


def find_intake(conn: Connection, manifest_digest: bytes) -> Row | None:
    return first(conn, select(intakes).where(intakes.c.manifest_digest == manifest_digest))


def staged(conn: Connection, manifest_digest: bytes) -> tuple[int, bytes]:
    """How many chunks are staged (they are staged in order), and the last blinded key among them."""
    count: int = conn.execute(
        select(func.count()).select_from(chunks).where(chunks.c.manifest_digest == manifest_digest)
    ).scalar_one()
    if count == 0:
        return 0, b""
    last = conn.execute(
        select(chunks.c.last_key).where(
            chunks.c.manifest_digest == manifest_digest, chunks.c.number == count - 1
        )
    ).scalar_one()
    return count, last


def read_chunks(conn: Connection, manifest_digest: bytes, start: int, end: int) -> list[tuple[int, bytes]]:
    """(number, serialised Chunk) for chunks [start, end)."""
    query = (
        select(chunks.c.number, chunks.c.data)
        .where(chunks.c.manifest_digest == manifest_digest, chunks.c.number >= start, chunks.c.number < end)
        .order_by(chunks.c.number)
    )
    return [(number, data) for number, data in conn.execute(query)]


def stream_chunks(conn: Connection, manifest_digest: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while rows := read_chunks(conn, manifest_digest, start, start + READ_AHEAD):
        yield from rows
        start += READ_AHEAD


def staged_grades(conn: Connection, manifest_digest: bytes) -> list[str]:
    """The grade counts of every staged chunk, as they were noted when it was verified."""
    query = select(chunks.c.grades).where(chunks.c.manifest_digest == manifest_digest)
    return [row.grades for row in conn.execute(query)]
