"""LogService: heads and proofs to every admitted party, openings to auditors' persons only.

Looking is an exchange too: a query or an export is logged before its first answer.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, func, select

from audit import export
from audit.log import Log, Tree, log_entries
from audit.records import CHUNK_RECORDS
from audit.tiles import tile_place
from gateway.inquiries import PUBLISH_WAIT_S, log_query, open_query
from gateway.reception import Reception
from gateway.rules.partners import check_right
from gateway.store import editions, outcomes, parties, tables
from xinyi.errors import Unavailable
from xinyi.server import Caller, caller
from xinyi.v1 import envelope_pb2, exchange_pb2, log_pb2
from xinyi.v1 import log_service_pb2 as pb
from xinyi.v1.log_service_pb2_grpc import LogServiceServicer

T = TypeVar("T")

#: Entries, or file parts, read in one go while an answer streams.
PAGE = 500


class ExchangeLog(LogServiceServicer):
    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Any) -> pb.GetCheckpointResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "GetCheckpoint"):
            head = await self._look(who, self._reception.log.head)
            return pb.GetCheckpointResponse(checkpoint=head.note if head is not None else b"")

    async def ProveInclusion(
        self, request: pb.ProveInclusionRequest, context: Any
    ) -> pb.ProveInclusionResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "ProveInclusion", subject=request.leaf.hex()):
            return await self._look(who, lambda conn: _inclusion(conn, self._reception.log, request.leaf))

    async def ProveConsistency(
        self, request: pb.ProveConsistencyRequest, context: Any
    ) -> pb.ProveConsistencyResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "ProveConsistency"):
            head, proof = await self._look(
                who, lambda conn: self._reception.log.consistency(conn, request.from_size)
            )
            return pb.ProveConsistencyResponse(checkpoint=head.note if head is not None else b"", proof=proof)

    async def _look(self, who: Caller, query: Callable[[Connection], T]) -> T:
        """Heads and proofs are for every party that was ever admitted."""

        def run(conn: Connection) -> T:
            check_right(parties.find_party(conn, who.party), "read_log")
            return query(conn)

        return await self._reception.database.read(run)

    # ── openings ───────────────────────────────────────────────────────────────────────────────────────

    async def QueryEntries(
        self, request: pb.QueryEntriesRequest, context: Any
    ) -> AsyncIterator[pb.QueryEntriesResponse]:
        who = caller(context)
        async with self._reception.refusals_signed(who, "QueryEntries", request.call.document):
            received = await open_query(self._reception, request.call, who)
            await log_query(self._reception, received, "log.queried")
        start = 0
        while True:
            page, start = await self._reception.database.read(
                lambda conn, start=start: _matching(conn, self._reception.log, received.message, start)  # type: ignore[misc]
            )
            for response in page:
                yield response
            if start < 0:
                return

    # ── export ─────────────────────────────────────────────────────────────────────────────────────────

    async def Export(self, request: pb.ExportRequest, context: Any) -> AsyncIterator[pb.ExportResponse]:
        who = caller(context)
        async with self._reception.refusals_signed(who, "Export", request.call.document):
            received = await open_query(self._reception, request.call, who)
            await log_query(self._reception, received, "log.exported")
        database, log = self._reception.database, self._reception.log
        # Business rows are of one moment; the head comes after it and covers all that had happened by then.
        with database.moment() as then:
            size = await database.in_thread(lambda: _count(then))
            await self._wait_covered(size)
            with database.reading() as now:
                pieces = iter(_pieces(then, now, size, log, with_records=received.message.with_records))
                while (piece := await database.in_thread(lambda: next(pieces, None))) is not None:
                    yield pb.ExportResponse(path=piece[0], data=piece[1])

    async def _wait_covered(self, size: int) -> None:
        for _ in range(int(PUBLISH_WAIT_S / 0.05)):
            head = await self._reception.database.read(self._reception.log.head)
            if head is not None and head.size >= size:
                return
            await asyncio.sleep(0.05)
        raise Unavailable("the log has not published its newest entries yet; try again")


def _inclusion(conn: Connection, log: Log, leaf: bytes) -> pb.ProveInclusionResponse:
    """Where a leaf stands, by the name of its state; a proof once it is published."""
    if (proof := log.prove(conn, leaf)) is not None:
        return pb.ProveInclusionResponse(
            state=log_pb2.ENTRY_STATE_PUBLISHED, index=proof.index, checkpoint=proof.note, proof=proof.proof
        )
    if (position := log.position(conn, leaf)) is not None:
        return pb.ProveInclusionResponse(state=log_pb2.ENTRY_STATE_INTEGRATED, index=position)
    return pb.ProveInclusionResponse(state=log_pb2.ENTRY_STATE_PENDING)


def _matching(
    conn: Connection, log: Log, query: exchange_pb2.LogQuery, start: int
) -> tuple[list[pb.QueryEntriesResponse], int]:
    """The next page of matching entries, and where to go on (negative: at the end)."""
    head = log.head(conn)
    end = head.size if head is not None else 0
    found: list[pb.QueryEntriesResponse] = []
    upto = min(start + 4 * PAGE, end)
    for index, _, salt, opening in log.openings(conn, start, upto):
        entry = log_pb2.LogEntry.FromString(opening)
        if _matches(entry, query):
            found.append(
                pb.QueryEntriesResponse(
                    index=index,
                    state=log_pb2.ENTRY_STATE_PUBLISHED,
                    salt=salt,
                    opening=opening,
                    documents=[editions.get_document(conn, document) for document in entry.documents],
                )
            )
    return found, upto if upto < end else -1


def _matches(entry: log_pb2.LogEntry, query: exchange_pb2.LogQuery) -> bool:
    return (
        (not query.party or query.party in (entry.counterparty, _party(entry.actor)))
        and (not query.kind or entry.kind == query.kind or entry.kind.startswith(query.kind + "."))
        and (not query.product or entry.product == query.product)
        and (not query.HasField("period") or entry.period == query.period)
        and entry.recorded_at_ms >= query.from_ms
        and (not query.until_ms or entry.recorded_at_ms < query.until_ms)
    )


def _party(actor: str) -> str:
    return "/".join(actor.removeprefix("xinyi://").split("/")[:2])


def _count(conn: Connection) -> int:
    """Entries of the log at this moment, those without an index included."""
    return conn.execute(select(func.count()).select_from(log_entries)).scalar_one()


def _pieces(
    then: Connection, now: Connection, state_size: int, log: Log, *, with_records: bool
) -> Iterator[tuple[str, bytes]]:
    """(path, data) of the export's files, in parts.

    Args:
        then: the moment whose business rows are shown.
        now: a later one, in which the first `state_size` entries, and perhaps more, are published.
    """
    head = log.head(now)
    if head is None:
        raise Unavailable("nothing has been published yet")
    editions_shown = [row.manifest_digest for row in then.execute(select(tables.editions.c.manifest_digest))]
    tree = Tree(now, head.size)
    pieces = export.write(
        head,
        entries=((leaf, salt, opening) for _, leaf, salt, opening in log.openings(now, 0, head.size)),
        documents=_documents(then, now, log.openings(now, state_size, head.size)),
        state=(
            (table.name, _rows(then, table)) for table in (*tables.LOGGED, tables.answers, tables.refusals)
        ),
        chunks=_chunks(then, editions_shown) if with_records else None,
        blinding_keys=_blinding_keys(then) if with_records else None,
        outcomes=_outcomes(then) if with_records else None,
        state_size=state_size,
    )
    for path, data in pieces:
        if path.startswith("tile/") and not path.startswith("tile/entries/"):
            # As they are stored, not as they ought to be: proofs are made from them.
            data = tree.tile(*tile_place(path))[: len(data)]
        yield path, data


def _documents(
    then: Connection, now: Connection, later: Iterator[tuple[int, bytes, bytes, bytes]]
) -> Iterator[tuple[bytes, envelope_pb2.Envelope]]:
    """Every document of then under the digest it is kept by, and those that later entries name."""
    rows = then.execution_options(yield_per=PAGE).execute(
        select(tables.documents).order_by(tables.documents.c.digest)
    )
    for row in rows:
        yield row.digest, _kept(row.envelope)
    named = {digest for *_, opening in later for digest in log_pb2.LogEntry.FromString(opening).documents}
    for digest in sorted(named):
        if editions.find_document(then, digest) is None:
            yield digest, editions.get_document(now, digest)


def _kept(envelope: bytes) -> envelope_pb2.Envelope:
    """What was made unreadable goes out empty: the export is not held up, and `verify` names the document."""
    try:
        return envelope_pb2.Envelope.FromString(envelope)
    except DecodeError:
        return envelope_pb2.Envelope()


def _rows(conn: Connection, table: Any) -> Iterator[dict[str, Any]]:
    query = select(table).order_by(*table.primary_key.columns)
    for row in conn.execution_options(yield_per=PAGE).execute(query).mappings():
        yield dict(row)


def _chunks(conn: Connection, manifest_digests: list[bytes]) -> Iterator[tuple[bytes, int, bytes]]:
    for manifest_digest in manifest_digests:
        for number, data in editions.stream_chunks(conn, manifest_digest):
            yield manifest_digest, number, data


def _outcomes(conn: Connection) -> Iterator[tuple[bytes, int, bytes]]:
    """Chunks of the batches that are real, as they are kept, and whatever else lies behind them."""
    batches = tables.outcome_batches
    rows = conn.execute(select(batches.c.document, batches.c.row_count).order_by(batches.c.document)).all()
    for document, count in rows:
        whole = -(-count // CHUNK_RECORDS)
        for number in itertools.count():
            if (data := outcomes.find_chunk(conn, document, number)) is not None:
                yield document, number, data
            elif number >= whole:
                break


def _blinding_keys(conn: Connection) -> Iterator[tuple[bytes, bytes]]:
    for row in conn.execute(select(tables.editions.c.manifest_digest, tables.editions.c.blinding_key)):
        yield row.manifest_digest, row.blinding_key
