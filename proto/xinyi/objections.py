"""What makes an objection, its decision and a term valid, for sender and receiver alike. Pure.

Rules are named in objection.proto. Explanations quote no taxpayer data.
"""

from __future__ import annotations

from xinyi.fields import (
    check_date,
    check_digest,
    check_holder,
    check_name,
    check_no_identifier,
    check_party,
    check_time,
    is_text,
    require,
)
from xinyi.v1 import objection_pb2

_OUTCOMES = frozenset(objection_pb2.ObjectionOutcome.values()) - {objection_pb2.OBJECTION_OUTCOME_UNSPECIFIED}
_NATURES = frozenset(objection_pb2.TermNature.values()) - {objection_pb2.TERM_NATURE_UNSPECIFIED}
_UNITS = frozenset(objection_pb2.TermUnit.values()) - {objection_pb2.TERM_UNIT_UNSPECIFIED}
#: Outcomes from which a CORRECTION follows.
CORRECTED = (objection_pb2.OBJECTION_OUTCOME_UPHELD, objection_pb2.OBJECTION_OUTCOME_PARTLY)


def check_term(term: objection_pb2.Term, basis: str) -> None:
    require(term.nature in _NATURES and term.unit in _UNITS, basis, "whom it binds, or its unit, is not said")
    require(is_text(term.basis, 200), basis, "a term names its article, clause or decision")
    check_no_identifier(term.basis, basis)
    require(term.amount >= 1, basis, "a term takes a day at least")
    working = term.unit == objection_pb2.TERM_UNIT_WORKING_DAYS
    require(
        is_text(term.calendar, 40) if working else not term.calendar,
        basis,
        "working days name the calendar that counted them, calendar days name none",
    )


def check_objection(objection: objection_pb2.Objection) -> None:
    """That the due date follows from the term shows beside the calendar only (xinyi.calendar)."""
    check_name(objection.number, "objection.number")
    check_no_identifier(objection.number, "objection.number")
    check_party(objection.origin, "objection.origin")
    check_name(objection.product, "objection.product")
    check_digest(objection.manifest_digest, "objection.manifest_digest")
    check_digest(objection.blinded_key, "objection.blinded_key")
    check_date(objection.filed_on, "objection.dates")
    check_date(objection.due_on, "objection.dates")
    require(objection.filed_on <= objection.due_on, "objection.dates", "due before it was filed")
    check_term(objection.term, "objection.term")
    check_holder(objection.received_by, "objection.received_by", party=objection.origin, person=True)
    check_time(objection.received_at_ms, "objection.received_at")


def check_objection_decision(decision: objection_pb2.ObjectionDecision) -> None:
    check_digest(decision.objection, "objection_decision.objection")
    require(decision.outcome in _OUTCOMES, "objection_decision.outcome", "it is not said how it was decided")
    if decision.outcome in CORRECTED:
        basis = "objection_decision.correction"
        require(bool(decision.correction), basis, "this outcome names the published CORRECTION that follows from it")
        check_digest(decision.correction, basis)
    else:
        require(not decision.correction, "objection_decision.correction", "nothing is corrected by this outcome")
    check_holder(decision.decided_by, "objection_decision.decided_by", person=True)
    check_time(decision.decided_at_ms, "objection_decision.decided_at")
