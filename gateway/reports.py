"""A bank's table of a period comes in, whichever way it travelled; and its answer where the table is held.

A table that counts is an act of the bank: the single loans that it reported are judged beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from gateway.acts import next_act, perform
from gateway.exchange import Exchange
from gateway.judgement import Judge, Judgement, Limits
from gateway.reception import Received, Reception
from gateway.rules import lending as rules
from gateway.rules.partners import check_right
from gateway.rules.reporting import check_covers
from gateway.store import editions, parties, tables
from gateway.store import lending as store
from gateway.store import limits as table_limits
from xinyi.days import DAY_MS, day_of
from xinyi.errors import Invalid, NotEntitled, Unknown
from xinyi.lending import check_lending_answer, check_lending_table
from xinyi.margins import SUMS
from xinyi.server import Caller
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, lending_pb2

Row = dict[str, Any]
#: Acknowledgement, then TableReceipt: both sealed, both given again to whoever sends the same table again.
Taken = tuple[envelope_pb2.Envelope, envelope_pb2.Envelope]

log = structlog.get_logger()


async def accept_table(
    reception: Reception, call: exchange_pb2.Call, who: Caller
) -> tuple[exchange_pb2.Answer, envelope_pb2.Envelope]:
    """The answer and the sealed TableReceipt. Raises Invalid, NotEntitled, Unknown, Conflict, VerificationError."""
    received = await reception.open(call, lending_pb2.LendingTable, who)
    table = received.message
    check_lending_table(table)
    if table.bank != who.party:
        raise NotEntitled("a bank reports what it lent itself", basis="lending.bank")
    if not any(key.holder == table.issued_by for key in received.signers):
        raise NotEntitled("the table is not sealed by the one who issued it", basis="lending.issued_by")
    if table.issued_at_ms > reception.door.now() + DAY_MS:
        raise Invalid("the table is from the future: its clock is wrong", basis="table.issued_at")
    taken = await reception.database.read(lambda conn: _find_taken(conn, received.digest))
    if taken is None:
        taken = await perform(
            reception,
            lambda conn: _judge(conn, reception, received),
            lambda x, judgement: _take(x, reception, received, judgement),
        )
    acknowledgement, receipt = taken
    return await reception.answer(acknowledgement, received.head), receipt


def _find_taken(conn: Connection, document: bytes) -> Taken | None:
    known, row = editions.find_answer(conn, document), store.find_table(conn, document)
    return None if known is None or row is None else (known, editions.get_document(conn, row["receipt"]))


@dataclass(frozen=True)
class _Looked:
    """What a table meets."""

    standing: list[Row]
    #: The one that it corrects.
    named: Row | None
    questions: Sequence[lending_pb2.Question]


def _look(conn: Connection, table: lending_pb2.LendingTable, now_ms: int) -> _Looked:
    """Raises Invalid, NotEntitled, Unknown, Conflict where the table is not taken in."""
    today = day_of(now_ms)
    check_right(parties.find_party(conn, table.bank), "report")
    check_covers(parties.find_agreement(conn, table.agreement_id), table.bank, table.period, today)
    terms = rules.check_terms(table, store.find_terms(conn, table.agreement_id), today)
    standing = store.standing(conn, table.bank, table.period, table.currency)
    named = store.find_table(conn, table.corrects) if table.corrects else None
    rules.check_place(table, named, standing)
    return _Looked(standing, named, rules.find_questions(table, terms))


def _judge(conn: Connection, reception: Reception, received: Received[lending_pb2.LendingTable]) -> Judge | None:
    """Of the bank's single loans, beside a table that will count."""
    table, now_ms = received.message, reception.door.now()
    if _find_taken(conn, received.digest) is not None or _look(conn, table, now_ms).questions:
        return None
    period = table.period
    granted = table_limits.limits_of(
        (margin.dimension, cell.value, cell.sums.granted) for margin in table.margins for cell in margin.cells
    )
    limits = Limits(period.year, period.month, period.months, table.currency, granted)
    return Judge(reception.database, table.bank, now_ms, table=limits)


def _take(
    x: Exchange, reception: Reception, received: Received[lending_pb2.LendingTable], judgement: Judgement | None
) -> Taken:
    if (taken := _find_taken(x.conn, received.digest)) is not None:
        return taken
    table = received.message
    looked = _look(x.conn, table, x.now_ms)
    standing, named, questions = looked.standing, looked.named, looked.questions
    state = rules.HELD if questions else rules.COUNTED
    receipt = x.seal(
        lending_pb2.TableReceipt(
            table=received.digest, state=f"REPORT_STATE_{state}", questions=questions, recorded_at_ms=x.now_ms
        ),
        reception.signer,
    )
    row: Row = {
        "document": x.document(received.envelope),
        "bank": table.bank,
        "year": table.period.year,
        "month": table.period.month,
        "months": table.period.months,
        "currency": table.currency,
        "agreement_id": table.agreement_id,
        "state": state,
        "row_count": table.rows,
        "corrects": table.corrects or None,
        "replaced_by": None,
        "receipt": x.document(receipt),
        "answer": None,
        "recorded_at_ms": x.now_ms,
        "counted_at_ms": None,
        "replaced_at_ms": None,
        "counted_slot": None,
    }
    if state == rules.COUNTED:
        next_act(x, table.bank, received.digest, judgement)
        row = _counted(x, row, standing)
    elif named is not None and named["state"] == rules.HELD:
        _replace(x, named, row)
    x.add(tables.lending_tables, row)
    for cell in _cells(received.digest, table):
        x.add(tables.lending_cells, cell)
    outcome = f"lending.{state.lower()}"
    leaf = _log(x, outcome, row, received.caller, [received.digest, row["receipt"]], _rules_of(questions))
    log.info(outcome, bank=table.bank, table=received.digest.hex())
    return reception.acknowledge(x, received.digest, outcome, leaf), receipt


def _cells(document: bytes, table: lending_pb2.LendingTable) -> list[Row]:
    return [
        {"document": document, "dimension": margin.dimension, "value": cell.value}
        | {name: getattr(cell.sums, name) for name in SUMS}
        for margin in table.margins
        for cell in margin.cells
    ]


async def accept_table_answer(
    reception: Reception, received: Received[lending_pb2.LendingAnswer]
) -> exchange_pb2.Answer:
    """A person of the bank confirms a held table. Raises Invalid, NotEntitled, Unknown, Conflict."""
    sealed = await reception.find_answer(received.digest)
    if sealed is None:
        sealed = await perform(
            reception,
            lambda conn: _judge_confirmed(conn, reception, received),
            lambda x, judgement: _confirm(x, reception, received, judgement),
        )
    return await reception.answer(sealed, received.head)


async def open_answer(
    reception: Reception, call: exchange_pb2.Call, who: Caller
) -> Received[lending_pb2.LendingAnswer]:
    """Of a table or a batch. Raises Invalid, NotEntitled, VerificationError."""
    received = await reception.open(call, lending_pb2.LendingAnswer, who)
    check_lending_answer(received.message)
    if received.message.answered_by != who.holder or not who.is_person:
        raise NotEntitled("questions are answered by a person in their own name", basis="lending_answer.person")
    return received


def _find_held(
    conn: Connection, received: Received[lending_pb2.LendingAnswer]
) -> tuple[Row, Sequence[lending_pb2.Question]]:
    """The table that is answered for, and what is asked of it. Raises NotEntitled, Unknown, Conflict, Invalid."""
    answer, party = received.message, received.caller.party
    check_right(parties.find_party(conn, party), "report")
    row = store.find_table(conn, answer.document)
    if row is None or row["bank"] != party:
        raise Unknown("this bank reported no such table", basis="lending_answer.document")
    receipt = editions.get_document(conn, row["receipt"])
    questions = lending_pb2.TableReceipt.FromString(receipt.payload).questions
    rules.check_answer(answer, row, questions)
    return row, questions


def _judge_confirmed(
    conn: Connection, reception: Reception, received: Received[lending_pb2.LendingAnswer]
) -> Judge | None:
    if editions.find_answer(conn, received.digest) is not None:
        return None
    row, _ = _find_held(conn, received)
    granted = table_limits.limits(conn, row["document"])
    limits = Limits(row["year"], row["month"], row["months"], row["currency"], granted)
    return Judge(reception.database, row["bank"], reception.door.now(), table=limits)


def _confirm(
    x: Exchange, reception: Reception, received: Received[lending_pb2.LendingAnswer], judgement: Judgement | None
) -> envelope_pb2.Envelope:
    if (known := editions.find_answer(x.conn, received.digest)) is not None:
        return known
    answer, party = received.message, received.caller.party
    row, questions = _find_held(x.conn, received)
    next_act(x, party, received.digest, judgement)
    period = lending_pb2.LendingPeriod(year=row["year"], month=row["month"], months=row["months"])
    standing = store.standing(x.conn, party, period, row["currency"])
    row = _counted(x, row | {"answer": x.document(received.envelope)}, standing)
    x.replace(tables.lending_tables, row)
    leaf = _log(x, "lending.confirmed", row, received.caller, [received.digest], _rules_of(questions))
    log.info("lending.confirmed", bank=party, table=answer.document.hex())
    return reception.acknowledge(x, received.digest, "lending.confirmed", leaf)


def _counted(x: Exchange, row: Row, standing: list[Row]) -> Row:
    """The row as it counts from now on; takes the place of all that stood."""
    for other in standing:
        if other["document"] != row["document"]:
            _replace(x, other, row)
    slot = store.counted_tables(x.conn, row) + 1
    return row | {"state": rules.COUNTED, "counted_at_ms": x.now_ms, "counted_slot": slot}


def _replace(x: Exchange, other: Row, row: Row) -> None:
    corrected = {"state": rules.CORRECTED, "replaced_by": row["document"], "replaced_at_ms": x.now_ms}
    x.replace(tables.lending_tables, other | corrected)


def _log(x: Exchange, kind: str, row: Row, who: Caller, documents: list[bytes], detail: str) -> bytes:
    return x.log(
        kind,
        actor=who.holder,
        counterparty=row["bank"],
        period=edition_pb2.Period(year=row["year"], month=row["month"] + row["months"] - 1),
        agreement_id=row["agreement_id"],
        documents=documents,
        record_count=row["row_count"],
        detail=detail,
    )


def _rules_of(questions: Any) -> str:
    return ", ".join(sorted({question.rule for question in questions}))
