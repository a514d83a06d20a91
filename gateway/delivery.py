"""What push, pull and folder have in common: a delivery is queued, offered, transferred, receipted.

One Delivery per edition and partner, by database uniqueness; it may take several transfers. Nothing leaves
before its `delivery.offered` entry is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

from audit import envelope
from audit.envelope import Opened
from audit.keys import Signer
from gateway.exchange import Exchange, Need
from gateway.metrics import DELIVERIES
from gateway.rules import deliveries as rules
from gateway.rules.entitlement import check_entitlement
from gateway.rules.partners import check_right
from gateway.store import deliveries as store
from gateway.store import editions, parties, tables
from xinyi.errors import Conflict, Contradiction, Unknown
from xinyi.v1 import edition_pb2, exchange_pb2

#: Dates of agreements are Chinese calendar days.
CHINA = timezone(timedelta(hours=8))
DAY_MS = 86_400_000


def day_of(now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, CHINA).date()


def check_may_receive(x: Exchange, recipient: str, product: str) -> Mapping[str, Any]:
    """The entitlement under which this party gets this product today. Raises NotEntitled with its basis."""
    party = parties.find_party(x.conn, recipient)
    check_right(party, "receive")
    entitlement = parties.find_entitlement(x.conn, recipient, product)
    agreement = parties.find_agreement(x.conn, entitlement["agreement_id"]) if entitlement else None
    catalogued = parties.find_product(x.conn, product)
    check_entitlement(party, entitlement, agreement, catalogued, day_of(x.now_ms))
    assert entitlement is not None  # check_entitlement refused otherwise
    return entitlement


def queue_for_entitled(x: Exchange, edition: Mapping[str, Any]) -> None:
    """A QUEUED delivery for every active entitlement; rights are decided when it is offered."""
    for entitlement in parties.entitled_parties(x.conn, edition["product"]):
        x.add(tables.deliveries, _row(x, edition, entitlement))


def _row(x: Exchange, edition: Mapping[str, Any], entitlement: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "delivery_id": rules.delivery_id(edition["manifest_digest"], entitlement["party"]),
        "manifest_digest": edition["manifest_digest"],
        "recipient": entitlement["party"],
        "product": edition["product"],
        "agreement_id": entitlement["agreement_id"],
        "channel": entitlement["channel"],
        "target": entitlement["target"],
        "state": "QUEUED",
        "document": None,
        "attempts": 0,
        "generation": 0,
        "last_error": "",
        "changed_at_ms": x.now_ms,
    }


def stop_undelivered(x: Exchange, edition: Mapping[str, Any]) -> None:
    """Halts every delivery of the edition that has not reached its bank."""
    for row in store.deliveries_of_edition(x.conn, edition["manifest_digest"]):
        if row["state"] in rules.UNDELIVERED:
            x.replace(tables.deliveries, dict(row) | {"state": "STOPPED", "changed_at_ms": x.now_ms})


def offer(
    x: Exchange, edition: Mapping[str, Any], recipient: str, signer: Signer, holder: str, expires_days: int
) -> str:
    """Seals and logs the Delivery if that has not happened yet. Returns the delivery id.

    Rights are checked each time, also for a delivery offered before. Raises NotEntitled, Conflict.
    """
    entitlement = check_may_receive(x, recipient, edition["product"])
    if edition["state"] not in ("PUBLISHED", "SUPERSEDED"):
        raise Conflict(f"the edition is {edition['state']}", basis="edition.state")
    found = store.find_delivery(x.conn, rules.delivery_id(edition["manifest_digest"], recipient))
    row = dict(found) if found is not None else _row(x, edition, entitlement)
    if row["state"] in ("STOPPED", "DEAD"):
        raise Conflict(f"this delivery is {row['state']}", basis="delivery.state")
    if row["document"] is not None:
        return str(row["delivery_id"])
    product = parties.find_product(x.conn, edition["product"])
    assert product is not None  # check_may_receive refused otherwise
    period = edition_pb2.Period(year=edition["year"], month=edition["month"])
    row |= {"agreement_id": entitlement["agreement_id"], "state": "OFFERED", "changed_at_ms": x.now_ms}
    sealed = envelope.seal(
        exchange_pb2.Delivery(
            delivery_id=row["delivery_id"],
            recipient=recipient,
            manifest_digest=edition["manifest_digest"],
            approval_digest=edition["approval"],
            product=edition["product"],
            period=period,
            agreement_id=row["agreement_id"],
            disclosure_class=product["disclosure_class"],
            offered_at_ms=x.now_ms,
            expires_at_ms=x.now_ms + expires_days * DAY_MS,
        ),
        signer,
    )
    document = x.document(sealed)
    row["document"] = document
    x.replace(tables.deliveries, row)
    x.log(
        "delivery.offered",
        actor=holder,
        counterparty=recipient,
        product=edition["product"],
        period=period,
        agreement_id=row["agreement_id"],
        manifest_digest=edition["manifest_digest"],
        delivery_id=row["delivery_id"],
        documents=[document],
        record_count=edition["record_count"],
        channel=row["channel"],
    )
    return str(row["delivery_id"])


def package(conn: Any, delivery_id: str) -> exchange_pb2.DeliveryPackage:
    """Everything of an offered delivery but its chunks."""
    row = store.find_delivery(conn, delivery_id)
    if row is None or row["document"] is None:
        raise Unknown("there is no such delivery", basis="delivery.unknown")
    edition = editions.find_edition(conn, row["manifest_digest"])
    assert edition is not None  # foreign key
    return exchange_pb2.DeliveryPackage(
        delivery=editions.get_document(conn, row["document"]),
        manifest=editions.get_document(conn, edition["manifest_digest"]),
        approval=editions.get_document(conn, edition["approval"]),
        blinding_key=edition["blinding_key"],
    )


def note_transfer(
    x: Exchange, delivery_id: str, holder: str, *, sent: int, error: str = "", state: str = ""
) -> None:
    """Logs what became of one transfer: `delivery.transferred`, `.failed`, or `.dead` for state DEAD.

    Args:
        sent: chunks that left in this transfer.
        error: code of what went wrong; empty where all chunks left.
        state: new state of the delivery, where it changes.
    """
    row = store.find_delivery(x.conn, delivery_id)
    assert row is not None
    changed = dict(row) | {"attempts": row["attempts"] + 1, "last_error": error, "changed_at_ms": x.now_ms}
    if state:
        changed["state"] = state
    x.replace(tables.deliveries, changed)
    outcome = "dead" if state == "DEAD" else "failed" if error else "transferred"
    DELIVERIES.labels(outcome).inc()
    x.log(
        f"delivery.{outcome}",
        actor=holder,
        counterparty=row["recipient"],
        product=row["product"],
        agreement_id=row["agreement_id"],
        manifest_digest=row["manifest_digest"],
        delivery_id=delivery_id,
        channel=row["channel"],
        code=error,
        detail=f"{sent} chunks",
    )


def receipt_needs(digest: bytes, receipt: exchange_pb2.DeliveryReceipt, party: str) -> list[Need]:
    """Rows that `record_receipt`, and the look for an earlier answer, will read."""
    return [
        (tables.answers, (digest,)),
        (tables.deliveries, (receipt.delivery_id,)),
        (tables.parties, (party,)),
        (tables.editions, (receipt.manifest_digest,)),
        (tables.receipts, (receipt.delivery_id, receipt.stage)),
    ]


def record_receipt(
    x: Exchange, opened: Opened[exchange_pb2.DeliveryReceipt], party: str, actor: str
) -> tuple[str, bytes]:
    """Keeps and logs a bank's receipt. Returns (outcome word, log leaf).

    Suspended and terminated partners may still confirm. Raises Unknown, NotEntitled, Invalid, Conflict.
    """
    receipt = opened.message
    delivery = x.get(tables.deliveries, receipt.delivery_id)
    if delivery is None:
        raise Unknown("there is no such delivery", basis="delivery.unknown")
    check_right(x.get(tables.parties, party), "confirm")
    edition = x.get(tables.editions, delivery["manifest_digest"])
    assert edition is not None  # foreign key
    rules.check_receipt(receipt, delivery, edition, party)
    if x.get(tables.receipts, receipt.delivery_id, receipt.stage) is not None:
        raise Contradiction("another receipt of this stage was given before", basis="receipt.conflict")
    state = rules.state_after(delivery, receipt.stage)
    digest = x.document(opened.envelope)
    row = {
        "document": digest,
        "delivery_id": receipt.delivery_id,
        "stage": receipt.stage,
        "recorded_at_ms": x.now_ms,
    }
    x.add(tables.receipts, row)
    x.replace(
        tables.deliveries,
        dict(delivery) | {"state": state, "last_error": "", "changed_at_ms": x.now_ms},
    )
    outcome = f"receipt.{rules.stage_word(receipt.stage)}"
    leaf = x.log(
        outcome,
        actor=actor,
        counterparty=party,
        product=delivery["product"],
        agreement_id=delivery["agreement_id"],
        manifest_digest=delivery["manifest_digest"],
        delivery_id=receipt.delivery_id,
        documents=[digest],
        record_count=receipt.accepted,
        channel=delivery["channel"],
    )
    return outcome, leaf


def revive(x: Exchange, delivery_id: str, holder: str, reason: str) -> None:
    """A person gives a DEAD delivery new attempts. Raises Unknown, Conflict."""
    found = store.find_delivery(x.conn, delivery_id)
    if found is None:
        raise Unknown("there is no such delivery", basis="delivery.unknown")
    if found["state"] != "DEAD":
        raise Conflict(
            f"only a DEAD delivery is retried by hand; this one is {found['state']}", basis="delivery.state"
        )
    row = dict(found) | {
        "state": "QUEUED" if found["document"] is None else "OFFERED",
        "generation": found["generation"] + 1,
        "changed_at_ms": x.now_ms,
    }
    x.replace(tables.deliveries, row)
    x.log(
        "delivery.retried",
        actor=holder,
        counterparty=row["recipient"],
        product=row["product"],
        agreement_id=row["agreement_id"],
        manifest_digest=row["manifest_digest"],
        delivery_id=delivery_id,
        channel=row["channel"],
        detail=reason,
    )
