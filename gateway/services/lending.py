"""LendingService: banks report what they lent, answer questions about it, and see how it stands."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection

from gateway.reception import Reception
from gateway.reports import accept_table, accept_table_answer, open_answer
from gateway.rules.lending import state_at
from gateway.rules.partners import check_right
from gateway.rules.reporting import in_force, terms_of
from gateway.store import editions, parties
from gateway.store import lending as store
from gateway.store.rows import Row
from xinyi.days import day_of, end_of
from xinyi.fields import check_date
from xinyi.lending import check_lending_period
from xinyi.server import caller
from xinyi.v1 import lending_service_pb2 as pb
from xinyi.v1.lending_service_pb2_grpc import LendingServiceServicer


class Lending(LendingServiceServicer):
    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def GetReportingTerms(
        self, request: pb.GetReportingTermsRequest, context: Any
    ) -> pb.GetReportingTermsResponse:
        who = caller(context)
        today = day_of(self._reception.door.now())

        def query(conn: Connection) -> pb.GetReportingTermsResponse:
            check_right(parties.find_party(conn, who.party), "report")
            told = store.agreements_with_terms(conn, who.party)
            terms = [terms_of(row) for agreement, row in told if in_force(agreement, today)]
            return pb.GetReportingTermsResponse(terms=terms)

        async with self._reception.refusals_signed(who, "GetReportingTerms"):
            return await self._reception.database.read(query)

    async def SubmitTable(self, request: pb.SubmitTableRequest, context: Any) -> pb.SubmitTableResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "SubmitTable", request.call.document):
            answer, receipt = await accept_table(self._reception, request.call, who)
            return pb.SubmitTableResponse(answer=answer, receipt=receipt)

    async def AnswerQuestions(
        self, request: pb.AnswerQuestionsRequest, context: Any
    ) -> pb.AnswerQuestionsResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "AnswerQuestions", request.call.document):
            received = await open_answer(self._reception, request.call, who)
            return pb.AnswerQuestionsResponse(answer=await accept_table_answer(self._reception, received))

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
            rows = store.tables_of(conn, who.party, period, until)
            return pb.ListReportsResponse(tables=[_status(conn, row, until) for row in rows])

        async with self._reception.refusals_signed(who, "ListReports"):
            return await self._reception.database.read(query)


def _status(conn: Connection, row: Row, moment_ms: int) -> pb.TableStatus:
    state = state_at(row, moment_ms)
    return pb.TableStatus(
        table=editions.get_document(conn, row["document"]),
        receipt=editions.get_document(conn, row["receipt"]),
        state=f"REPORT_STATE_{state}",
        recorded_at_ms=row["recorded_at_ms"],
        replaced_by=row["replaced_by"] if state == "CORRECTED" else b"",
    )
