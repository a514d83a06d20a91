"""Keys: signing with a private key, verifying with a registered public one, refusing weak ones.

Decides which algorithms count and which public keys are acceptable. Knows nothing of who may sign what.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from xinyi import files
from xinyi.errors import Invalid, SignatureInvalid, Unavailable
from xinyi.v1 import party_pb2

ED25519 = party_pb2.KEY_ALGORITHM_ED25519
ECDSA_P256 = party_pb2.KEY_ALGORITHM_ECDSA_P256_SHA256
SM2 = party_pb2.KEY_ALGORITHM_SM2_SM3

# Order of the prime-order subgroup and the field prime of Ed25519 (RFC 8032 §5.1).
_P = 2**255 - 19
_D = (-121665 * pow(121666, _P - 2, _P)) % _P


class Signer(Protocol):
    """Signs with one key, wherever that key lives (file, PKCS#11 token, signature server)."""

    @property
    def key(self) -> party_pb2.PublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """Signature over exactly these bytes. Ed25519: 64 bytes; ECDSA: DER. Raises Unavailable."""
        ...


def keyid(key: party_pb2.PublicKey) -> str:
    """Lower-case hex SHA-256 of the DER SubjectPublicKeyInfo; also the fingerprint people compare."""
    return hashlib.sha256(key.spki).hexdigest()


@dataclass(frozen=True)
class FileSigner:
    """A PKCS#8 PEM private key in a file that only its owner can read."""

    key: party_pb2.PublicKey
    _private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    def sign(self, message: bytes) -> bytes:
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, ec.ECDSA(hashes.SHA256()))

    @classmethod
    def load(cls, path: Path, *, holder: str, purpose: party_pb2.KeyPurpose) -> FileSigner:
        """Raises Invalid where the file is readable by others or holds another kind of key."""
        private = private_key(read_private(path), path)
        if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise Invalid(f"{path} holds neither an Ed25519 nor a P-256 key", basis="keys.algorithm")
        return cls(public_key(private.public_key(), str(path), holder=holder, purpose=purpose), private)


def private_key(pem: bytes, path: Path) -> object:
    """Raises Invalid for what is no PEM private key, or one with a password."""
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(
            f"{path} holds no private key that can be read: restore it", basis="keys.private_file"
        ) from error


def read_private(path: Path) -> bytes:
    """Contents of a file that only its owner can read. Raises Invalid where others can as well."""
    if path.stat().st_mode & 0o077:
        raise Invalid(f"{path} can be read by others: chmod 600 {path}", basis="keys.private_file")
    return path.read_bytes()


def public_key(
    public: object, place: str, *, holder: str, purpose: party_pb2.KeyPurpose
) -> party_pb2.PublicKey:
    """As it is registered: the algorithm is the key's own. Raises Invalid for all but Ed25519 and P-256.

    Args:
        place: where the key lies, for the message.
    """
    if isinstance(public, ed25519.Ed25519PublicKey):
        algorithm = ED25519
    elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        algorithm = ECDSA_P256
    else:
        raise Invalid(f"{place} holds neither an Ed25519 nor a P-256 key", basis="keys.algorithm")
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return party_pb2.PublicKey(
        algorithm=algorithm, purpose=purpose, spki=spki, party=party_of(holder), holder=holder
    )


def generate_private_key(path: Path, algorithm: party_pb2.KeyAlgorithm = ED25519) -> None:
    """Writes a new private key (randomness of the operating system), mode 0600, refusing to overwrite."""
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == ED25519:
        private = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == ECDSA_P256:
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        raise Invalid("only Ed25519 and P-256 keys can be made here", basis="keys.algorithm")
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def replace_private_key(path: Path, waiting: Path, old: str) -> None:
    """Puts a waiting key into service; the old one stays beside it under its key id's first digits.

    A crash in between leaves the old key under two names and the new one waiting: done again, it is right.
    """
    kept = path.with_name(f"{path.stem}-{old[:16]}{path.suffix}")
    kept.unlink(missing_ok=True)
    kept.hardlink_to(path)
    waiting.replace(path)
    files.sync(path.parent)


_NAME = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
_HOLDER = re.compile(rf"xinyi://({_NAME}/{_NAME})/(?:machine|person)/{_NAME}")


def party_of(holder: str) -> str:
    """ "xinyi://city/party/person/name" → "city/party". Every part is a DNS label. Raises Invalid."""
    found = _HOLDER.fullmatch(holder)
    if found is None:
        raise Invalid(
            f"{holder!r:.160} is not xinyi://<city>/<party>/<machine or person>/<name> "
            "in lower-case letters, digits and hyphens",
            basis="name",
        )
    return found[1]


def is_person(holder: str) -> bool:
    return holder.split("/")[-2] == "person"


def check_public_key(key: party_pb2.PublicKey) -> None:
    """Refuses keys under which signatures prove nothing. Raises Invalid.

    Ed25519: non-canonical encodings and points of small order (OpenSSL accepts both; the holder could
    later deny every message). P-256: points that are not on the curve.
    """
    _check_public_key(key.algorithm, key.spki)


@lru_cache(maxsize=4096)  # a keyring is read again and again; arithmetic on the curve is slow in Python
def _check_public_key(algorithm: int, spki: bytes) -> None:
    if algorithm == SM2:
        return
    try:
        public = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("the public key cannot be read", basis="keys.encoding") from error
    encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if encoded != spki:
        raise Invalid("the public key is not in DER form", basis="keys.encoding")
    if algorithm == ED25519 and isinstance(public, ed25519.Ed25519PublicKey):
        _check_ed25519_point(public.public_bytes_raw())
    elif algorithm == ECDSA_P256 and isinstance(public, ec.EllipticCurvePublicKey):
        if not isinstance(public.curve, ec.SECP256R1):
            raise Invalid("the key is not on curve P-256", basis="keys.algorithm")
    else:
        raise Invalid("the key is not of the algorithm it is registered for", basis="keys.algorithm")


def _check_ed25519_point(raw: bytes) -> None:
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _P:
        raise Invalid("the Ed25519 key is not canonically encoded", basis="keys.canonical")
    # x² = (y² − 1) / (d·y² + 1); a point of order 1, 2, 4 or 8 vanishes after three doublings.
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x2 = u * pow(v, _P - 2, _P) % _P
    x = pow(x2, (_P + 3) // 8, _P)
    if (x * x - x2) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - x2) % _P:
        raise Invalid("the Ed25519 key is no point of the curve", basis="keys.canonical")
    sign = raw[31] >> 7
    if x == 0 and sign:
        raise Invalid("the Ed25519 key is not canonically encoded", basis="keys.canonical")
    point = (x if x & 1 == sign else _P - x, y)
    for _ in range(3):
        point = _double(point)
    if point == (0, 1):
        raise Invalid("the Ed25519 key is a point of small order", basis="keys.small_order")


def _double(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    product = _D * x * x * y * y % _P
    return (
        2 * x * y * pow(1 + product, _P - 2, _P) % _P,
        (y * y + x * x) * pow(1 - product, _P - 2, _P) % _P,
    )


class TrustedKeys(Protocol):
    """Where a verifier takes keys from: all it trusts, or those that counted at one moment."""

    def verify(self, key_id: str, signature: bytes, message: bytes) -> party_pb2.PublicKey | None:
        """As Keyring.verify."""
        ...


class Keyring:
    """The public keys a verifier has decided to trust, by key id. Verifiers take keys from here only."""

    def __init__(self, keys: Iterable[party_pb2.PublicKey] = ()) -> None:
        self._keys: dict[str, party_pb2.PublicKey] = {}
        self._loaded: dict[str, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey] = {}
        for key in keys:
            self.add(key)

    def add(self, key: party_pb2.PublicKey) -> None:
        check_public_key(key)
        self._keys[keyid(key)] = key

    def find(self, key_id: str) -> party_pb2.PublicKey | None:
        return self._keys.get(key_id)

    def __iter__(self) -> Iterator[party_pb2.PublicKey]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def verify(self, key_id: str, signature: bytes, message: bytes) -> party_pb2.PublicKey | None:
        """The key that signed; None where the key is unknown or its algorithm is not available here.

        Raises SignatureInvalid where the key is known and the signature is not its own.
        """
        key = self._keys.get(key_id)
        if key is None or key.algorithm == SM2:
            return None
        public = self._loaded.get(key_id)
        if public is None:
            loaded = serialization.load_der_public_key(key.spki)
            if not isinstance(loaded, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
                raise Invalid("the key is not of the algorithm it is registered for", basis="keys.algorithm")
            public = self._loaded[key_id] = loaded
        try:
            if isinstance(public, ed25519.Ed25519PublicKey):
                public.verify(signature, message)
            else:
                public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise SignatureInvalid(f"signature of key {key_id[:16]}… ({key.holder}) does not hold") from error
        return key


def check_own(key: party_pb2.PublicKey, signature: bytes, message: bytes, maker: str) -> bytes:
    """A signature that something else made for us, once it holds under our key: nothing else is sent.

    Args:
        maker: the token or server, for the message.

    Raises Unavailable: what is wrong is at our own end, and the document can be signed later.
    """
    try:
        Keyring([key]).verify(keyid(key), signature, message)
    except SignatureInvalid as error:
        raise Unavailable(
            f"{maker} gave a signature that does not hold under our key {keyid(key)[:16]}…: it signs with "
            "another key, or is broken; nothing was sent",
            basis="signing.signature",
        ) from error
    return signature
