"""What is still open where the log ends: no falsehood, but the reader is told who waits, for how long.

    open_recalls, open_objections    one by one, the first 1,000
    open                             how many by party, and since how many days the oldest
"""

from __future__ import annotations

from typing import Any

from audit.verification.findings import LISTED
from audit.verification.run import Run
from xinyi.days import DAY_MS


def note(run: Run, what: str, party: str, since_ms: int, **details: Any) -> None:
    """Args:
    what: recalls or objections.
    party: on whom it waits.
    since_ms: by the gateway's clock; days are counted up to the last entry of the log.
    details: of the one, beside its days.
    """
    days = max(run.notes.last_recorded() - since_ms, 0) // DAY_MS
    told = run.report.notes.setdefault(f"open_{what}", [])
    if len(told) < LISTED:
        told.append(details | {"days": days})
    parties = run.report.notes.setdefault("open", {}).setdefault(what, {})
    known = parties.setdefault(party, {"count": 0, "days": 0})
    known["count"] += 1
    known["days"] = max(known["days"], days)
