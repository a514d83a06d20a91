"""A person of the bureau answers for rows of an edition's source that did not become records."""

from __future__ import annotations

from audit import envelope
from gateway.exchange import Exchange
from gateway.reception import Received, Reception
from gateway.rules.partners import check_right
from gateway.store import editions, parties, tables
from xinyi import checks
from xinyi.errors import Conflict, Invalid, NotEntitled, Unknown
from xinyi.server import Caller
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2

PAYLOAD_TYPE = envelope.payload_type(edition_pb2.RowAnswer)


async def accept_row_answer(
    reception: Reception, call: exchange_pb2.Call, who: Caller
) -> exchange_pb2.Answer:
    """Raises Invalid, NotEntitled, Unknown, SignatureInvalid; Conflict where the edition was cancelled, or a row of it
    was answered for before: an answer says nothing of an earlier one, so the last would win in silence.
    """
    received = await reception.open(call, edition_pb2.RowAnswer, who)
    checks.check_row_answer(received.message)
    if received.message.answered_by != who.holder or not who.is_person:
        raise NotEntitled("rows are answered for by a person in their own name", basis="answer.person")
    sealed = await reception.find_answer(received.digest)
    if sealed is None:
        sealed = await reception.door.run(lambda x: _record(x, reception, received))
    return await reception.answer(sealed, received.head)


def _record(
    x: Exchange, reception: Reception, received: Received[edition_pb2.RowAnswer]
) -> envelope_pb2.Envelope:
    if (known := editions.find_answer(x.conn, received.digest)) is not None:
        return known
    answer = received.message
    edition = editions.find_edition(x.conn, answer.manifest_digest)
    if edition is None:
        raise Unknown("there is no such edition", basis="edition.unknown")
    if edition["origin"] != received.caller.party:
        raise NotEntitled("a bureau answers for rows of its own editions only", basis="edition.origin")
    check_right(parties.find_party(x.conn, received.caller.party), "publish")
    if edition["state"] == "CANCELLED":
        raise Conflict("the edition was cancelled: nobody was told anything of its rows", basis="edition.state")
    sealed = editions.get_document(x.conn, edition["manifest_digest"])
    rows = edition_pb2.Manifest.FromString(sealed.payload).quality.rows
    # A file counts its heading as well, and a workbook what stands above it: the numbers themselves may go beyond.
    if len(answer.rows) > rows:
        raise Invalid(f"the source of this edition has no more than {rows} rows", basis="answer.rows")
    _check_unanswered(x, answer)
    x.add(
        tables.row_answers,
        {
            "document": x.document(received.envelope),
            "manifest_digest": edition["manifest_digest"],
            "answered_at_ms": answer.answered_at_ms,
        },
    )
    leaf = x.log(
        "edition.rows_answered",
        actor=received.caller.holder,
        product=edition["product"],
        period=edition_pb2.Period(year=edition["year"], month=edition["month"]),
        manifest_digest=edition["manifest_digest"],
        documents=[received.digest],
        record_count=edition["record_count"],
        detail=answer.reason,
    )
    return reception.acknowledge(x, received.digest, "edition.rows_answered", leaf)


def _check_unanswered(x: Exchange, answer: edition_pb2.RowAnswer) -> None:
    asked = set(answer.rows)
    for sealed in editions.row_answers_of(x.conn, answer.manifest_digest):
        earlier = edition_pb2.RowAnswer.FromString(sealed.payload)
        if both := sorted(asked.intersection(earlier.rows)):
            word = edition_pb2.RowAnswerOutcome.Name(earlier.outcome).removeprefix("ROW_ANSWER_OUTCOME_").lower()
            raise Conflict(
                f"row {both[0]} was answered for already: {word}, by {earlier.answered_by}, in answer "
                f"{envelope.digest(sealed).hex()[:16]}; {len(both)} of these rows were",
                basis="answer.answered",
            )
