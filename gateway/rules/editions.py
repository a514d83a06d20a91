"""Life of an edition at the gateway: which decision leads from which state to which. Pure.

    (intake) ─▶ READY ──approval──▶ PUBLISHED ──next edition──▶ SUPERSEDED
         └────▶ HELD ──release──▶ READY
    READY, HELD ──cancellation──▶ CANCELLED      PUBLISHED, SUPERSEDED ──stop──▶ STOPPED

A published edition never changes; a mistake is answered by a later edition.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from xinyi.errors import Conflict, Contradiction, NotEntitled
from xinyi.v1 import edition_pb2

_NEXT = {
    ("READY", "approve"): "PUBLISHED",
    ("HELD", "release"): "READY",
    ("READY", "cancel"): "CANCELLED",
    ("HELD", "cancel"): "CANCELLED",
    ("PUBLISHED", "stop"): "STOPPED",
    ("SUPERSEDED", "stop"): "STOPPED",
    ("PUBLISHED", "supersede"): "SUPERSEDED",
}


def next_state(state: str, decision: str) -> str:
    """Raises Conflict, naming what is possible instead."""
    after = _NEXT.get((state, decision))
    if after is None:
        possible = sorted(word for before, word in _NEXT if before == state and word != "supersede")
        raise Conflict(
            f"{decision}: not possible for an edition that is {state}; "
            f"possible: {', '.join(possible) or 'nothing'}",
            basis="edition.state",
        )
    return after


def check_second_person(published: Set[str], decided: Set[str], *, is_person: bool) -> None:
    """Raises NotEntitled where one who published an edition would also approve or release it.

    Args:
        published: holders and ids of all keys that sealed the manifest, and who issued it.
        decided: the same of the decision.
    """
    if not is_person:
        raise NotEntitled("approving and releasing take a person's key", basis="approval.person")
    if published & decided:
        raise NotEntitled(
            "who published an edition cannot approve or release it", basis="approval.second_person"
        )


def check_place(manifest: edition_pb2.Manifest, newest: Mapping[str, Any] | None) -> None:
    """Raises Conflict unless the manifest follows the newest edition of its origin and product.

    Contradiction where its place is taken.
    """
    if newest is not None and manifest.sequence <= newest["sequence"]:
        raise Contradiction(
            f"edition number {manifest.sequence} is here with another manifest; the newest is number "
            f"{newest['sequence']}",
            basis="edition.conflict",
        )
    sequence = 1 if newest is None else newest["sequence"] + 1
    predecessor = b"" if newest is None else newest["manifest_digest"]
    if manifest.sequence != sequence or manifest.predecessor != predecessor:
        raise Conflict(
            f"expected edition number {sequence} after {predecessor.hex()[:16] or 'none'}, got number "
            f"{manifest.sequence} after {manifest.predecessor.hex()[:16] or 'none'}",
            basis="edition.sequence",
        )
    if newest is not None and newest["state"] in ("READY", "HELD"):
        raise Conflict(
            "the preceding edition awaits a decision: approve or cancel it first", basis="edition.predecessor"
        )
    if newest is not None and (manifest.period.year, manifest.period.month) < (
        newest["year"],
        newest["month"],
    ):
        raise Conflict("the period lies before that of the preceding edition", basis="edition.period")
