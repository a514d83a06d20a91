"""Step 9, deliveries: offers and receipts."""

from __future__ import annotations

from audit import exchanges
from audit.envelope import Opened
from audit.verification.entry import Entry
from xinyi.errors import Invalid
from xinyi.v1 import edition_pb2, exchange_pb2, objection_pb2

#: Two exchanges at once, on two machines, may see less of each other than the order of the log tells.
AT_ONCE_MS = 60_000
_RECALL = exchange_pb2.DELIVERY_GROUND_RECALL


def offer(entry: Entry) -> None:
    delivery = entry.first(exchange_pb2.Delivery)
    approval = entry.dossier.open(delivery.message.approval_digest, edition_pb2.Approval)
    entry.check_earlier(
        approval, "publishes the edition with this approval", "delivery.approval", "edition.published"
    )
    manifest = entry.taken_in(delivery.message.manifest_digest)
    exchanges.check_delivery(entry.message, delivery, manifest, approval)
    if delivery.message.ground == _RECALL and not entry.register.is_recalled(
        manifest.digest, delivery.message.recipient
    ):
        entry.contradict("no earlier leaf recalls this edition from its recipient", "delivery.ground")
    for mark in delivery.message.disputes:
        _check_mark(entry, mark, manifest)
    _note_marks(entry, delivery.message, manifest)


def _note_marks(
    entry: Entry, delivery: exchange_pb2.Delivery, manifest: Opened[edition_pb2.Manifest]
) -> None:
    """What the records have to say of later (`states`): each mark is on one of them, and none is left out.

    Whether an objection that was filed in a year with other blinding keys is left out cannot be told.
    """
    recall = delivery.ground == _RECALL
    marked = {mark.blinded_key for mark in delivery.disputes}
    for key in marked:
        entry.register.mark(manifest.digest, key, entry.position, recall=recall)
    if entry.notes.missing_before(entry.position):
        return  # an opening that is not here may have decided it
    recorded = entry.message.recorded_at_ms
    for objection in list(entry.register.undecided()):
        message = manifest.message
        if (objection.origin, objection.product) != (message.origin, message.product):
            continue
        if objection.recorded_at_ms > recorded - AT_ONCE_MS or objection.blinded_key in marked:
            continue
        objected = entry.dossier.open(objection.manifest_digest, edition_pb2.Manifest).message
        if objected.blinding_key_commitment == message.blinding_key_commitment:
            entry.register.leave_unmarked(
                manifest.digest, objection.objection, entry.position, recorded, recall=recall
            )


def _check_mark(
    entry: Entry, mark: exchange_pb2.DisputeMark, manifest: Opened[edition_pb2.Manifest]
) -> None:
    """Whether it is on a record that stands, and none is left out, is for the records to say."""
    objection = entry.dossier.open(mark.objection, objection_pb2.Objection)
    entry.check_earlier(objection, "files the objection that is marked", "delivery.disputes", "objection.filed")
    if entry.register.is_decided(mark.objection):
        raise Invalid("an objection is marked that an earlier leaf decided", basis="delivery.disputes")
    objected = entry.dossier.open(objection.message.manifest_digest, edition_pb2.Manifest)
    exchanges.check_mark(mark, objection.message, objected.message, manifest.message)


def receipt(entry: Entry) -> None:
    receipt, delivery, manifest = _receipted(entry)
    since_ms = entry.register.last_signed_ms(receipt.message.delivery_id)
    first = entry.register.take(receipt.message, delivery.message.recipient)
    exchanges.check_receipt(entry.message, receipt, delivery, manifest, since_ms)
    if not first:
        raise Invalid("an earlier leaf has another receipt of this stage", basis="receipt.conflict")


def repeated_receipt(entry: Entry) -> None:
    """A bank that was restored is offered again what it had: its new receipt says what the first one said."""
    receipt, delivery, manifest = _receipted(entry)
    exchanges.check_receipt(entry.message, receipt, delivery, manifest)
    message = receipt.message
    known = entry.register.find_receipt(message.delivery_id, message.stage)
    if known is None:
        entry.contradict("no earlier leaf has a receipt of this stage", "receipt.repeated")
    if (known.root, known.accepted, known.rejected) != (message.root, message.accepted, message.rejected):
        raise Invalid("it says something else than the earlier receipt of this stage", basis="receipt.conflict")
    if known.delivery_digest == message.delivery_digest:
        raise Invalid("of one Delivery there is one receipt of a stage", basis="receipt.conflict")


def _receipted(
    entry: Entry,
) -> tuple[Opened[exchange_pb2.DeliveryReceipt], Opened[exchange_pb2.Delivery], Opened[edition_pb2.Manifest]]:
    receipt = entry.first(exchange_pb2.DeliveryReceipt)
    delivery = entry.dossier.open(receipt.message.delivery_digest, exchange_pb2.Delivery)
    entry.check_earlier(delivery, "offers this delivery", "receipt.delivery_digest", "delivery.offered")
    return receipt, delivery, entry.manifest(receipt.message.manifest_digest)
