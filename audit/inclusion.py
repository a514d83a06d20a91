"""Inclusion proofs of many leaves under one head: each tile is hashed once, not once for each proof.

Knows nothing of what an entry means.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from audit import merkle
from audit.bulk import read_rows
from audit.checkpoint import Checkpoint
from audit.log import Tree, log_entries
from xinyi.errors import ProofInvalid, Unavailable, Unknown

#: Complete tiles that are remembered with all their levels: 16 KiB each.
REMEMBERED = 1024
_TILE_BYTES = 256 * 32

#: Hashes of one tile's subtrees of 1, 2, 4, … leaves, each level packed.
_Levels = list[bytes]


@dataclass(frozen=True)
class Included:
    """An entry of the log and its place under a head."""

    index: int
    salt: bytes
    opening: bytes
    proof: list[bytes]


class Prover:
    """Proves entries of one log. Safe to share between threads; complete tiles never change."""

    def __init__(self) -> None:
        self._complete: OrderedDict[tuple[int, int], _Levels] = OrderedDict()
        self._lock = threading.Lock()

    def prove(self, conn: Connection, head: Checkpoint, leaves: Sequence[bytes]) -> list[Included]:
        """In the order of the leaves, each proof checked here first.

        Raises Unknown for a leaf this log never had, Unavailable for one that the head does not cover yet,
        ProofInvalid where the tree in the database does not lead to the head.
        """
        rows = read_rows(conn, {log_entries: [(leaf,) for leaf in leaves]}, by=("leaf",))[log_entries]
        tree, found = _Tree(conn, head.size, self), []
        for leaf in leaves:
            row = rows[leaf,]
            if row is None:
                raise Unknown("this log has no such leaf", basis="log.leaf")
            index = row["position"]
            if index is None or index >= head.size:
                raise Unavailable("the log has not published its newest entries yet; try again")
            proof = tree.proven(leaf, index, head)
            found.append(Included(index, row["salt"], row["opening"], proof))
        return found

    def remembered(self, place: tuple[int, int]) -> _Levels | None:
        with self._lock:
            if (levels := self._complete.get(place)) is not None:
                self._complete.move_to_end(place)
            return levels

    def remember(self, place: tuple[int, int], levels: _Levels) -> None:
        with self._lock:
            self._complete[place] = levels
            while len(self._complete) > REMEMBERED:
                self._complete.popitem(last=False)


class _Tree(Tree):
    """The log's tree with the levels inside its tiles kept."""

    def __init__(self, conn: Connection, size: int, prover: Prover) -> None:
        super().__init__(conn, size)
        self._prover = prover
        self._levels: dict[tuple[int, int], _Levels] = {}
        #: Level → hash of its last subtree, where that is not complete.
        self._edge: dict[int, bytes] = {}
        #: Lowest tile → the path of its leaves from its root on.
        self._beyond: dict[int, list[bytes]] = {}
        #: Complete lowest tiles that were found under the head.
        self._checked: set[int] = set()

    def proven(self, leaf: bytes, index: int, head: Checkpoint) -> list[bytes]:
        """The leaf's proof. A complete tile is checked once: its levels are hashed from its leaves, its root is under
        the head. Raises ProofInvalid.
        """
        proof, number, hashed = self.inclusion(index, head.size), index >> 8, merkle.leaf_hash(leaf)
        levels = self._of_tile(0, number)
        # Also one that is complete by now, where the head was signed before it was.
        if number + 1 << 8 > head.size:
            merkle.check_inclusion(hashed, index, head.size, proof, head.root)
            return proof
        if number not in self._checked:
            root, tiles = merkle.node_hash(levels[7][:32], levels[7][32:]), (head.size - 1 >> 8) + 1
            merkle.check_inclusion(root, number, tiles, self._beyond[number], head.root)
            self._checked.add(number)
        if levels[0][32 * (index & 255) :][:32] != hashed:
            raise ProofInvalid(f"leaf {index} is not the one in the log's tree")
        return proof

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """As merkle.inclusion_proof: first within the leaf's tile, then on, which is the same for its whole tile."""
        number = index >> 8
        if number not in self._beyond:
            self._beyond[number] = list(self._siblings(number, size - 1 >> 8, 8, size))
        return [*self._siblings(index, size - 1, 0, size), *self._beyond[number]]

    def _siblings(self, node: int, last: int, level: int, size: int) -> Iterator[bytes]:
        """From a node of a level up, to the end of its tile or, above the lowest tiles, to the root.

        Args: last — the last node of the level.
        """
        end = 8 if level == 0 else 64
        levels = self._of_tile(0, node >> 8) if level == 0 else None
        while last and level < end:
            sibling = node ^ 1
            if sibling < last or (sibling == last and (last + 1) << level <= size):
                if levels is None:
                    yield self.node(level, sibling)
                else:
                    start = 32 * (sibling & 255 >> level)
                    yield levels[level][start : start + 32]
            elif sibling == last:
                if level not in self._edge:
                    self._edge[level] = merkle.range_root(self.node, last << level, size)
                yield self._edge[level]
            node, last, level = node >> 1, last >> 1, level + 1

    def node(self, level: int, index: int) -> bytes:
        tile_level, rest = divmod(level, 8)
        number, offset = divmod(index << rest, 256)
        start = 32 * (offset >> rest)
        return self._of_tile(tile_level, number)[rest][start : start + 32]

    def _of_tile(self, level: int, number: int) -> _Levels:
        place = (level, number)
        if (own := self._levels.get(place)) is not None:
            return own
        levels = self._prover.remembered(place)
        if levels is None:
            hashes = self.tile(level, number)
            levels = _levels(hashes)
            if len(hashes) == _TILE_BYTES:
                self._prover.remember(place, levels)
        self._levels[place] = levels
        return levels


def _levels(hashes: bytes) -> _Levels:
    levels = [hashes]
    while len(below := levels[-1]) >= 64 and len(levels) < 8:
        pairs = range(0, len(below) - 32, 64)
        levels.append(b"".join(merkle.node_hash(below[i : i + 32], below[i + 32 : i + 64]) for i in pairs))
    return levels
