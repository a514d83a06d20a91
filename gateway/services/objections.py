"""ObjectionService: the bureau's people take in objections of enterprises, and decide them."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import Connection

from audit.keys import keyid
from gateway import disputes
from gateway.exchange import Exchange
from gateway.reception import Received, Reception
from gateway.rules import objections as rules
from gateway.rules.partners import check_right
from gateway.store import editions, parties, tables
from gateway.store import objections as store
from xinyi.days import day_of
from xinyi.errors import Conflict, Contradiction, Invalid, NotEntitled
from xinyi.objections import CORRECTED, check_objection, check_objection_decision
from xinyi.server import Caller, caller
from xinyi.v1 import edition_pb2, envelope_pb2, objection_pb2
from xinyi.v1 import objection_service_pb2 as pb
from xinyi.v1.objection_service_pb2_grpc import ObjectionServiceServicer

log = structlog.get_logger()


class Objections(ObjectionServiceServicer):
    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def FileObjection(self, request: pb.FileObjectionRequest, context: Any) -> pb.FileObjectionResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "FileObjection", request.call.document):
            received = await self._reception.open(request.call, objection_pb2.Objection, who)
            check_objection(received.message)
            _check_person(who, received.message.received_by)
            if received.message.origin != who.party:
                raise NotEntitled("a bureau takes in objections to its own records only", basis="objection.origin")
            sealed = await self._reception.find_answer(received.digest)
            if sealed is None:
                sealed = await self._reception.door.run(lambda x: self._file(x, received))
                log.info("objection.filed", objection=received.digest.hex())
            return pb.FileObjectionResponse(answer=await self._reception.answer(sealed, received.head))

    def _file(self, x: Exchange, received: Received[objection_pb2.Objection]) -> envelope_pb2.Envelope:
        if (known := editions.find_answer(x.conn, received.digest)) is not None:
            return known
        objection = received.message
        check_right(parties.find_party(x.conn, objection.origin), "publish")
        if store.find_number(x.conn, objection.origin, objection.number) is not None:
            raise Contradiction(
                f"number {objection.number} is here with another objection", basis="objection.number"
            )
        edition = editions.find_edition(x.conn, objection.manifest_digest)
        rules.check_subject(objection, edition)
        assert edition is not None  # check_subject refused otherwise
        rules.check_dates(objection, day_of(x.now_ms))
        if not disputes.in_force(x.conn, edition, objection.blinded_key):
            raise Invalid(
                "no record under this blinded key is in force after that edition", basis="objection.blinded_key"
            )
        if (other := store.find_open(x.conn, objection.manifest_digest, objection.blinded_key)) is not None:
            raise Conflict(
                f"objection {other['number']} to this record is open: decide it first, it marks the record already",
                basis="objection.open",
            )
        if store.count_open(x.conn, objection.origin, objection.product) >= rules.MOST_OPEN:
            raise Conflict(
                f"{rules.MOST_OPEN} objections are open, and a delivery marks no more: decide some first",
                basis="objection.most_open",
            )
        row = {
            "objection": x.document(received.envelope),
            "origin": objection.origin,
            "number": objection.number,
            "product": objection.product,
            "manifest_digest": objection.manifest_digest,
            "blinded_key": objection.blinded_key,
            "filed_on": objection.filed_on,
            "due_on": objection.due_on,
            "state": "OPEN",
            "decision": None,
            "changed_at_ms": x.now_ms,
        }
        x.add(tables.objections, row)
        return self._acknowledge(x, received, "objection.filed", edition)

    async def DecideObjection(
        self, request: pb.DecideObjectionRequest, context: Any
    ) -> pb.DecideObjectionResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "DecideObjection", request.call.document):
            received = await self._reception.open(request.call, objection_pb2.ObjectionDecision, who)
            check_objection_decision(received.message)
            _check_person(who, received.message.decided_by)
            sealed = await self._reception.find_answer(received.digest)
            if sealed is None:
                sealed = await self._reception.door.run(lambda x: self._decide(x, received))
                log.info("objection.decided", objection=received.message.objection.hex())
            return pb.DecideObjectionResponse(answer=await self._reception.answer(sealed, received.head))

    def _decide(
        self, x: Exchange, received: Received[objection_pb2.ObjectionDecision]
    ) -> envelope_pb2.Envelope:
        if (known := editions.find_answer(x.conn, received.digest)) is not None:
            return known
        decision = received.message
        check_right(parties.find_party(x.conn, received.caller.party), "publish")
        row = store.find_objection(x.conn, decision.objection)
        rules.check_open(row, received.caller.party)
        assert row is not None  # check_open refused otherwise
        # Who took it in sealed it: the row's document says so.
        rules.check_second_person(
            editions.sealers(x.conn, row["objection"]),
            {name for key in received.signers for name in (key.holder, keyid(key))},
        )
        edition = editions.find_edition(x.conn, row["manifest_digest"])
        assert edition is not None  # foreign key
        if decision.outcome in CORRECTED:
            _check_corrected(x.conn, row, edition, decision.correction)
        state = rules.state_of(decision.outcome)
        x.replace(
            tables.objections,
            row | {"state": state, "decision": x.document(received.envelope), "changed_at_ms": x.now_ms},
        )
        return self._acknowledge(x, received, f"objection.{state.lower()}", edition)

    async def ListObjections(
        self, request: pb.ListObjectionsRequest, context: Any
    ) -> pb.ListObjectionsResponse:
        who = caller(context)

        def query(conn: Connection) -> pb.ListObjectionsResponse:
            check_right(parties.find_party(conn, who.party), "publish")
            rows = store.list_objections(conn, who.party, request.product)
            return pb.ListObjectionsResponse(objections=[_status(conn, row) for row in rows])

        async with self._reception.refusals_signed(who, "ListObjections"):
            return await self._reception.database.read(query)

    def _acknowledge(
        self, x: Exchange, received: Received[Any], outcome: str, edition: dict[str, Any]
    ) -> envelope_pb2.Envelope:
        leaf = x.log(
            outcome,
            actor=received.caller.holder,
            product=edition["product"],
            period=edition_pb2.Period(year=edition["year"], month=edition["month"]),
            manifest_digest=edition["manifest_digest"],
            documents=[received.digest],
        )
        return self._reception.acknowledge(x, received.digest, outcome, leaf)


def _check_person(who: Caller, named: str) -> None:
    if not who.is_person or named != who.holder:
        raise NotEntitled(
            "an objection is taken in, and decided, by a person in their own name", basis="objection.person"
        )


def _check_corrected(
    conn: Connection, objection: dict[str, Any], edition: dict[str, Any], document: bytes
) -> None:
    """The decision names a published CORRECTION that speaks of this very taxpayer."""
    correction = editions.find_edition(conn, document)
    rules.check_correction(correction, edition)
    assert correction is not None  # check_correction refused otherwise
    if not disputes.tells(conn, correction, disputes.key_under(conn, objection, correction)):
        raise Invalid(
            "the correction says nothing of the record that was objected to", basis="objection_decision.subject"
        )


def _status(conn: Connection, row: dict[str, Any]) -> pb.ObjectionStatus:
    return pb.ObjectionStatus(
        objection=editions.get_document(conn, row["objection"]),
        decision=editions.get_document(conn, row["decision"]) if row["decision"] is not None else None,
    )
