"""The sum tree over a bank's rows of a period: what a sealed table is bound to, and how one enterprise is opened.

    commitment  SHA-256("xinyi-lending-v1" NUL ‖ salt (32) ‖ exact bytes of a FirmLending)
    page        SHA-256("xinyi-lending-page-v1" NUL ‖ for each of up to 16 leaves, in order: commitment ‖ number of
                lanes (2) ‖ for each lane that is not 0, ascending: lane (2) ‖ value (8)); numbers big-endian
    tree        audit.sum_tree over the pages, in order of their leaves; a page's sums are those of its leaves

A leaf holds all rows of one enterprise, so enterprises are counted where their rows are. Leaves come in the order of
their commitments, which nobody can arrange: salts are random. Lanes are those of `xinyi.margins.Layout`; lane 0 counts
rows, so the sums to the left of a leaf say which rows it holds. Pages keep the tree small where leaves are many: above
them every node has all lanes.

Opening one leaf shows commitments and sums of its page, and sums of the subtrees beside the way up: amounts without
a name. Only an auditor gets them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from audit.envelope import parse_strict
from audit.sum_tree import Lanes, Node, SumTree, check_path
from xinyi.errors import DigestMismatch, Invalid, ProofInvalid
from xinyi.lending import check_firm_lending
from xinyi.margins import FULL, SUMS, Layout, lane_values, lanes_of, unpack_cell
from xinyi.v1 import lending_pb2

PAGE = 16
SALT_BYTES = 32
MOST_LANES = 1 << 16
_LEAF = b"xinyi-lending-v1\0"
_PAGE = b"xinyi-lending-page-v1\0"
_COUNT, _LANE = struct.Struct(">H"), struct.Struct(">HQ")
_sha256 = hashlib.sha256


def commitment(salt: bytes, record: bytes) -> bytes:
    """Args: record — exact bytes of a FirmLending."""
    return _sha256(_LEAF + salt + record).digest()


def entry(commitment_: bytes, sums: Mapping[int, int]) -> bytes:
    """What a leaf contributes to its page. Args: sums — as `LendingTree.add` takes them."""
    told: dict[int, tuple[int, int]] = {}
    parts, lanes = [commitment_, b""], 0
    for first in sorted(sums):
        packed = sums[first]
        # An enterprise has few different sums: those of a row stand in every dimension.
        many, within = told.get(packed) or told.setdefault(packed, _told(packed))
        lanes += many
        parts.append((within + first * _FIRST[many]).to_bytes(_LANE.size * many, "big"))
    parts[1] = _COUNT.pack(lanes)
    return b"".join(parts)


def _told(packed: int) -> tuple[int, int]:
    """How many lanes of a cell are not 0, and lane within the cell and value of each, as one big-endian number."""
    lanes = unpack_cell(packed)
    return len(lanes), int.from_bytes(_LANES[len(lanes)].pack(*chain.from_iterable(lanes)), "big")


_LANES = [struct.Struct(">" + "HQ" * many) for many in range(len(SUMS) + 1)]
#: By how many lanes there are: 1 in the place of each one's number, so that a cell's first lane is added to all.
_FIRST = [sum(1 << _LANE.size * 8 * place + 64 for place in range(many)) for many in range(len(SUMS) + 1)]


def page_digest(entries: Iterable[bytes]) -> bytes:
    return _sha256(_PAGE + b"".join(entries)).digest()


def page_of(lanes: Lanes, leaves: Sequence[tuple[bytes, Mapping[int, int]]]) -> tuple[bytes, int]:
    """Digest and packed sums of a page. Args: leaves — 1 to 16, as `LendingTree.add` takes them, in order.

    Raises Invalid where a sum is out of range.
    """
    total: dict[int, int] = {}
    for _, sums in leaves:
        for first, packed in sums.items():
            total[first] = added = total.get(first, 0) + packed
            if added & FULL:
                raise Invalid("a sum is out of range", basis="sums.range")
    return page_digest([entry(made, sums) for made, sums in leaves]), lanes.join(total)


@dataclass(frozen=True)
class Opened:
    """What proves one leaf."""

    page: list[tuple[bytes, dict[int, int]]]
    path: list[Node]


class LendingTree:
    """Grows leaf by leaf, in ascending order of commitments. Flat memory but for what is opened.

    Args: opened — leaves whose proofs are wanted. Raises Invalid for a layout of more than 65,536 lanes.
    """

    def __init__(self, layout: Layout, opened: Collection[int] = ()) -> None:
        if layout.lanes > MOST_LANES:
            raise Invalid("a table has more cells than a leaf can name", basis="margin.cells")
        self.leaves = 0
        self.lanes = Lanes(layout.lanes)
        self._wanted = {leaf // PAGE for leaf in opened}
        self._opened = frozenset(opened)
        self._tree = SumTree(self.lanes, self._wanted)
        self._page: list[tuple[bytes, Mapping[int, int]]] = []
        self._kept: dict[int, list[tuple[bytes, dict[int, int]]]] = {}

    def add(self, commitment_: bytes, sums: Mapping[int, int]) -> None:
        """Args: sums — `Layout.cell_sums`, or lane by lane as `Layout.sums`: the same leaf, only slower."""
        self._page.append((commitment_, sums))
        self.leaves += 1
        if len(self._page) == PAGE:
            self._close()

    def add_page(self, leaves: int, digest: bytes, sums: int) -> None:
        """A page that `page_of` made elsewhere, of which nothing is opened. Only the last has less than 16 leaves.

        Args: sums — packed.
        """
        self.leaves += leaves
        self._tree.add(digest, sums)

    def root(self) -> Node:
        """The end. Raises Invalid for a tree without leaves."""
        if self._page:
            self._close()
        return self._tree.root()

    def proofs(self) -> dict[int, Opened]:
        """Opened leaf → what proves it. Behind `root`."""
        return {
            leaf: Opened(self._kept[leaf // PAGE], self._tree.paths[leaf // PAGE])
            for leaf in sorted(self._opened)
            if leaf < self.leaves
        }

    def _close(self) -> None:
        page, self._page = self._page, []
        number = self._tree.size
        if number in self._wanted:
            self._kept[number] = [(made, dict(sorted(lanes_of(sums)))) for made, sums in page]
        self._tree.add(*page_of(self.lanes, page))


def sealed_root(table: lending_pb2.LendingTable) -> Node:
    """The root a table seals: its hash, and the sums its own cells tell. Raises Invalid where a sum is out of range."""
    values = lane_values(table)
    return Node(table.root, Lanes(len(values)).pack(enumerate(values)))


def opened_firm(index: int, salt: bytes, record: bytes, proof: Opened, lanes: Lanes) -> lending_pb2.OpenedFirm:
    """A leaf with what proves it, as it is shown to an auditor. `verify_firm` reads it."""
    page = [
        lending_pb2.PageEntry(
            commitment=made, lanes=[lending_pb2.Lane(lane=lane, value=sums[lane]) for lane in sorted(sums)]
        )
        for made, sums in proof.page
    ]
    path = [
        lending_pb2.PathNode(hash=node.hash, sums=node.sums.to_bytes(lanes.bytes, "little"))
        for node in proof.path
    ]
    return lending_pb2.OpenedFirm(index=index, salt=salt, record=record, page=page, path=path)


@dataclass(frozen=True)
class SealedTable:
    """A table, and what every opened enterprise of it is held against."""

    message: lending_pb2.LendingTable
    layout: Layout
    lanes: Lanes
    root: Node

    @classmethod
    def of(cls, table: lending_pb2.LendingTable) -> SealedTable:
        """Raises ProofInvalid for more lanes than there can be, Invalid where a sum is out of range."""
        layout = Layout.of(table)
        if layout.lanes > MOST_LANES:
            raise ProofInvalid("the table has more cells than a leaf can name", basis="sums.page")
        return cls(table, layout, Lanes(layout.lanes), sealed_root(table))


@dataclass(frozen=True)
class VerifiedFirm:
    """One enterprise's rows, proven under a table's root."""

    index: int
    firm: lending_pb2.FirmLending
    #: What lies before it, by lane: of lane 0, its first row's number in the table, from 0.
    before: list[int]
    sums: dict[int, int]


def verify_firm(sealed: SealedTable, opened: lending_pb2.OpenedFirm) -> VerifiedFirm:
    """
    1. the record is what its commitment commits to, and valid, 2. it adds what the page says, 3. the page is where it
    says, under the table's root and in its sums.

    Raises DigestMismatch, ProofInvalid, EncodingInvalid or Invalid: what is shown is not what was sealed.
    """
    table, lanes = sealed.message, sealed.lanes
    page_number, place = divmod(opened.index, PAGE)
    pages = -(-table.firms // PAGE)
    full = PAGE if page_number < pages - 1 else table.firms - (pages - 1) * PAGE
    if not opened.index < table.firms or len(opened.page) != full:
        raise ProofInvalid("the page is not one of the table's", basis="sums.page")
    page = [_page_entry(told, lanes.count) for told in opened.page]
    if any(before >= after for (before, _), (after, _) in pairwise(page)):
        raise ProofInvalid("the leaves are not in ascending order", basis="sums.page")
    # 1
    if len(opened.salt) != SALT_BYTES or commitment(opened.salt, opened.record) != page[place][0]:
        raise DigestMismatch("the rows are not those the bank committed to")
    firm = parse_strict(opened.record, lending_pb2.FirmLending)
    check_firm_lending(firm)
    if any(row.loan.currency != table.currency for row in firm.rows):
        raise ProofInvalid("a row is in another currency than the table", basis="sums.currency")
    # 2
    sums = sealed.layout.sums(firm)
    if sums != page[place][1]:
        raise ProofInvalid("the rows add something else than what was counted for them", basis="sums.leaf")
    # 3
    total: dict[int, int] = {}
    for _, told in page:
        for lane, value in told.items():
            total[lane] = total.get(lane, 0) + value
    path = [Node(node.hash, _packed(node.sums, lanes)) for node in opened.path]
    digest = page_digest(entry(made, told) for made, told in page)
    check_path(lanes, digest, lanes.pack(total.items()), page_number, pages, path, sealed.root)
    before = _before(lanes, page_number, pages, path)
    for _, told in page[:place]:
        for lane, value in told.items():
            before[lane] += value
    return VerifiedFirm(opened.index, firm, before, sums)


def _page_entry(told: lending_pb2.PageEntry, lanes: int) -> tuple[bytes, dict[int, int]]:
    numbers = [lane.lane for lane in told.lanes]
    ascending = all(before < after for before, after in pairwise(numbers))
    fits = ascending and (not numbers or numbers[-1] < lanes) and all(lane.value for lane in told.lanes)
    if len(told.commitment) != 32 or not fits:
        raise ProofInvalid("a page's entry has another form", basis="sums.page")
    return told.commitment, {lane.lane: lane.value for lane in told.lanes}


def _packed(sums: bytes, lanes: Lanes) -> int:
    if len(sums) != lanes.bytes:
        raise ProofInvalid("a node has another number of sums", basis="sums.path")
    return int.from_bytes(sums, "little")


def _before(lanes: Lanes, page: int, pages: int, path: Sequence[Node]) -> list[int]:
    """What lies left of a page: the subtrees beside the way up that are on its left."""
    total, place, last, rest = 0, page, pages - 1, iter(path)
    while last:
        if place & 1:
            total += next(rest).sums
        elif place < last:
            next(rest)
        place, last = place >> 1, last >> 1
    return lanes.unpack(total)
