"""ChallengeService: an auditor's people ask a bank to open rows of a table; the bank says that it did.

The rows themselves never come here: the opening goes from the bank to the auditor as a file.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import Connection, select

from audit.challenge import population
from audit.checkpoint import Checkpoint
from audit.log import log_entries
from gateway.challenges import log_challenge
from gateway.exchange import Exchange
from gateway.inquiries import log_query, open_query
from gateway.messages import fitting
from gateway.reception import Received, Reception
from gateway.rules import challenges as rules
from gateway.rules.partners import check_right
from gateway.store import challenges as store
from gateway.store import editions, lending, parties, tables
from xinyi.days import day_of
from xinyi.errors import Conflict, Invalid, NotEntitled
from xinyi.lending import check_challenge, check_challenge_answer
from xinyi.server import caller
from xinyi.v1 import challenge_service_pb2 as pb
from xinyi.v1 import envelope_pb2, exchange_pb2, lending_pb2, log_pb2
from xinyi.v1.challenge_service_pb2_grpc import ChallengeServiceServicer

#: Tables that one answer shows: they come in one message.
MOST_TABLES = 300

#: Kind of a query for the tables that count alone.
COUNTED = "lending.counted"

log = structlog.get_logger()


class Challenges(ChallengeServiceServicer):
    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def ListTables(self, request: pb.ListTablesRequest, context: Any) -> pb.ListTablesResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "ListTables", request.call.document):
            received = await open_query(self._reception, request.call, who)
            asked = received.message
            _check_tables_query(request, asked)
            await log_query(self._reception, received, "log.queried")
            return await self._reception.database.read(lambda conn: self._tables(conn, asked))

    def _tables(self, conn: Connection, asked: exchange_pb2.LogQuery) -> pb.ListTablesResponse:
        rows = [row for row in lending.tables_of(conn, asked.party) if _is_asked(asked, row)]
        if len(rows) > MOST_TABLES:
            raise Invalid(f"there are {len(rows)} tables: ask for one bank's of one period", basis="tables.query")
        recorded = (
            pb.RecordedTable(table=editions.get_document(conn, row["document"]), index=index, state=row["state"])
            for row in rows
            if (index := self._index(conn, row["document"])) is not None
        )
        found = fitting(recorded)
        if next(recorded, None) is not None:
            raise Invalid("the tables do not fit one message: ask for one bank's of one period", basis="tables.query")
        return pb.ListTablesResponse(tables=found)

    def _index(self, conn: Connection, table: bytes) -> int | None:
        """Place of a table's entry in the log; None for a moment behind its intake."""
        sealed = editions.find_answer(conn, table)
        assert sealed is not None  # whatever is recorded was answered
        leaf = exchange_pb2.Acknowledgement.FromString(sealed.payload).leaf
        return self._reception.log.position(conn, leaf)

    async def Challenge(self, request: pb.ChallengeRequest, context: Any) -> pb.ChallengeResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "Challenge", request.call.document):
            received = await self._reception.open(request.call, lending_pb2.Challenge, who)
            check_challenge(received.message)
            if not who.is_person or received.message.asked_by != who.holder:
                raise NotEntitled("rows are asked for by a person in their own name", basis="challenge.person")
            sealed = await self._reception.find_answer(received.digest)
            if sealed is None:
                head = await self._reception.check_head(received.message.checkpoint)
                assert head is not None  # check_challenge refused otherwise
                sealed = await self._reception.door.run(lambda x: self._ask(x, received, head))
                log.info("challenge.asked", challenge=received.digest.hex())
            return pb.ChallengeResponse(answer=await self._reception.answer(sealed, received.head))

    def _ask(
        self, x: Exchange, received: Received[lending_pb2.Challenge], head: Checkpoint
    ) -> envelope_pb2.Envelope:
        """Args: head — the challenge's checkpoint, found on this log's tree."""
        if (known := editions.find_answer(x.conn, received.digest)) is not None:
            return known
        challenge, auditor = received.message, received.caller.party
        check_right(parties.find_party(x.conn, auditor), "query")
        table = lending.find_table(x.conn, challenge.table)
        rules.check_table(challenge, table)
        assert table is not None  # check_table refused otherwise
        sealed = editions.get_document(x.conn, challenge.table)
        population(lending_pb2.LendingTable.FromString(sealed.payload), challenge.unit)
        rules.check_due(challenge.due_on, day_of(x.now_ms))
        index = self._index(x.conn, challenge.table)
        rules.check_head(head.size, index, _followed_at(x.conn, head.size), x.now_ms)
        if store.find_open(x.conn, challenge.table, auditor) is not None:
            raise Conflict("a challenge of yours to this table is open: one at a time", basis="challenge.open")
        row = {
            "document": x.document(received.envelope),
            "lending_table": challenge.table,
            "bank": challenge.bank,
            "auditor": auditor,
            "due_on": challenge.due_on,
            "state": "OPEN",
            "answer": None,
            "changed_at_ms": x.now_ms,
        }
        x.add(tables.challenges, row)
        unit = lending_pb2.SampleUnit.Name(challenge.unit).removeprefix("SAMPLE_UNIT_").lower()
        told = {"record_count": challenge.size, "detail": f"by {unit}, due on {challenge.due_on}"}
        leaf = log_challenge(x, "challenge.asked", received.caller.holder, table, [received.digest], **told)
        return self._reception.acknowledge(x, received.digest, "challenge.asked", leaf)

    async def ListChallenges(self, request: pb.ListChallengesRequest, context: Any) -> pb.ListChallengesResponse:
        who = caller(context)

        def query(conn: Connection) -> pb.ListChallengesResponse:
            party = parties.find_party(conn, who.party)
            check_right(party, "query" if party is not None and party["kind"] == "AUDITOR" else "confirm")
            rows = store.list_challenges(conn, who.party, request.challenge)
            found = fitting(_status(conn, row) for row in rows)
            return pb.ListChallengesResponse(challenges=found, left_out=len(rows) - len(found))

        async with self._reception.refusals_signed(who, "ListChallenges"):
            return await self._reception.database.read(query)

    async def AnswerChallenge(
        self, request: pb.AnswerChallengeRequest, context: Any
    ) -> pb.AnswerChallengeResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "AnswerChallenge", request.call.document):
            received = await self._reception.open(request.call, lending_pb2.ChallengeAnswer, who)
            check_challenge_answer(received.message)
            if received.message.answered_by != who.holder:
                raise NotEntitled("who calls is not who answers", basis="challenge_answer.answered_by")
            sealed = await self._reception.find_answer(received.digest)
            if sealed is None:
                sealed = await self._reception.door.run(lambda x: self._answer(x, received))
                log.info("challenge.answered", challenge=received.message.challenge.hex())
            return pb.AnswerChallengeResponse(answer=await self._reception.answer(sealed, received.head))

    def _answer(self, x: Exchange, received: Received[lending_pb2.ChallengeAnswer]) -> envelope_pb2.Envelope:
        if (known := editions.find_answer(x.conn, received.digest)) is not None:
            return known
        answer, bank = received.message, received.caller.party
        # To answer for what it sealed is a duty, so that a bank that was suspended has the right to.
        check_right(parties.find_party(x.conn, bank), "confirm")
        row = store.find_challenge(x.conn, answer.challenge)
        rules.check_answerable(row, bank)
        assert row is not None  # check_answerable refused otherwise
        table = lending.find_table(x.conn, row["lending_table"])
        assert table is not None  # foreign key
        if answer.rows > table["row_count"]:
            raise Invalid("more rows than the table has", basis="challenge_answer.rows")
        # By the day, not by the row's state: whoever looks for overdue ones may not have come by yet.
        late = rules.is_over(row["due_on"], day_of(x.now_ms))
        answered = {"state": "LATE" if late else "ANSWERED", "answer": x.document(received.envelope)}
        x.replace(tables.challenges, row | answered | {"changed_at_ms": x.now_ms})
        told = {"record_count": answer.rows, "detail": f"late, due on {row['due_on']}" if late else ""}
        leaf = log_challenge(x, "challenge.answered", received.caller.holder, table, [received.digest], **told)
        return self._reception.acknowledge(x, received.digest, "challenge.answered", leaf)


def _check_tables_query(request: pb.ListTablesRequest, asked: exchange_pb2.LogQuery) -> None:
    """What is logged is what was asked. Raises Invalid."""
    if request.bank not in ("", asked.party):
        raise Invalid("the query names another bank", basis="tables.bank")
    if asked.kind not in (COUNTED, "lending"):
        raise Invalid(f"tables are asked for with the kind {COUNTED}, or lending", basis="tables.query")
    if asked.export or asked.product or asked.from_ms or asked.until_ms:
        raise Invalid("tables are asked for by bank, period and kind alone", basis="tables.query")


def _is_asked(asked: exchange_pb2.LogQuery, row: dict[str, Any]) -> bool:
    last = (row["year"], row["month"] + row["months"] - 1)
    within = not asked.HasField("period") or (asked.period.year, asked.period.month) == last
    return within and (asked.kind != COUNTED or row["state"] == "COUNTED")


def _followed_at(conn: Connection, size: int) -> int | None:
    """When the first entry was recorded that a head of this size does not cover; None where there is none.

    1970 where that entry was erased: what nobody can date is not taken for new.
    """
    opening = conn.execute(select(log_entries.c.opening).where(log_entries.c.position == size)).scalar()
    return None if opening is None else log_pb2.LogEntry.FromString(opening).recorded_at_ms


def _status(conn: Connection, row: dict[str, Any]) -> pb.ChallengeStatus:
    return pb.ChallengeStatus(
        challenge=editions.get_document(conn, row["document"]),
        table=editions.get_document(conn, row["lending_table"]),
        answer=editions.get_document(conn, row["answer"]) if row["answer"] is not None else None,
        state=row["state"],
    )
