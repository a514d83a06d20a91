"""StatisticsService: a period's figures for the bureau, and the city's totals for banks whose agreement gives them."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection

from gateway import statistics
from gateway.exchange import Exchange
from gateway.reception import Received, Reception
from gateway.rules import reporting
from gateway.rules import statistics as rules
from gateway.rules.partners import check_right
from gateway.store import editions as documents
from gateway.store import parties, tables
from gateway.store import statistics as store
from gateway.store.rows import Row
from xinyi.days import day_of
from xinyi.errors import Invalid, NotEntitled, Unknown
from xinyi.lending import check_lending_period, check_statistics_receipt
from xinyi.server import Caller, caller
from xinyi.v1 import envelope_pb2, lending_pb2
from xinyi.v1 import statistics_service_pb2 as pb
from xinyi.v1.statistics_service_pb2_grpc import StatisticsServiceServicer


class Statistics(StatisticsServiceServicer):
    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def ListStatistics(
        self, request: pb.ListStatisticsRequest, context: Any
    ) -> pb.ListStatisticsResponse:
        who = caller(context)

        def query(conn: Connection) -> list[tuple[Row, str]]:
            audience = _audience(conn, who, day_of(self._reception.door.now()))
            period = request.period if request.HasField("period") else None
            versions = store.list_statistics(conn, audience, period)
            return [(row, statistics.open_statistics(conn, row["document"]).restatement) for row in versions]

        async with self._reception.refusals_signed(who, "ListStatistics"):
            if request.HasField("period"):
                check_lending_period(request.period, "statistics.period")
            found = await self._reception.database.read(query)
            for row, _ in found:
                await self._offer(who, row["document"])
            return pb.ListStatisticsResponse(versions=[_version(row, restated) for row, restated in found])

    async def GetStatistics(self, request: pb.GetStatisticsRequest, context: Any) -> pb.GetStatisticsResponse:
        who = caller(context)

        def query(conn: Connection) -> tuple[bytes, envelope_pb2.Envelope]:
            row = _find(conn, request, _audience(conn, who, day_of(self._reception.door.now())))
            return row["document"], documents.get_document(conn, row["document"])

        async with self._reception.refusals_signed(who, "GetStatistics", subject=request.statistics.hex()):
            document, sealed = await self._reception.database.read(query)
            leaf = await self._offer(who, document)
        evidence = await self._reception.evidence(None)
        return pb.GetStatisticsResponse(statistics=sealed, evidence=evidence, leaf=leaf)

    async def _offer(self, who: Caller, document: bytes) -> bytes:
        """Leaf of the entry that says this version was given to the caller's party; made where there is none."""
        known = await self._reception.database.read(lambda conn: store.find_offer(conn, document, who.party))
        if known is not None:
            return known
        return await self._reception.door.run(lambda x: self._log_offer(x, who, document))

    def _log_offer(self, x: Exchange, who: Caller, document: bytes) -> bytes:
        if (known := store.find_offer(x.conn, document, who.party)) is not None:
            return known
        row = store.find_statistics(x.conn, document)
        assert row is not None  # nothing takes a version away
        # Rights may have ended since it was looked for.
        if _audience(x.conn, who, day_of(x.now_ms)) != row["audience"]:
            raise Unknown("there are no such statistics", basis="statistics.unknown")
        x.add(tables.statistics_deliveries, _delivery(document, who.party, None, x.now_ms))
        leaf = x.log(
            "statistics.offered",
            actor=self._reception.holder,
            counterparty=who.party,
            documents=[document],
            **statistics.logged(row),
        )
        x.add(tables.entries_by_name, {"name": store.offer_name(document, who.party), "leaf": leaf})
        return leaf

    async def ConfirmStatistics(
        self, request: pb.ConfirmStatisticsRequest, context: Any
    ) -> pb.ConfirmStatisticsResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "ConfirmStatistics", request.call.document):
            received = await self._reception.open(request.call, lending_pb2.StatisticsReceipt, who)
            check_statistics_receipt(received.message)
            if received.message.signed_by != who.holder:
                raise NotEntitled("a receipt is signed by who calls", basis="statistics_receipt.signed_by")
            sealed = await self._reception.find_answer(received.digest)
            if sealed is None:
                sealed = await self._reception.door.run(lambda x: self._confirm(x, received))
        return pb.ConfirmStatisticsResponse(answer=await self._reception.answer(sealed, received.head))

    def _confirm(
        self, x: Exchange, received: Received[lending_pb2.StatisticsReceipt]
    ) -> envelope_pb2.Envelope:
        if (known := documents.find_answer(x.conn, received.digest)) is not None:
            return known
        document, party = received.message.statistics, received.caller.party
        delivery = store.find_delivery(x.conn, document, party)
        row = store.find_statistics(x.conn, document)
        if delivery is None or row is None:
            raise Unknown("no such statistics were given to this party", basis="statistics.unknown")
        # Whoever was given something may say so, whatever became of its rights.
        receipt = x.document(received.envelope)
        x.replace(tables.statistics_deliveries, _delivery(document, party, receipt, x.now_ms))
        leaf = x.log(
            "statistics.received",
            actor=received.caller.holder,
            counterparty=party,
            documents=[received.digest],
            **statistics.logged(row),
        )
        return self._reception.acknowledge(x, received.digest, "statistics.received", leaf)


def _audience(conn: Connection, who: Caller, day: date) -> lending_pb2.Audience:
    """Whose statistics the caller gets today. Raises NotEntitled."""
    party = parties.find_party(conn, who.party)
    kind = party["kind"] if party is not None else ""
    check_right(party, "publish" if kind == "TAX_BUREAU" else "receive")
    terms = store.list_terms(conn, who.party)
    given = any(reporting.terms_of(row).city_totals and reporting.in_force(row, day) for row in terms)
    return rules.audience_of(kind, city_totals=given)


def _find(conn: Connection, request: pb.GetStatisticsRequest, audience: int) -> Row:
    """Raises Unknown, and for what is another audience's as well; Invalid."""
    if request.statistics:
        row = store.find_statistics(conn, request.statistics)
        if row is None or row["audience"] != audience:
            raise Unknown("there are no such statistics", basis="statistics.unknown")
        return row
    check_lending_period(request.period, "statistics.period")
    found = store.list_statistics(conn, audience, request.period)
    if not found:
        raise Unknown("there are no statistics of this period yet", basis="statistics.unknown")
    if len({row["currency"] for row in found}) > 1:
        raise Invalid(
            "there are several currencies: name the version by its digest", basis="statistics.currency"
        )
    return found[-1]


def _version(row: Row, restatement: str) -> pb.StatisticsVersion:
    return pb.StatisticsVersion(
        statistics=row["document"],
        period=lending_pb2.LendingPeriod(year=row["year"], month=row["month"], months=row["months"]),
        currency=row["currency"],
        version=row["version"],
        counted_until_ms=row["counted_until_ms"],
        restatement=restatement,
    )


def _delivery(document: bytes, recipient: str, receipt: bytes | None, now_ms: int) -> Row:
    return {"document": document, "recipient": recipient, "receipt": receipt, "changed_at_ms": now_ms}
