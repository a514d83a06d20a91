"""Merkle sum tree: totals that are bound to rows which their owner keeps.

Every leaf has an entry (a commitment to a row) and sums; every node above has the sums of what lies below it. Who
holds the root (its hash and its sums) can check one row, and that it is counted, from the row and a path alone.

    leaf   SHA-256(0x00 ‖ sums ‖ entry)
    node   SHA-256(0x01 ‖ sums of left ‖ hash of left ‖ sums of right ‖ hash of right)

A node's hash holds the sums of both children, not their total alone: with the total alone one child's sums could be
moved to the other (Chalkias, Lewi, Mohassel, Nikolaenko: Distributed Auditing Proofs of Liabilities, 2020, §3). The
shape is that of RFC 6962: an odd last subtree rises unchanged, none is duplicated.

Sums are lanes of 63 bits, packed into one integer: lane i begins at bit 64·i, its highest bit is always 0. So adding
two nodes is one addition, nothing is negative, and no lane runs over into the next one unseen.

A path shows the sums of the subtrees beside it, the lowest of which is one leaf (docs/decisions/0022).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audit.merkle import MAX_PROOF
from xinyi.errors import Invalid, ProofInvalid

ENTRY_BYTES = 32
LANE_BITS = 64
#: What a lane can hold: as fen, ninety thousand trillion yuan.
LANE_MAX = (1 << LANE_BITS - 1) - 1

_sha256 = hashlib.sha256


@dataclass(frozen=True)
class Node:
    hash: bytes
    #: Packed lanes.
    sums: int


class Lanes:
    """How many sums every node of one tree has, and their form."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.bytes = count * LANE_BITS // 8
        self._form = struct.Struct(f"<{count}Q")
        #: The highest bit of each lane.
        self._full = int.from_bytes((b"\0" * 7 + b"\x80") * count, "little")

    def pack(self, values: Iterable[tuple[int, int]]) -> int:
        """Args: values — lane and what it holds; a lane may come more than once.

        Raises Invalid for what no lane can hold.
        """
        held = [0] * self.count
        for lane, value in values:
            if not 0 <= lane < self.count or not 0 <= value <= LANE_MAX:
                raise Invalid(f"lane {lane} of {self.count} cannot hold {value}", basis="sums.range")
            held[lane] += value
            if held[lane] > LANE_MAX:
                raise Invalid(f"the sum in lane {lane} is out of range", basis="sums.range")
        return int.from_bytes(self._form.pack(*held), "little")

    def join(self, packed: Mapping[int, int]) -> int:
        """Args: packed — first lane → what that and the next ones hold. Raises Invalid for what no lane can hold."""
        sums = 0
        for lane, values in packed.items():
            sums += values << LANE_BITS * lane
        if sums & self._full or sums >> LANE_BITS * self.count:
            raise Invalid("a sum is out of range", basis="sums.range")
        return sums

    def unpack(self, sums: int) -> list[int]:
        return list(self._form.unpack(sums.to_bytes(self.bytes, "little")))

    def check(self, sums: int) -> int:
        """Raises ProofInvalid for a number that is no sums of this tree."""
        if not 0 <= sums < 1 << LANE_BITS * self.count or sums & self._full:
            raise ProofInvalid("a sum is out of range", basis="sums.range")
        return sums

    def leaf(self, entry: bytes, sums: int) -> Node:
        return Node(_sha256(b"\0" + sums.to_bytes(self.bytes, "little") + entry).digest(), sums)

    def node(self, left: Node, right: Node) -> Node:
        """Raises ProofInvalid where a sum leaves its lane."""
        size = self.bytes
        told = b"".join(
            (b"\1", left.sums.to_bytes(size, "little"), left.hash, right.sums.to_bytes(size, "little"), right.hash)
        )
        return Node(_sha256(told).digest(), self.check(left.sums + right.sums))


@dataclass
class _Subtree:
    """A complete subtree that still waits for what comes beside it."""

    height: int
    node: Node
    #: Paths of the opened leaves in it.
    paths: list[list[Node]] = field(default_factory=list)


class SumTree:
    """Grows leaf by leaf; holds as many nodes as it has levels.

    Args: opened — leaves whose paths are wanted.
    """

    def __init__(self, lanes: Lanes, opened: Collection[int] = ()) -> None:
        self.size = 0
        self._lanes = lanes
        self._opened = frozenset(opened)
        self._waiting: list[_Subtree] = []
        #: Opened leaf → its path, leaf to root; whole after `root`.
        self.paths: dict[int, list[Node]] = {}

    def add(self, entry: bytes, sums: int) -> None:
        """Args: entry — 32 bytes; sums — packed."""
        grown = _Subtree(0, self._lanes.leaf(entry, sums))
        if self.size in self._opened:
            self.paths[self.size] = []
            grown.paths.append(self.paths[self.size])
        self.size += 1
        while self._waiting and self._waiting[-1].height == grown.height:
            grown = self._joined(self._waiting.pop(), grown)
        self._waiting.append(grown)

    def root(self) -> Node:
        """The end: no leaf comes after it. Raises Invalid for a tree without leaves."""
        if not self._waiting:
            raise Invalid("a table without rows has no tree", basis="sums.empty")
        whole = self._waiting.pop()
        while self._waiting:
            whole = self._joined(self._waiting.pop(), whole)
        return whole.node

    def _joined(self, left: _Subtree, right: _Subtree) -> _Subtree:
        for path in left.paths:
            path.append(right.node)
        for path in right.paths:
            path.append(left.node)
        return _Subtree(
            left.height + 1, self._lanes.node(left.node, right.node), [*left.paths, *right.paths]
        )


def check_path(
    lanes: Lanes, entry: bytes, sums: int, index: int, size: int, path: Sequence[Node], root: Node
) -> None:
    """That leaf `index` of a tree of `size` leaves has this entry and these sums, and is counted in the root's.

    Args: path — what lies beside the way up, leaf to root (as RFC 9162 §2.1.3.2). Raises ProofInvalid.
    """
    if not 0 <= index < size or len(path) > MAX_PROOF or len(entry) != ENTRY_BYTES:
        raise ProofInvalid("no such place in the tree", basis="sums.path")
    node, place, last, rest = lanes.leaf(entry, lanes.check(sums)), index, size - 1, iter(path)
    while last:
        if place & 1 or place < last:
            beside = next(rest, None)
            if beside is None or len(beside.hash) != ENTRY_BYTES:
                raise ProofInvalid("the path is too short", basis="sums.path")
            lanes.check(beside.sums)
            node = lanes.node(beside, node) if place & 1 else lanes.node(node, beside)
        place, last = place >> 1, last >> 1
    if next(rest, None) is not None or node != root:
        raise ProofInvalid("the path does not lead to the sealed root", basis="sums.root")
