"""How editions stand, as far as the bureau can verify it by itself: manifests and receipts under pinned keys.

The gateway's word for a state is shown as its word. A receipt counts when the bank's own pinned key sealed it
over this edition and this root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from adapters.party.home import Home
from audit.envelope import Opened, open_sealed, signer_of_party
from audit.keys import Keyring
from audit.records import check_manifest_tree
from xinyi import checks, days
from xinyi.errors import DigestMismatch, Invalid, SignatureInvalid, VerificationError
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2
from xinyi.v1 import publication_service_pb2 as pb

#: "true": verified. "unknown": no key of the bank is pinned here. "false": they lied, or bytes were changed.
Verdict = Literal["true", "unknown", "false"]

REJECTED = exchange_pb2.RECEIPT_STAGE_REJECTED


@dataclass(frozen=True)
class Receipt:
    stage: str
    accepted: int
    rejected: int
    #: By which of the bank's own rules, and how many records.
    rules: dict[str, int]
    signed_by: str
    signed_at_ms: int
    verdict: Verdict
    why: str


def keyring(home: Home) -> Keyring:
    """Pinned keys, and one's own."""
    return Keyring([*home.keyring(), *(signer.key for signer in home.signers())])


def open_manifest(status: pb.EditionStatus, home: Home) -> Opened[edition_pb2.Manifest]:
    """The manifest itself, verified under pinned keys and against the digest it is listed under.

    1. sealed by a pinned key of our own party, 2. it is the edition that was named, 3. its signer is who it
    says, 4. it is valid and its tree agrees with itself.

    Raises SignatureInvalid, DigestMismatch, ProofInvalid, Invalid.
    """
    # 1
    opened = open_sealed(status.manifest, edition_pb2.Manifest, keyring(home))
    signer = signer_of_party(opened.signers, home.party)
    # 2
    if opened.digest != status.manifest_digest:
        raise DigestMismatch("the gateway lists a manifest under another edition's digest")
    # 3
    if opened.message.origin != home.party or opened.message.issued_by != signer.holder:
        raise SignatureInvalid("the manifest is not sealed by the one who issued it")
    # 4
    checks.check_manifest(opened.message)
    check_manifest_tree(opened.message)
    return opened


def describe(status: pb.EditionStatus, home: Home) -> dict[str, Any]:
    """One edition and its deliveries, with a verdict of our own on its manifest and on every receipt."""
    problem, root, manifest = "", None, edition_pb2.Manifest()
    try:
        manifest = open_manifest(status, home).message
        root = manifest.root
    except (VerificationError, Invalid) as error:
        problem = error.explanation
    keys = keyring(home)
    receipts = {
        delivery.delivery_id: [_judge(sealed, delivery, status, root, keys) for sealed in delivery.receipts]
        for delivery in status.deliveries
    }
    deliveries = [
        {
            "delivery": delivery.delivery_id,
            "recipient": delivery.recipient,
            "state": delivery.state,
            "channel": exchange_pb2.Channel.Name(delivery.channel).removeprefix("CHANNEL_").lower(),
            "ground": exchange_pb2.DeliveryGround.Name(delivery.ground).removeprefix("DELIVERY_GROUND_").lower(),
            "attempts": delivery.attempts,
            "last_error": delivery.last_error,
            "receipts": [vars(receipt) for receipt in receipts[delivery.delivery_id]],
        }
        for delivery in status.deliveries
    ]
    return {
        "manifest": status.manifest_digest.hex(),
        "product": status.product,
        "period": f"{status.period.year}-{status.period.month:02d}",
        "sequence": status.sequence,
        "kind": edition_pb2.EditionKind.Name(manifest.kind).removeprefix("EDITION_KIND_").lower(),
        "corrects": manifest.corrects.hex(),
        "state": status.state,
        "records": status.record_count,
        "gone": manifest.gone_count,
        "standing": manifest.state_count,
        "problem": problem,
        "deliveries": deliveries,
        "false": bool(problem) or any(r.verdict == "false" for own in receipts.values() for r in own),
    }


def late(edition: Mapping[str, Any], day: date) -> list[str]:
    """Recipients without a verified receipt that says what became of the records, until a day ended in China.

    Args: edition — as `describe` tells it.
    """
    end = days.end_of(day)
    return sorted(
        delivery["recipient"]
        for delivery in edition["deliveries"]
        if not any(
            receipt["stage"] != "RECEIVED" and receipt["verdict"] == "true" and receipt["signed_at_ms"] <= end
            for receipt in delivery["receipts"]
        )
    )


def rejections(editions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who rejected what and has not taken it since, where no FULL leads around it; and what there is to do.

    Args: editions — as `describe` tells them.
    """
    return [
        f"{delivery['recipient']} rejects edition {edition['sequence']} of {edition['product']} "
        f"({edition['manifest'][:16]}): {_by_rules(delivery)}. It can take nothing that builds on it. Ask the bank: "
        "where its own rules are at fault it puts them right and takes this edition after all (xinyi-bank reconsider); "
        "where the content is, publish a FULL with what is right"
        for edition in editions
        for delivery in edition["deliveries"]
        if delivery["state"] == "REJECTED" and not any(_leads_around(other, edition) for other in editions)
    ]


def _by_rules(delivery: Mapping[str, Any]) -> str:
    rules = [receipt["rules"] for receipt in delivery["receipts"] if receipt["stage"] == "REJECTED"]
    return ", ".join(f"{rows:,} records by {rule}" for counts in rules for rule, rows in counts.items())


def _leads_around(other: Mapping[str, Any], edition: Mapping[str, Any]) -> bool:
    return (
        other["product"] == edition["product"]
        and other["sequence"] > edition["sequence"]
        and other["kind"] == "full"
        and other["state"] in ("PUBLISHED", "SUPERSEDED")
    )


def _judge(
    sealed: envelope_pb2.Envelope,
    delivery: pb.DeliveryStatus,
    status: pb.EditionStatus,
    root: bytes | None,
    keys: Keyring,
) -> Receipt:
    claimed = exchange_pb2.DeliveryReceipt.FromString(sealed.payload)
    verdict: Verdict = "true"
    why = ""
    if root is None:
        verdict, why = "unknown", "the manifest itself could not be verified"
    elif not any(_is_of(keys, signature.keyid, delivery.recipient) for signature in sealed.signatures):
        verdict, why = "unknown", f"no key of {delivery.recipient} is pinned here: `trust` it"
    else:
        try:
            _check(open_sealed(sealed, exchange_pb2.DeliveryReceipt, keys), delivery, status, root)
        except (VerificationError, Invalid) as error:
            verdict, why = "false", error.explanation
    return Receipt(
        stage=exchange_pb2.ReceiptStage.Name(claimed.stage).removeprefix("RECEIPT_STAGE_"),
        accepted=claimed.accepted,
        rejected=claimed.rejected,
        rules={count.rule: count.rows for count in claimed.rules},
        signed_by=claimed.signed_by,
        signed_at_ms=claimed.signed_at_ms,
        verdict=verdict,
        why=why,
    )


def _is_of(keys: Keyring, key_id: str, party: str) -> bool:
    key = keys.find(key_id)
    return key is not None and key.party == party


def _check(
    opened: Opened[exchange_pb2.DeliveryReceipt],
    delivery: pb.DeliveryStatus,
    status: pb.EditionStatus,
    root: bytes,
) -> None:
    receipt = opened.message
    checks.check_delivery_receipt(receipt)
    signer = signer_of_party(opened.signers, delivery.recipient)
    if receipt.signed_by != signer.holder:
        raise SignatureInvalid("the receipt is not sealed by the one it names")
    expected = checks.delivery_id(status.manifest_digest, delivery.recipient)
    if (receipt.delivery_id, receipt.manifest_digest) != (expected, status.manifest_digest):
        raise DigestMismatch("the receipt is about another edition or another bank's delivery")
    if receipt.root != root and (receipt.root or receipt.stage != REJECTED):
        raise DigestMismatch("the bank recomputed another root than the one we sealed")
    if receipt.stage != REJECTED and receipt.accepted + receipt.rejected != status.record_count:
        raise DigestMismatch("the receipt counts another number of records")


def contradictions(statuses: Iterable[pb.EditionStatus], acknowledged: Iterable[bytes]) -> list[str]:
    """Editions the gateway has acknowledged to this home and does not show any more."""
    shown = {status.manifest_digest for status in statuses}
    return [digest.hex() for digest in acknowledged if digest not in shown]
