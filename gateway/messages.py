"""Lists that come in one message: as much as one has room for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import Message

from xinyi.server import MAX_MESSAGE_BYTES

M = TypeVar("M", bound=Message)

#: A list is full beyond this. What fills it goes along: one report or challenge is smaller than the other half.
FULL_BYTES = MAX_MESSAGE_BYTES // 2


def fitting(made: Iterable[M], full: int = FULL_BYTES) -> list[M]:
    """The first of them, at least one where there is one. What does not fit is not made."""
    found: list[M] = []
    size = 0
    for message in made:
        found.append(message)
        size += message.ByteSize()
        if size > full:
            break
    return found
