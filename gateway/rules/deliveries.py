"""Life of a delivery: QUEUED → OFFERED → RECEIVED → ACCEPTED | PARTIAL → APPLIED, or REJECTED. Pure.

DEAD: attempts are used up, a person decides. STOPPED: the bureau halted what had not arrived.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from xinyi.errors import Conflict, Invalid, NotEntitled
from xinyi.v1 import exchange_pb2 as pb

_STAGES = {
    pb.RECEIPT_STAGE_RECEIVED: ("RECEIVED", {"OFFERED", "DEAD", "STOPPED"}),
    pb.RECEIPT_STAGE_ACCEPTED: ("ACCEPTED", {"RECEIVED"}),
    pb.RECEIPT_STAGE_PARTIAL: ("PARTIAL", {"RECEIVED"}),
    pb.RECEIPT_STAGE_REJECTED: ("REJECTED", {"OFFERED", "DEAD", "STOPPED", "RECEIVED"}),
    pb.RECEIPT_STAGE_APPLIED: ("APPLIED", {"ACCEPTED", "PARTIAL"}),
}

#: States in which the bank still has to get the bytes.
UNDELIVERED = ("QUEUED", "OFFERED", "DEAD")
#: States in which the bank has the whole edition.
DELIVERED = ("RECEIVED", "ACCEPTED", "PARTIAL", "APPLIED")


def delivery_id(manifest_digest: bytes, recipient: str) -> str:
    """The same wherever it is computed: hex SHA-256(manifest digest ‖ NUL ‖ recipient)."""
    return hashlib.sha256(manifest_digest + b"\0" + recipient.encode()).hexdigest()


def state_after(delivery: Mapping[str, Any], stage: pb.ReceiptStage) -> str:
    """Raises Conflict where this stage cannot follow. A receipt that comes late is still a receipt."""
    after, before = _STAGES[stage]
    if delivery["state"] not in before:
        raise Conflict(
            f"a receipt {after} cannot follow on a delivery that is {delivery['state']}",
            basis="receipt.stage",
        )
    return after


def stage_word(stage: pb.ReceiptStage) -> str:
    return _STAGES[stage][0].lower()


def check_receipt(
    receipt: pb.DeliveryReceipt, delivery: Mapping[str, Any], edition: Mapping[str, Any], party: str
) -> None:
    """Raises NotEntitled for another's delivery, Invalid where the receipt is about something else."""
    if delivery["recipient"] != party:
        raise NotEntitled("this delivery is not the caller's", basis="delivery.recipient")
    if delivery["document"] is None or receipt.delivery_digest != delivery["document"]:
        raise Invalid("the receipt names another delivery document", basis="receipt.delivery_digest")
    if receipt.manifest_digest != delivery["manifest_digest"]:
        raise Invalid("the receipt names another edition", basis="receipt.manifest_digest")
    if receipt.stage == pb.RECEIPT_STAGE_REJECTED:
        return
    if receipt.root != edition["root"]:
        raise Invalid("the root the bank recomputed is not the edition's", basis="receipt.root")
    if receipt.accepted + receipt.rejected != edition["record_count"]:
        raise Invalid(
            f"accepted {receipt.accepted} + rejected {receipt.rejected} are not the edition's "
            f"{edition['record_count']} records",
            basis="receipt.counts",
        )
