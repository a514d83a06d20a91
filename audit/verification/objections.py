"""Step 9, objections: filed by one person of the bureau, decided by another."""

from __future__ import annotations

from datetime import date

from audit import exchanges
from audit.verification import waiting
from audit.verification.entry import Entry
from audit.verification.findings import EvidenceMissing
from audit.verification.run import Run
from xinyi import calendar, terms
from xinyi.days import day_of
from xinyi.errors import Invalid
from xinyi.v1 import objection_pb2


def filing(entry: Entry) -> None:
    objection = entry.first(objection_pb2.Objection)
    message = objection.message
    unique = entry.register.file(objection.digest, message, entry.message.recorded_at_ms)
    manifest = entry.published(message.manifest_digest, "objection.manifest_digest")
    exchanges.check_objection(entry.message, objection, manifest)
    if not unique:
        raise Invalid("an earlier leaf files another objection under this number", basis="objection.number")
    _check_due(message)


def _check_due(message: objection_pb2.Objection) -> None:
    """The due date is the term's, counted from the day of filing by the calendar that the term names."""
    try:
        due_on = terms.due_on(message.term, date.fromisoformat(message.filed_on)).isoformat()
    except Invalid as error:
        if error.basis != "calendar.year":
            raise
        raise EvidenceMissing(f"the term cannot be counted: {error.explanation}") from error
    if message.due_on == due_on:
        return
    if message.term.calendar not in ("", calendar.VERSION):
        raise EvidenceMissing(
            f"the term was counted with calendar {message.term.calendar}; {calendar.VERSION} here says {due_on}"
        )
    raise Invalid(
        f"a term of {message.term.amount} from {message.filed_on} ends on {due_on}, not on {message.due_on}",
        basis="objection.due_on",
    )


def note_open(run: Run) -> None:
    """Tells the reader which objections nobody has decided: of whose product, since when, and whether they are late."""
    ends = day_of(run.notes.last_recorded()).isoformat()
    for found in run.register.undecided():
        waiting.note(
            run,
            "objections",
            found.origin,
            found.recorded_at_ms,
            objection=found.objection.hex(),
            origin=found.origin,
            product=found.product,
            filed_on=found.filed_on,
            due_on=found.due_on,
            overdue=found.due_on < ends,
        )


def decision(entry: Entry) -> None:
    decision = entry.first(objection_pb2.ObjectionDecision)
    message = decision.message
    undecided = entry.register.decide(message.objection, entry.message.recorded_at_ms)
    objection = entry.dossier.open(message.objection, objection_pb2.Objection)
    entry.check_bureau(objection.message.origin)
    entry.check_earlier(objection, "files this objection", "objection_decision.objection", "objection.filed")
    exchanges.check_objection_decision(entry.message, decision, objection)
    if not undecided:
        raise Invalid("an earlier leaf decides this objection", basis="objection_decision.objection")
    if message.correction:
        correction = entry.published(message.correction, "objection_decision.correction")
        exchanges.check_remedy(objection.message, correction.message)
