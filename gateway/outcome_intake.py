"""Chunks of a batch of single loans as a bank sends them: verified on any core, then staged in small transactions.

    put → examine, in a crew's process → order against the chunk before → what it relied on → staged

What is staged is durable, and not real: the batch's row, which the door commits, does that. A row that is refused, for
want of an authorisation for instance, is never written: what is kept of it is its commitment, in the chunk, and its id.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from audit import outcomes as evidence
from audit.bulk import insert_rows, insert_values
from audit.records import CHUNK_RECORDS, blinder
from gateway.reliances import Editions, Relied, find_fault
from gateway.rules import outcomes as rules
from gateway.store import editions, lending, tables
from gateway.store import outcomes as store
from gateway.store.db import Database
from xinyi.days import day_of
from xinyi.errors import Invalid, NotEntitled, ProofInvalid, Unknown
from xinyi.lending import check_outcome, check_reference
from xinyi.processes import Crew, Inline
from xinyi.v1 import envelope_pb2, lending_pb2, lending_service_pb2
from xinyi.v1.lending_pb2 import REPORT_STATE_COUNTED, REPORT_STATE_HELD, REPORT_STATE_REFUSED

#: Chunks committed together: other writers never wait long.
STAGE_CHUNKS = 8
#: A batch of fewer chunks is verified before another process has even begun.
_SMALL = 8

#: Columns of a row that `examine` fills, in order.
_COLUMNS = (
    "outcome_id", "taxpayer_id", "loan", "content", "stage", "event_date", "amount", "currency", "guarantee", "grade",
    "evaluation_year", "manifest_digest", "blinded_key", "corrects", "voids", "closes", "state", "rule",
)  # fmt: skip
_ID, _DATE = _COLUMNS.index("outcome_id"), _COLUMNS.index("event_date")
_STATE = _COLUMNS.index("state")
_blinder = lru_cache(maxsize=16)(blinder)


@dataclass(frozen=True)
class Examined:
    """A chunk that is the one the batch seals, each of its rows valid."""

    #: As it is kept: without the content of rows that are refused.
    data: bytes
    #: As in _COLUMNS.
    rows: list[tuple[Any, ...]]
    #: Place in the chunk, what the row relied on, the record's commitment, whether the blinded key is known to be that
    #: of the taxpayer.
    relied: list[tuple[int, Relied, bytes, bool]]


def examine(
    data: bytes, root: bytes, day: date, terms: bytes, blinding_keys: Mapping[bytes, bytes]
) -> Examined:
    """Everything about one chunk that needs neither its neighbours nor the database; may run in another process.

    Args:
        day: of the batch's issue, in China.
        terms: serialised ReportingTerms.
        blinding_keys: of editions.

    Raises EncodingInvalid, ProofInvalid, DigestMismatch; Invalid with the row's place in the chunk.
    """
    wanted = lending_service_pb2.ReportingTerms.FromString(terms)
    chunk = evidence.verify_chunk(data, root)
    rows: list[tuple[Any, ...]] = []
    relied: list[tuple[int, Relied, bytes, bool]] = []
    refused: list[int] = []
    for place, outcome in enumerate(chunk.outcomes):
        try:
            refusal = rules.find_refusal(outcome, day)
            if not refusal:
                check_outcome(outcome)
                rows.append(_row(outcome, chunk.records[place], wanted))
                # What voids another row needs no grade.
                if not outcome.voids and (told := Relied.of(outcome)) is not None:
                    relied.append((place, told, outcome.loan.reliance.commitment, _is_own(told, blinding_keys)))
            else:
                check_reference(outcome.outcome_id, "outcome.id")
                rows.append((outcome.outcome_id, *_REFUSED, refusal))
                refused.append(place)
        except Invalid as error:
            raise Invalid(f"row {place + 1}: {error.explanation}", basis=error.basis) from None
    return Examined(evidence.without(data, chunk, refused), rows, relied)


#: What stands of a row whose content is not kept, but for its id and the rule.
_REFUSED = ("", "", b"", 0, "", 0, "", 0, 0, 0, None, None, None, 0, 0, REPORT_STATE_REFUSED)


def _row(
    outcome: lending_pb2.LendingOutcome, record: bytes, terms: lending_service_pb2.ReportingTerms
) -> tuple[Any, ...]:
    loan, reliance = outcome.loan, outcome.loan.reliance
    rule = rules.find_implausible(outcome, terms)
    return (
        outcome.outcome_id,
        outcome.taxpayer_id,
        loan.reference,
        hashlib.sha256(record).digest(),
        outcome.stage,
        outcome.event_date,
        outcome.amount,
        loan.currency,
        loan.guarantee,
        reliance.grade,
        reliance.evaluation_year,
        reliance.manifest_digest or None,
        reliance.blinded_key or None,
        outcome.corrects or None,
        int(outcome.voids),
        int(rules.closes(outcome)),
        REPORT_STATE_HELD if rule else REPORT_STATE_COUNTED,
        rule,
    )


def _is_own(told: Relied, blinding_keys: Mapping[bytes, bytes]) -> bool:
    secret = blinding_keys.get(told.manifest_digest)
    return secret is not None and _blinder(secret)(told.taxpayer_id.encode()) == told.blinded_key


class Intake:
    """One stream of chunks. Make it with `open`."""

    def __init__(
        self,
        database: Database,
        digest: bytes,
        batch: lending_pb2.OutcomeBatch,
        terms: lending_service_pb2.ReportingTerms,
        staged: tuple[int, str],
        blinding_keys: dict[bytes, bytes],
        crew: Crew | None,
    ) -> None:
        self._database = database
        self._digest = digest
        self._batch = batch
        self._day = day_of(batch.issued_at_ms)
        self._terms = terms.SerializeToString()
        self._staged, self._after = staged
        #: The first one that is not verified.
        self._next = self._staged
        small = len(batch.chunk_roots) - self._staged < _SMALL
        self._crew: Crew = crew if crew is not None and not small else Inline()
        self._waiting: deque[Future[Examined]] = deque()
        self._chunks: list[dict[str, Any]] = []
        self._rows: list[tuple[Any, ...]] = []
        self._editions = Editions()
        self._blinding_keys = blinding_keys
        self._staging: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, database: Database, party: str, digest: bytes, crew: Crew | None) -> Intake:
        """Goes on behind the chunks that are staged. Raises Unknown, NotEntitled."""

        def read(conn: Connection) -> Intake:
            batch = lending_pb2.OutcomeBatch.FromString(_find_begun(conn, digest).payload)  # verified when it began
            if batch.bank != party:
                raise NotEntitled("a bank reports what it lent itself", basis="batch.bank")
            terms = rules.check_terms(lending.find_terms(conn, batch.agreement_id))
            keys = editions.blinding_keys(conn)
            return cls(database, digest, batch, terms, store.staged(conn, digest), keys, crew)

        return await database.read(read)

    @property
    def next_chunk(self) -> int:
        """The first one that is not staged, once `settle` and `stage` are through."""
        return self._next

    async def take(self, number: int, data: bytes) -> None:
        """Raises VerificationError or Invalid at the first chunk that does not hold."""
        if number < self._staged:
            return  # verified and here since this caller asked where to begin: another upload was faster
        expected = self._next + len(self._waiting)
        if number != expected or number == len(self._batch.chunk_roots):
            await self.settle()
            raise ProofInvalid(f"expected chunk {expected}, got {number}", basis="chunk")
        root = self._batch.chunk_roots[number]
        self._waiting.append(self._crew.submit(examine, data, root, self._day, self._terms, self._blinding_keys))
        while len(self._waiting) > self._crew.ahead:
            await asyncio.to_thread(self._settle_oldest)
        if len(self._chunks) >= STAGE_CHUNKS:
            await self._staged_before()
            self._staging = asyncio.create_task(self._stage())

    async def settle(self) -> None:
        """Waits for the chunks whose verification is under way. Raises as `take` does."""
        while self._waiting:
            await asyncio.to_thread(self._settle_oldest)

    async def stage(self) -> None:
        """A chunk that another upload of this batch staged meanwhile is the same chunk, judged a moment earlier."""
        await self._staged_before()
        await self._stage()

    async def _staged_before(self) -> None:
        """Chunks are staged in order, while those behind them are verified."""
        task, self._staging = self._staging, None
        if task is not None:
            await task

    async def _stage(self) -> None:
        chunks, self._chunks = self._chunks, []
        rows, self._rows = self._rows, []
        if not chunks:
            return

        def write(conn: Connection) -> None:
            insert_rows(conn, tables.outcome_chunks, chunks, "keep")
            insert_values(conn, tables.outcomes, ("document", "bank", "place", *_COLUMNS), rows, "keep")

        await self._database.write(write)

    def _settle_oldest(self) -> None:
        try:
            examined = self._waiting.popleft().result()
            size = evidence.chunk_size(self._batch, self._next)
            if len(examined.rows) != size:
                raise ProofInvalid(f"chunk {self._next} holds {len(examined.rows)} outcomes instead of {size}")
            if examined.rows[0][_ID] <= self._after:
                raise ProofInvalid("outcomes are not strictly ascending by outcome_id")
        except Invalid as error:
            self._waiting.clear()
            raise Invalid(f"chunk {self._next}, {error.explanation}", basis=error.basis) from error
        except BaseException:
            # Nothing behind a chunk that does not hold is of any use.
            self._waiting.clear()
            raise
        first = self._next * CHUNK_RECORDS
        self._chunks.append({"document": self._digest, "number": self._next, "data": examined.data})
        rows = examined.rows
        with self._database.reading() as conn:
            for at, relied, sealed, own in examined.relied:
                fault = find_fault(conn, self._editions, relied, sealed, rows[at][_DATE], own=own)
                if fault:
                    rows[at] = (*rows[at][:_STATE], REPORT_STATE_HELD, fault)
        digest, bank = self._digest, self._batch.bank
        self._rows += [(digest, bank, place, *row) for place, row in enumerate(rows, first)]
        self._after = rows[-1][_ID]
        self._next += 1


def _find_begun(conn: Connection, digest: bytes) -> envelope_pb2.Envelope:
    """Of an intake, or of the batch where another upload made it real meanwhile."""
    if (intake := store.find_intake(conn, digest)) is not None:
        return envelope_pb2.Envelope.FromString(intake["envelope"])
    if store.find_batch(conn, digest) is not None:
        return editions.get_document(conn, digest)
    raise Unknown("begin the batch before its chunks", basis="batch.intake")
