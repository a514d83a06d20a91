"""A bank's receipt comes in, whichever way it travelled: one exchange, one acknowledgement."""

from __future__ import annotations

from gateway import delivery
from gateway.exchange import Exchange
from gateway.reception import Reception
from gateway.store import editions, tables
from xinyi import checks
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2


async def accept_receipt(reception: Reception, call: exchange_pb2.Call, who: Caller) -> exchange_pb2.Answer:
    """Raises what a refused receipt raises: Unknown, NotEntitled, Invalid, Conflict, SignatureInvalid."""
    received = await reception.open(call, exchange_pb2.DeliveryReceipt, who)
    checks.check_delivery_receipt(received.message)

    def work(x: Exchange) -> envelope_pb2.Envelope:
        if (known := x.get(tables.answers, received.digest)) is not None:
            return editions.get_document(x.conn, known["answer"])
        outcome, leaf = delivery.record_receipt(x, received, who.party, who.holder)
        return reception.acknowledge(x, received.digest, outcome, leaf)

    needs = delivery.receipt_needs(received.digest, received.message, who.party)
    sealed = await reception.door.run(work, key=received.message.delivery_id, needs=needs)
    return await reception.answer(sealed, received.head)
