"""What a recipient has to take next, and whether it may: the same for a pull, a watch and what is queued."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection

from gateway import recalls
from gateway.delivery import check_may_receive
from gateway.exchange import Exchange
from gateway.rules import deliveries as rules
from gateway.rules import editions as ways
from gateway.store import deliveries, editions
from xinyi.errors import NotEntitled


def due(conn: Connection, now_ms: int, recipient: str, product: str, held: bytes) -> list[bytes]:
    """Manifest digests in the order they are to be taken; empty where nothing is.

    A recall that lies off the way, or behind what the recipient rejected, comes first, and last once it was offered: a
    bank gives its receipts when it has landed, and must come to what else there is before. Who may get nothing new is
    given its open recalls and no more: what it took of them is not due again.

    Args:
        held: digest of the newest edition the recipient builds on, by its own word; `held_by` where it gives none.

    Raises NotEntitled, with the reason's basis, where nothing may be given and nothing is recalled.
    """
    try:
        check_may_receive(Exchange(conn, now_ms), recipient, product)
    except NotEntitled:
        recalled = _recalled(conn, recipient, product)
        if not recalled:
            raise
        given = deliveries.deliveries_to(conn, recipient, product)
        return sorted(recalled, key=lambda digest: bool(given[digest]["state"] != "QUEUED"))
    published = editions.ever_published(conn, product)
    ahead = ways.way(published, held)
    given = deliveries.deliveries_to(conn, recipient, product)
    rejected = _rejected(given)
    open_way = list(takewhile(lambda digest: digest not in rejected, ahead))
    # For the same reason what it says it holds need not be given once more.
    on_way = ways.built_on(published, held).union(open_way)
    off = [digest for digest in recalls.due(conn, recipient, product) if digest not in on_way | rejected]
    first = [digest for digest in off if given[digest]["state"] == "QUEUED"]
    return list(dict.fromkeys([*first, *open_way, *off, *ahead]))


def is_waiting(conn: Connection, now_ms: int, recipient: str, product: str) -> bool:
    """Whether there is something to take, by the recipient's receipts. What it rejected it asks for by itself, once
    it thinks of it otherwise: of that, and what stands behind it, it is not told.

    Raises as `due`.
    """
    found = due(conn, now_ms, recipient, product, held_by(conn, recipient, product))
    return bool(found) and found[0] not in _rejected(deliveries.deliveries_to(conn, recipient, product))


def held_by(conn: Connection, recipient: str, product: str) -> bytes:
    """The newest edition a recipient can build on, by its receipts; empty for none."""
    taken = {
        digest
        for digest, row in deliveries.deliveries_to(conn, recipient, product).items()
        if row["state"] in rules.TAKEN
    }
    return ways.held_of(editions.ever_published(conn, product), taken)


def _rejected(given: Mapping[bytes, Mapping[str, Any]]) -> set[bytes]:
    return {digest for digest, row in given.items() if row["state"] == "REJECTED"}


def _recalled(conn: Connection, recipient: str, product: str) -> list[bytes]:
    try:
        return recalls.due(conn, recipient, product)
    except NotEntitled:
        return []  # the first reason is the better one
