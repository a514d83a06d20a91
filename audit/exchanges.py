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
from xinyi.v1 import edition_pb2, exchange_pb2, log_pb2

M = TypeVar("M", bound=Message)
D = TypeVar("D", edition_pb2.HoldRelease, edition_pb2.Cancellation, edition_pb2.Stop)

STAGES = {
    "receipt.received": exchange_pb2.RECEIPT_STAGE_RECEIVED,
    "receipt.accepted": exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    "receipt.partial": exchange_pb2.RECEIPT_STAGE_PARTIAL,
    "receipt.rejected": exchange_pb2.RECEIPT_STAGE_REJECTED,
    "receipt.applied": exchange_pb2.RECEIPT_STAGE_APPLIED,
}


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
    _check_same("manifest_digest", entry.manifest_digest, manifest.digest)
    _check_same("product", entry.product, message.product)
    _check_same("period", entry.period, message.period)
    _check_same("record_count", entry.record_count, message.record_count)


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
    _check_same("manifest_digest", entry.manifest_digest, message.manifest_digest)
    _check_same("manifest_digest", message.manifest_digest, manifest.digest)
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
    _check_same("manifest_digest", message.manifest_digest, manifest.digest)
    _check_same("approval_digest", message.approval_digest, approval.digest)
    _check_same("product", message.product, edition.product)
    _check_same("period", message.period, edition.period)
    _check_same("manifest_digest", entry.manifest_digest, manifest.digest)
    _check_same("delivery_id", entry.delivery_id, message.delivery_id)
    _check_same("recipient", entry.counterparty, message.recipient)
    _check_same("agreement_id", entry.agreement_id, message.agreement_id)
    _check_same("record_count", entry.record_count, edition.record_count)
    check_approval(manifest, approval)


def check_receipt(
    entry: log_pb2.LogEntry,
    receipt: Opened[exchange_pb2.DeliveryReceipt],
    delivery: Opened[exchange_pb2.Delivery],
    manifest: Opened[edition_pb2.Manifest],
) -> None:
    """The recipient's receipt is for this delivery, and its root and counts are the manifest's."""
    message = receipt.message
    checks.check_delivery_receipt(message)
    _check_same("stage", message.stage, STAGES.get(entry.kind))
    _check_same("delivery_digest", message.delivery_digest, delivery.digest)
    _check_same("delivery_id", message.delivery_id, delivery.message.delivery_id)
    _check_same("delivery_id", entry.delivery_id, message.delivery_id)
    _check_same("manifest_digest", message.manifest_digest, manifest.digest)
    _check_same("manifest_digest", delivery.message.manifest_digest, manifest.digest)
    check_signer(receipt, message.signed_by, delivery.message.recipient)
    if message.stage != exchange_pb2.RECEIPT_STAGE_REJECTED:
        _check_same("root", message.root, manifest.message.root)
        _check_same("counts", message.accepted + message.rejected, manifest.message.record_count)


def check_query(entry: log_pb2.LogEntry, query: Opened[exchange_pb2.LogQuery]) -> None:
    """A person asked in their own name."""
    checks.check_log_query(query.message)
    _check_same("actor", entry.actor, query.message.asked_by)
    if not any(key.holder == query.message.asked_by for key in query.signers):
        raise SignatureInvalid(f"not sealed by {query.message.asked_by}")


def _check_same(name: str, shown: object, expected: object) -> None:
    if shown != expected:
        raise Invalid(f"{name} is not the one of the documents it stands for", basis=f"evidence.{name}")
