"""What a partner may do, by its state and by what it is. Pure; deny by default.

    TESTING ─▶ ACTIVE ⇄ SUSPENDED ─▶ TERMINATED        (applied: a request nobody has admitted; no row)

A suspended partner gets no new data but keeps its duty, and so its right, to confirm what it got, and to be told
what of it was wrong; so does a terminated one. What it lent it reports while it is suspended, too: that is a duty over
what was, and the city's figures would lack it; a terminated one has nothing more to report. Heads and proofs are never
withheld from anybody who was once admitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xinyi.errors import Conflict, NotEntitled

TESTING, ACTIVE, SUSPENDED, TERMINATED = "TESTING", "ACTIVE", "SUSPENDED", "TERMINATED"

#: state → rights. read_log: heads and proofs; query: openings, exports; enter: new keys, certificates;
#: be_recalled: corrections of what it was given; report: what it lent.
_BY_STATE: dict[str, frozenset[str]] = {
    TESTING: frozenset({"read_log", "enter"}),
    ACTIVE: frozenset({"read_log", "enter", "confirm", "be_recalled", "receive", "report", "publish", "query"}),
    SUSPENDED: frozenset({"read_log", "enter", "confirm", "be_recalled", "report"}),
    TERMINATED: frozenset({"read_log", "confirm", "be_recalled"}),
}

#: kind → rights.
_BY_KIND: dict[str, frozenset[str]] = {
    "TAX_BUREAU": frozenset({"read_log", "enter", "publish"}),
    "BANK": frozenset({"read_log", "enter", "receive", "confirm", "be_recalled", "report"}),
    "CITY": frozenset({"read_log", "enter", "receive", "confirm", "be_recalled"}),
    "AUDITOR": frozenset({"read_log", "enter", "query"}),
    "GATEWAY": frozenset({"read_log"}),
}

_NEXT = {
    (TESTING, "activate"): ACTIVE,
    (SUSPENDED, "activate"): ACTIVE,
    (ACTIVE, "suspend"): SUSPENDED,
    (TESTING, "terminate"): TERMINATED,
    (ACTIVE, "terminate"): TERMINATED,
    (SUSPENDED, "terminate"): TERMINATED,
}


def check_right(party: Mapping[str, Any] | None, right: str) -> None:
    """Raises NotEntitled with basis partner.unknown, partner.kind, or partner.<state in lower case>."""
    if party is None:
        raise NotEntitled("this party was never admitted here", basis="partner.unknown")
    if right not in _BY_KIND.get(party["kind"], frozenset()):
        raise NotEntitled(f"a party of kind {party['kind']} has no right to {right}", basis="partner.kind")
    if right not in _BY_STATE.get(party["state"], frozenset()):
        raise NotEntitled(
            f"a partner that is {party['state']} may not {right}", basis=f"partner.{party['state'].lower()}"
        )


def next_state(state: str, decision: str) -> str:
    """Raises Conflict, naming what is possible instead."""
    after = _NEXT.get((state, decision))
    if after is None:
        possible = sorted(word for before, word in _NEXT if before == state)
        raise Conflict(
            f"a partner that is {state} cannot {decision}; possible: {', '.join(possible) or 'nothing'}",
            basis="partner.state",
        )
    return after
