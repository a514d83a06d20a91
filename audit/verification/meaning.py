"""Steps 8 and 9: entries in the order of the log, against their documents and answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from audit import entries, exchanges, lending_exchanges
from audit.keys import party_of
from audit.verification import (
    challenges,
    deliveries,
    editions,
    inquiries,
    lending,
    objections,
    recalls,
    statistics,
)
from audit.verification.documents import Dossier
from audit.verification.entry import INTAKES, Entry
from audit.verification.exported import read_opening
from audit.verification.findings import EvidenceMissing
from audit.verification.run import PACE, Run
from xinyi.errors import DigestMismatch, EncodingInvalid, ProofInvalid
from xinyi.v1 import log_pb2

#: (check, what it demands of an entry), in the order in which they are made.
Rules = tuple[tuple[str, Callable[[Entry], None]], ...]

_RULES: dict[str, Rules] = {
    **dict.fromkeys(INTAKES, (("editions", editions.intake),)),
    "edition.published": (("editions", editions.publication), ("recalls", recalls.opening)),
    "edition.released": (("editions", editions.release),),
    "edition.cancelled": (("editions", editions.cancellation),),
    "edition.stopped": (("editions", editions.stop), ("recalls", recalls.stopping)),
    "edition.rows_answered": (("editions", editions.rows_answered),),
    "edition.purged": (("records", editions.purge),),
    "delivery.offered": (("deliveries", deliveries.offer),),
    **dict.fromkeys(exchanges.STAGES, (("receipts", deliveries.receipt), ("recalls", recalls.late_opening))),
    "receipt.applied": (
        ("receipts", deliveries.receipt), ("recalls", recalls.late_opening), ("recalls", recalls.confirmation)
    ),
    "receipt.repeated": (("receipts", deliveries.repeated_receipt),),
    "objection.filed": (("objections", objections.filing),),
    **dict.fromkeys(exchanges.OUTCOMES, (("objections", objections.decision),)),
    **dict.fromkeys(lending_exchanges.INTAKES, (("lending", lending.table),)),
    "lending.confirmed": (("lending", lending.confirmation),),
    "outcomes.recorded": (("lending", lending.batch),),
    "outcomes.confirmed": (("lending", lending.batch_confirmation),),
    "challenge.asked": (("challenges", challenges.asked),),
    "challenge.answered": (("challenges", challenges.answered),),
    "challenge.unanswered": (("challenges", challenges.unanswered),),
    "statistics.run": (("statistics", statistics.run),),
    "statistics.offered": (("statistics", statistics.offer),),
    "statistics.received": (("statistics", statistics.receipt),),
    "notice.announced": (("notices", inquiries.notice),),
    "log.queried": (("queries", inquiries.log_query),),
    "log.exported": (("queries", inquiries.log_query),),
    "subject.queried": (("queries", inquiries.subject_query),),
    "opening.erased": (("openings", inquiries.erasure),),
}
#: Kinds whose document the gateway answers with an acknowledgement that it keeps.
_ANSWERED = {
    kind for kind, rules in _RULES.items() if rules[0][0] in ("editions", "receipts", "objections", "lending")
} | {"challenge.asked", "challenge.answered", "statistics.received"}
#: First words of kinds this verifier knows; a log that speaks of other things is beyond it.
_SUBJECTS = {
    "agreement", "certificate", "challenge", "delivery", "edition", "entitlement", "gateway", "key", "lending",
    "log", "notice", "objection", "opening", "outcomes", "partner", "party", "product", "receipt", "refused",
    "statistics", "subject",
}  # fmt: skip


def check(run: Run, dossier: Dossier) -> None:
    with run.report["openings"].examine("openings.jsonl"):
        for number, (_, line) in enumerate(run.export.lines("openings.jsonl"), 1):
            _check_line(run, dossier, line)
            if number % PACE == 0:
                run.watch("entries", number, run.description.size)
    for document in run.notes.unfounded_answers():
        run.report["answers"].refute(
            f"document {document.hex()[:16]}…", "its answer is not the one kept for it"
        )
    for leaf, unknown in run.notes.unfounded_refusals():
        with run.report["answers"].examine(f"refusal {leaf.hex()[:16]}…"):
            if unknown:
                raise EvidenceMissing("the opening of the leaf that its row names is missing")
            raise ProofInvalid("its row names no leaf of a refusal")


def _check_line(run: Run, dossier: Dossier, line: bytes) -> None:
    try:
        opening = read_opening(line)
    except EncodingInvalid:
        return  # 4 reported it
    leaf = entries.leaf(opening.salt, opening.opening)
    known = run.notes.find_leaf(leaf)
    if known is None or known.position != opening.index:
        return  # erased, or 4 reported it
    _check_entry(Entry(run, dossier, leaf, opening.index, log_pb2.LogEntry.FromString(opening.opening)))


def _check_entry(entry: Entry) -> None:
    report, kind = entry.run.report, entry.message.kind
    subject = f"leaf {entry.position} ({kind})"
    for document in entry.message.documents:
        with report["documents"].examine(subject):
            if entry.notes.find_document(document) is None:
                raise DigestMismatch(f"document {document.hex()[:16]}… is not kept")
    # 8
    if kind in _ANSWERED or kind == "refused":
        with report["answers"].examine(subject):
            _check_answer(entry)
    # 9
    for name, rule in _RULES.get(kind, ()):
        with report[name].examine(subject), entry.dossier.resting_on_pins():
            rule(entry)
    if kind not in _RULES and kind.split(".")[0] not in _SUBJECTS:
        report["openings"].undecide(subject, "this kind of entry is not known here")


# 8


def _check_answer(entry: Entry) -> None:
    if entry.position >= entry.run.description.state_size:
        return  # came after the moment whose rows and answers are shown
    answer = entry.notes.answer_of_leaf(entry.leaf)
    if answer is None:
        raise ProofInvalid("the gateway's sealed answer is not kept")
    if entry.message.kind == "refused":
        day = datetime.fromtimestamp(entry.message.recorded_at_ms / 1000, UTC).date().isoformat()
        shown = (party_of(entry.message.actor), day, entry.message.detail)
        if entry.notes.find_refusal(entry.leaf) != shown:
            raise ProofInvalid("the row of this refusal is missing or says something else")
    elif entry.notes.find_answer(entry.message.documents[0]) != answer:
        raise ProofInvalid("the row of this answer is missing or names another")
