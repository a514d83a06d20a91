"""The bucket tree over all records of an edition's state: what they come to is one root, updated where they change.

    entry        = blinded key (32) ‖ commitment (32)
    bucket b     = the entries whose key begins with the 14 bits of b, ascending
    its digest   = SHA-256("xinyi-bucket-v1" NUL ‖ entries)
    state root   = RFC 6962 root over the 16,384 bucket digests, as leaf hashes

The number of buckets is fixed, so that an entry that comes or goes moves no other one: where 1 % of the records
change, only their buckets are hashed again. A bucket shown whole with its path proves what is in it, and what is
not, without a name. Pure.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from audit import merkle
from xinyi.errors import ProofInvalid

BITS = 14
COUNT = 1 << BITS
ENTRY_BYTES = 64

_DOMAIN = b"xinyi-bucket-v1\0"
_KEY_BYTES = 32
#: first and last bucket, bytes of head and tail
_RUN = struct.Struct(">HHII")
_sha256 = hashlib.sha256
_EMPTY = _sha256(_DOMAIN).digest()

#: blinded key → commitment, or None where the record is gone.
Change = tuple[bytes, bytes | None]


def number_of(key: bytes) -> int:
    """The bucket of a blinded key."""
    return key[0] << 6 | key[1] >> 2


def digest(entries: bytes) -> bytes:
    return _sha256(_DOMAIN + entries).digest()


def find(entries: bytes, key: bytes) -> bytes | None:
    """The commitment under a blinded key in a bucket; None where it holds none."""
    for start in range(0, len(entries), ENTRY_BYTES):
        if entries[start : start + _KEY_BYTES] == key:
            return entries[start + _KEY_BYTES : start + ENTRY_BYTES]
    return None


def changed(entries: bytes, changes: Iterable[Change], *, strict: bool) -> bytes:
    """A bucket's entries after changes to some of its keys.

    Args:
        strict: whether a key that is gone must have been there.

    Raises ProofInvalid.
    """
    held = {
        entries[start : start + _KEY_BYTES]: entries[start + _KEY_BYTES : start + ENTRY_BYTES]
        for start in range(0, len(entries), ENTRY_BYTES)
    }
    for key, commitment in changes:
        if commitment is not None:
            held[key] = commitment
        elif held.pop(key, None) is None and strict:
            raise ProofInvalid("a taxpayer is gone that was not among the records", basis="state.gone")
    return b"".join(key + held[key] for key in sorted(held))


def by_bucket(changes: Iterable[Change]) -> dict[int, list[Change]]:
    found: dict[int, list[Change]] = {}
    for change in changes:
        found.setdefault(number_of(change[0]), []).append(change)
    return found


class Digests:
    """The digests of all buckets. Empty ones at first."""

    def __init__(self, packed: bytes = b"") -> None:
        """Args: packed — as `packed` gave it."""
        self._digests = [packed[i : i + 32] for i in range(0, len(packed), 32)] if packed else [_EMPTY] * COUNT
        if len(self._digests) != COUNT:
            raise ValueError(f"a state has {COUNT} buckets")

    def __getitem__(self, number: int) -> bytes:
        return self._digests[number]

    def update(self, digests: Mapping[int, bytes]) -> None:
        """Args: digests — bucket → its digest."""
        for number, value in digests.items():
            self._digests[number] = value

    @property
    def packed(self) -> bytes:
        return b"".join(self._digests)

    def root(self) -> bytes:
        return merkle.root(self._digests)

    def path(self, number: int) -> list[bytes]:
        """From the digest of a bucket to the root: 14 hashes."""
        path, level, index = [], list(self._digests), number
        while len(level) > 1:
            path.append(level[index ^ 1])
            level = [merkle.node_hash(a, b) for a, b in zip(level[::2], level[1::2], strict=True)]
            index >>= 1
        return path


def check_bucket(entries: bytes, number: int, path: Sequence[bytes], state_root: bytes) -> None:
    """Raises ProofInvalid unless these are exactly the entries of this bucket under a manifest's state root."""
    keys = [entries[start : start + _KEY_BYTES] for start in range(0, len(entries), ENTRY_BYTES)]
    if len(entries) % ENTRY_BYTES or any(number_of(key) != number for key in keys):
        raise ProofInvalid("these are no entries of this bucket", basis="state.bucket")
    if any(a >= b for a, b in pairwise(keys)):
        raise ProofInvalid("the entries of a bucket are not strictly ascending", basis="state.bucket")
    merkle.check_inclusion(digest(entries), number, COUNT, path, state_root)


def cut(keys: Sequence[bytes], entries: bytes) -> list[tuple[int, bytes]]:
    """(bucket, its entries) of ascending records, at least one; buckets without any are left out.

    Args: keys, entries — of the same records.
    """
    found, place = [], 0
    while place < len(keys):
        number = number_of(keys[place])
        beyond = (number + 1 << 2).to_bytes(3, "big")[1:] if number + 1 < COUNT else b"\xff" * (_KEY_BYTES + 1)
        end = bisect_left(keys, beyond, place)
        found.append((number, entries[place * ENTRY_BYTES : end * ENTRY_BYTES]))
        place = end
    return found


def state_of(entries: Sequence[bytes]) -> Digests:
    """Args: entries — all of a state, ascending, each by itself."""
    digests = Digests()
    held = cut([entry[:_KEY_BYTES] for entry in entries], b"".join(entries))
    digests.update({number: digest(own) for number, own in held})
    return digests


@dataclass(frozen=True)
class Run:
    """Ascending entries cut into buckets. Those at both ends may go on in the runs beside it, and stay entries."""

    first: int
    head: bytes
    #: Bucket → digest, of those between.
    inner: tuple[tuple[int, bytes], ...]
    #: Of the last bucket; none where it is the first.
    last: int
    tail: bytes

    @classmethod
    def of(cls, keys: Sequence[bytes], entries: bytes) -> Run:
        """Args: as `cut`."""
        (first, head), *others = cut(keys, entries)
        last, tail = others.pop() if others else (first, b"")
        return cls(first, head, tuple((number, digest(part)) for number, part in others), last, tail)

    @property
    def packed(self) -> bytes:
        inner = b"".join(number.to_bytes(2, "big") + value for number, value in self.inner)
        return _RUN.pack(self.first, self.last, len(self.head), len(self.tail)) + self.head + self.tail + inner

    @classmethod
    def unpack(cls, packed: bytes) -> Run:
        """Args: packed — as `packed` gave it."""
        first, last, head, tail = _RUN.unpack_from(packed)
        middle, start = _RUN.size + head, _RUN.size + head + tail
        inner = tuple(
            (int.from_bytes(packed[i : i + 2], "big"), packed[i + 2 : i + 34])
            for i in range(start, len(packed), 34)
        )
        return cls(first, packed[_RUN.size : middle], inner, last, packed[middle:start])


class Gathering:
    """Runs that come one behind the other, and the digests they come to."""

    def __init__(self) -> None:
        self.digests = Digests()
        self._number = -1
        self._entries = b""

    def add(self, run: Run) -> None:
        """Raises ProofInvalid where it does not ascend."""
        if run.first < self._number:
            raise ProofInvalid("buckets do not ascend", basis="state.bucket")
        if run.first > self._number:
            self._number, self._entries = run.first, b""
        self._entries += run.head
        self.digests.update({run.first: digest(self._entries)} | dict(run.inner))
        if run.last > run.first:
            self._number, self._entries = run.last, run.tail
            self.digests.update({run.last: digest(run.tail)})
