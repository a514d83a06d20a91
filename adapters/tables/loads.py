"""What a folder of loads consists of: files of rows in some format, and what is to be done with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, Protocol

from adapters.tables.columns import Column, Value
from adapters.tables.target import Landed, Recalled

#: In a file of changes: the row takes the place of its taxpayer's, or that one is taken away.
UPDATED, DELETED = "U", "D"
OPERATION = Column("operation", "text")
DISPUTES = (Column("taxpayer_id", "text"), Column("disputed_since", "text"))
RECALLS = tuple(
    Column(field.name, "integer" if field.name in ("sequence", "received_at_ms") else "text")
    for field in fields(Recalled)
)

Values = Sequence[Value]


@dataclass(frozen=True)
class Relation:
    """One file's rows. Its file has its name, and the format's ending."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Load:
    """One folder: what to load, behind which other load, and the edition that this comes to."""

    number: int
    #: "full" replaces all rows, "changes" some of them, "recall" none: it tells of rows that were taken back.
    kind: Literal["full", "changes", "recall"]
    #: Number of the load that "changes" build on; 0 for none.
    after: int
    #: What is shown when it is loaded; None for a recall.
    landed: Landed | None
    #: The files, and how many rows each has: of the edition, under objection, taken back.
    files: Mapping[Relation, int]

    @property
    def folder(self) -> str:
        return f"{self.number:06d}-{self.kind}"


class Writer(Protocol):
    def write(self, rows: Iterable[Values]) -> None: ...

    def close(self) -> None:
        """Makes the file durable."""
        ...


class Format(Protocol):
    """How rows lie in files."""

    #: Of the files that have rows.
    ending: str

    def create(self, folder: Path, relation: Relation) -> Writer:
        """A new file in the folder."""
        ...

    def read(self, folder: Path, relation: Relation, width: int) -> Iterator[tuple[Value, ...]]:
        """The first columns of every row, in order. Raises Conflict where the file is not as it was written."""
        ...

    def finish(self, folder: Path, load: Load) -> None:
        """Adds what the folder's files need to be loaded. Their rows were read back and compared before."""
        ...
