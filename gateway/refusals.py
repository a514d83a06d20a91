"""Refusals: signed and logged, the same one once a day, and no more of one party in a day than a measure.

A client in a loop, or one that means harm, must not fill the log; and of what a caller says, only what has a
known form enters an entry.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from google.protobuf.message import DecodeError
from sqlalchemy import Connection, func, select

from audit import envelope
from audit.keys import Signer
from gateway.exchange import Door, Exchange
from gateway.metrics import REFUSALS
from gateway.store import tables
from xinyi.errors import (
    Contradiction,
    ExchangeError,
    HeadConflict,
    NotAuthenticated,
    TooManyRequests,
    VerificationError,
)
from xinyi.fields import TEXT_IDENTIFIER
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2

#: Different refusals of one party that are signed and logged in a day (UTC); what comes after is counted.
A_DAY = 200

#: Products that a refused watch is told from others by.
MOST_NAMED = 8

#: A digest, a delivery id, a leaf.
_DIGEST = re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{2})?")
#: Requests that are other documents each time they are asked.
_POLLS: dict[str, type[exchange_pb2.PullRequest] | type[exchange_pb2.WatchRequest]] = {
    envelope.payload_type(kind): kind for kind in (exchange_pb2.PullRequest, exchange_pb2.WatchRequest)
}

logger = structlog.get_logger()


@dataclass
class Request:
    """What is asked for, as far as it is known when it is refused."""

    caller: Caller
    method: str
    document: envelope_pb2.Envelope | None = None
    #: What it is about, where it comes without a document; enters the log only in the form of a digest.
    subject: str = ""


class Refusals:
    def __init__(self, door: Door, signer: Signer, holder: str, *, a_day: int = A_DAY) -> None:
        self._door = door
        self._signer = signer
        self._holder = holder
        self.a_day = a_day
        #: (party, day) → refusals beyond the measure.
        self._beyond: Counter[tuple[str, str]] = Counter()

    async def sign(self, request: Request, error: ExchangeError) -> bytes:
        """The sealed Refusal, serialised.

        Raises TooManyRequests, unsigned and not logged, beyond the day's measure.
        """
        party = request.caller.party
        REFUSALS.labels(request.method, error.code).inc()
        _alarm(request, error)
        day = _day(self._door.now())
        sealed = None
        if (party, day) not in self._beyond:
            sealed = await self._seal(request, error, day)
        if sealed is None:
            if not self._beyond[party, day]:
                logger.error("alarm.too_many_refusals", party=party, measure=self.a_day)
            self._beyond[party, day] += 1
            raise TooManyRequests(
                f"{error.explanation} (not signed: more than {self.a_day} refusals today)",
                basis=error.basis or error.code,
            ) from error
        return sealed.SerializeToString()

    async def close_days(self, *, today: bool = False) -> None:
        """One entry for each party and day that went beyond the measure; with `today`, for this day too.

        A crash before it loses the number; that the measure was reached shows in the day's refusals.
        """
        now = _day(self._door.now())
        for party, day in [key for key in self._beyond if today or key[1] != now]:
            detail = f"{day}: {self._beyond.pop((party, day))} more were not signed"
            await self._door.run(
                lambda x, party=party, detail=detail: x.log(  # type: ignore[misc]
                    "refused.counted",
                    actor=self._holder,
                    counterparty=party,
                    code=TooManyRequests.code,
                    detail=detail,
                )
            )

    async def _seal(self, request: Request, error: ExchangeError, day: str) -> envelope_pb2.Envelope | None:
        """None where the day's measure is full."""
        document = request.document
        # What nobody known here has sealed is neither kept nor quoted: anybody could fill the store with it.
        known = not isinstance(error, NotAuthenticated | VerificationError)
        refusal = exchange_pb2.Refusal(
            document_digest=envelope.digest(document) if document is not None else b"",
            code=error.code,
            basis=error.basis or error.code,
            explanation=error.explanation if known else "it could not be verified",
        )
        if isinstance(error, HeadConflict):
            # The log takes no more entries, and still the caller gets it in writing.
            refusal.explanation, refusal.recorded_at_ms = error.explanation, self._door.now()
            return envelope.seal(refusal, self._signer)
        poll = document is not None and document.payload_type in _POLLS

        def work(x: Exchange) -> envelope_pb2.Envelope | None:
            refusal.recorded_at_ms = x.now_ms
            row = {
                "party": request.caller.party,
                "method": request.method,
                "basis": refusal.basis,
                "subject": _subject(x, request, poll=poll),
                "day": day,
            }
            logged_before = _find_leaf(x.conn, row)
            if logged_before is not None:
                refusal.leaf = logged_before
                return x.seal(refusal, self._signer)
            if _count(x.conn, row["party"], day) >= self.a_day:
                return None
            # One entry stands for all of a day's polls: it names none of them.
            # A document with an identifier in its free text is told by its digest alone.
            keep = document if known and not poll and refusal.basis != TEXT_IDENTIFIER else None
            refusal.leaf = x.log(
                "refused",
                actor=request.caller.holder,
                documents=[x.document(keep)] if keep is not None else [],
                code=error.code,
                detail=": ".join(filter(None, (request.method, refusal.basis, row["subject"]))),
            )
            x.add(tables.refusals, row | {"leaf": refusal.leaf})
            sealed = x.seal(refusal, self._signer)
            x.document(sealed)
            return sealed

        return await self._door.run(work)


def _subject(x: Exchange, request: Request, *, poll: bool) -> str:
    """What tells this refusal from others of the same method and basis.

    The document's digest; for a poll, which is another document each time, the products it asks for.
    """
    document = request.document
    if document is None:
        return request.subject if _DIGEST.fullmatch(request.subject) else ""
    if not poll:
        return envelope.digest(document).hex()
    try:
        asked = _POLLS[document.payload_type].FromString(document.payload)
    except DecodeError:
        return ""
    products = asked.products[:MOST_NAMED] if isinstance(asked, exchange_pb2.WatchRequest) else [asked.product]
    return ",".join(product for product in products if x.get(tables.products, product) is not None)


def _alarm(request: Request, error: ExchangeError) -> None:
    if isinstance(error, VerificationError):
        logger.error("alarm.verification", method=request.method, code=error.code, party=request.caller.party)
    elif isinstance(error, Contradiction):
        logger.error(
            "alarm.contradiction", method=request.method, basis=error.basis, party=request.caller.party
        )


def _day(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1000, UTC).date().isoformat()


def _find_leaf(conn: Connection, row: dict[str, str]) -> bytes | None:
    """Leaf of today's identical refusal."""
    same = [tables.refusals.c[name] == value for name, value in row.items()]
    return conn.execute(select(tables.refusals.c.leaf).where(*same)).scalar()


def _count(conn: Connection, party: str, day: str) -> int:
    r = tables.refusals.c
    query = select(func.count()).where(r.party == party, r.day == day)
    return conn.execute(query).scalar_one()
