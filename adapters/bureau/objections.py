"""Objections to grades, as the bureau takes them in and decides them: documents of two different persons.

The gateway keeps them and marks the record in later deliveries until they are decided; what it shows is verified here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.bureau import submission
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.standing import keyring
from adapters.bureau.states import States
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import records
from audit.envelope import open_sealed, signer_of_party
from xinyi import days, identifiers, objections, terms
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import DigestMismatch, Invalid, NotEntitled, SignatureInvalid, Unknown
from xinyi.v1 import exchange_pb2, objection_pb2
from xinyi.v1 import objection_service_pb2 as pb

if TYPE_CHECKING:
    from xinyi.v1.objection_service_pb2_grpc import ObjectionServiceStub


@dataclass(frozen=True)
class Objection:
    """One objection as it stands, for people and programs. Names no taxpayer."""

    number: str
    product: str
    edition: str
    document: str
    filed_on: str
    due_on: str
    #: Calendar days until it is due; below 0 where that is over.
    days_left: int
    #: "15 working days, <article>"; says so where the article's text was not at hand.
    term: str
    received_by: str
    #: "open", or how it was decided.
    outcome: str
    #: The CORRECTION that follows; empty for none.
    correction: str
    decided_by: str

    @property
    def overdue(self) -> bool:
        return self.outcome == "open" and self.days_left < 0


def file(
    client: GatewayClient, product: str, subject: str, number: str, filed_on: date, edition: Edition
) -> tuple[str, objection_pb2.Objection]:
    """Seals and sends an objection. (the gateway's word, the document).

    Args:
        subject: identifier of the enterprise, which leaves the house as a blinded key alone.
        number: the bureau's own.
        edition: whose record is objected to.

    Raises Unknown where the enterprise has no record in that edition; Invalid for a year without a calendar.
    """
    home = client.home
    term = terms.TERMS[terms.TAX_OBJECTION]
    document = objection_pb2.Objection(
        number=number,
        origin=home.party,
        product=product,
        manifest_digest=edition.digest,
        blinded_key=_find_key(Editions(home.state), edition, subject),
        filed_on=filed_on.isoformat(),
        due_on=terms.due_on(term, filed_on).isoformat(),
        term=term,
        received_by=home.settings.holder,
        received_at_ms=submission.now_ms(),
    )
    # Before anything is kept under its number.
    objections.check_objection(document)
    stub = _stub(client)

    def send(call: exchange_pb2.Call) -> exchange_pb2.Answer:
        request = pb.FileObjectionRequest(call=call)
        response: pb.FileObjectionResponse = stub.FileObjection(request, timeout=UNARY_DEADLINE_S)
        return response.answer

    kept = _folder(home) / f"{number}.Objection.dsse"
    return submission.send_once(client, document, kept, send).message.outcome, document


def decide(client: GatewayClient, shown: Objection, outcome: str, correction: bytes) -> str:
    """Seals and sends a decision; the gateway's word for what happened.

    Args: correction — document digest of the CORRECTION that follows; empty for none.

    Raises NotEntitled for the person who took the objection in; Invalid where outcome and correction do not fit.
    """
    home = client.home
    if shown.received_by == home.settings.holder:
        raise NotEntitled(
            "you took this objection in: another person has to decide it", basis="objection.second_person"
        )
    word = f"OBJECTION_OUTCOME_{outcome.upper()}"
    if word not in objection_pb2.ObjectionOutcome.keys()[1:]:
        raise Invalid(
            f"{outcome}: an objection is upheld, partly, denied or undecidable", basis="objection_decision.outcome"
        )
    if word in ("OBJECTION_OUTCOME_UPHELD", "OBJECTION_OUTCOME_PARTLY") and not correction:
        raise Invalid(
            f"{outcome}: publish the correction that follows, and name it with --correction",
            basis="objection_decision.correction",
        )
    document = objection_pb2.ObjectionDecision(
        objection=bytes.fromhex(shown.document),
        outcome=word,
        correction=correction,
        decided_by=home.settings.holder,
        decided_at_ms=submission.now_ms(),
    )
    objections.check_objection_decision(document)
    stub = _stub(client)

    def send(call: exchange_pb2.Call) -> exchange_pb2.Answer:
        request = pb.DecideObjectionRequest(call=call)
        response: pb.DecideObjectionResponse = stub.DecideObjection(request, timeout=UNARY_DEADLINE_S)
        return response.answer

    kept = _folder(home) / f"{shown.number}.ObjectionDecision.dsse"
    return submission.send_once(client, document, kept, send).message.outcome


def list_all(client: GatewayClient, product: str = "", today: date | None = None) -> list[Objection]:
    """Open ones first, then by due date; each verified under pinned keys. Raises VerificationError, Invalid.

    Args: today — in China; now where None.
    """
    day = today or days.today()
    with errors_restored():
        response = _stub(client).ListObjections(
            pb.ListObjectionsRequest(product=product), timeout=UNARY_DEADLINE_S
        )
    found = [_open(status, client.home, day) for status in response.objections]
    return sorted(found, key=lambda o: (o.outcome != "open", o.due_on, o.number))


def find(shown: Sequence[Objection], number: str) -> Objection:
    """Raises Unknown."""
    for objection in shown:
        if objection.number == number:
            return objection
    raise Unknown(f"the gateway shows no objection number {number}", basis="objection.unknown")


def _open(status: pb.ObjectionStatus, home: Home, today: date) -> Objection:
    """1. the objection is sealed by the person of our party that it names, 2. so is its decision, by another one."""
    keys = keyring(home)
    # 1
    opened = open_sealed(status.objection, objection_pb2.Objection, keys)
    objection = opened.message
    objections.check_objection(objection)
    if signer_of_party(opened.signers, home.party).holder != objection.received_by:
        raise SignatureInvalid("an objection is not sealed by the one who took it in")
    decision = objection_pb2.ObjectionDecision()
    if status.HasField("decision"):
        # 2
        decided = open_sealed(status.decision, objection_pb2.ObjectionDecision, keys)
        decision = decided.message
        objections.check_objection_decision(decision)
        if signer_of_party(decided.signers, home.party).holder != decision.decided_by:
            raise SignatureInvalid("a decision is not sealed by the one who made it")
        if decision.objection != opened.digest:
            raise DigestMismatch("the gateway shows a decision of another objection")
        if decision.decided_by == objection.received_by:
            raise SignatureInvalid("the one who took an objection in has decided it")
    outcome = objection_pb2.ObjectionOutcome.Name(decision.outcome).removeprefix("OBJECTION_OUTCOME_").lower()
    return Objection(
        number=objection.number,
        product=objection.product,
        edition=objection.manifest_digest.hex(),
        document=opened.digest.hex(),
        filed_on=objection.filed_on,
        due_on=objection.due_on,
        days_left=(date.fromisoformat(objection.due_on) - today).days,
        term=term_words(objection.term),
        received_by=objection.received_by,
        outcome="open" if not decision.outcome else outcome,
        correction=decision.correction.hex(),
        decided_by=decision.decided_by,
    )


def term_words(term: objection_pb2.Term) -> str:
    unit = objection_pb2.TermUnit.Name(term.unit).removeprefix("TERM_UNIT_").lower().replace("_", " ")
    sure = "" if term.confirmed else " (unconfirmed: the text was not at hand)"
    counted = f", calendar {term.calendar}" if term.calendar else ""
    return f"{term.amount} {unit}, {term.basis}{sure}{counted}"


def _find_key(editions: Editions, edition: Edition, subject: str) -> bytes:
    key = records.blinder(edition.blinding_key)(identifiers.normalise(subject).encode())
    with closing(States(editions).after(edition)) as state:
        if key not in state.find([key]):
            raise Unknown(
                f"this enterprise has no record in edition {edition.path.name[:16]}: name the one it objects to with "
                "--edition",
                basis="objection.record",
            )
    return key


def _folder(home: Home) -> Path:
    return home.state / "objections"


def _stub(client: GatewayClient) -> ObjectionServiceStub:
    from xinyi.v1.objection_service_pb2_grpc import ObjectionServiceStub

    return ObjectionServiceStub(client.channel)  # type: ignore[no-untyped-call]
