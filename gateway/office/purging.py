"""`purge`: chunks that no bank will ever ask for. Each deletion is an entry of the log, with its count.

Goes: an upload that was begun and left, so many days ago, of an edition or of a bank's single loans, and the records
of an edition that was cancelled as long ago. Rows, documents and entries stay, banks' tables and batches among them,
and nothing of an edition that may still be, or was, published.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, exists, select

from gateway.app import Gateway
from gateway.exchange import Exchange
from gateway.store import editions as store
from gateway.store import outcomes as batches
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
    """One exchange each, so that a serving gateway is never held up for long. After a crash: run it again."""
    before = gateway.clock() - days * DAY_MS
    holder = gateway.holder
    with gateway.database.reading() as conn:
        left, cancelled, loans = _left(conn, before), _cancelled(conn, before), _left_batches(conn, before)
    run = gateway.door.run_sync
    uploads = [run(partial(_drop_upload, digest=digest, before=before, actor=holder)) for digest in left]
    uploads += [run(partial(_drop_batch, digest=digest, before=before, actor=holder)) for digest in loans]
    records = [run(partial(_drop_records, digest=digest, actor=holder)) for digest in cancelled]
    gone = [count for count in uploads if count is not None]
    done = Purged(len(gone), len(records), sum(gone) + sum(records))
    log.info("store.purged", uploads=done.uploads, editions=done.editions, chunks=done.chunks)
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


def _drop_batch(x: Exchange, digest: bytes, before: int, actor: str) -> int | None:
    """The same of single loans: rows that a bank sent and never made real."""
    intake = batches.find_intake(x.conn, digest)
    if intake is None or intake["begun_at_ms"] >= before or batches.find_batch(x.conn, digest) is not None:
        return None
    count, _ = batches.staged(x.conn, digest)
    x.log("outcomes.abandoned", actor=actor, counterparty=intake["bank"], detail=f"{count} chunks")
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
