"""RFC 6962 trees: every size to 64 and every index, against a reference written from the definition."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from audit import merkle
from audit.tiles import TileStream, split_bundle
from xinyi.errors import EncodingInvalid, ProofInvalid

SIZES = range(65)
LEAVES = [n.to_bytes(33, "big") for n in range(1100)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def reference_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word by word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\1" + reference_root(hashes[:k]) + reference_root(hashes[k:])).digest()


ROOTS = [reference_root(HASHES[:size]) for size in SIZES]


def node(level: int, index: int) -> bytes:
    return reference_root(HASHES[index << level : (index + 1) << level])


def test_root_is_the_references() -> None:
    """Level by level gives what the recursive definition gives, from 0 to 130 leaves and at 1,024 and around."""
    for size in [*range(131), 1023, 1024, 1025]:
        assert merkle.root(HASHES[:size]) == reference_root(HASHES[:size])


def test_known_roots() -> None:
    """The roots of transparency-dev/merkle's and RFC 6962's test leaves, as published for both."""
    leaves = [b"", b"\0", b"\x10", b"\x20\x21", b"\x30\x31", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
    published = {
        0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in published.items():
        assert merkle.root([merkle.leaf_hash(leaf) for leaf in leaves[:size]]).hex() == root


def test_every_inclusion_proof_holds_and_every_changed_byte_fails() -> None:
    """All sizes to 64 × all indices; each byte of each proof changed once: no element is left unused."""
    for size in SIZES:
        for index in range(size):
            proof = merkle.inclusion_proof(node, index, size)
            merkle.check_inclusion(HASHES[index], index, size, proof, ROOTS[size])
            for place in range(len(proof)):
                for byte in (0, 31) if size > 16 else range(32):
                    changed = list(proof)
                    changed[place] = flipped(proof[place], byte)
                    with pytest.raises(ProofInvalid):
                        merkle.check_inclusion(HASHES[index], index, size, changed, ROOTS[size])


def test_inclusion_proof_belongs_to_one_leaf_index_size_and_root() -> None:
    """A valid proof for anything else is none: other leaf, other index, other size, other root."""
    for size in range(1, 33):
        for index in range(size):
            proof = merkle.inclusion_proof(node, index, size)
            for other in set(range(size + 2)) - {index}:
                with pytest.raises(ProofInvalid):
                    merkle.check_inclusion(HASHES[index], other, size, proof, ROOTS[size])
            for other in set(range(34)) - {size}:
                with pytest.raises(ProofInvalid):
                    merkle.check_inclusion(HASHES[index], index, other, proof, ROOTS[other])
            with pytest.raises(ProofInvalid):
                merkle.check_inclusion(HASHES[index + 1], index, size, proof, ROOTS[size])


def test_inclusion_proof_has_exactly_its_length() -> None:
    """Shorter, longer, reordered, with a short hash: refused."""
    for size, index in itertools.product((1, 2, 3, 7, 8, 33), (0, 1, 6, 32)):
        if index >= size:
            continue
        proof = merkle.inclusion_proof(node, index, size)
        wrong = [[*proof, bytes(32)], [bytes(32), *proof], [h[:31] for h in proof] or [b""]]
        wrong += [proof[1:], proof[:-1]] if proof else []
        wrong += [proof[::-1]] if len(proof) > 1 else []
        for changed in wrong:
            with pytest.raises(ProofInvalid):
                merkle.check_inclusion(HASHES[index], index, size, changed, ROOTS[size])


def test_every_consistency_proof_holds_and_every_changed_byte_fails() -> None:
    """All pairs of sizes to 64."""
    for old, new in itertools.combinations(range(1, 65), 2):
        proof = merkle.consistency_proof(node, old, new)
        merkle.check_consistency(old, new, proof, ROOTS[old], ROOTS[new])
        for place in range(len(proof)):
            for byte in (0, 31):
                changed = list(proof)
                changed[place] = flipped(proof[place], byte)
                with pytest.raises(ProofInvalid):
                    merkle.check_consistency(old, new, changed, ROOTS[old], ROOTS[new])


def test_consistency_proof_belongs_to_two_sizes_and_two_roots() -> None:
    """Other sizes, other roots, one element more or less: refused."""
    for old, new in itertools.combinations(range(1, 20), 2):
        proof = merkle.consistency_proof(node, old, new)
        for wrong_old, wrong_new in itertools.product(range(21), repeat=2):
            if (wrong_old, wrong_new) == (old, new) or wrong_old in (0, wrong_new):
                continue
            with pytest.raises(ProofInvalid):
                merkle.check_consistency(wrong_old, wrong_new, proof, ROOTS[wrong_old], ROOTS[wrong_new])
        for changed in (
            [*proof, bytes(32)],
            proof[:-1],
            proof[1:],
            [bytes(32), *proof],
            [h[:31] for h in proof],
        ):
            with pytest.raises(ProofInvalid):
                merkle.check_consistency(old, new, changed, ROOTS[old], ROOTS[new])
        with pytest.raises(ProofInvalid):
            merkle.check_consistency(old, new, proof, ROOTS[old + 1], ROOTS[new])
        with pytest.raises(ProofInvalid):
            merkle.check_consistency(old, new, proof, ROOTS[old], ROOTS[new + 1])


def test_size_zero_and_equal_sizes_take_an_empty_proof() -> None:
    """Size 0 has no inclusion; its consistency is empty and says nothing but that its root is the empty one."""
    assert merkle.root([]) == merkle.EMPTY_ROOT == hashlib.sha256(b"").digest()
    merkle.check_consistency(0, 5, [], merkle.EMPTY_ROOT, ROOTS[5])
    merkle.check_consistency(0, 0, [], merkle.EMPTY_ROOT, merkle.EMPTY_ROOT)
    merkle.check_consistency(5, 5, [], ROOTS[5], ROOTS[5])
    for old, new, proof, old_root, new_root in (
        (0, 5, [bytes(32)], merkle.EMPTY_ROOT, ROOTS[5]),
        (0, 5, [], ROOTS[1], ROOTS[5]),
        (5, 5, [], ROOTS[5], ROOTS[4]),
        (5, 5, [bytes(32)], ROOTS[5], ROOTS[5]),
        (5, 4, [], ROOTS[5], ROOTS[4]),
        (-1, 4, [], ROOTS[5], ROOTS[4]),
    ):
        with pytest.raises(ProofInvalid):
            merkle.check_consistency(old, new, proof, old_root, new_root)
    with pytest.raises(ProofInvalid):
        merkle.check_inclusion(HASHES[0], 0, 0, [], merkle.EMPTY_ROOT)
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(node, 0, 0)


def test_a_leaf_is_no_node() -> None:
    """Second preimage: an inner node, offered as a leaf, does not stand for its subtree."""
    left, right = LEAVES[0], LEAVES[1]
    forged = b"\1" + merkle.leaf_hash(left) + merkle.leaf_hash(right)
    assert merkle.leaf_hash(forged[1:]) != merkle.node_hash(forged[1:33], forged[33:])
    with pytest.raises(ProofInvalid):
        merkle.check_inclusion(merkle.leaf_hash(forged), 0, 1, [], ROOTS[2])


def test_no_list_shares_its_root_with_one_that_repeats_its_last_leaf() -> None:
    """CVE-2012-2459: an odd last node rises; it is never doubled."""
    for size in range(1, 64):
        assert merkle.root(HASHES[:size]) != merkle.root([*HASHES[:size], HASHES[size - 1]])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600, 1024])
def test_tiles_hold_every_node_and_lead_to_the_root(size: int) -> None:
    """Files of the tlog-tiles layout, made as leaves come by; the bundles give the leaves back."""
    stream, files = TileStream(), {}
    for leaf in LEAVES[:size]:
        files |= dict(stream.add(leaf))
    files |= dict(stream.finish())
    assert stream.root() == reference_root(HASHES[:size])
    bundles = [data for name, data in sorted(files.items()) if name.startswith("tile/entries/")]
    assert [leaf for data in bundles for leaf in split_bundle(data)] == LEAVES[:size]
    level0 = b"".join(data for name, data in sorted(files.items()) if name.startswith("tile/0/"))
    assert level0 == b"".join(HASHES[:size])
    full = [reference_root(HASHES[n : n + 256]) for n in range(0, size - 255, 256)]
    level1 = b"".join(data for name, data in sorted(files.items()) if name.startswith("tile/1/"))
    assert level1 == b"".join(full)


@pytest.mark.parametrize("data", [b"\0", bytes(35), b"\0\x21" + bytes(32), b"\0\x21" + bytes(34)])
def test_a_broken_bundle_is_refused(data: bytes) -> None:
    """Every leaf stands behind its length of 33."""
    with pytest.raises(EncodingInvalid):
        split_bundle(data)


def flipped(value: bytes, place: int) -> bytes:
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
