"""Life of a challenge to a bank's table: OPEN ──answer──▶ ANSWERED; OPEN ──▶ UNANSWERED ──answer──▶ LATE. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from xinyi.errors import Conflict, Invalid, NotEntitled, Unknown
from xinyi.v1 import lending_pb2

Row = Mapping[str, Any]

#: How long a head may be followed by another one already: to fetch it, and to seal the challenge, takes that long.
HEAD_AGE_MS = 120_000


def check_table(challenge: lending_pb2.Challenge, table: Row | None) -> None:
    """Raises Unknown or Invalid unless the table was recorded here, with rows, and is the named bank's."""
    if table is None:
        raise Unknown("there is no such table", basis="challenge.table")
    if table["bank"] != challenge.bank:
        raise Invalid(f"the table is of {table['bank']}", basis="challenge.bank")
    if table["row_count"] == 0:
        raise Invalid("the table has no rows", basis="challenge.table")


def check_head(size: int, index: int | None, followed_at_ms: int | None, now_ms: int) -> None:
    """Raises Conflict unless the challenge's head could be known to nobody when the table was sealed, and is new.

    Args:
        size: leaves of its tree.
        index: of the table's entry; None where it has none yet.
        followed_at_ms: when the first entry that it does not cover was recorded; None where it is the newest.
    """
    if index is None or size <= index:
        raise Conflict(
            "the bank could have known this checkpoint when it sealed the table: take the newest one",
            basis="challenge.checkpoint",
        )
    if followed_at_ms is not None and now_ms - followed_at_ms > HEAD_AGE_MS:
        raise Conflict(
            f"this checkpoint was followed by another one more than {HEAD_AGE_MS // 60_000} minutes ago: take the "
            "newest one, so that nobody chooses among seeds",
            basis="challenge.checkpoint",
        )


def check_due(due_on: str, today: date) -> None:
    """Raises Invalid for a day that is over. Args: today — calendar day in China."""
    if date.fromisoformat(due_on) < today:
        raise Invalid(f"due on {due_on}, and that day is over", basis="challenge.due_on")


def check_answerable(challenge: Row | None, bank: str) -> None:
    """Raises Unknown, NotEntitled or Conflict unless the bank may answer it now."""
    if challenge is None:
        raise Unknown("there is no such challenge", basis="challenge_answer.challenge")
    if challenge["bank"] != bank:
        raise NotEntitled("a bank answers challenges to its own tables", basis="challenge_answer.challenge")
    if challenge["state"] not in ("OPEN", "UNANSWERED"):
        raise Conflict("this challenge was answered, with another opening", basis="challenge_answer.challenge")


def is_over(due_on: str, today: date) -> bool:
    return date.fromisoformat(due_on) < today
