"""A bank's receipt comes in, whichever way it travelled: one exchange, one acknowledgement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit import envelope
from audit.envelope import Opened
from audit.keys import keyid
from gateway import recalls
from gateway.exchange import Exchange, Need
from gateway.reception import Reception
from gateway.rules import deliveries as rules
from gateway.rules.partners import check_right
from gateway.store import editions, tables
from xinyi import checks
from xinyi.errors import Contradiction, Unknown
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2


async def accept_receipt(reception: Reception, call: exchange_pb2.Call, who: Caller) -> exchange_pb2.Answer:
    """Raises what a refused receipt raises: Unknown, NotEntitled, Invalid, Conflict, SignatureInvalid."""
    received = await reception.open(call, exchange_pb2.DeliveryReceipt, who)
    checks.check_delivery_receipt(received.message)

    def work(x: Exchange) -> envelope_pb2.Envelope:
        if (known := x.get(tables.answers, received.digest)) is not None:
            return editions.get_document(x.conn, known["answer"])
        outcome, leaf = record_receipt(x, received, who.party, who.holder)
        return reception.acknowledge(x, received.digest, outcome, leaf)

    needs = [
        *needs_of(received.digest, received.message, who.party),
        (tables.keys, (keyid(reception.signer.key),)),  # looked at when the acknowledgement is sealed
    ]
    sealed = await reception.door.run(work, key=received.message.delivery_id, needs=needs)
    return await reception.answer(sealed, received.head)


def needs_of(digest: bytes, receipt: exchange_pb2.DeliveryReceipt, party: str) -> list[Need]:
    """Rows that `record_receipt`, and the look for an earlier answer, will read."""
    return [
        (tables.answers, (digest,)),
        (tables.deliveries, (receipt.delivery_id,)),
        (tables.documents, (receipt.delivery_digest,)),
        (tables.parties, (party,)),
        (tables.editions, (receipt.manifest_digest,)),
        (tables.receipts, (receipt.delivery_id, receipt.stage)),
        recalls.need(receipt, party),
    ]


def record_receipt(
    x: Exchange, opened: Opened[exchange_pb2.DeliveryReceipt], party: str, actor: str
) -> tuple[str, bytes]:
    """Keeps and logs a bank's receipt. Returns (outcome word, log leaf).

    Suspended and terminated partners may still confirm. A bank that was offered once more what it had lost repeats
    its receipts: that is logged, and changes nothing. Raises Unknown, NotEntitled, Invalid, Conflict.
    """
    receipt = opened.message
    delivery = x.get(tables.deliveries, receipt.delivery_id)
    if delivery is None:
        raise Unknown("there is no such delivery", basis="delivery.unknown")
    check_right(x.get(tables.parties, party), "confirm")
    edition = x.get(tables.editions, delivery["manifest_digest"])
    assert edition is not None  # foreign key
    offer = _offer(x, receipt)
    rules.check_receipt(receipt, delivery, edition, party, offered=offer is not None)
    assert offer is not None  # refused otherwise
    earlier = x.get(tables.receipts, receipt.delivery_id, receipt.stage)
    if earlier is not None:
        given = editions.get_document(x.conn, earlier["document"])
        if not rules.repeats(receipt, exchange_pb2.DeliveryReceipt.FromString(given.payload)):
            raise Contradiction(
                "another receipt of this stage was given before: a second copy of this home may be live; stop one for "
                "good (integration guide for a bank, receipt.conflict)",
                basis="receipt.conflict",
            )
    checks.check_receipt_time(receipt.signed_at_ms, offered_at_ms=offer.offered_at_ms, arrived_at_ms=x.now_ms)
    if earlier is not None:
        return _log(x, "receipt.repeated", opened, delivery, party, actor)
    state = rules.state_after(delivery, receipt.stage)
    digest = opened.digest
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
    if state in rules.TAKEN and delivery["state"] not in rules.TAKEN:
        recalls.open_late(x, delivery, edition)
    recalls.confirm(x, receipt, party)
    return _log(x, f"receipt.{rules.stage_word(receipt.stage)}", opened, delivery, party, actor)


def _log(
    x: Exchange,
    outcome: str,
    opened: Opened[exchange_pb2.DeliveryReceipt],
    delivery: Mapping[str, Any],
    party: str,
    actor: str,
) -> tuple[str, bytes]:
    leaf = x.log(
        outcome,
        actor=actor,
        counterparty=party,
        product=delivery["product"],
        agreement_id=delivery["agreement_id"],
        manifest_digest=delivery["manifest_digest"],
        delivery_id=delivery["delivery_id"],
        documents=[x.document(opened.envelope)],
        record_count=opened.message.accepted,
        channel=delivery["channel"],
    )
    return outcome, leaf


def _offer(x: Exchange, receipt: exchange_pb2.DeliveryReceipt) -> exchange_pb2.Delivery | None:
    """The Delivery that a receipt names, where it is one of its delivery; also an earlier one: taken in time, confirmed
    after its expiry.

    Nothing but an offer of ours brings a Delivery into the store.
    """
    known = x.get(tables.documents, receipt.delivery_digest)
    # One that was offered in the group of this very exchange is not among what was read ahead.
    sealed = (
        envelope_pb2.Envelope.FromString(known["envelope"])
        if known is not None
        else editions.find_document(x.conn, receipt.delivery_digest)
    )
    if sealed is None or sealed.payload_type != envelope.payload_type(exchange_pb2.Delivery):
        return None
    offer = exchange_pb2.Delivery.FromString(sealed.payload)
    return offer if offer.delivery_id == receipt.delivery_id else None
