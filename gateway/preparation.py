"""States of editions, kept: a DELTA's before it is committed, a FULL's in the background after its publication.

Written in small transactions, the digests last: a crash leaves buckets that nobody reads, and that the next time
writes again. Two processes that do it at once write the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby, islice

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit import buckets
from audit.bulk import insert_rows
from audit.records import blinder, check_state, split_chunk
from gateway import states
from gateway.store import editions as store
from gateway.store import tables
from gateway.store.db import Database
from gateway.store.rows import Row
from xinyi.errors import ExchangeError, Invalid, ProofInvalid
from xinyi.grade_columns import GradeColumns
from xinyi.processes import Crew, Inline, in_order
from xinyi.v1 import edition_pb2

#: Buckets read, and committed, together: other writers never wait long, and memory stays flat.
BATCH = 512
#: A FULL of fewer chunks is cut before another process has even begun.
_SMALL = 8
#: After a publication the machine has its deliveries to carry.
QUIET_S = 20.0
SWEEP_S = 600.0

log = structlog.get_logger()


class Preparation:
    """Keeps the states of the newest editions, so that the DELTA that comes next finds them.

    Each process that decided on an edition looks after it, the others now and then.
    """

    def __init__(self, database: Database, crew: Crew, *, quiet_s: float = QUIET_S) -> None:
        self._database = database
        self._crew = crew
        self._quiet_s = quiet_s
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """An edition was published. From the event loop."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._quiet_s)
            self._woken.clear()
            try:
                for digest in await self._database.read(store.unprepared):
                    await self._prepare(digest)
            except SQLAlchemyError as error:  # a blink of the database
                log.warning("states.not_prepared", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), SWEEP_S)

    async def _prepare(self, digest: bytes) -> None:
        try:
            await self._database.in_thread(lambda: prepare(self._database, digest, self._crew))
        except ExchangeError as error:
            log.error("alarm.state", edition=digest.hex(), code=error.code, explanation=error.explanation)
        else:
            log.info("states.prepared", edition=digest.hex())


def prepare(database: Database, manifest_digest: bytes, crew: Crew | None = None) -> None:
    """Keeps the states of an edition and of what it builds on, where they are not kept yet.

    Raises Unknown; Unavailable where chunks were lost; ProofInvalid where they come to another state than is sealed.
    """
    with database.reading() as conn:
        links = states.chain(conn, manifest_digest)
    for place in reversed(range(len(links))):
        if not links[place]["prepared"]:
            with database.reading() as conn:
                _prepare(database, conn, links[place:], crew)
            links[place]["prepared"] = True


def stage(
    database: Database, manifest_digest: bytes, manifest: edition_pb2.Manifest, key: bytes, crew: Crew | None = None
) -> None:
    """What a DELTA or CORRECTION that has arrived comes to is what its manifest seals; its state is kept.

    Raises ProofInvalid (state.gone, state.count, state.root); Invalid (correction.subject); as `prepare`.
    """
    prepare(database, manifest.predecessor, crew)
    if manifest.corrects:
        prepare(database, manifest.corrects, crew)
    with database.reading() as conn:
        if manifest.corrects:
            _check_subjects(conn, manifest_digest, key, manifest.corrects)
        _keep_changes(database, conn, manifest_digest, manifest, key, states.chain(conn, manifest.predecessor))


def _prepare(database: Database, conn: Connection, links: list[Row], crew: Crew | None) -> None:
    link, *before = links
    digest, key = link["manifest_digest"], link["blinding_key"]
    manifest = edition_pb2.Manifest.FromString(store.get_document(conn, digest).payload)  # verified at intake
    states.check_chunks(conn, link)
    if before:
        _keep_changes(database, conn, digest, manifest, key, before)
        return
    digests = buckets.Digests()
    cutters = crew if crew is not None and len(manifest.chunk_roots) >= _SMALL else Inline()
    cut = in_order(cutters, states.cut_chunk, ((data, key) for _, data in store.stream_chunks(conn, digest)))
    _keep_buckets(database, digest, digests, states.gathered(part for parts in cut for part in parts))
    check_state(digests, manifest)
    _keep_digests(database, digest, digests)


def _keep_changes(
    database: Database,
    conn: Connection,
    digest: bytes,
    manifest: edition_pb2.Manifest,
    key: bytes,
    before: list[Row],
) -> None:
    digests = states.digests_of(conn, before)
    count = _state_count(conn, before[0])
    strict = manifest.kind == edition_pb2.EDITION_KIND_DELTA

    def told() -> Iterator[tuple[int, bytes]]:
        nonlocal count
        grouped = groupby(states.changes(conn, digest, key), lambda change: buckets.number_of(change[0]))
        together = ((number, list(own)) for number, own in grouped)
        while batch := dict(islice(together, BATCH)):
            held = states.entries(conn, before, batch.keys())
            for number, own in batch.items():
                after = buckets.changed(held[number], own, strict=strict)
                count += (len(after) - len(held[number])) // buckets.ENTRY_BYTES
                yield number, after

    _keep_buckets(database, digest, digests, told())
    if count != manifest.state_count:
        raise ProofInvalid(
            f"{count} records are left after this edition, not {manifest.state_count}", basis="state.count"
        )
    check_state(digests, manifest)
    _keep_digests(database, digest, digests)


def _state_count(conn: Connection, link: Row) -> int:
    sealed = store.get_document(conn, link["manifest_digest"]).payload
    return edition_pb2.Manifest.FromString(sealed).state_count  # verified at intake


def _check_subjects(conn: Connection, digest: bytes, key: bytes, corrects: bytes) -> None:
    """A CORRECTION speaks of those alone of whom the corrected edition spoke: no recipient learns of others by it."""
    links = states.chain(conn, corrects)
    same_key = key == links[0]["blinding_key"]
    blind = blinder(links[0]["blinding_key"])
    place = 0
    for _, data in store.stream_chunks(conn, digest):
        keys = list(map(blind, GradeColumns(split_chunk(data)[1]).keys()))
        held = states.entries(conn, links, set(map(buckets.number_of, keys)))
        for subject in keys:
            if buckets.find(held[buckets.number_of(subject)], subject) is None:
                raise Invalid(
                    f"record {place} of the CORRECTION: its taxpayer was not in the edition that is corrected"
                    + ("" if same_key else " (compared under that year's blinding key)"),
                    basis="correction.subject",
                )
            place += 1


def _keep_buckets(
    database: Database, manifest_digest: bytes, digests: buckets.Digests, held: Iterable[tuple[int, bytes]]
) -> None:
    """Buckets as they come, and their digests into `digests`."""
    coming = iter(held)
    while batch := list(islice(coming, BATCH)):
        digests.update({number: buckets.digest(entries) for number, entries in batch})
        rows = [
            {"manifest_digest": manifest_digest, "number": number, "entries": entries}
            for number, entries in batch
        ]
        with database.writing() as conn:
            insert_rows(conn, tables.buckets, rows, "replace")


def _keep_digests(database: Database, manifest_digest: bytes, digests: buckets.Digests) -> None:
    """From here on the state is whole: its buckets are all there."""
    row = {"manifest_digest": manifest_digest, "digests": digests.packed}
    with database.writing() as conn:
        insert_rows(conn, tables.states, [row], "replace")
