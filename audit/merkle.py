"""RFC 6962 Merkle trees with SHA-256: roots, inclusion and consistency proofs.

Pure. Proof verification recomputes everything from the leaf to the root and leaves no proof element unused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from xinyi.errors import ProofInvalid

EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_PROOF = 63

_sha256 = hashlib.sha256


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf)."""
    return _sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return _sha256(b"\1" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 root over leaf hashes (or over the roots of equal, complete subtrees and a last smaller one).

    An odd last node rises unchanged; it is never duplicated.
    """
    level = list(hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        paired = [_sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        if len(level) & 1:
            paired.append(level[-1])
        level = paired
    return level[0]


#: node(level, index): hash of the complete subtree over leaves [index·2^level, (index+1)·2^level).
NodeReader = Callable[[int, int], bytes]


def range_root(node: NodeReader, start: int, end: int) -> bytes:
    """Root over leaves [start, end), start aligned as RFC 6962 splits align it."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    split = 1 << ((size - 1).bit_length() - 1)
    return node_hash(range_root(node, start, start + split), range_root(node, start + split, end))


def inclusion_proof(node: NodeReader, index: int, size: int) -> list[bytes]:
    """RFC 6962 §2.1.1 audit path for leaf `index` in the tree of `size` leaves, leaf to root."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")

    def path(m: int, start: int, end: int) -> list[bytes]:
        n = end - start
        if n == 1:
            return []
        k = 1 << ((n - 1).bit_length() - 1)
        if m < k:
            return [*path(m, start, start + k), range_root(node, start + k, end)]
        return [*path(m - k, start + k, end), range_root(node, start, start + k)]

    return path(index, 0, size)


def path_over(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Audit path of one of these leaf hashes, or roots of equal, complete subtrees and a last smaller one."""
    return inclusion_proof(lambda level, i: root(hashes[i << level : (i + 1) << level]), index, len(hashes))


def consistency_proof(node: NodeReader, old: int, new: int) -> list[bytes]:
    """RFC 6962 §2.1.2 proof that the tree of `old` leaves begins the tree of `new`; empty for old = 0."""
    if not 0 <= old <= new:
        raise ValueError(f"no consistency from {old} to {new}")
    if old in (0, new):
        return []

    def subproof(m: int, start: int, end: int, complete: bool) -> list[bytes]:
        n = end - start
        if m == n:
            return [] if complete else [range_root(node, start, end)]
        k = 1 << ((n - 1).bit_length() - 1)
        if m <= k:
            return [*subproof(m, start, start + k, complete), range_root(node, start + k, end)]
        return [*subproof(m - k, start + k, end, False), range_root(node, start, start + k)]

    return subproof(old, 0, new, True)


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> None:
    """Raises ProofInvalid unless the leaf hash stands at `index` in the tree of `size` with this root.

    The proof's length must be exactly what index and size imply (RFC 9162 §2.1.3.2).
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"index {index} lies outside a tree of {size}")
    if len(proof) > MAX_PROOF or set(map(len, proof)) - {32}:
        raise ProofInvalid("inclusion proof is malformed")
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("inclusion proof is too long")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise ProofInvalid("inclusion proof is too short")
    if result != expected_root:
        raise ProofInvalid("inclusion proof leads to another root")


def check_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raises ProofInvalid unless the tree (old, old_root) is a prefix of (new, new_root) (RFC 9162 §2.1.4.2).

    old = 0 takes an empty proof and proves nothing but that.
    """
    if old > new:
        raise ProofInvalid(f"the newer tree has {new} leaves, the older one {old}")
    if len(proof) > MAX_PROOF or any(len(h) != 32 for h in proof):
        raise ProofInvalid("consistency proof is malformed")
    if old == new:
        if proof:
            raise ProofInvalid("consistency proof is too long")
        if old_root != new_root:
            raise ProofInvalid(f"two different roots for {old} leaves")
        return
    if old == 0:
        if proof:
            raise ProofInvalid("consistency proof is too long")
        if old_root != EMPTY_ROOT:
            raise ProofInvalid("the empty tree has another root")
        return
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofInvalid("consistency proof is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofInvalid("consistency proof is too long")
        if node & 1 or node == last:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            second = node_hash(second, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise ProofInvalid("consistency proof is too short")
    if first != old_root:
        raise ProofInvalid("consistency proof leads to another old root")
    if second != new_root:
        raise ProofInvalid("consistency proof leads to another new root")
