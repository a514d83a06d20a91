"""Single loans as they stand, or stood at the end of a day: a bank's own, to itself; a bank's to the bureau, where its
agreement says so.

What the bureau is given is logged before it leaves: whose, how many rows, of which batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from audit.records import CHUNK_RECORDS
from gateway.exchange import Exchange
from gateway.reception import Reception
from gateway.reliances import Editions, Relied, Truth, true_grades
from gateway.rules.outcomes import question
from gateway.rules.partners import check_right
from gateway.rules.reporting import terms_of
from gateway.store import editions, lending, parties
from gateway.store import outcomes as store
from gateway.store.db import Database
from gateway.store.rows import Row
from xinyi.days import end_of
from xinyi.errors import NotEntitled, Unknown
from xinyi.fields import check_date, check_party
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, lending_pb2, records_pb2
from xinyi.v1 import lending_service_pb2 as pb


@dataclass(frozen=True)
class Listing:
    """Args:
    batches: rows of outcome_batches.
    state: ReportState wanted; 0 for all.
    until_ms: the moment of which it is told.
    """

    database: Database
    batches: list[Row]
    state: int
    until_ms: int

    def pages(self) -> Iterator[pb.ListOutcomesResponse]:
        """Chunk by chunk, in the order of batches. Blocks."""
        known = Editions()
        for batch in self.batches:
            with self.database.reading() as conn:
                sealed: envelope_pb2.Envelope | None = editions.get_document(conn, batch["document"])
                receipt: envelope_pb2.Envelope | None = editions.get_document(conn, batch["receipt"])
            for number in range(-(-batch["row_count"] // CHUNK_RECORDS)):
                with self.database.reading() as conn:
                    outcomes = self._chunk(conn, batch, number, known)
                if outcomes:
                    yield pb.ListOutcomesResponse(outcomes=outcomes, batch=sealed, receipt=receipt)
                    sealed = receipt = None

    def _chunk(self, conn: Connection, batch: Row, number: int, known: Editions) -> list[pb.OutcomeStatus]:
        document, first = batch["document"], number * CHUNK_RECORDS
        data = store.find_chunk(conn, document, number)
        if data is None:
            raise LookupError(f"chunk {number} of batch {document.hex()} is missing from the store")
        states = store.states_of(conn, document, (first, first + CHUNK_RECORDS), self.until_ms)
        withheld = store.refused_ids(conn, document, (first, first + CHUNK_RECORDS))
        wanted = [
            (salted, *states[place], withheld.get(place, ""))
            for place, salted in enumerate(records_pb2.Chunk.FromString(data).records, first)
            if self.state in (0, states[place][0])
        ]
        # Of a row that was refused nothing is kept.
        relied = [Relied.of(lending_pb2.LendingOutcome.FromString(salted.record)) for salted, *_ in wanted]
        truths = true_grades(conn, filter(None, relied), self.until_ms, known)
        found = [truths.get((told.manifest_digest, told.blinded_key)) if told else None for told in relied]
        return [
            _status(salted, document, state, rule, refused_id, truth)
            for (salted, state, rule, refused_id), truth in zip(wanted, found, strict=True)
        ]


async def open_listing(reception: Reception, request: pb.ListOutcomesRequest, who: Caller) -> Listing:
    """What the caller may see; logged where it is the bureau. Raises NotEntitled, Invalid, Unknown."""
    until_ms = reception.door.now()
    if request.as_of:
        check_date(request.as_of, "outcomes.as_of")
        until_ms = min(until_ms, end_of(date.fromisoformat(request.as_of)))
    party = await reception.database.read(lambda conn: parties.find_party(conn, who.party))
    if party is not None and party["kind"] == "TAX_BUREAU":
        check_right(party, "publish")
        check_party(request.bank, "outcomes.bank")
        batches = await reception.door.run(lambda x: _offer(x, reception.holder, request, who, until_ms))
    else:
        check_right(party, "report")
        if request.bank not in ("", who.party):
            raise NotEntitled("a bank sees its own loans only", basis="outcomes.bank")
        batches = await reception.database.read(lambda conn: _batches(conn, who.party, request, until_ms))
    return Listing(reception.database, batches, request.state, until_ms)


def _batches(conn: Connection, bank: str, request: pb.ListOutcomesRequest, until_ms: int) -> list[Row]:
    found = store.batches_of(conn, bank, until_ms)
    if not request.batch:
        return found
    named = [row for row in found if row["document"] == request.batch]
    if not named:
        raise Unknown("there is no such batch of this bank", basis="outcomes.batch")
    return named


def _offer(
    x: Exchange, holder: str, request: pb.ListOutcomesRequest, who: Caller, until_ms: int
) -> list[Row]:
    """The bank's batches whose agreements let the bureau see them; one entry for those of each agreement."""
    check_right(parties.find_party(x.conn, who.party), "publish")
    if parties.find_party(x.conn, request.bank) is None:
        raise Unknown("there is no such bank", basis="outcomes.bank")
    shown: dict[str, list[Row]] = {}
    for row in _batches(x.conn, request.bank, request, until_ms):
        terms = lending.find_terms(x.conn, row["agreement_id"])
        if terms is not None and terms_of(terms).outcomes_to_bureau:
            shown.setdefault(row["agreement_id"], []).append(row)
    told = lending.agreements_with_terms(x.conn, request.bank)
    if not shown and not any(terms_of(terms).outcomes_to_bureau for _, terms in told):
        raise NotEntitled(
            "no agreement with this bank says that the bureau may see single loans",
            basis="agreement.outcomes_to_bureau",
        )
    for agreement, batches in shown.items():
        x.log(
            "outcomes.offered",
            actor=who.holder,
            counterparty=who.party,
            agreement_id=agreement,
            documents=[row["document"] for row in batches],
            record_count=sum(row["row_count"] for row in batches),
            detail=f"loans of {request.bank}",
        )
    return [row for batches in shown.values() for row in batches]


def _status(
    salted: records_pb2.SaltedRecord, document: bytes, state: int, rule: str, refused_id: str, truth: Truth | None
) -> pb.OutcomeStatus:
    recalled = truth is not None and truth.recalled
    return pb.OutcomeStatus(
        outcome=salted,
        batch=document,
        state=state,  # type: ignore[arg-type]
        question=question(rule),
        true_grade=truth.grade if truth is not None and recalled else 0,  # type: ignore[arg-type]
        recalled=recalled,
        refused_id=refused_id,
    )
