"""The sum tree: totals are those of its leaves, every leaf proves that it is counted, and no sum moves unseen."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.sum_tree import LANE_BITS, LANE_MAX, Lanes, Node, SumTree, check_path
from xinyi.errors import Invalid, ProofInvalid

LANES = Lanes(3)
ROWS = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32), st.lists(st.integers(0, 10**15), min_size=3, max_size=3)),
    min_size=1,
    max_size=70,
)


def packed(values: list[int]) -> int:
    return LANES.pack(enumerate(values))


def plainly(rows: list[tuple[bytes, list[int]]]) -> tuple[bytes, list[int]]:
    """The definition, word by word: (hash, sums) of the tree over rows."""
    if len(rows) == 1:
        entry, values = rows[0]
        return hashlib.sha256(b"\0" + as_bytes(values) + entry).digest(), values
    split = 1
    while split * 2 < len(rows):
        split *= 2
    (left, a), (right, b) = plainly(rows[:split]), plainly(rows[split:])
    told = b"\1" + as_bytes(a) + left + as_bytes(b) + right
    return hashlib.sha256(told).digest(), [x + y for x, y in zip(a, b, strict=True)]


def as_bytes(values: list[int]) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)


def grown(rows: list[tuple[bytes, list[int]]]) -> tuple[SumTree, Node]:
    tree = SumTree(LANES, range(len(rows)))
    for entry, values in rows:
        tree.add(entry, packed(values))
    return tree, tree.root()


@given(ROWS)
def test_the_root_is_the_definition_s(rows: list[tuple[bytes, list[int]]]) -> None:
    _, root = grown(rows)
    assert (root.hash, LANES.unpack(root.sums)) == plainly(rows)


@given(ROWS, st.data())
def test_every_leaf_proves_that_it_is_counted_and_nothing_else_does(
    rows: list[tuple[bytes, list[int]]], data: st.DataObject
) -> None:
    tree, root = grown(rows)
    index, size = data.draw(st.integers(0, len(rows) - 1)), len(rows)
    (entry, values), path = rows[index], tree.paths[index]
    check_path(LANES, entry, packed(values), index, size, path, root)
    lane = data.draw(st.integers(0, 2))
    more = [value + (place == lane) for place, value in enumerate(values)]
    false = [
        (bytes(32) if any(entry) else b"\1" * 32, values, index, size, path, root),
        (entry, more, index, size, path, root),
        (entry, values, index, size, [*path, Node(bytes(32), 0)], root),
        (entry, values, size, size, path, root),
        (entry, values, index, size, path, Node(root.hash, root.sums + 1)),
        (entry, values, index, size, path, Node(bytes(32), root.sums)),
    ]
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        changed = Node(path[place].hash, packed([v + 1 for v in LANES.unpack(path[place].sums)]))
        false.append((entry, values, index, size, [*path[:place], changed, *path[place + 1 :]], root))
        false.append((entry, values, index, size, path[:place] + path[place + 1 :], root))
    for entry_, values_, index_, size_, path_, root_ in false:
        with pytest.raises(ProofInvalid):
            check_path(LANES, entry_, packed(values_), index_, size_, path_, root_)


def test_sums_cannot_be_moved_from_one_child_to_the_other() -> None:
    """The total stays, the shares do not: whoever is shown the left row must not be told another right one."""
    rows = [(b"\1" * 32, [100, 0, 0]), (b"\2" * 32, [50, 0, 0])]
    tree, root = grown(rows)
    lighter = Node(tree.paths[0][0].hash, packed([40, 0, 0]))
    with pytest.raises(ProofInvalid):
        check_path(LANES, rows[0][0], packed([110, 0, 0]), 0, 2, [lighter], root)


@pytest.mark.parametrize("sums", [1 << LANE_BITS - 1, 1 << LANE_BITS * 3, -1])
def test_a_sum_out_of_range_is_refused(sums: int) -> None:
    """A borrowed bit would make one lane smaller than its parts."""
    rows = [(b"\1" * 32, [1, 1, 1]), (b"\2" * 32, [1, 1, 1])]
    tree, root = grown(rows)
    for shown, path in ((sums, tree.paths[0]), (packed([1, 1, 1]), [Node(tree.paths[0][0].hash, sums)])):
        with pytest.raises(ProofInvalid) as refused:
            check_path(LANES, rows[0][0], shown, 0, 2, path, root)
        assert refused.value.basis == "sums.range"


def test_what_no_lane_can_hold_is_refused() -> None:
    assert LANES.unpack(LANES.pack([(1, LANE_MAX), (2, 5), (2, 6)])) == [0, LANE_MAX, 11]
    for values in ([(0, -1)], [(3, 1)], [(0, LANE_MAX), (0, 1)], [(0, LANE_MAX + 1)]):
        with pytest.raises(Invalid):
            LANES.pack(values)
    with pytest.raises(Invalid):
        SumTree(LANES).root()
