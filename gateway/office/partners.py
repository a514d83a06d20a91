"""Partners' states, as the operator changes them."""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.rules import partners as rules
from gateway.store import parties, tables
from xinyi.errors import Unknown, UsageInvalid
from xinyi.fields import check_no_identifier


def decide(x: Exchange, party: str, decision: str, reason: str, actor: str) -> str:
    """activate, suspend, terminate; returns the new state. Raises Unknown, Conflict, Invalid."""
    row = parties.find_party(x.conn, party)
    if row is None or row["kind"] == "GATEWAY":
        raise Unknown(f"there is no partner {party}", basis="partner.unknown")
    check_reason(reason)
    state = rules.next_state(row["state"], decision)
    x.replace(tables.parties, row | {"state": state, "changed_at_ms": x.now_ms})
    x.log(f"partner.{state.lower()}", actor=actor, counterparty=party, detail=reason)
    return state


def check_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageInvalid("state a reason: it stands in the log", basis="reason")
    check_no_identifier(reason, "the reason")
