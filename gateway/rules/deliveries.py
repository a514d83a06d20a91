"""Life of a delivery: QUEUED → OFFERED → RECEIVED → ACCEPTED | PARTIAL → APPLIED, or REJECTED. Pure.

DEAD: attempts are used up, a person decides. STOPPED: the bureau halted what had not arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xinyi.checks import is_code
from xinyi.errors import Conflict, ExchangeError, Invalid, NotEntitled
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
#: States in which the gateway itself goes on, where it is the one who carries.
WAITING = ("QUEUED", "OFFERED")
#: States in which nothing more is heard of a delivery.
FINISHED = ("APPLIED", "REJECTED")
#: States in which the bank has the bytes.
TAKEN = ("RECEIVED", "ACCEPTED", "PARTIAL", "APPLIED")
#: Receipts by which a bank says that it took the edition.
TAKING = tuple(stage for stage, (after, _) in _STAGES.items() if after in TAKEN)

#: First words of the reasons of a dead delivery that may have passed by the next edition.
_PASSING = {"unavailable", "partner", "entitlement", "agreement", "product", "disclosure"}

#: Pauses between attempts double up to this.
LONGEST_PAUSE_MS = 3_600_000


def is_handed_over(delivery: Mapping[str, Any]) -> bool:
    """True where the files lie in the bank's folder: until they expire it is the bank's turn."""
    written = delivery["attempts"] > 0 and not delivery["last_error"]
    return bool(delivery["channel"] == pb.CHANNEL_FOLDER and delivery["state"] == "OFFERED" and written)


def next_attempt_ms(delivery: Mapping[str, Any], backoff_ms: int) -> int:
    """When the gateway tries next: at once, then after pauses that double."""
    since: int = delivery["changed_at_ms"]
    if delivery["attempts"] == 0:
        return since
    doublings: int = min(delivery["attempts"] - 1, 30)
    return since + min(backoff_ms << doublings, LONGEST_PAUSE_MS)


def is_given_up(delivery: Mapping[str, Any], error: ExchangeError, max_attempts: int) -> bool:
    """Whether the attempt that just failed was the last: no other will help, or all are used up."""
    return error.code != "unavailable" or delivery["attempts"] + 1 >= max_attempts


def may_begin_anew(delivery: Mapping[str, Any]) -> bool:
    """Whether a DEAD delivery is queued again with the next edition, that it builds on.

    True where nobody lied: the bank was away, or had no right then. Everything else waits for a person.
    """
    reason = delivery["last_error"].partition(".")[0]
    return delivery["state"] == "DEAD" and reason in _PASSING


def code_of(error: ExchangeError) -> str:
    """What is kept of an error: its basis where that is a rule's name (a peer's may be anything), or its code."""
    return error.basis if is_code(error.basis) else error.code


def check_may_leave(delivery: Mapping[str, Any], edition: Mapping[str, Any]) -> None:
    """Raises Conflict where the bureau stopped it, or it was never offered."""
    if "STOPPED" in (delivery["state"], edition["state"]):
        raise Conflict("this delivery was stopped by the bureau", basis="delivery.stopped")
    if delivery["document"] is None:
        raise Conflict("this delivery has not been offered yet", basis="delivery.state")


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


def repeats(receipt: pb.DeliveryReceipt, earlier: pb.DeliveryReceipt) -> bool:
    """Whether a bank that was offered an edition once more, and lost it meanwhile, says the same again.

    Of one and the same Delivery it gives one receipt of a stage.
    """
    return receipt.delivery_digest != earlier.delivery_digest and (
        (receipt.root, receipt.accepted, receipt.rejected) == (earlier.root, earlier.accepted, earlier.rejected)
    )


def check_receipt(
    receipt: pb.DeliveryReceipt,
    delivery: Mapping[str, Any],
    edition: Mapping[str, Any],
    party: str,
    *,
    offered: bool,
) -> None:
    """Raises NotEntitled for another's delivery, Invalid where the receipt is about something else.

    Args:
        offered: whether the document it names is one by which this delivery was offered, now or earlier.
    """
    if delivery["recipient"] != party:
        raise NotEntitled("this delivery is not the caller's", basis="delivery.recipient")
    if not offered:
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
