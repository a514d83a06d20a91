"""Looking is an exchange too: what a person asks about others is logged before anything is shown."""

from __future__ import annotations

import asyncio

from gateway.exchange import Exchange
from gateway.reception import Received, Reception
from gateway.rules.partners import check_right
from gateway.store import parties
from xinyi import checks
from xinyi.errors import NotEntitled, Unavailable
from xinyi.server import Caller
from xinyi.v1 import exchange_pb2

#: How long an answer waits until the entry of what was asked is published.
PUBLISH_WAIT_S = 10.0


async def open_query(
    reception: Reception, call: exchange_pb2.Call, who: Caller
) -> Received[exchange_pb2.LogQuery]:
    """The query of a person who asks in their own name; not logged yet.

    Raises Invalid, NotEntitled, VerificationError.
    """
    received = await reception.open(call, exchange_pb2.LogQuery, who)
    checks.check_log_query(received.message)
    if not who.is_person or received.message.asked_by != who.holder:
        raise NotEntitled("openings are shown to a person who asks in their own name", basis="query.person")
    return received


async def log_query(reception: Reception, received: Received[exchange_pb2.LogQuery], kind: str) -> None:
    """Until the entry is published. Raises NotEntitled; Unavailable where the log does not publish it in time."""
    who = received.caller

    def work(x: Exchange) -> bytes:
        check_right(parties.find_party(x.conn, who.party), "query")
        x.document(received.envelope)
        return x.log(kind, actor=who.holder, documents=[received.digest], detail=received.message.purpose[:200])

    leaf = await reception.door.run(work)
    for _ in range(int(PUBLISH_WAIT_S / 0.05)):
        if await reception.database.read(lambda conn: reception.log.prove(conn, leaf)):
            return
        await asyncio.sleep(0.05)
    raise Unavailable("the log has not published this query yet; try again")
