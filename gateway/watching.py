"""Watches: a bank holds a stream and is told when there is something to pull.

A stream tells the same as a pull would find, judged by the receipts the bank gave, and makes no log entry. Any
process of the gateway may have published, so the database is looked at: for what becomes due twice a second, by all
streams of a process together; for everything else (a landing, an agreement that ended) before each sign of life.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, func, select

from audit import envelope
from gateway import catchup
from gateway.metrics import WATCHES
from gateway.reception import Reception
from gateway.store import notices, tables
from xinyi.errors import Unavailable
from xinyi.v1 import envelope_pb2, exchange_pb2, notice_pb2
from xinyi.v1 import feed_service_pb2 as pb

#: How often a process looks whether something became due.
LOOK_S = 0.5
#: Of the time within which the next response is promised, how much may pass before it is sent.
_PUNCTUAL = 0.75

#: Compared, never read.
News = tuple[Any, ...]


class Watching:
    """Args:
    next_within_s: what the streams promise: the next response comes within so many seconds.
    per_party: streams of one party at a time. One more ends its oldest: most likely that line is dead.
    """

    def __init__(self, reception: Reception, *, next_within_s: int, per_party: int) -> None:
        self._reception = reception
        self._next_within_s = next_within_s
        self._per_party = per_party
        #: party → what ends each of its streams, the oldest first.
        self._streams: dict[str, list[asyncio.Event]] = {}
        self._stopping = False
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._news: News = ()

    async def stream(self, asked: exchange_pb2.WatchRequest) -> AsyncGenerator[pb.WatchResponse, None]:
        """At once what is due, then whenever that changes, and in between that the line holds.

        Ends when the gateway stops. Raises NotEntitled as a pull does, also where a right ends meanwhile.
        """
        ended = self._enter(asked.recipient)
        WATCHES.inc()
        try:
            told, next_at = None, 0.0
            while not ended.is_set():
                news = await self._look()
                found = await self._reception.database.read(lambda conn: self._find(conn, asked))
                if found != told or time.monotonic() >= next_at:
                    next_at = time.monotonic() + self._next_within_s * _PUNCTUAL
                    yield found
                told = found
                await self._wait(news, ended, next_at)
        finally:
            WATCHES.dec()
            self._leave(asked.recipient, ended)

    def stop(self) -> None:
        """Ends all streams, and lets no further one begin."""
        self._stopping = True
        for ended in [ended for streams in self._streams.values() for ended in streams]:
            ended.set()

    def _enter(self, party: str) -> asyncio.Event:
        if self._stopping:
            raise Unavailable("the gateway is stopping: watch again in a moment")
        streams = self._streams.setdefault(party, [])
        while len(streams) >= self._per_party:
            streams.pop(0).set()
        streams.append(ended := asyncio.Event())
        return ended

    def _leave(self, party: str, ended: asyncio.Event) -> None:
        left = [other for other in self._streams.get(party, ()) if other is not ended]
        if left:
            self._streams[party] = left
        else:
            self._streams.pop(party, None)

    def _find(self, conn: Connection, asked: exchange_pb2.WatchRequest) -> pb.WatchResponse:
        standing = notices.standing_notices(conn)
        newest = max(standing, key=_announced, default=None)
        return pb.WatchResponse(
            due=[product for product in asked.products if self._is_due(conn, asked.recipient, product)],
            next_within_s=self._next_within_s,
            newest_notice=envelope.digest(newest) if newest is not None else b"",
        )

    def _is_due(self, conn: Connection, party: str, product: str) -> bool:
        held = catchup.held_by(conn, party, product)
        return bool(catchup.due(conn, self._reception.door.now(), party, product, held))

    async def _look(self) -> News:
        async with self._looking:
            if time.monotonic() - self._looked_at >= LOOK_S:
                self._news = await self._reception.database.read(_read_news)
                self._looked_at = time.monotonic()
        return self._news

    async def _wait(self, news: News, ended: asyncio.Event, until: float) -> None:
        """Until there is other news, the time is over, or the stream ends."""
        while (left := until - time.monotonic()) > 0 and await self._look() == news:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), min(LOOK_S, left))
                return


def _read_news(conn: Connection) -> News:
    """Another one once an edition, a partner or a notice is new or in another state.

    Sums, because the clocks of two processes may differ: the newest change need not have the latest time.
    """
    totals = (
        select(func.sum(tables.editions.c.changed_at_ms)).scalar_subquery(),
        select(func.sum(tables.parties.c.changed_at_ms)).scalar_subquery(),
        select(func.count()).select_from(tables.notices).scalar_subquery(),
    )
    return tuple(conn.execute(select(*totals)).one())


def _announced(sealed: envelope_pb2.Envelope) -> tuple[int, str]:
    notice = notice_pb2.ChangeNotice.FromString(sealed.payload)  # sealed by us
    return notice.announced_at_ms, notice.number
