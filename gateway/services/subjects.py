"""SubjectService: everything that was said of one subject, to an auditor's person, or to the bureau's for its own.

The question is logged before its first answer. The identifier comes beside the sealed query and is kept nowhere.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select

from audit.inclusion import Prover
from audit.log import Log, log_entries
from gateway.bucket_paths import BucketPaths
from gateway.exchange import Exchange
from gateway.reception import Received, Reception
from gateway.rules.partners import check_right
from gateway.store import parties
from gateway.subjects import Asked, Inquiry
from xinyi import checks
from xinyi.errors import DigestMismatch, Invalid, NotEntitled, Unavailable
from xinyi.fields import check_party
from xinyi.identifiers import normalise
from xinyi.server import Caller, caller
from xinyi.v1 import exchange_pb2, log_pb2
from xinyi.v1 import subject_service_pb2 as pb
from xinyi.v1.subject_service_pb2_grpc import SubjectServiceServicer

#: Messages made in one go while an answer streams.
PAGE = 16
#: How long an answer waits until everything in it is published.
PUBLISH_WAIT_S = 10.0
#: Entries that say that somebody looked: no answer shows them, none waits for them.
_LOOKS = {"subject.queried", "log.queried", "log.exported", "refused"}


class Subjects(SubjectServiceServicer):
    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._prover = Prover()
        self._paths = BucketPaths()

    async def FindSubject(
        self, request: pb.FindSubjectRequest, context: Any
    ) -> AsyncIterator[pb.FindSubjectResponse]:
        who = caller(context)
        async with self._reception.refusals_signed(who, "FindSubject", request.call.document):
            received, origin = await self._open(request, who)
        asked = Asked(request.identifier, received.message.product, request.recipient, origin)
        database, log = self._reception.database, self._reception.log
        # Business rows are of one moment; proofs lead to a head that covers all that had happened by then.
        with ExitStack() as looks, self._reception.proving():
            then = looks.enter_context(database.moment())
            behind = await database.in_thread(lambda: _newest_unpublished(then, log))
            now = then
            if behind:
                await self._wait_published(behind)
                now = looks.enter_context(database.moment())
            pieces = self._answers(then, now, received, asked)
            ahead = self._read_ahead(pieces)
            try:
                while page := await asyncio.shield(ahead):
                    ahead = self._read_ahead(pieces)
                    for piece in page:
                        yield piece
            finally:
                # Also where the line broke: its connection goes back when nobody reads with it any more.
                await asyncio.wait([ahead])

    def _read_ahead(
        self, pieces: Iterator[pb.FindSubjectResponse]
    ) -> asyncio.Future[list[pb.FindSubjectResponse]]:
        """The next messages are made while the caller takes the ones before."""
        return asyncio.ensure_future(self._reception.database.in_thread(lambda: list(islice(pieces, PAGE))))

    async def _open(
        self, request: pb.FindSubjectRequest, who: Caller
    ) -> tuple[Received[exchange_pb2.SubjectQuery], str]:
        """The query, logged, and whose editions it may be about: all where that is empty."""
        received = await self._reception.open(request.call, exchange_pb2.SubjectQuery, who)
        query = received.message
        checks.check_subject_query(query)
        if not who.is_person or query.asked_by != who.holder:
            raise NotEntitled("openings are shown to a person who asks in their own name", basis="query.person")
        _check_subject(request, query)
        if request.recipient:
            check_party(request.recipient, "subject.recipient")

        def work(x: Exchange) -> str:
            party = parties.find_party(x.conn, who.party)
            bureau = party is not None and party["kind"] == "TAX_BUREAU"
            check_right(party, "publish" if bureau else "query")
            x.document(received.envelope)
            x.log(
                "subject.queried",
                actor=who.holder,
                product=query.product,
                documents=[received.digest],
                detail=query.purpose[:200],
            )
            return who.party if bureau else ""

        return received, await self._reception.door.run(work)

    def _answers(
        self, then: Connection, now: Connection, received: Received[exchange_pb2.SubjectQuery], asked: Asked
    ) -> Iterator[pb.FindSubjectResponse]:
        shown = received.head.size if received.head is not None else 0
        head, consistency = self._reception.log.consistency(now, shown)
        if head is None:
            raise Unavailable("the log has published nothing yet; try again")
        yield from Inquiry(then, now, head, self._prover, self._paths, asked).answers()
        evidence = exchange_pb2.LogEvidence(checkpoint=head.note, from_size=shown, consistency=consistency)
        yield pb.FindSubjectResponse(evidence=evidence)

    async def _wait_published(self, entry: int) -> None:
        for _ in range(int(PUBLISH_WAIT_S / 0.01)):
            if await self._reception.database.read(lambda conn: _is_published(conn, self._reception.log, entry)):
                return
            await asyncio.sleep(0.01)
        raise Unavailable("the log has not published its newest entries yet; try again")


def _check_subject(request: pb.FindSubjectRequest, query: exchange_pb2.SubjectQuery) -> None:
    """The identifier is the one that the sealed query commits to. No error quotes it."""
    if len(request.salt) != 32:
        raise Invalid("a salt has 32 bytes", basis="subject.salt")
    if not 1 <= len(request.identifier) <= 64 or normalise(request.identifier) != request.identifier:
        raise Invalid("the identifier is not in its normal form", basis="subject.identifier")
    commitment = checks.subject_commitment(request.salt, request.identifier)
    if not hmac.compare_digest(commitment, query.subject_commitment):
        raise DigestMismatch("the query is about another subject", basis="subject.commitment")


def _newest_unpublished(conn: Connection, log: Log) -> int:
    """Id of the newest entry that the head does not cover yet and an answer may show; 0 where there is none."""
    head, e = log.head(conn), log_entries.c
    size = head.size if head is not None else 0
    rows = conn.execute(select(e.id, e.opening).where((e.position.is_(None)) | (e.position >= size)))
    return max(
        (row.id for row in rows if log_pb2.LogEntry.FromString(row.opening).kind not in _LOOKS), default=0
    )


def _is_published(conn: Connection, log: Log, entry: int) -> bool:
    """Entries get their places in the order of their ids: what was there before this one is published with it."""
    head, e = log.head(conn), log_entries.c
    position = conn.execute(select(e.position).where(e.id == entry)).scalar()
    return head is not None and position is not None and position < head.size
