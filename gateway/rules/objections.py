"""Life of an objection: OPEN ──decision──▶ UPHELD | PARTLY | DENIED | UNDECIDABLE. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date
from typing import Any

from gateway.rules.editions import DELIVERABLE
from xinyi import calendar, terms
from xinyi.errors import Conflict, Invalid, NotEntitled, Unknown
from xinyi.v1 import edition_pb2, objection_pb2

Row = Mapping[str, Any]

#: Of a product at a time: a Delivery marks no more records than this.
MOST_OPEN = 10_000


def state_of(outcome: objection_pb2.ObjectionOutcome) -> str:
    return objection_pb2.ObjectionOutcome.Name(outcome).removeprefix("OBJECTION_OUTCOME_")


def check_subject(objection: objection_pb2.Objection, edition: Row | None) -> None:
    """Raises Unknown, NotEntitled, Invalid or Conflict unless the edition is a published one of the origin's."""
    if edition is None:
        raise Unknown("there is no such edition", basis="edition.unknown")
    if edition["origin"] != objection.origin:
        raise NotEntitled("a bureau takes in objections to its own editions only", basis="edition.origin")
    if edition["product"] != objection.product:
        raise Invalid(f"the edition is one of {edition['product']}", basis="objection.product")
    if edition["state"] not in DELIVERABLE:
        raise Conflict(
            f"the edition is {edition['state']}: name a published one that holds the record",
            basis="edition.state",
        )


def check_dates(objection: objection_pb2.Objection, today: date) -> None:
    """Raises Invalid unless it was filed by today and its due date follows from term and calendar.

    Args:
        today: calendar day in China.
    """
    filed_on = date.fromisoformat(objection.filed_on)
    if filed_on > today:
        raise Invalid(f"filed on {filed_on}, which is to come", basis="objection.filed_on")
    due_on = terms.due_on(objection.term, filed_on).isoformat()
    if objection.due_on != due_on:
        raise Invalid(
            f"a term of {objection.term.amount} from {filed_on} ends on {due_on}, not on {objection.due_on}; "
            f"counted with calendar {calendar.VERSION} here, {objection.term.calendar or 'none'} there",
            basis="objection.due_on",
        )


def check_open(objection: Row | None, origin: str) -> None:
    """Raises Unknown, NotEntitled, Conflict unless the origin may decide it now."""
    if objection is None:
        raise Unknown("there is no such objection", basis="objection.unknown")
    if objection["origin"] != origin:
        raise NotEntitled("a bureau decides objections to its own records only", basis="objection.origin")
    if objection["state"] != "OPEN":
        raise Conflict(f"this objection is decided: {objection['state']}", basis="objection.state")


def check_second_person(received: Set[str], decided: Set[str]) -> None:
    """Raises NotEntitled where one who took the objection in would also decide it.

    Args:
        received: its receiver, and holders and ids of all keys that sealed it.
        decided: the same of the decision.
    """
    if received & decided:
        raise NotEntitled(
            "who took an objection in cannot decide it: it takes another person of the bureau",
            basis="objection.second_person",
        )


def check_correction(correction: Row | None, edition: Row) -> None:
    """Raises Unknown, Invalid or Conflict unless a published CORRECTION follows on the edition objected to."""
    if correction is None:
        raise Unknown("there is no edition that this decision names", basis="objection_decision.correction")
    if (correction["origin"], correction["product"]) != (edition["origin"], edition["product"]):
        raise Invalid("the correction is of another product", basis="objection_decision.correction")
    if correction["kind"] != edition_pb2.EDITION_KIND_CORRECTION:
        raise Invalid("the edition it names is no CORRECTION", basis="objection_decision.correction")
    if correction["state"] not in DELIVERABLE:
        raise Conflict(
            f"the correction is {correction['state']}: publish it first", basis="objection_decision.correction"
        )
    if correction["sequence"] <= edition["sequence"]:
        raise Invalid(
            "the correction came before the edition that was objected to", basis="objection_decision.correction"
        )
