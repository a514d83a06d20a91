"""Where an edition can land: what a database and a file have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from adapters.tables.columns import Column


@dataclass(frozen=True)
class Landed:
    """Which edition a product shows."""

    product: str
    origin: str
    delivery_id: str
    manifest_digest: str
    sequence: int
    relation: str
    accepted: int
    rejected: int
    root: str
    landed_at_ms: int


@dataclass(frozen=True)
class Columns:
    """Of a message: those that differ from row to row, then those that thousands of rows share."""

    own: Sequence[Column]
    shared: Sequence[Column]

    @property
    def all(self) -> list[Column]:
        return [*self.own, *self.shared]


#: A visible row: its own columns…, then the tuple of the shared ones.
Shown = tuple[Any, ...]
#: position, rule that refused it or None, the row as it would be shown
Row = tuple[int, str | None, Shown]


class Target(Protocol):
    """Where an edition lands."""

    def landed(self, product: str) -> Landed | None: ...

    def stage(self, sequence: int) -> None:
        """Begins an edition beside the visible one, over whatever an interrupted run left."""
        ...

    def write(self, rows: Sequence[Row]) -> None:
        """The next records, in order."""
        ...

    def written(self) -> None:
        """The last record is in: makes it durable, builds the index. Nothing to do behind `reopen`."""
        ...

    def reopen(self, landed: Landed) -> None:
        """Looks at the visible edition again instead of staging one."""
        ...

    def rows(self) -> Iterator[Shown]:
        """The accepted records as they stand there, in order."""
        ...

    def publish(self, landed: Landed) -> None:
        """Makes the staged edition the visible one, at once."""
        ...

    def discard(self) -> None:
        """Drops what is staged and not visible, and editions that are visible no more."""
        ...

    def close(self) -> None: ...
