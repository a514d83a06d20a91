"""Life of an edition at the gateway: which decision leads from which state to which. Pure.

    (intake) ─▶ READY ──approval──▶ PUBLISHED ──next edition──▶ SUPERSEDED
         └────▶ HELD ──release──▶ READY
    READY, HELD ──cancellation──▶ CANCELLED      PUBLISHED, SUPERSEDED ──stop──▶ STOPPED

A published edition never changes; a mistake is answered by a later edition. Editions build on each other: a DELTA or
CORRECTION on its predecessor, back to a FULL.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence, Set
from typing import Any

from xinyi.errors import Conflict, Contradiction, NotEntitled
from xinyi.v1 import edition_pb2

#: States of an edition that may leave.
DELIVERABLE = ("PUBLISHED", "SUPERSEDED")

_FULL = edition_pb2.EDITION_KIND_FULL
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


def check_place(
    manifest: edition_pb2.Manifest, chain: Sequence[Mapping[str, Any]], *, same_key: bool
) -> None:
    """Raises Conflict unless the manifest follows the newest edition of its origin and product.

    Contradiction where its place is taken.

    Args:
        chain: that edition and those before it, newest first, back to the FULL it builds on; empty for the first.
        same_key: whether the manifest commits to that edition's blinding key.
    """
    newest = chain[0] if chain else None
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
    if newest is None:
        return
    if newest["state"] in ("READY", "HELD"):
        raise Conflict(
            "the preceding edition awaits a decision: approve or cancel it first", basis="edition.predecessor"
        )
    if (manifest.period.year, manifest.period.month) < (newest["year"], newest["month"]):
        raise Conflict("the period lies before that of the preceding edition", basis="edition.period")
    _check_year(manifest, newest["year"], same_key=same_key)
    if manifest.kind != _FULL and any(edition["state"] == "STOPPED" for edition in chain):
        raise Conflict(
            "an edition that this one builds on was stopped: publish a FULL", basis="edition.after_stop"
        )


def _check_year(manifest: edition_pb2.Manifest, year: int, *, same_key: bool) -> None:
    """A year begins with a FULL that blinds anew, and what changes within it keeps the blinding key.

    A FULL within the year may blind anew as well: a bureau that lost its salts has no other way on.
    """
    if manifest.kind == _FULL:
        if manifest.period.year != year and same_key:
            raise Conflict("the first edition of a year blinds anew", basis="edition.blinding_key")
        return
    if manifest.period.year != year:
        raise Conflict(
            f"the first edition of {manifest.period.year} is a FULL: a DELTA or CORRECTION stays within its year",
            basis="edition.year",
        )
    if not same_key:
        raise Conflict(
            "a DELTA or CORRECTION has the blinding key of the edition before it", basis="edition.blinding_key"
        )


def check_corrects(manifest: edition_pb2.Manifest, corrected: Mapping[str, Any] | None) -> None:
    """Raises Conflict unless what a CORRECTION corrects was published before it by the same origin.

    One that was stopped since may be corrected, too: some had received it.
    """
    published = corrected if corrected is not None and corrected["approval"] is not None else {}
    if (published.get("origin"), published.get("product")) != (manifest.origin, manifest.product):
        raise Conflict(
            "a CORRECTION names a published edition of its own origin and product", basis="correction.corrects"
        )


def way(editions: Iterable[Mapping[str, Any]], held: bytes) -> list[bytes]:
    """From what is held to the newest edition that can be reached: digests, in the order they are taken.

    That is the deltas behind what is held, or, where a FULL stands between, the last FULL and what follows: a
    DELTA or CORRECTION is taken upon its own predecessor alone, so no other way has fewer records. What was
    stopped is on no way, nor is what builds on it but for those who hold it.

    Args:
        editions: of one origin and product that were ever published, newest first; read no further than needed.
        held: digest of the newest edition held; empty, or one of no such edition, for none.
    """
    ahead: list[bytes] = []
    for edition in editions:
        if edition["manifest_digest"] == held:
            break
        if edition["state"] not in DELIVERABLE:
            ahead = []
            continue
        ahead.append(edition["manifest_digest"])
        if edition["kind"] == _FULL:
            break
    else:
        return []
    return ahead[::-1]


def built_on(editions: Iterable[Mapping[str, Any]], held: bytes) -> set[bytes]:
    """What is held, and every edition that it came from by changes, back to a FULL: whoever holds it has them.

    Args: as in `way`.
    """
    found: set[bytes] = set()
    for edition in editions:
        if edition["manifest_digest"] == held or found:
            found.add(edition["manifest_digest"])
            if edition["kind"] == _FULL:
                break
    return found


def held_of(editions: Iterable[Mapping[str, Any]], taken: Container[bytes]) -> bytes:
    """The newest edition that a recipient can build upon; empty for none.

    A CORRECTION that reached it ahead of what lies between is taken, and not built upon.

    Args: editions — as in `way`; taken — digests of those it gave a receipt for.
    """
    standing = b""
    for edition in editions:
        if edition["manifest_digest"] not in taken:
            standing = b""
            continue
        standing = standing or edition["manifest_digest"]
        if edition["kind"] == _FULL:
            break
    else:
        return b""
    return bytes(standing)
