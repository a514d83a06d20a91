"""From staged rows to a table's cells and root, with the rows in the tree's order, which stay here.

    rows.db   leaves(number, commitment, salt, record): what a challenge opens
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from adapters.bank.lending.scratch import open_scratch
from adapters.bank.lending.staging import Leaf, Staging, unpack_counted
from audit.lending_tree import PAGE, LendingTree, page_of
from audit.sum_tree import Lanes
from xinyi.margins import ALL, TOTAL, Layout, Sums, sums_of
from xinyi.processes import Crew, Inline, Processes, in_order
from xinyi.v1 import lending_pb2

#: Leaves that go to a child at a time, in whole pages; up to so many enterprises this process counts alone.
_BATCH = 64 * PAGE
_ALONE = 10_000
ROWS = "rows.db"
_CREATE = "CREATE TABLE leaves (number INTEGER PRIMARY KEY, commitment BLOB, salt BLOB, record BLOB)"


@dataclass(frozen=True)
class Built:
    """What the rows come to. Without rows there is no root and there are no margins."""

    rows: int
    firms: int
    root: bytes
    margins: list[lending_pb2.Margin]


def build(staging: Staging, path: Path, counted: Callable[[int], object] = lambda leaves: None) -> Built:
    """Writes rows.db into the folder, durably, and grows the tree over it, on all cores where the rows are many.

    Args: staging — settled; counted — is told now and then how many leaves there are.

    Raises Invalid where a sum is out of range.
    """
    rows, firms = staging.group()
    layout = Layout(_in_order(staging))
    tree = LendingTree(layout)
    with _Rows(path / ROWS) as kept, _crew(firms) as crew:
        for leaves, pages in in_order(crew, _pages, _batches(staging, layout, kept)):
            for place, (digest, sums) in enumerate(pages):
                tree.add_page(min(PAGE, leaves - place * PAGE), digest, sums)
            counted(tree.leaves)
    if not firms:
        return Built(0, 0, b"", [])
    root = tree.root()
    return Built(rows, firms, root.hash, layout.margins(tree.lanes.unpack(root.sums)))


class _Rows:
    """rows.db as it is written. Nobody reads it before its folder has its name: what a crash leaves is thrown away."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Rows:
        self._db = open_scratch(self._path, 4096)
        self._db.execute(_CREATE)
        self._db.execute("BEGIN")
        return self

    def add(self, first: int, leaves: Sequence[Leaf]) -> None:
        numbered = ((number, *leaf[:3]) for number, leaf in enumerate(leaves, first))
        self._db.executemany("INSERT INTO leaves VALUES (?, ?, ?, ?)", numbered)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        self._db.close()
        if kind is None:
            with self._path.open("rb") as written:
                os.fsync(written.fileno())


def _crew(firms: int) -> AbstractContextManager[Crew]:
    return Processes() if firms > _ALONE else nullcontext(Inline())


#: Leaves with what is staged of their rows; what of them the tree needs: lanes, the cells' first lanes, dimensions.
_Batch = tuple[list[tuple[bytes, bytes]], int, list[int], int]


def _batches(staging: Staging, layout: Layout, kept: _Rows) -> Iterator[_Batch]:
    bases = [layout.places.get(cell, 0) for cell in staging.cells]
    leaves, first = staging.leaves(), 0
    while batch := list(islice(leaves, _BATCH)):
        kept.add(first, batch)
        first += len(batch)
        counted = [(leaf.commitment, leaf.counted) for leaf in batch]
        yield counted, layout.lanes, bases, len(staging.dimensions)


def _pages(
    leaves: list[tuple[bytes, bytes]], lanes: int, bases: list[int], dimensions: int
) -> tuple[int, list[tuple[bytes, int]]]:
    """How many leaves, and digest and sums of their pages. In a child."""
    summed = [(made, _sums(bases, dimensions, counted)) for made, counted in leaves]
    form = _lanes(lanes)
    return len(leaves), [page_of(form, summed[at : at + PAGE]) for at in range(0, len(summed), PAGE)]


def _sums(bases: list[int], dimensions: int, counted: bytes) -> Sums:
    rows = unpack_counted(dimensions, counted)
    # A row in which nothing is has no cells.
    return sums_of([([bases[cell] for cell in cells] if added else (), added) for cells, added in rows])


_lanes = lru_cache(maxsize=1)(Lanes)


def _in_order(staging: Staging) -> list[tuple[str, str]]:
    """The cells that occur, as a table has them; the total's always."""
    places = {dimension: place for place, dimension in enumerate(staging.dimensions)}
    return sorted({(TOTAL, ALL), *staging.occurring()}, key=lambda cell: (places[cell[0]], cell[1]))

