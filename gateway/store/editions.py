"""Queries about editions, their chunks and what is still arriving. Never commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, and_, exists, func, or_, select

from gateway.store.rows import Row, first, rows
from gateway.store.tables import answers, chunks, documents, editions, intakes, keys, row_answers, states
from xinyi.v1 import edition_pb2, envelope_pb2

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
    e = editions.c
    live = select(editions).where(e.origin == origin, e.product == product, e.sequence_slot.is_not(None))
    return first(conn, live.order_by(e.sequence_slot.desc()).limit(1))


def chain(conn: Connection, edition: Row | None) -> list[Row]:
    """The edition and those it builds on, newest first, back to a FULL; none of None.

    Each with `prepared`: whether its state is kept (states).
    """
    if edition is None:
        return []
    e = editions.c
    before = [e.origin == edition["origin"], e.product == edition["product"], e.sequence_slot.is_not(None)]
    before.append(e.sequence < edition["sequence"])
    base = select(func.max(e.sequence)).where(*before, e.kind == edition_pb2.EDITION_KIND_FULL)
    own = e.manifest_digest == edition["manifest_digest"]
    if edition["kind"] != edition_pb2.EDITION_KIND_FULL:
        own = or_(own, and_(*before, e.sequence >= base.scalar_subquery()))
    prepared = exists().where(states.c.manifest_digest == e.manifest_digest)
    return rows(conn, select(editions, prepared.label("prepared")).where(own).order_by(e.sequence.desc()))


def ever_published(conn: Connection, product: str) -> list[Row]:
    """Editions of a product that have an approval, newest first: what a recipient can hold or lack.

    Of one origin: were there several, of the one whose number is the highest.
    """
    e = editions.c
    columns = e.manifest_digest, e.origin, e.kind, e.sequence, e.state, e.record_count
    query = select(*columns).where(e.product == product, e.approval.is_not(None)).order_by(e.sequence.desc())
    found = rows(conn, query)
    return [row for row in found if row["origin"] == found[0]["origin"]]


def is_prepared(conn: Connection, manifest_digest: bytes) -> bool:
    """Whether the state after an edition is kept."""
    query = select(states.c.manifest_digest).where(states.c.manifest_digest == manifest_digest)
    return conn.execute(query).scalar() is not None


def unprepared(conn: Connection) -> list[bytes]:
    """The newest editions, upon which the next ones build, whose state is not kept yet."""
    e = editions.c
    kept = exists().where(states.c.manifest_digest == e.manifest_digest)
    return list(conn.execute(select(e.manifest_digest).where(e.state == "PUBLISHED", ~kept)).scalars())


def corrections_of(conn: Connection, edition: Row, states: Sequence[str]) -> list[Row]:
    """CORRECTIONS in these states, behind this edition, of it or of one before it: the oldest first."""
    e = editions.c
    query = (
        select(editions)
        .where(e.origin == edition["origin"], e.product == edition["product"], e.sequence > edition["sequence"])
        .where(e.kind == edition_pb2.EDITION_KIND_CORRECTION, e.state.in_(states))
        .order_by(e.sequence)
    )
    return [row for row in rows(conn, query) if corrected_by(conn, row)["sequence"] <= edition["sequence"]]


def corrected_by(conn: Connection, correction: Row) -> Row:
    """The edition that a CORRECTION which was taken in corrects."""
    sealed = get_document(conn, correction["manifest_digest"])
    corrected = find_edition(conn, edition_pb2.Manifest.FromString(sealed.payload).corrects)
    assert corrected is not None  # checked at its place
    return corrected


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
    """Who issued an edition, and who sealed its manifest."""
    return {edition["issued_by"], *sealers(conn, edition["manifest_digest"])}


def sealers(conn: Connection, document: bytes) -> set[str]:
    """Holders and ids of all keys that sealed a document of ours, ended ones included."""
    ids = [signature.keyid for signature in get_document(conn, document).signatures]
    holders = conn.execute(select(keys.c.holder).where(keys.c.keyid.in_(ids))).scalars()
    return {*ids, *holders}


def row_answers_of(conn: Connection, manifest_digest: bytes) -> list[envelope_pb2.Envelope]:
    """The bureau's sealed answers for rows of an edition's source, oldest first."""
    query = (
        select(documents.c.envelope)
        .join(row_answers, row_answers.c.document == documents.c.digest)
        .where(row_answers.c.manifest_digest == manifest_digest)
        .order_by(row_answers.c.answered_at_ms, row_answers.c.document)
    )
    return [envelope_pb2.Envelope.FromString(data) for data in conn.execute(query).scalars()]


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


def find_chunk(conn: Connection, manifest_digest: bytes, key: bytes) -> tuple[int, bytes] | None:
    """(number, serialised Chunk) of the one chunk of an edition that can hold a blinded key."""
    c = chunks.c
    query = (
        select(c.number, c.data)
        .where(c.manifest_digest == manifest_digest, c.last_key >= key)
        .order_by(c.last_key)
        .limit(1)
    )
    found = conn.execute(query).first()
    return None if found is None else (found.number, found.data)


def blinding_keys(conn: Connection) -> dict[bytes, bytes]:
    """Of every edition that was published, by its manifest's digest."""
    e = editions.c
    query = select(e.manifest_digest, e.blinding_key).where(e.approval.is_not(None))
    return {row.manifest_digest: row.blinding_key for row in conn.execute(query)}


def last_keys(conn: Connection, manifest_digest: bytes) -> list[bytes]:
    """The last blinded key of each chunk of an edition."""
    query = select(chunks.c.last_key).where(chunks.c.manifest_digest == manifest_digest).order_by(chunks.c.number)
    return list(conn.execute(query).scalars())


def stream_chunks(conn: Connection, manifest_digest: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while rows := read_chunks(conn, manifest_digest, start, start + READ_AHEAD):
        yield from rows
        start += READ_AHEAD


def staged_grades(conn: Connection, manifest_digest: bytes) -> list[str]:
    """The grade counts of every staged chunk, as they were noted when it was verified."""
    query = select(chunks.c.grades).where(chunks.c.manifest_digest == manifest_digest)
    return [row.grades for row in conn.execute(query)]


def stream_runs(conn: Connection, manifest_digest: bytes) -> Iterator[bytes]:
    """What the state of a staged FULL consists of, chunk by chunk."""
    query = select(chunks.c.run).where(chunks.c.manifest_digest == manifest_digest).order_by(chunks.c.number)
    # Of the query, not of the connection: PostgreSQL would declare a cursor for every later statement, too.
    yield from conn.execute(query.execution_options(yield_per=READ_AHEAD)).scalars()
