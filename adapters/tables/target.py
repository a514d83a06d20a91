"""Where an edition can land: what a database and a file have in common.

    a FULL                      stage, write …, written, rows, publish
    a DELTA or CORRECTION       stage, write …, written, merge, rows, [recall,] publish
    a CORRECTION of the past    stage, write …, written, recall

A target that keeps files for another system's loader does the same: what `merge` and `publish` would do there at
once goes into the files, in the order in which that system has to load them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    #: The target's own name of what it shows; empty for what is staged and becomes visible.
    relation: str
    #: Records of the edition's state that are shown, and those that are not.
    accepted: int
    rejected: int
    #: Of the edition's records.
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


#: A visible row: its own columns…, then the tuple of the shared ones. The first column is the taxpayer's identifier.
Shown = tuple[Any, ...]
#: position, why it is not shown (the rule that refused it, GONE, ABSENT) or None, the row as it would be shown
Row = tuple[int, str | None, Shown]

#: The taxpayer has left: of the row, the identifier and its kind alone are told.
GONE = "gone"
#: A CORRECTION's row of a taxpayer that is not among the records this target shows.
ABSENT = "absent"


@dataclass(frozen=True)
class Recall:
    """A CORRECTION that takes rows back."""

    product: str
    #: Manifest digests in hex: its own, and that of the first edition that was wrong.
    correction: str
    corrects: str
    sequence: int
    received_at_ms: int


@dataclass(frozen=True)
class Recalled:
    """One row that a CORRECTION took back."""

    product: str
    taxpayer_id: str
    correction: str
    corrects: str
    sequence: int
    #: "gone" or "changed".
    what: str
    received_at_ms: int


class Target(Protocol):
    """Where an edition lands. Holds one edition's work at a time."""

    def landed(self, product: str) -> Landed | None:
        """Which edition is shown; None where nothing landed, or what did is lost."""
        ...

    def lost(self, product: str) -> str:
        """Of what it was made to show, a table or file that somebody took away; empty where nothing is missing."""
        ...

    def stage(self, sequence: int) -> None:
        """Begins an edition beside the visible one, over whatever an interrupted run left."""
        ...

    def write(self, rows: Sequence[Row]) -> None:
        """The next records, in order. Those with a reason are kept with it, where there is a place, and not shown."""
        ...

    def written(self) -> None:
        """The last record is in: makes it durable, builds the index. Nothing to do behind `reopen`."""
        ...

    def reopen(self, landed: Landed) -> None:
        """Looks at the visible edition again instead of staging one."""
        ...

    def merge(self, base: Landed) -> int:
        """Puts the staged rows in the place of those of the same taxpayers in the visible edition.

        Every staged row removes the row of its taxpayer; one without a reason, or with a rule's, then takes its
        place. Begins a transaction that `publish` ends and `close` undoes: until then readers see what was there.

        Args: base — what `landed` gave. Raises Conflict where something else landed meanwhile.

        Returns how many shown rows it removed.
        """
        ...

    def rows(self) -> Iterator[Shown]:
        """The accepted records of the staged edition, in order: as staged, or behind `merge` as they stand among
        the others."""
        ...

    def recall(self, recall: Recall) -> None:
        """Writes down every staged row as taken back; those that are already stay as they are.

        In the transaction that `merge` began, or in one of its own.
        """
        ...

    def publish(self, landed: Landed, disputes: Mapping[str, str] | None) -> None:
        """Makes the staged edition the visible one, or what was merged, at once.

        Args: disputes — identifier → ISO date since when its record is under objection; they replace those there
        were. None leaves those.
        """
        ...

    def recalled(self, product: str) -> Iterator[Recalled]:
        """What was taken back, the latest first."""
        ...

    def discard(self) -> None:
        """Drops what is staged and not visible, and editions that are visible no more."""
        ...

    def close(self) -> None: ...
