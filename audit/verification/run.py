"""One verification under way: what it reads, what it trusts, where it notes and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audit.verification.exported import Description, Export
from audit.verification.findings import Report
from audit.verification.ledger import Ledger
from audit.verification.notes import Notes
from audit.verification.policy import Policy
from audit.verification.register import Register

#: (step, how much of it is done, of how much; 0 where that is not known)
Watch = Callable[[str, int, int], None]
#: How often a watcher hears of progress.
PACE = 1000


def unwatched(_step: str, _done: int, _total: int) -> None:
    """For runs that nobody looks at."""


@dataclass(frozen=True)
class Run:
    export: Export
    policy: Policy
    notes: Notes
    register: Register
    ledger: Ledger
    report: Report
    watch: Watch
    description: Description
