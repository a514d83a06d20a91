"""Batches of single loans with consent come in, whichever way they travelled; and a person's answers to questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import Connection

from audit.bulk import insert_rows
from audit.outcomes import check_batch_tree
from gateway.acts import next_act, perform
from gateway.exchange import Exchange
from gateway.judgement import Judge, Judgement
from gateway.reception import Received, Reception
from gateway.rules import outcomes as rules
from gateway.rules.entitlement import check_in_force
from gateway.rules.partners import check_right
from gateway.store import editions, judgements, lending, parties, tables
from gateway.store import outcomes as store
from xinyi.days import day_of
from xinyi.errors import Conflict, Invalid, NotEntitled, Unknown
from xinyi.lending import BEGUN_WITHIN_MS, check_issue, check_outcome_batch
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2, lending_pb2
from xinyi.v1.lending_pb2 import (
    REPORT_STATE_CONFLICT,
    REPORT_STATE_CORRECTED,
    REPORT_STATE_COUNTED,
    REPORT_STATE_HELD,
    REPORT_STATE_REFUSED,
    REPORT_STATE_REPEATED,
)

#: Acknowledgement, then OutcomeReceipt: both sealed, both given again to whoever sends the same batch again.
Taken = tuple[envelope_pb2.Envelope, envelope_pb2.Envelope]
Acceptor = Callable[[Reception, Received[lending_pb2.LendingAnswer]], Awaitable[exchange_pb2.Answer]]

log = structlog.get_logger()


async def open_batch(
    reception: Reception, call: exchange_pb2.Call, who: Caller
) -> Received[lending_pb2.OutcomeBatch]:
    """Raises Invalid, NotEntitled, VerificationError."""
    received = await reception.open(call, lending_pb2.OutcomeBatch, who)
    batch = received.message
    check_outcome_batch(batch)
    check_batch_tree(batch)
    if batch.bank != who.party:
        raise NotEntitled("a bank reports what it lent itself", basis="batch.bank")
    if not any(key.holder == batch.issued_by for key in received.signers):
        raise NotEntitled("the batch is not sealed by the one who issued it", basis="batch.issued_by")
    return received


async def find_taken(reception: Reception, document: bytes) -> Taken | None:
    return await reception.database.read(lambda conn: _find_taken(conn, document))


def _find_taken(conn: Connection, document: bytes) -> Taken | None:
    known, row = editions.find_answer(conn, document), store.find_batch(conn, document)
    return None if known is None or row is None else (known, editions.get_document(conn, row["receipt"]))


async def begin(reception: Reception, received: Received[lending_pb2.OutcomeBatch]) -> int:
    """Notes the intake; returns how many chunks are here already. Raises Invalid, NotEntitled, Contradiction."""
    now_ms = reception.door.now()

    def work(conn: Connection) -> int:
        if store.find_batch(conn, received.digest) is None:  # else another upload was faster
            if store.find_intake(conn, received.digest) is None:
                check_issue(received.message, now_ms, BEGUN_WITHIN_MS)
            _check_place(conn, received.message, now_ms)
            row = {
                "document": received.digest,
                "bank": received.message.bank,
                "envelope": received.envelope.SerializeToString(),
                "begun_at_ms": now_ms,
            }
            # A second Begin says when it was begun last, also one at the same time.
            insert_rows(conn, tables.outcome_intakes, [row], "replace")
        return store.staged(conn, received.digest)[0]

    return await reception.database.write(work)


async def commit(reception: Reception, received: Received[lending_pb2.OutcomeBatch]) -> Taken:
    """Makes a batch real whose chunks are all staged.

    Raises Invalid, NotEntitled, Conflict, Contradiction, Unavailable.
    """
    batch = received.message
    await reception.database.read(lambda conn: _check_complete(conn, received))
    taken = await perform(
        reception,
        lambda _: Judge(reception.database, batch.bank, reception.door.now(), received.digest, batch.count),
        lambda x, judgement: _commit(x, reception, received, judgement),
    )
    log.info("outcomes.recorded", bank=batch.bank, batch=received.digest.hex(), rows=batch.count)
    return taken


def _check_complete(conn: Connection, received: Received[lending_pb2.OutcomeBatch]) -> None:
    staged, _ = store.staged(conn, received.digest)
    needed = len(received.message.chunk_roots)
    known = store.find_batch(conn, received.digest) or store.find_intake(conn, received.digest)
    if known is None or staged != needed:
        raise Conflict(
            f"{staged} of {needed} chunks have arrived: send the others first", basis="batch.incomplete"
        )


def _check_place(conn: Connection, batch: lending_pb2.OutcomeBatch, now_ms: int) -> None:
    check_issue(batch, now_ms)
    check_right(parties.find_party(conn, batch.bank), "report")
    check_in_force(parties.find_agreement(conn, batch.agreement_id), batch.bank, day_of(now_ms))
    rules.check_terms(lending.find_terms(conn, batch.agreement_id))
    rules.check_place(batch, store.find_number(conn, batch.bank, batch.number))


def _commit(
    x: Exchange, reception: Reception, received: Received[lending_pb2.OutcomeBatch], judgement: Judgement | None
) -> Taken:
    if (taken := _find_taken(x.conn, received.digest)) is not None:
        return taken
    batch = received.message
    # Once more: an upload that lay too long is dropped, and may have been meanwhile.
    _check_complete(x.conn, received)
    _check_place(x.conn, batch, x.now_ms)
    sequence = next_act(x, batch.bank, received.digest, judgement)
    assert judgement is not None  # or there is no act
    count = judgement.counts.get
    receipt = x.seal(
        lending_pb2.OutcomeReceipt(
            batch=received.digest,
            # What another row here replaces already was taken, too.
            counted=count(REPORT_STATE_COUNTED, 0) + count(REPORT_STATE_CORRECTED, 0),
            held=count(REPORT_STATE_HELD, 0),
            repeated=count(REPORT_STATE_REPEATED, 0),
            conflicts=count(REPORT_STATE_CONFLICT, 0),
            refused=count(REPORT_STATE_REFUSED, 0),
            findings=judgement.findings,
            recorded_at_ms=x.now_ms,
        ),
        reception.signer,
    )
    sealed = x.document(receipt)
    row = {
        "document": x.document(received.envelope),
        "bank": batch.bank,
        "number": batch.number,
        "sequence": sequence,
        "agreement_id": batch.agreement_id,
        "row_count": batch.count,
        "root": batch.root,
        "receipt": sealed,
        "recorded_at_ms": x.now_ms,
    }
    x.add(tables.outcome_batches, row)
    x.remove(tables.outcome_intakes, received.digest)
    leaf = x.log(
        "outcomes.recorded",
        actor=received.caller.holder,
        counterparty=batch.bank,
        agreement_id=batch.agreement_id,
        documents=[received.digest, sealed],
        record_count=batch.count,
        detail=", ".join(f"{rule} {rows}" for rule, rows in judgement.rules.items()),
    )
    return reception.acknowledge(x, received.digest, "outcomes.recorded", leaf), receipt


# Answers


def acceptor(conn: Connection, answer: lending_pb2.LendingAnswer, party: str) -> Acceptor | None:
    """What takes an answer that speaks of a batch of this bank; None where it speaks of something else."""
    row = store.find_batch(conn, answer.document)
    return accept_outcome_answer if row is not None and row["bank"] == party else None


async def accept_outcome_answer(
    reception: Reception, received: Received[lending_pb2.LendingAnswer]
) -> exchange_pb2.Answer:
    """A person of the bank confirms rows that are held. Raises Invalid, NotEntitled, Unknown, Conflict, Unavailable."""
    sealed = await reception.find_answer(received.digest)
    if sealed is None:
        sealed = await perform(
            reception,
            lambda conn: Judge(
                reception.database,
                received.caller.party,
                reception.door.now(),
                confirmed=_find_named(conn, received),
            ),
            lambda x, judgement: _confirm(x, reception, received, judgement),
        )
        log.info("outcomes.confirmed", bank=received.caller.party, rows=len(received.message.outcome_ids))
    return await reception.answer(sealed, received.head)


def _find_named(
    conn: Connection, received: Received[lending_pb2.LendingAnswer]
) -> frozenset[rules.Key]:
    """The rows that an answer names, each held by a question that a person may answer."""
    answer = received.message
    if not answer.outcome_ids:
        raise Invalid("which outcomes of the batch are right is not said", basis="lending_answer.outcomes")
    places = store.places(conn, answer.document, answer.outcome_ids)
    standing = judgements.verdicts(conn, [(answer.document, place) for place, *_ in places.values()], b"")
    states = {
        name: standing.get((answer.document, place), (state, rule)) for name, (place, state, rule) in places.items()
    }
    rules.check_confirmable(states, answer.outcome_ids)
    return frozenset((answer.document, place) for place, *_ in places.values())


def _confirm(
    x: Exchange, reception: Reception, received: Received[lending_pb2.LendingAnswer], judgement: Judgement | None
) -> envelope_pb2.Envelope:
    if (known := editions.find_answer(x.conn, received.digest)) is not None:
        return known
    answer, party = received.message, received.caller.party
    check_right(parties.find_party(x.conn, party), "report")
    batch = store.find_batch(x.conn, answer.document)
    if batch is None or batch["bank"] != party:
        raise Unknown("this bank reported no such batch", basis="lending_answer.document")
    next_act(x, party, received.digest, judgement)
    leaf = x.log(
        "outcomes.confirmed",
        actor=received.caller.holder,
        counterparty=party,
        agreement_id=batch["agreement_id"],
        documents=[x.document(received.envelope)],
        record_count=len(answer.outcome_ids),
        detail=", ".join(sorted(rules.CONFIRMABLE)),
    )
    return reception.acknowledge(x, received.digest, "outcomes.confirmed", leaf)
