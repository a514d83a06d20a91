"""Ways from a bucket to the state root of an edition, without hashing 16,384 digests for each.

The upper half of each edition's tree is remembered once it was computed, and so are the parts of the lower half that
were asked for last: a dispute is asked about more than once, and SQLite reads 512 KiB to give 4 of them.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy import Connection

from audit import buckets, merkle
from gateway import states
from gateway.store import disclosures

#: Editions whose upper half is remembered: 8 KiB each.
REMEMBERED = 2048
#: Parts of lower halves that are remembered: 4 KiB each.
REMEMBERED_PARTS = 4096
#: Levels below the cut, and buckets under one node at the cut.
_LOWER = buckets.BITS // 2
_WIDTH = 1 << _LOWER

#: Hashes of a tree level by level, its leaves first, without the root.
_Levels = list[list[bytes]]
_sha256 = hashlib.sha256


class BucketPaths:
    """Safe to share between threads: the state after an edition never changes."""

    def __init__(self) -> None:
        self._upper: OrderedDict[bytes, _Levels] = OrderedDict()
        #: Edition and group → the digests of its buckets.
        self._parts: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def paths(self, conn: Connection, manifest_digests: Sequence[bytes], number: int) -> dict[bytes, list[bytes]]:
        """Edition → from the digest of one bucket after it to the state root: 14 hashes."""
        group = number >> _LOWER
        parts = self._parts_of(conn, manifest_digests, group)
        found = {}
        for digest in manifest_digests:
            below = _siblings(_levels(_cut(parts[digest])), number & _WIDTH - 1)
            found[digest] = below + _siblings(self._upper_of(conn, digest), group)
        return found

    def _parts_of(
        self, conn: Connection, manifest_digests: Sequence[bytes], group: int
    ) -> dict[bytes, bytes]:
        with self._lock:
            found = {d: self._parts[d, group] for d in manifest_digests if (d, group) in self._parts}
            for digest in found:
                self._parts.move_to_end((digest, group))
        missing = [digest for digest in manifest_digests if digest not in found]
        read = disclosures.digests_from(conn, missing, group * _WIDTH, _WIDTH) if missing else {}
        for digest in missing:
            if digest not in read:  # not derived yet, or lost: made from its chunks
                read[digest] = states.digests(conn, digest).packed[32 * group * _WIDTH :][: 32 * _WIDTH]
        with self._lock:
            self._parts |= {(digest, group): packed for digest, packed in read.items()}
            while len(self._parts) > REMEMBERED_PARTS:
                self._parts.popitem(last=False)
        return found | read

    def _upper_of(self, conn: Connection, manifest_digest: bytes) -> _Levels:
        with self._lock:
            if (known := self._upper.get(manifest_digest)) is not None:
                self._upper.move_to_end(manifest_digest)
                return known
        packed = states.digests(conn, manifest_digest).packed
        size = 32 * _WIDTH
        made = _levels([merkle.root(_cut(packed[i : i + size])) for i in range(0, len(packed), size)])
        with self._lock:
            self._upper[manifest_digest] = made
            while len(self._upper) > REMEMBERED:
                self._upper.popitem(last=False)
        return made


def _cut(packed: bytes) -> list[bytes]:
    return [packed[i : i + 32] for i in range(0, len(packed), 32)]


def _levels(hashes: list[bytes]) -> _Levels:
    levels = []
    while len(hashes) > 1:
        levels.append(hashes)
        # merkle.node_hash, written out: thousands of them are made for one answer.
        hashes = [_sha256(b"\1" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2], strict=True)]
    return levels


def _siblings(levels: _Levels, index: int) -> list[bytes]:
    return [level[index >> height ^ 1] for height, level in enumerate(levels)]
