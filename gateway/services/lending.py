"""LendingService: banks report what they lent, answer questions about it, and see how it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection

from gateway import outcome_reports
from gateway.messages import fitting
from gateway.outcome_intake import Intake
from gateway.outcome_listing import open_listing
from gateway.reception import Reception
from gateway.reports import accept_table, accept_table_answer, open_answer
from gateway.rules.lending import state_at
from gateway.rules.partners import check_right
from gateway.rules.reporting import reportable, terms_of
from gateway.store import editions, outcomes, parties
from gateway.store import lending as store
from gateway.store.rows import Row
from xinyi.days import day_of, end_of
from xinyi.errors import Invalid
from xinyi.fields import check_date
from xinyi.lending import check_lending_period
from xinyi.processes import Crew
from xinyi.server import caller
from xinyi.v1 import lending_pb2
from xinyi.v1 import lending_service_pb2 as pb
from xinyi.v1.lending_service_pb2_grpc import LendingServiceServicer

#: A row as it stood at a moment.
_Tell = Callable[[Connection, Row, int], pb.TableStatus | pb.BatchStatus]


class Lending(LendingServiceServicer):
    """Args: crew — who verifies the chunks of large batches; this process where None."""

    def __init__(self, reception: Reception, crew: Crew | None = None) -> None:
        self._reception = reception
        self._crew = crew

    async def GetReportingTerms(
        self, request: pb.GetReportingTermsRequest, context: Any
    ) -> pb.GetReportingTermsResponse:
        who = caller(context)
        today = day_of(self._reception.door.now())

        def query(conn: Connection) -> pb.GetReportingTermsResponse:
            check_right(parties.find_party(conn, who.party), "report")
            told = store.agreements_with_terms(conn, who.party)
            terms = [terms_of(row) for row in reportable(told, today)]
            return pb.GetReportingTermsResponse(terms=terms)

        async with self._reception.refusals_signed(who, "GetReportingTerms"):
            return await self._reception.database.read(query)

    async def SubmitTable(self, request: pb.SubmitTableRequest, context: Any) -> pb.SubmitTableResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "SubmitTable", request.call.document):
            answer, receipt = await accept_table(self._reception, request.call, who)
            return pb.SubmitTableResponse(answer=answer, receipt=receipt)

    # ── single loans ───────────────────────────────────────────────────────────────────────────────────

    async def BeginOutcomes(self, request: pb.BeginOutcomesRequest, context: Any) -> pb.BeginOutcomesResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "BeginOutcomes", request.call.document):
            received = await outcome_reports.open_batch(self._reception, request.call, who)
            if (taken := await outcome_reports.find_taken(self._reception, received.digest)) is not None:
                answer = await self._reception.answer(taken[0], received.head)
                return pb.BeginOutcomesResponse(answer=answer, receipt=taken[1])
            return pb.BeginOutcomesResponse(next_chunk=await outcome_reports.begin(self._reception, received))

    async def PutOutcomes(
        self, requests: AsyncIterator[pb.PutOutcomesRequest], context: Any
    ) -> pb.PutOutcomesResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "PutOutcomes") as asked:
            first = await anext(aiter(requests), None)
            if first is None:
                raise Invalid("the stream holds no chunk", basis="chunks.empty")
            asked.subject = first.batch.hex()
            intake = await Intake.open(self._reception.database, who.party, first.batch, self._crew)
            try:
                await intake.take(first.number, first.data)
                async for request in requests:
                    await intake.take(request.number, request.data)
                await intake.settle()
            finally:
                # Also where the line broke, or a chunk does not hold: those before it are kept.
                await intake.stage()
            return pb.PutOutcomesResponse(next_chunk=intake.next_chunk)

    async def CommitOutcomes(
        self, request: pb.CommitOutcomesRequest, context: Any
    ) -> pb.CommitOutcomesResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "CommitOutcomes", request.call.document):
            received = await outcome_reports.open_batch(self._reception, request.call, who)
            taken = await outcome_reports.find_taken(self._reception, received.digest)
            if taken is None:
                taken = await outcome_reports.commit(self._reception, received)
            answer = await self._reception.answer(taken[0], received.head)
            return pb.CommitOutcomesResponse(answer=answer, receipt=taken[1])

    async def ListOutcomes(
        self, request: pb.ListOutcomesRequest, context: Any
    ) -> AsyncIterator[pb.ListOutcomesResponse]:
        who = caller(context)
        async with self._reception.refusals_signed(who, "ListOutcomes"):
            listing = await open_listing(self._reception, request, who)
        pages = listing.pages()
        while page := await self._reception.database.in_thread(lambda: next(pages, None)):
            yield page

    # ── questions and reports ──────────────────────────────────────────────────────────────────────────

    async def AnswerQuestions(
        self, request: pb.AnswerQuestionsRequest, context: Any
    ) -> pb.AnswerQuestionsResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "AnswerQuestions", request.call.document):
            received = await open_answer(self._reception, request.call, who)
            accept = await self._reception.database.read(
                lambda conn: outcome_reports.acceptor(conn, received.message, who.party)
            )
            accept = accept or accept_table_answer
            return pb.AnswerQuestionsResponse(answer=await accept(self._reception, received))

    async def ListReports(self, request: pb.ListReportsRequest, context: Any) -> pb.ListReportsResponse:
        who = caller(context)
        period = request.period if request.HasField("period") else None

        def query(conn: Connection) -> pb.ListReportsResponse:
            check_right(parties.find_party(conn, who.party), "report")
            until = self._reception.door.now()
            if period is not None:
                check_lending_period(period, "reports.period")
            if request.as_of:
                check_date(request.as_of, "reports.as_of")
                until = min(until, end_of(date.fromisoformat(request.as_of)))
            tables = store.tables_of(conn, who.party, period, until)
            batches = [] if period is not None else outcomes.batches_of(conn, who.party, until)
            return _reports(conn, tables, batches, until, request.document)

        async with self._reception.refusals_signed(who, "ListReports"):
            return await self._reception.database.read(query)


def _reports(
    conn: Connection, tables: Sequence[Row], batches: Sequence[Row], moment_ms: int, document: bytes
) -> pb.ListReportsResponse:
    """Newest last; the oldest are left out where one message has no room for them.

    Args: document — of the only one that is wanted; empty for all.
    """
    known: list[tuple[Row, _Tell]] = [(row, _status) for row in tables]
    known += [(row, _batch_status if document else _batch_without_receipt) for row in batches]
    wanted = [one for one in known if document in (b"", one[0]["document"])]
    wanted.sort(key=lambda one: one[0]["recorded_at_ms"])
    found = fitting(tell(conn, row, moment_ms) for row, tell in reversed(wanted))[::-1]
    return pb.ListReportsResponse(
        tables=[status for status in found if isinstance(status, pb.TableStatus)],
        batches=[status for status in found if isinstance(status, pb.BatchStatus)],
        left_out=len(wanted) - len(found),
    )


def _status(conn: Connection, row: Row, moment_ms: int) -> pb.TableStatus:
    state = state_at(row, moment_ms)
    return pb.TableStatus(
        table=editions.get_document(conn, row["document"]),
        receipt=editions.get_document(conn, row["receipt"]),
        state=f"REPORT_STATE_{state}",
        recorded_at_ms=row["recorded_at_ms"],
        replaced_by=row["replaced_by"] if state == "CORRECTED" else b"",
    )


def _batch_status(conn: Connection, row: Row, moment_ms: int) -> pb.BatchStatus:
    status = _batch_without_receipt(conn, row, moment_ms)
    status.receipt.CopyFrom(editions.get_document(conn, row["receipt"]))
    return status


def _batch_without_receipt(conn: Connection, row: Row, moment_ms: int) -> pb.BatchStatus:
    states = outcomes.count_states(conn, row, moment_ms)
    return pb.BatchStatus(
        batch=editions.get_document(conn, row["document"]),
        recorded_at_ms=row["recorded_at_ms"],
        counted=states.get(lending_pb2.REPORT_STATE_COUNTED, 0),
        held=states.get(lending_pb2.REPORT_STATE_HELD, 0),
        corrected=states.get(lending_pb2.REPORT_STATE_CORRECTED, 0),
    )
