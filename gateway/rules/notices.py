"""How early a change is announced. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from xinyi.errors import Conflict, Invalid, Unknown
from xinyi.v1 import notice_pb2


def check_period(notice: notice_pb2.ChangeNotice, today: date, days: int) -> None:
    """Raises Invalid unless the notice comes early enough, or says why it cannot.

    Args:
        today: calendar day in China.
        days: calendar days from the announcement to the day it holds, at least.
    """
    left = (date.fromisoformat(notice.effective_on) - today).days
    if left < 0:
        raise Invalid(f"{notice.effective_on} is over: announce what is to come", basis="notice.effective_on")
    if left < days and not notice.urgent:
        raise Invalid(
            f"{left} days are too short: {days} are the notice period; take a later day, or say with --urgent "
            "why it cannot wait",
            basis="notice.period",
        )
    if left >= days and notice.urgent:
        raise Invalid(
            f"{left} days keep the notice period of {days}: this is not urgent", basis="notice.urgent"
        )


def check_replaces(replaced: Mapping[str, Any] | None, number: str) -> None:
    """Raises Unknown or Conflict unless the notice `number` is there and stands."""
    if replaced is None:
        raise Unknown(f"there is no notice {number} to replace", basis="notice.replaces")
    if replaced["replaced_by"] is not None:
        raise Conflict(
            f"notice {number} was replaced by {replaced['replaced_by']}: replace that one",
            basis="notice.replaces",
        )


def check_same_kind(replaced: notice_pb2.ChangeNotice, notice: notice_pb2.ChangeNotice) -> None:
    """Raises Invalid where a notice would take the place of one about something else, which nobody would see again."""
    if replaced.kind != notice.kind:
        word = notice_pb2.NoticeKind.Name(replaced.kind).removeprefix("NOTICE_KIND_").lower()
        raise Invalid(
            f"notice {replaced.number} is one of kind {word}: only such a one takes its place; announce this beside it",
            basis="notice.replaces",
        )
