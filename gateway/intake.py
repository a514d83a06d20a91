"""Chunks of an edition as the bureau sends them: verified on any core, then staged in small transactions.

What is staged is durable, and not real: the edition's row, which the door commits, does that.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from sqlalchemy import Connection

from audit import buckets
from audit.bulk import insert_rows
from audit.chunk_stream import ChunkStream, SealedChunk
from audit.entries import canonical_json
from audit.records import ExaminedChunk, check_state, examine_chunk
from gateway.rules.products import check_fields, check_grades
from gateway.store import editions, parties, tables
from gateway.store.db import Database
from xinyi.errors import Conflict, Invalid, NotEntitled, Unknown
from xinyi.processes import Crew
from xinyi.v1 import edition_pb2, envelope_pb2, records_pb2

#: Chunks committed together: other writers never wait long.
STAGE_CHUNKS = 16


class Intake:
    """One stream of chunks. Make it with `open`."""

    def __init__(
        self,
        database: Database,
        manifest_digest: bytes,
        definition: dict[str, Any],
        manifest: edition_pb2.Manifest,
        blinding_key: bytes,
        staged: tuple[int, bytes],
        crew: Crew | None,
    ) -> None:
        self._database = database
        self._digest = manifest_digest
        self._definition = definition
        start, after = staged
        self._staged = start
        self._stream = ChunkStream(
            manifest, blinding_key, examine_chunk, self._take, crew, start=start, after=after
        )
        self._verified: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, database: Database, party: str, manifest_digest: bytes, crew: Crew | None) -> Intake:
        """Goes on behind the chunks that are staged. Raises Unknown, NotEntitled."""

        def read(conn: Connection) -> Intake:
            sealed, blinding_key = _find_begun(conn, manifest_digest)
            manifest = edition_pb2.Manifest.FromString(sealed.payload)  # verified by BeginEdition
            if manifest.origin != party:
                raise NotEntitled("a bureau publishes its own editions only", basis="edition.origin")
            product = parties.find_product(conn, manifest.product)
            definition = json.loads(product["definition"]) if product is not None else {}
            staged = editions.staged(conn, manifest_digest)
            return cls(database, manifest_digest, definition, manifest, blinding_key, staged, crew)

        return await database.read(read)

    @property
    def next_chunk(self) -> int:
        """The first one that is not staged, once `settle` and `stage` are through."""
        return self._stream.handed_on

    async def take(self, number: int, data: bytes) -> None:
        """Raises VerificationError or Invalid at the first chunk that does not hold."""
        if number < self._staged:
            return  # verified and here since this caller asked where to begin: another upload was faster
        await asyncio.to_thread(self._stream.put, number, data)
        if len(self._verified) >= STAGE_CHUNKS:
            await self.stage()

    async def settle(self) -> None:
        """Waits for the chunks whose verification is under way. Raises as `take` does."""
        await asyncio.to_thread(self._stream.drain)

    async def stage(self) -> None:
        """A chunk that another upload of this edition staged meanwhile is the same chunk."""
        rows, self._verified = self._verified, []
        if rows:
            await self._database.write(lambda conn: insert_rows(conn, tables.chunks, rows, "keep"))

    def _take(self, chunk: SealedChunk[ExaminedChunk]) -> None:
        check_grades(self._definition, chunk.examined.grades)
        check_fields(self._definition, chunk.examined.fields)
        self._verified.append(
            {
                "manifest_digest": self._digest,
                "number": chunk.number,
                "data": chunk.data,
                "last_key": chunk.examined.last_key,
                "grades": canonical_json({str(grade): n for grade, n in chunk.examined.grades.items()}),
                "run": chunk.examined.run.packed,
            }
        )


def check_complete(conn: Connection, manifest_digest: bytes, manifest: edition_pb2.Manifest) -> bytes:
    """The blinding key of an intake whose chunks are all staged. Raises Conflict."""
    intake = editions.find_intake(conn, manifest_digest)
    staged, _ = editions.staged(conn, manifest_digest)
    if intake is None or staged != len(manifest.chunk_roots):
        raise Conflict(
            f"{staged} of {len(manifest.chunk_roots)} chunks have arrived: send the others first",
            basis="edition.incomplete",
        )
    return bytes(intake["blinding_key"])


def check_counts(conn: Connection, manifest_digest: bytes, manifest: edition_pb2.Manifest) -> None:
    """The grades counted here are those the manifest seals. Raises Invalid."""
    counted: Counter[int] = Counter()
    for text in editions.staged_grades(conn, manifest_digest):
        counted.update({int(grade): n for grade, n in json.loads(text).items()})
    gone = counted.pop(records_pb2.GRADE_UNSPECIFIED, 0)
    sealed = {count.grade: count.records for count in manifest.grade_counts}
    if (dict(counted), gone) != (sealed, manifest.gone_count):
        raise Invalid(
            "the manifest's grade counts are not those of its records", basis="manifest.grade_counts"
        )


def check_staged_state(conn: Connection, manifest_digest: bytes, manifest: edition_pb2.Manifest) -> None:
    """What the staged records come to is what the manifest seals.

    Of a DELTA or CORRECTION that was found when its state was kept. Raises ProofInvalid, Conflict.
    """
    if manifest.kind == edition_pb2.EDITION_KIND_FULL:
        state = buckets.Gathering()
        for packed in editions.stream_runs(conn, manifest_digest):
            state.add(buckets.Run.unpack(packed))
        check_state(state.digests, manifest)
    elif not editions.is_prepared(conn, manifest_digest):
        raise Conflict("the state after this edition is not here: commit it again", basis="edition.incomplete")


def _find_begun(conn: Connection, manifest_digest: bytes) -> tuple[envelope_pb2.Envelope, bytes]:
    """Manifest and blinding key of an intake, or of the edition where another upload made it real meanwhile."""
    if (intake := editions.find_intake(conn, manifest_digest)) is not None:
        return envelope_pb2.Envelope.FromString(intake["envelope"]), intake["blinding_key"]
    if (edition := editions.find_edition(conn, manifest_digest)) is not None:
        return editions.get_document(conn, manifest_digest), edition["blinding_key"]
    raise Unknown("begin the edition before its chunks", basis="edition.intake")
