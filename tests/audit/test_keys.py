"""Keys: what may be registered, what a signature under it proves, what a private file must be."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from audit import pins
from audit.keys import (
    ECDSA_P256,
    ED25519,
    FileSigner,
    Keyring,
    check_public_key,
    generate_private_key,
    is_person,
    keyid,
    party_of,
)
from tests.audit.story import Cast
from xinyi.errors import Invalid, SignatureInvalid
from xinyi.v1 import party_pb2

HOLDER = "xinyi://test-city/bank-1/machine/main"
DOCUMENT = party_pb2.KEY_PURPOSE_DOCUMENT
_SPKI = bytes.fromhex("302a300506032b6570032100")

# Every encoding of a point of order 1, 2, 4 or 8: eight points, and the ways of writing them that are not
# canonical (y ≥ p, or a sign on x = 0). Known from "Taming the many EdDSAs" (2020), table 1.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
NOT_CANONICAL = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    # y = p + 3 and p + 4 would be points of large order, written in a second way.
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
NO_POINT = ["0200000000000000000000000000000000000000000000000000000000000000"]


def public(raw: bytes) -> party_pb2.PublicKey:
    return party_pb2.PublicKey(algorithm=ED25519, spki=_SPKI + raw, party="test-city/bank-1", holder=HOLDER)


@pytest.mark.parametrize("raw", SMALL_ORDER + NOT_CANONICAL + NO_POINT)
def test_weak_ed25519_keys_are_refused(raw: str) -> None:
    """Under such a key a signature proves nothing: its holder could later deny every message."""
    with pytest.raises(Invalid):
        check_public_key(public(bytes.fromhex(raw)))
    with pytest.raises(Invalid):
        Keyring([public(bytes.fromhex(raw))])


def test_the_weakness_is_real() -> None:
    """OpenSSL takes a signature of all zeros under the point of order 1 for any message: hence the check."""
    identity = bytes.fromhex(SMALL_ORDER[0])
    ed25519.Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), b"whatever is denied")


def test_strong_keys_are_accepted() -> None:
    """Both algorithms; 200 Ed25519 keys, of either sign."""
    for _ in range(200):
        raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        check_public_key(public(raw))
    check_public_key(p256(ec.generate_private_key(ec.SECP256R1()).public_key()))


def p256(key: object) -> party_pb2.PublicKey:
    spki = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return party_pb2.PublicKey(algorithm=ECDSA_P256, spki=spki, party="test-city/bank-1", holder=HOLDER)


def test_keys_of_other_kinds_and_forms_are_refused() -> None:
    """Other curve, other algorithm than registered, compressed point, trailing bytes, no key at all."""
    good = p256(ec.generate_private_key(ec.SECP256R1()).public_key())
    compressed = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = compressed.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    header = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    for key in (
        p256(ec.generate_private_key(ec.SECP384R1()).public_key()),
        p256(rsa.generate_private_key(65537, 2048).public_key()),
        party_pb2.PublicKey(algorithm=ED25519, spki=good.spki),
        party_pb2.PublicKey(algorithm=ECDSA_P256, spki=public(b"\x09" + bytes(31)).spki),
        party_pb2.PublicKey(algorithm=ECDSA_P256, spki=good.spki + b"\0"),
        party_pb2.PublicKey(algorithm=ECDSA_P256, spki=header + point),
        party_pb2.PublicKey(algorithm=ECDSA_P256, spki=good.spki[:-1] + bytes([good.spki[-1] ^ 1])),
        party_pb2.PublicKey(algorithm=ECDSA_P256, spki=b""),
        party_pb2.PublicKey(spki=good.spki),
    ):
        with pytest.raises(Invalid):
            check_public_key(key)


@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_P256])
def test_a_private_file_signs_and_its_public_key_verifies(
    tmp_path: Path, algorithm: party_pb2.KeyAlgorithm
) -> None:
    """From file to signature to verdict; another message, or a cut signature, is refused."""
    generate_private_key(tmp_path / "key.pem", algorithm)
    signer = FileSigner.load(tmp_path / "key.pem", holder=HOLDER, purpose=DOCUMENT)
    assert signer.key.party == "test-city/bank-1"
    ring, signature = Keyring([signer.key]), signer.sign(b"message")
    assert ring.verify(keyid(signer.key), signature, b"message") == signer.key
    assert ring.verify("unknown", signature, b"message") is None
    for wrong, message in ((signature, b"Message"), (signature[:-1], b"message"), (b"", b"message")):
        with pytest.raises(SignatureInvalid):
            ring.verify(keyid(signer.key), wrong, message)


def test_a_private_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """And one is never overwritten."""
    path = tmp_path / "key.pem"
    generate_private_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        generate_private_key(path)
    path.chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        FileSigner.load(path, holder=HOLDER, purpose=DOCUMENT)


def test_a_private_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """RSA and other curves sign nothing here."""
    for number, private in enumerate(
        (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()))
    ):
        path = tmp_path / f"{number}.pem"
        path.touch(mode=0o600)
        path.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        with pytest.raises(Invalid):
            FileSigner.load(path, holder=HOLDER, purpose=DOCUMENT)


@pytest.mark.parametrize(
    "holder",
    ["", "test-city/bank-1/machine/main", "xinyi://test-city/bank-1/robot/main", "xinyi://a/b/person/",
     "xinyi://a/b/person/c/d", "xinyi://A/b/person/c", "xinyi://a/b_c/person/d", "xinyi://a/-b/person/d",
     "xinyi://a/b/person/c\n", "xinyi://" + "a" * 41 + "/b/person/c"],
)  # fmt: skip
def test_a_name_that_is_not_whole_is_refused(holder: str) -> None:
    """Every part of a whole name is a lower-case DNS label."""
    with pytest.raises(Invalid):
        party_of(holder)


def test_persons_are_told_from_machines() -> None:
    """The fourth word of a whole name says which it is."""
    assert is_person("xinyi://a/b/person/c")
    assert not is_person("xinyi://a/b/machine/person")


def test_a_key_file_is_taken_only_whole_and_true(cast: Cast) -> None:
    """Every field there, none besides, the fingerprint that of the key, the holder of its party."""
    good = pins.to_json(cast.maker.key)
    assert pins.from_json(good) == cast.maker.key
    for change in (
        {"fingerprint": "0" * 64},
        {"spki": "AAAA"},
        {"spki": "不"},
        {"algorithm": "rsa"},
        {"purpose": "anything"},
        {"party": "test-city/bank-1"},
        {"holder": "somebody"},
        {"more": "x"},
        {"holder": 7},
    ):
        with pytest.raises(Invalid):
            pins.from_json(good | change)
    for name in good:
        with pytest.raises(Invalid):
            pins.from_json({k: v for k, v in good.items() if k != name})


def test_a_typed_fingerprint_must_be_the_whole_one(cast: Cast) -> None:
    """Blanks, colons and capitals do not matter; a missing digit does."""
    fingerprint = keyid(cast.maker.key)
    spaced = ":".join(fingerprint[i : i + 4] for i in range(0, 64, 4)).upper()
    pins.check_fingerprint(cast.maker.key, spaced)
    for typed in (fingerprint[:-1], fingerprint[:16], "", keyid(cast.bank.key)):
        with pytest.raises(Invalid):
            pins.check_fingerprint(cast.maker.key, typed)
