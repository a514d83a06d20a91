"""Checkpoints, verifier keys and `.tlog-proof` receipts: one form each, everything else refused."""

from __future__ import annotations

import base64

import pytest

from audit import checkpoint, merkle
from audit.checkpoint import TlogProof, VerifierKey
from tests.audit.story import ORIGIN, Cast
from xinyi.errors import EncodingInvalid, ExchangeError, HeadConflict, Invalid, ProofInvalid, SignatureInvalid

LEAVES = [n.to_bytes(33, "big") for n in range(9)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def node(level: int, index: int) -> bytes:
    return merkle.root(HASHES[index << level : (index + 1) << level])


def head(cast: Cast, size: int) -> checkpoint.Checkpoint:
    return checkpoint.sign(ORIGIN, size, merkle.root(HASHES[:size]), cast.log)


@pytest.fixture
def key(cast: Cast) -> VerifierKey:
    return VerifierKey.of(ORIGIN, cast.log)


def test_a_signed_head_is_read_back(cast: Cast, key: VerifierKey) -> None:
    """Origin, size and root, from the note alone."""
    for size in range(10):
        signed = head(cast, size)
        assert checkpoint.verify(signed.note, key) == signed
        assert (signed.origin, signed.size, signed.root) == (ORIGIN, size, merkle.root(HASHES[:size]))


def test_any_changed_byte_of_a_head_is_refused(cast: Cast, key: VerifierKey) -> None:
    """Every byte, every bit."""
    note = head(cast, 5).note
    for place in range(len(note)):
        for bit in range(8):
            changed = bytearray(note)
            changed[place] ^= 1 << bit
            with pytest.raises((EncodingInvalid, SignatureInvalid)):
                checkpoint.verify(bytes(changed), key)
    for cut in range(len(note)):
        with pytest.raises((EncodingInvalid, SignatureInvalid)):
            checkpoint.verify(note[:cut], key)


def test_cosignatures_of_others_are_passed_over(cast: Cast, key: VerifierKey) -> None:
    """Lines of witnesses stand beside the log's own; they neither help nor harm."""
    note = head(cast, 5).note
    other = "— witness.example " + base64.b64encode(b"abcd" + bytes(72)).decode() + "\n"
    assert checkpoint.verify(note + other.encode(), key).size == 5
    alone = note[: note.index("—".encode())] + other.encode()
    with pytest.raises(SignatureInvalid, match="not signed by"):
        checkpoint.verify(alone, key)


def test_a_head_that_is_signed_but_not_in_form_is_refused(cast: Cast, key: VerifierKey) -> None:
    """No extension lines, no leading zeros, 32 bytes of root, size at least 0."""
    root = base64.b64encode(bytes(32)).decode()
    for body in (
        f"{ORIGIN}\n05\n{root}\n",
        f"{ORIGIN}\n-1\n{root}\n",
        f"{ORIGIN}\n+1\n{root}\n",
        f"{ORIGIN}\n 1\n{root}\n",
        f"{ORIGIN}\n１\n{root}\n",
        f"{ORIGIN}\n1\n{root[:-4]}\n",
        f"{ORIGIN}\n1\n{root}\nextension\n",
        f"{ORIGIN}\n1\n",
        f"{ORIGIN}\n1\n{base64.b64encode(bytes(33)).decode()}\n",
    ):
        signature = base64.b64encode(key.key_hash + cast.log.sign(body.encode())).decode()
        with pytest.raises(EncodingInvalid):
            checkpoint.verify(f"{body}\n— {ORIGIN} {signature}\n".encode(), key)


def test_another_log_under_the_same_key_is_another_log(cast: Cast, key: VerifierKey) -> None:
    """The origin is part of what is verified."""
    other = checkpoint.sign(f"{ORIGIN}-2027", 5, bytes(32), cast.log)
    with pytest.raises(SignatureInvalid):
        checkpoint.verify(other.note, key)


def test_a_newer_head_extends_an_older_one(cast: Cast) -> None:
    """A smaller one, another root for one size, a proof that does not hold: each by its name."""
    old, new = head(cast, 3), head(cast, 9)
    proof = merkle.consistency_proof(node, 3, 9)
    checkpoint.check_newer(None, new, [])
    checkpoint.check_newer(old, new, proof)
    checkpoint.check_newer(new, new, [])
    with pytest.raises(HeadConflict, match="were seen before"):
        checkpoint.check_newer(new, old, proof)
    fork = checkpoint.sign(ORIGIN, 3, bytes(32), cast.log)
    with pytest.raises(HeadConflict, match="two different roots"):
        checkpoint.check_newer(old, fork, [])
    with pytest.raises(ProofInvalid):
        checkpoint.check_newer(fork, new, proof)


def test_a_receipt_holds_for_its_leaf_alone(cast: Cast, key: VerifierKey) -> None:
    """Through text and back; another leaf, index, hash or head is refused."""
    for size in range(1, 10):
        for index in range(size):
            proof = TlogProof(index, tuple(merkle.inclusion_proof(node, index, size)), head(cast, size).note)
            assert TlogProof.decode(proof.encode()) == proof
            assert proof.verify(LEAVES[index], key).size == size
            with pytest.raises(ProofInvalid):
                proof.verify(LEAVES[index] + b"x", key)
            with pytest.raises(ProofInvalid):
                TlogProof(size, proof.proof, proof.note).verify(LEAVES[index], key)


def test_any_changed_byte_of_a_receipt_is_refused(cast: Cast, key: VerifierKey) -> None:
    """Every byte, every bit of the text form."""
    proof = TlogProof(5, tuple(merkle.inclusion_proof(node, 5, 9)), head(cast, 9).note)
    text = proof.encode()
    for place in range(len(text)):
        for bit in range(8):
            changed = bytearray(text)
            changed[place] ^= 1 << bit
            with pytest.raises(ExchangeError):
                TlogProof.decode(bytes(changed)).verify(LEAVES[5], key)


def test_a_verifier_key_has_one_text(cast: Cast, key: VerifierKey) -> None:
    """Name, hash and key belong together; weak keys and other types are refused."""
    assert VerifierKey.parse(str(key)) == key
    name, key_hash, encoded = str(key).split("+", 2)
    weak = VerifierKey(name, b"\1" + bytes(31))
    for text in (
        "",
        name,
        f"{name}+{key_hash}",
        f"{name}x+{key_hash}+{encoded}",
        f"{name}+00000000+{encoded}",
        f"{name}+{key_hash}+{encoded[:-4]}",
        f"{name}+{key_hash}+不",
        str(weak),
    ):
        with pytest.raises((EncodingInvalid, Invalid)):
            VerifierKey.parse(text)


def test_a_log_key_is_an_ed25519_key(cast: Cast) -> None:
    """Signed notes of type 1 know no other."""

    class Other:
        key = cast.log.key.__class__(algorithm=2)

        def sign(self, message: bytes) -> bytes:
            return b""

    with pytest.raises(EncodingInvalid):
        VerifierKey.of(ORIGIN, Other())
