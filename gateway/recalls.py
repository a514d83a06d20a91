"""Recalls: whoever took what a CORRECTION corrects is told, whatever has become of them or their agreement.

A recall is OPEN from the publication of the CORRECTION until the recipient's APPLIED receipt of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from gateway import delivery
from gateway.exchange import Exchange, Need
from gateway.rules import deliveries as rules
from gateway.rules.partners import check_right
from gateway.store import deliveries as store
from gateway.store import editions, parties, tables
from xinyi import checks
from xinyi.v1 import edition_pb2, exchange_pb2

OPEN, CONFIRMED = "OPEN", "CONFIRMED"


def queue(x: Exchange, correction: Mapping[str, Any]) -> None:
    """A recall, and a delivery where no entitlement gives one, for everybody who took what was wrong.

    Comes behind `delivery.queue_for_entitled`. Does nothing for an edition of another kind.
    """
    if correction["kind"] != edition_pb2.EDITION_KIND_CORRECTION:
        return
    sealed = editions.get_document(x.conn, correction["manifest_digest"])
    corrected = editions.find_edition(x.conn, edition_pb2.Manifest.FromString(sealed.payload).corrects)
    assert corrected is not None  # checked at its place
    entitled = {row["party"] for row in parties.entitled_parties(x.conn, correction["product"])}
    for taken in store.takers(x.conn, dict(corrected), dict(correction), rules.TAKING):
        recipient = taken["recipient"]
        if recipient not in entitled:
            # By the channel it had last; the agreement is the one under which it was given what is recalled.
            last = parties.find_entitlement(x.conn, recipient, correction["product"]) or taken
            ways = {name: last[name] for name in ("channel", "target")}
            under = ways | {"party": recipient, "agreement_id": taken["agreement_id"]}
            x.add(tables.deliveries, delivery.new_row(x, correction, under))
        x.add(
            tables.recalls,
            {
                "correction": correction["manifest_digest"],
                "recipient": recipient,
                "delivery_id": checks.delivery_id(correction["manifest_digest"], recipient),
                "state": OPEN,
                "changed_at_ms": x.now_ms,
            },
        )


def due(conn: Connection, recipient: str, product: str) -> list[bytes]:
    """Corrections that this party must still be given as recalls, the oldest first. Raises NotEntitled."""
    check_right(parties.find_party(conn, recipient), "be_recalled")
    return store.open_recalls(conn, recipient, product, (*rules.TAKEN, "REJECTED"))


def need(receipt: exchange_pb2.DeliveryReceipt, party: str) -> Need:
    """The row that `confirm` will read."""
    return tables.recalls, (receipt.manifest_digest, party)


def confirm(x: Exchange, receipt: exchange_pb2.DeliveryReceipt, party: str) -> None:
    """Closes the recall that this receipt confirms, where there is one."""
    if receipt.stage != exchange_pb2.RECEIPT_STAGE_APPLIED:
        return
    row = x.get(tables.recalls, receipt.manifest_digest, party)
    if row is not None and row["state"] == OPEN:
        x.replace(tables.recalls, row | {"state": CONFIRMED, "changed_at_ms": x.now_ms})
