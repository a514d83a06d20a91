"""What the documents of an exchange must say to each other and to their log entry.

Pure: every check takes documents whose seals hold and returns, or raises Invalid or SignatureInvalid with the
rule that does not hold. Knows nothing of files or of order in the log.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from audit.envelope import Opened
from audit.keys import is_person, keyid
from audit.records import check_manifest_tree
from xinyi import checks
from xinyi.errors import Invalid, SignatureInvalid
from xinyi.objections import check_objection as check_objection_alone
from xinyi.objections import check_objection_decision as check_objection_decision_alone
from xinyi.v1 import edition_pb2, exchange_pb2, log_pb2, objection_pb2

M = TypeVar("M", bound=Message)
Q = TypeVar("Q", exchange_pb2.LogQuery, exchange_pb2.SubjectQuery)
D = TypeVar("D", edition_pb2.HoldRelease, edition_pb2.Cancellation, edition_pb2.Stop)

STAGES = {
    "receipt.received": exchange_pb2.RECEIPT_STAGE_RECEIVED,
    "receipt.accepted": exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    "receipt.partial": exchange_pb2.RECEIPT_STAGE_PARTIAL,
    "receipt.rejected": exchange_pb2.RECEIPT_STAGE_REJECTED,
    "receipt.applied": exchange_pb2.RECEIPT_STAGE_APPLIED,
}
#: Kinds of entries that decide on an objection.
OUTCOMES = {
    "objection.upheld": objection_pb2.OBJECTION_OUTCOME_UPHELD,
    "objection.partly": objection_pb2.OBJECTION_OUTCOME_PARTLY,
    "objection.denied": objection_pb2.OBJECTION_OUTCOME_DENIED,
    "objection.undecidable": objection_pb2.OBJECTION_OUTCOME_UNDECIDABLE,
}
_FULL = edition_pb2.EDITION_KIND_FULL
_CORRECTION = edition_pb2.EDITION_KIND_CORRECTION


def check_signer(opened: Opened[M], holder: str, party: str) -> None:
    """Raises SignatureInvalid unless this person or machine of this party is among those who sealed it."""
    if not any(key.holder == holder and key.party == party for key in opened.signers):
        raise SignatureInvalid(f"not sealed by {holder} of {party}")


def check_manifest(manifest: Opened[edition_pb2.Manifest]) -> None:
    """The manifest alone: its fields, its tree, and that its issuer sealed it."""
    message = manifest.message
    checks.check_manifest(message)
    check_manifest_tree(message)
    check_signer(manifest, message.issued_by, message.origin)


def check_approval(manifest: Opened[edition_pb2.Manifest], approval: Opened[edition_pb2.Approval]) -> None:
    """A second person of the same party approved exactly this manifest."""
    decision, edition = approval.message, manifest.message
    checks.check_approval(decision)
    if decision.manifest_digest != manifest.digest:
        raise Invalid("the approval is for another manifest", basis="approval.manifest_digest")
    if decision.origin != edition.origin:
        raise Invalid("the approval is of another party than the manifest", basis="approval.origin")
    check_signer(approval, decision.approved_by, edition.origin)
    _check_second_person(manifest, decision.approved_by, {keyid(key) for key in approval.signers})


def _check_second_person(manifest: Opened[edition_pb2.Manifest], person: str, keys: set[str]) -> None:
    if not is_person(person):
        raise Invalid("approving takes a person", basis="approval.person")
    publishers = {manifest.message.issued_by, *(key.holder for key in manifest.signers)}
    if person in publishers or keys & {keyid(key) for key in manifest.signers}:
        raise Invalid("who published an edition cannot approve it", basis="approval.second_person")


def check_edition(entry: log_pb2.LogEntry, manifest: Opened[edition_pb2.Manifest]) -> None:
    """The entry of an intake says what the manifest says."""
    message = manifest.message
    check_manifest(manifest)
    check_same("manifest_digest", entry.manifest_digest, manifest.digest)
    check_same("product", entry.product, message.product)
    check_same("period", entry.period, message.period)
    check_same("record_count", entry.record_count, message.record_count)


def check_succession(manifest: edition_pb2.Manifest, predecessor: edition_pb2.Manifest) -> None:
    """An edition follows on its predecessor: place, time, and what it may take over from it.

    A FULL within the year may blind anew, too: a bureau that lost its salts has no other way on.
    """
    _check_same_product(manifest, predecessor, "edition.sequence")
    if manifest.sequence != predecessor.sequence + 1:
        raise Invalid("its number is not the one behind its predecessor's", basis="edition.sequence")
    period, before = manifest.period, predecessor.period
    if (period.year, period.month) < (before.year, before.month):
        raise Invalid("the period lies before that of the preceding edition", basis="edition.period")
    full, same_year = manifest.kind == _FULL, period.year == before.year
    same_key = manifest.blinding_key_commitment == predecessor.blinding_key_commitment
    if not full and not same_year:
        raise Invalid("the first edition of a year is a FULL", basis="edition.year")
    if not full and not same_key:
        raise Invalid("within a year the blinding key stays the same", basis="edition.blinding_key")
    if full and not same_year and same_key:
        raise Invalid("the first edition of a year has a new blinding key", basis="edition.blinding_key")


def check_corrected(manifest: edition_pb2.Manifest, corrected: edition_pb2.Manifest) -> None:
    """A CORRECTION is of an earlier edition of the same product. That this was published shows elsewhere."""
    _check_same_product(manifest, corrected, "correction.corrects")
    if corrected.sequence >= manifest.sequence:
        raise Invalid("it corrects an edition that is not earlier", basis="correction.corrects")


def _check_same_product(one: edition_pb2.Manifest, other: edition_pb2.Manifest, basis: str) -> None:
    if (one.origin, one.product) != (other.origin, other.product):
        raise Invalid("the other edition is of another bureau or product", basis=basis)


def check_row_answer(
    entry: log_pb2.LogEntry,
    answer: Opened[edition_pb2.RowAnswer],
    manifest: Opened[edition_pb2.Manifest],
) -> None:
    """A person of the manifest's origin answers for no more rows than its source has."""
    message = answer.message
    checks.check_row_answer(message)
    check_same("manifest_digest", entry.manifest_digest, message.manifest_digest)
    check_same("manifest_digest", message.manifest_digest, manifest.digest)
    if len(message.rows) > manifest.message.quality.rows:
        raise Invalid("the source of this edition has fewer rows", basis="answer.rows")
    check_signer(answer, message.answered_by, manifest.message.origin)


def check_decision(
    entry: log_pb2.LogEntry,
    decision: Opened[D],
    manifest: Opened[edition_pb2.Manifest],
) -> None:
    """A person of the manifest's origin released, cancelled or stopped it; releasing takes a second one."""
    message = decision.message
    if isinstance(message, edition_pb2.HoldRelease):
        checks.check_hold_release(message)
        person = message.released_by
        _check_second_person(manifest, person, {keyid(key) for key in decision.signers})
    elif isinstance(message, edition_pb2.Cancellation):
        checks.check_cancellation(message)
        person = message.cancelled_by
    else:
        checks.check_stop(message)
        person = message.stopped_by
    check_same("manifest_digest", entry.manifest_digest, message.manifest_digest)
    check_same("manifest_digest", message.manifest_digest, manifest.digest)
    check_signer(decision, person, manifest.message.origin)


def check_delivery(
    entry: log_pb2.LogEntry,
    delivery: Opened[exchange_pb2.Delivery],
    manifest: Opened[edition_pb2.Manifest],
    approval: Opened[edition_pb2.Approval],
) -> None:
    """The Delivery binds this manifest, an approval of it by a second person, and the entry's recipient."""
    message, edition = delivery.message, manifest.message
    checks.check_delivery(message)
    check_same("manifest_digest", message.manifest_digest, manifest.digest)
    check_same("approval_digest", message.approval_digest, approval.digest)
    check_same("product", message.product, edition.product)
    check_same("period", message.period, edition.period)
    check_same("manifest_digest", entry.manifest_digest, manifest.digest)
    check_same("delivery_id", entry.delivery_id, message.delivery_id)
    check_same("recipient", entry.counterparty, message.recipient)
    check_same("agreement_id", entry.agreement_id, message.agreement_id)
    check_same("record_count", entry.record_count, edition.record_count)
    if message.ground == exchange_pb2.DELIVERY_GROUND_RECALL and edition.kind != _CORRECTION:
        raise Invalid("only a CORRECTION is delivered as a recall", basis="delivery.ground")
    check_approval(manifest, approval)


def check_mark(
    mark: exchange_pb2.DisputeMark,
    objection: objection_pb2.Objection,
    objected: edition_pb2.Manifest,
    delivered: edition_pb2.Manifest,
) -> None:
    """A mark in a Delivery says what the objection says that it names.

    Under another blinding key than that of the edition objected to, whose record it is cannot be told from
    the manifests.

    Args:
        objected: the edition that the objection is about.
        delivered: the edition that the Delivery offers.
    """
    basis = "delivery.disputes"
    _check_same_product(delivered, objected, basis)
    if (mark.filed_on, mark.due_on) != (objection.filed_on, objection.due_on):
        raise Invalid("a mark has other dates than its objection", basis=basis)
    same_key = delivered.blinding_key_commitment == objected.blinding_key_commitment
    if same_key and mark.blinded_key != objection.blinded_key:
        raise Invalid("a mark is on another record than its objection", basis=basis)


def check_receipt(
    entry: log_pb2.LogEntry,
    receipt: Opened[exchange_pb2.DeliveryReceipt],
    delivery: Opened[exchange_pb2.Delivery],
    manifest: Opened[edition_pb2.Manifest],
) -> None:
    """The recipient's receipt is for this delivery, in its time, and its root and counts are the manifest's."""
    message = receipt.message
    checks.check_delivery_receipt(message)
    checks.check_receipt_time(
        message.signed_at_ms,
        offered_at_ms=delivery.message.offered_at_ms,
        arrived_at_ms=entry.recorded_at_ms,
    )
    if entry.kind != "receipt.repeated":  # of whichever stage
        check_same("stage", message.stage, STAGES.get(entry.kind))
    check_same("delivery_digest", message.delivery_digest, delivery.digest)
    check_same("delivery_id", message.delivery_id, delivery.message.delivery_id)
    check_same("delivery_id", entry.delivery_id, message.delivery_id)
    check_same("manifest_digest", message.manifest_digest, manifest.digest)
    check_same("manifest_digest", delivery.message.manifest_digest, manifest.digest)
    check_signer(receipt, message.signed_by, delivery.message.recipient)
    if message.stage != exchange_pb2.RECEIPT_STAGE_REJECTED:
        check_same("root", message.root, manifest.message.root)
        check_same("counts", message.accepted + message.rejected, manifest.message.record_count)


def check_objection(
    entry: log_pb2.LogEntry,
    objection: Opened[objection_pb2.Objection],
    manifest: Opened[edition_pb2.Manifest],
) -> None:
    """A person of the manifest's origin took it in, against an edition of the product it names."""
    message = objection.message
    check_objection_alone(message)
    check_same("product", entry.product, message.product)
    check_same("manifest_digest", entry.manifest_digest, message.manifest_digest)
    check_same("manifest_digest", message.manifest_digest, manifest.digest)
    if (message.origin, message.product) != (manifest.message.origin, manifest.message.product):
        raise Invalid("the edition is of another bureau or product", basis="objection.manifest_digest")
    check_signer(objection, message.received_by, message.origin)


def check_objection_decision(
    entry: log_pb2.LogEntry,
    decision: Opened[objection_pb2.ObjectionDecision],
    objection: Opened[objection_pb2.Objection],
) -> None:
    """Another person of the bureau than who took it in decided, as the entry says."""
    message, about = decision.message, objection.message
    check_objection_decision_alone(message)
    check_same("objection", message.objection, objection.digest)
    check_same("outcome", message.outcome, OUTCOMES.get(entry.kind))
    check_signer(decision, message.decided_by, about.origin)
    receivers = {about.received_by, *(key.holder for key in objection.signers)}
    same_key = {keyid(key) for key in decision.signers} & {keyid(key) for key in objection.signers}
    if message.decided_by in receivers or same_key:
        raise Invalid(
            "who took an objection in cannot decide it", basis="objection_decision.second_person"
        )


def check_remedy(objection: objection_pb2.Objection, correction: edition_pb2.Manifest) -> None:
    """What follows from an objection is a CORRECTION of the same product."""
    basis = "objection_decision.correction"
    if (correction.origin, correction.product) != (objection.origin, objection.product):
        raise Invalid("the correction is of another bureau or product", basis=basis)
    if correction.kind != _CORRECTION:
        raise Invalid("the edition that is named corrects nothing", basis=basis)


def check_query(entry: log_pb2.LogEntry, query: Opened[Q]) -> None:
    """A person asked in their own name."""
    message = query.message
    if isinstance(message, exchange_pb2.LogQuery):
        checks.check_log_query(message)
    else:
        checks.check_subject_query(message)
    check_same("actor", entry.actor, message.asked_by)
    if not any(key.holder == message.asked_by for key in query.signers):
        raise SignatureInvalid(f"not sealed by {message.asked_by}")


def check_same(name: str, shown: object, expected: object) -> None:
    """Raises Invalid where a field is not the one of what it stands for."""
    if shown != expected:
        raise Invalid(f"{name} is not the one of the documents it stands for", basis=f"evidence.{name}")
