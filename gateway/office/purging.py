"""`purge`: chunks that no bank will ever ask for. Each deletion is an entry of the log, with its count.

Goes: an upload that was begun and left, so many days ago, of an edition or of a bank's single loans, and the records
of an edition that was cancelled as long ago. Rows, documents and entries stay, banks' tables and batches among them,
and nothing of an edition that may still be, or was, published. Judgements that no act ever named go without an entry:
they were never real.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, exists, select

from audit.records import CHUNK_RECORDS
from gateway.app import Gateway
from gateway.exchange import Exchange
from gateway.judgement import drop_judgement
from gateway.store import editions as store
from gateway.store import judgements
from gateway.store import outcomes as batches
from gateway.store.db import Database
from gateway.store.tables import (
    buckets,
    chunks,
    editions,
    intakes,
    outcome_chunks,
    outcome_intakes,
    outcomes,
    states,
)
from xinyi.days import DAY_MS

log = structlog.get_logger()

@dataclass(frozen=True)
class Purged:
    uploads: int
    editions: int
    chunks: int


def purge(gateway: Gateway, *, days: int) -> Purged:
    """One exchange each, so that a serving gateway is never held up for long. After a crash: run it again.

    Args: days — at least 1: a judgement that is a day old is not being made any more.
    """
    before = gateway.clock() - days * DAY_MS
    holder = gateway.holder
    with gateway.database.reading() as conn:
        left, cancelled, loans = _left(conn, before), _cancelled(conn, before), _left_batches(conn, before)
        unnamed = judgements.left(conn, before)
    run = gateway.door.run_sync
    uploads = [run(partial(_drop_upload, digest=digest, before=before, actor=holder)) for digest in left]
    for digest in loans:
        count = _drop_rows(gateway.database, digest, before)
        uploads.append(run(partial(_drop_batch, digest=digest, before=before, actor=holder, count=count)))
    for identity in unnamed:
        drop_judgement(gateway.database, identity)
    records = [run(partial(_drop_records, digest=digest, actor=holder)) for digest in cancelled]
    gone = [count for count in uploads if count is not None]
    done = Purged(len(gone), len(records), sum(gone) + sum(records))
    log.info(
        "store.purged",
        uploads=done.uploads,
        editions=done.editions,
        chunks=done.chunks,
        judgements=len(unnamed),
    )
    return done


def _left(conn: Connection, before: int) -> list[bytes]:
    old = select(intakes.c.manifest_digest).where(intakes.c.begun_at_ms < before)
    return list(conn.execute(old).scalars())


def _left_batches(conn: Connection, before: int) -> list[bytes]:
    old = select(outcome_intakes.c.document).where(outcome_intakes.c.begun_at_ms < before)
    return list(conn.execute(old).scalars())


def _cancelled(conn: Connection, before: int) -> list[bytes]:
    holds = exists().where(chunks.c.manifest_digest == editions.c.manifest_digest)
    old = select(editions.c.manifest_digest).where(
        editions.c.state == "CANCELLED", editions.c.changed_at_ms < before, holds
    )
    return list(conn.execute(old).scalars())


def _drop_upload(x: Exchange, digest: bytes, before: int, actor: str) -> int | None:
    """How many chunks went; None where it was taken up again meanwhile."""
    intake = store.find_intake(x.conn, digest)
    if intake is None or intake["begun_at_ms"] >= before or store.find_edition(x.conn, digest) is not None:
        return None
    count, _ = store.staged(x.conn, digest)
    x.log("edition.abandoned", actor=actor, manifest_digest=digest, detail=f"{count} chunks")
    _drop_records_of(x, digest)
    x.remove(intakes, digest)
    return count


def _drop_rows(database: Database, digest: bytes, before: int) -> int:
    """Rows that a bank sent and never made real, chunk by chunk, outside the door; how many chunks went.

    A crash leaves the first ones, and the intake: the next run goes on.
    """
    count, more = 0, True
    while more:
        with database.writing() as conn:
            more = batches.drop_last_chunk(conn, digest, before, CHUNK_RECORDS)
        count += more
    return count


def _drop_batch(x: Exchange, digest: bytes, before: int, actor: str, count: int) -> int | None:
    """What is left of it: that it was begun. None where it was taken up again meanwhile."""
    intake = batches.find_intake(x.conn, digest)
    if intake is None or intake["begun_at_ms"] >= before or batches.find_batch(x.conn, digest) is not None:
        return None
    x.log("outcomes.abandoned", actor=actor, counterparty=intake["bank"], detail=f"{count} chunks")
    # Chunks that were on their way all the time.
    for table in (outcomes, outcome_chunks, outcome_intakes):
        x.remove(table, digest)
    return count


def _drop_records(x: Exchange, digest: bytes, actor: str) -> int:
    """CANCELLED is where an edition ends: nothing leads out of it."""
    edition = store.find_edition(x.conn, digest)
    assert edition is not None
    assert edition["state"] == "CANCELLED"
    count, _ = store.staged(x.conn, digest)
    x.log(
        "edition.purged",
        actor=actor,
        product=edition["product"],
        manifest_digest=digest,
        documents=[digest],
        record_count=edition["record_count"],
        detail=f"{count} chunks",
    )
    _drop_records_of(x, digest)
    return count


def _drop_records_of(x: Exchange, digest: bytes) -> None:
    """Chunks, and what was made of them."""
    for table in (chunks, buckets, states):
        x.remove(table, digest)
