"""From staged rows to a table's cells and root, with the rows in the tree's order, which stay here.

    rows.db   leaves(number, commitment, salt, record): what a challenge opens
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from adapters.bank.lending.staging import Staging
from audit.lending_tree import LendingTree
from xinyi.margins import ALL, TOTAL, Layout, sums_of
from xinyi.v1 import lending_pb2

ROWS = "rows.db"
_CREATE = "CREATE TABLE leaves (number INTEGER PRIMARY KEY, commitment BLOB, salt BLOB, record BLOB)"


@dataclass(frozen=True)
class Built:
    """What the rows come to. Without rows there is no root and there are no margins."""

    rows: int
    firms: int
    root: bytes
    margins: list[lending_pb2.Margin]


def build(staging: Staging, path: Path, advance: Callable[[int], object] = lambda leaves: None) -> Built:
    """Writes rows.db into the folder, durably, and grows the tree over it.

    Args: staging — settled; advance — is told after each so many leaves.

    Raises Invalid where a sum is out of range.
    """
    rows, firms = staging.group()
    file = path / ROWS
    file.unlink(missing_ok=True)
    layout = Layout(_in_order(staging))
    tree = LendingTree(layout)
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        # Nobody reads the file before the folder has its name; a crash until then leaves one to be thrown away.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -4096", _CREATE):
            db.execute(setting if setting == _CREATE else f"PRAGMA {setting}")
        db.execute("BEGIN")
        db.executemany("INSERT INTO leaves VALUES (?, ?, ?, ?)", _grown(staging, layout, tree, advance))
        db.execute("COMMIT")
    with file.open("rb") as written:
        os.fsync(written.fileno())
    if not firms:
        return Built(0, 0, b"", [])
    root = tree.root()
    return Built(rows, firms, root.hash, layout.margins(tree.lanes.unpack(root.sums)))


def _in_order(staging: Staging) -> list[tuple[str, str]]:
    """The cells that occur, as a table has them; the total's always."""
    places = {dimension: place for place, dimension in enumerate(staging.dimensions)}
    return sorted({(TOTAL, ALL), *staging.occurring()}, key=lambda cell: (places[cell[0]], cell[1]))


def _grown(
    staging: Staging, layout: Layout, tree: LendingTree, advance: Callable[[int], object]
) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    bases = [layout.places.get(cell, 0) for cell in staging.cells]
    for number, leaf in enumerate(staging.leaves()):
        placed = [([bases[cell] for cell in cells] if added else [], added) for cells, added in leaf.rows]
        tree.add(leaf.commitment, sums_of(placed))
        yield number, leaf.commitment, leaf.salt, leaf.record
        if number % 10_000 == 9_999:
            advance(10_000)

