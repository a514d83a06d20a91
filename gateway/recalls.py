"""Recalls: whoever took what a CORRECTION corrects is told, whatever has become of them or their agreement.

A recall is OPEN from the publication of the CORRECTION, or from the receipt that comes behind it and says that its
party took what is corrected, until that party's APPLIED receipt of the CORRECTION. Where the bureau stops the
CORRECTION, those that are open are STOPPED: nobody is asked any more, the reason is the stop's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from gateway import delivery
from gateway.exchange import Exchange, Need
from gateway.rules import deliveries as rules
from gateway.rules import editions as ways
from gateway.rules.partners import check_right
from gateway.store import deliveries as store
from gateway.store import editions, parties, tables
from xinyi import checks
from xinyi.v1 import edition_pb2, exchange_pb2

OPEN, CONFIRMED, STOPPED = "OPEN", "CONFIRMED", "STOPPED"


def queue(x: Exchange, correction: Mapping[str, Any]) -> None:
    """A recall, and a delivery where no entitlement gives one, for everybody who took what was wrong.

    Comes behind `delivery.queue_for_entitled`. Does nothing for an edition of another kind.
    """
    if correction["kind"] != edition_pb2.EDITION_KIND_CORRECTION:
        return
    corrected = editions.corrected_by(x.conn, dict(correction))
    entitled = {row["party"] for row in parties.entitled_parties(x.conn, correction["product"])}
    for taken in store.takers(x.conn, corrected, dict(correction), rules.TAKING):
        recipient = taken["recipient"]
        if recipient not in entitled:
            x.add(tables.deliveries, _by_last_channel(x, correction, taken))
        x.add(tables.recalls, _opened(x, correction, recipient))


def open_late(x: Exchange, taken: Mapping[str, Any], edition: Mapping[str, Any]) -> None:
    """Recalls for a party whose first receipt of a corrected edition comes behind the CORRECTION, entitled or not.

    What it was given ended on its way for want of a right begins anew. Who has applied the CORRECTION needs none.

    Args: taken — the delivery that the receipt is for, of this edition.
    """
    if edition["state"] == "PUBLISHED":
        return  # the newest: nothing corrects it
    recipient = taken["recipient"]
    for correction in editions.corrections_of(x.conn, dict(edition), ways.DELIVERABLE):
        given = x.get(tables.deliveries, checks.delivery_id(correction["manifest_digest"], recipient))
        known = x.get(tables.recalls, correction["manifest_digest"], recipient)
        if known is not None or (given is not None and given["state"] == "APPLIED"):
            continue
        if given is None:
            x.add(tables.deliveries, _by_last_channel(x, correction, taken))
        elif rules.may_begin_anew(given):
            x.replace(tables.deliveries, given | delivery.begun_anew(given, x.now_ms))
        x.add(tables.recalls, _opened(x, correction, recipient))


def _by_last_channel(x: Exchange, correction: Mapping[str, Any], taken: Mapping[str, Any]) -> dict[str, Any]:
    """A delivery by the channel the party had last, under the agreement by which it was given what is recalled."""
    last = parties.find_entitlement(x.conn, taken["recipient"], correction["product"]) or taken
    way = {name: last[name] for name in ("channel", "target")}
    return delivery.new_row(x, correction, way | {"party": taken["recipient"], "agreement_id": taken["agreement_id"]})


def _opened(x: Exchange, correction: Mapping[str, Any], recipient: str) -> dict[str, Any]:
    return {
        "correction": correction["manifest_digest"],
        "recipient": recipient,
        "delivery_id": checks.delivery_id(correction["manifest_digest"], recipient),
        "state": OPEN,
        "changed_at_ms": x.now_ms,
    }


def due(conn: Connection, recipient: str, product: str) -> list[bytes]:
    """Corrections that this party must still be given as recalls, the oldest first; also those that it rejected.

    Raises NotEntitled.
    """
    check_right(parties.find_party(conn, recipient), "be_recalled")
    return store.open_recalls(conn, recipient, product, rules.TAKEN)


def stop(x: Exchange, correction: Mapping[str, Any]) -> None:
    """Closes what is open. Does nothing for an edition of another kind.

    Who has confirmed has confirmed. What a CORRECTION that was wrong itself told stands until the FULL that follows.
    """
    for row in store.recalls_of(x.conn, correction["manifest_digest"]):
        if row["state"] == OPEN:
            x.replace(tables.recalls, dict(row) | {"state": STOPPED, "changed_at_ms": x.now_ms})


def need(receipt: exchange_pb2.DeliveryReceipt, party: str) -> Need:
    """The row that `confirm` will read."""
    return tables.recalls, (receipt.manifest_digest, party)


def confirm(x: Exchange, receipt: exchange_pb2.DeliveryReceipt, party: str) -> None:
    """Closes the recall that this receipt confirms, where there is one; late receipts count behind a stop, too."""
    if receipt.stage != exchange_pb2.RECEIPT_STAGE_APPLIED:
        return
    row = x.get(tables.recalls, receipt.manifest_digest, party)
    if row is not None and row["state"] != CONFIRMED:
        x.replace(tables.recalls, row | {"state": CONFIRMED, "changed_at_ms": x.now_ms})
