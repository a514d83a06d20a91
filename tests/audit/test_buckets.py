"""The bucket tree: however a state came about, it has one root; a bucket shown whole proves what is in it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import buckets
from xinyi.errors import ProofInvalid

KEYS = st.binary(min_size=32, max_size=32)


def entries_of(state: dict[bytes, bytes]) -> list[bytes]:
    return [key + state[key] for key in sorted(state)]


def runs_of(entries: list[bytes], size: int) -> list[buckets.Run]:
    parts = [entries[i : i + size] for i in range(0, len(entries), size)]
    return [buckets.Run.of([entry[:32] for entry in part], b"".join(part)) for part in parts]


@given(
    st.dictionaries(KEYS, KEYS, max_size=40),
    st.dictionaries(KEYS, KEYS, max_size=20),
    st.integers(1, 9),
    st.data(),
)
def test_a_state_has_one_root_by_every_way(
    before: dict[bytes, bytes], told: dict[bytes, bytes], size: int, data: st.DataObject
) -> None:
    """Built at once, gathered from runs cut anywhere, or changed from the state before: the same digests."""
    gone = data.draw(st.sets(st.sampled_from(sorted(before)), max_size=len(before))) if before else set()
    after = {key: value for key, value in (before | told).items() if key not in gone}
    wanted = buckets.state_of(entries_of(after)).packed
    gathered = buckets.Gathering()
    for run in runs_of(entries_of(after), size):
        assert buckets.Run.unpack(run.packed) == run
        gathered.add(run)
    assert gathered.digests.packed == wanted
    state = buckets.state_of(entries_of(before))
    held = dict(buckets.cut(sorted(before), b"".join(entries_of(before)))) if before else {}
    changes: list[buckets.Change] = [*((k, v) for k, v in told.items() if k not in gone), *((k, None) for k in gone)]
    for number, own in buckets.by_bucket(changes).items():
        state.update({number: buckets.digest(buckets.changed(held.get(number, b""), own, strict=True))})
    assert state.packed == wanted


def test_a_bucket_proves_what_is_in_it_and_nothing_else_passes() -> None:
    chance = random.Random(1)
    state = {chance.randbytes(32): chance.randbytes(32) for _ in range(50_000)}
    digests = buckets.state_of(entries_of(state))
    root = digests.root()
    held = dict(buckets.cut(sorted(state), b"".join(entries_of(state))))
    for key in chance.sample(sorted(state), 20):
        number = buckets.number_of(key)
        path = digests.path(number)
        buckets.check_bucket(held[number], number, path, root)
        assert buckets.find(held[number], key) == state[key]
        assert buckets.find(held[number], bytes(32)) is None
        last = len(held[number]) - buckets.ENTRY_BYTES
        flipped = held[number][:-1] + bytes([held[number][-1] ^ 1])
        for wrong in (held[number][:last], held[number] * 2, flipped, held[number][:-1]):
            with pytest.raises(ProofInvalid):
                buckets.check_bucket(wrong, number, path, root)
        with pytest.raises(ProofInvalid):
            buckets.check_bucket(held[number], number ^ 1, path, root)
        with pytest.raises(ProofInvalid):
            buckets.check_bucket(held[number], number, path[:-1], root)


def test_what_was_not_there_cannot_be_gone() -> None:
    with pytest.raises(ProofInvalid) as refused:
        buckets.changed(b"", [(bytes(32), None)], strict=True)
    assert refused.value.basis == "state.gone"
    assert buckets.changed(b"", [(bytes(32), None)], strict=False) == b""


def test_runs_that_do_not_ascend_are_refused() -> None:
    first, second = (buckets.Run.of([k], k + bytes(32)) for k in (b"\0" * 32, b"\xff" * 32))
    gathered = buckets.Gathering()
    gathered.add(second)
    with pytest.raises(ProofInvalid):
        gathered.add(first)
