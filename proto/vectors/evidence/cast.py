"""The parties of the evidence vectors, their test keys from fixed seeds, and how a case is written down."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from audit import keys
from audit.checkpoint import VerifierKey
from audit.verification.policy import Policy
from xinyi.errors import ExchangeError
from xinyi.v1 import edition_pb2, party_pb2

GATEWAY, BUREAU, BANK, BANK_2, AUDITOR = (
    f"test-city/{name}" for name in ("gateway", "tax-bureau", "bank-1", "bank-2", "auditor")
)
ORIGIN = f"{GATEWAY}/log"
TIME = 1_541_030_400_000
PERIOD = edition_pb2.Period(year=2018, month=10)
DOCUMENT, LOG = party_pb2.KEY_PURPOSE_DOCUMENT, party_pb2.KEY_PURPOSE_LOG
#: Order of the group that Ed25519 signs in (RFC 8032 §5.1).
L = 2**252 + 27742317777372353535851937790883648493

Case = dict[str, Any]


def seed(name: str) -> bytes:
    """32 bytes that anybody can compute: for tests alone."""
    return hashlib.sha256(f"xinyi evidence vectors, not secret: {name}".encode()).digest()


def error_of(run: Callable[[], object]) -> tuple[str, str]:
    """(code, basis) of what it raises; ("", "") where it holds."""
    try:
        run()
    except ExchangeError as error:
        return error.code, error.basis
    return "", ""


def case(title: str, expected: str, run: Callable[[], object], **shown: Any) -> Case:
    """A case, once our own verdict is the expected one."""
    code, basis = error_of(run)
    assert code == expected, f"{title}: expected {expected or 'holds'!r}, got {code or 'holds'!r} ({basis})"
    return {"case": title, "error": code, **({"basis": basis} if basis else {}), **shown}


def flipped(data: bytes, place: int) -> bytes:
    """One bit changed."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class TestSigner:
    """A key from a fixed seed. ECDSA signs with the nonce of RFC 6979, so that vectors stay the same."""

    __test__ = False  # no test class, whatever pytest thinks of the name

    name: str
    holder: str
    algorithm: party_pb2.KeyAlgorithm = keys.ED25519
    purpose: party_pb2.KeyPurpose = DOCUMENT

    @cached_property
    def private(self) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
        if self.algorithm == keys.ED25519:
            return ed25519.Ed25519PrivateKey.from_private_bytes(seed(self.name))
        return ec.derive_private_key(int.from_bytes(seed(self.name), "big"), ec.SECP256R1())

    @cached_property
    def key(self) -> party_pb2.PublicKey:
        spki = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return party_pb2.PublicKey(
            algorithm=self.algorithm,
            purpose=self.purpose,
            spki=spki,
            party=keys.party_of(self.holder),
            holder=self.holder,
        )

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def described(self) -> Case:
        return {
            "name": self.name,
            "warning": "TEST KEY, private part published",
            "algorithm": party_pb2.KeyAlgorithm.Name(self.algorithm),
            "purpose": party_pb2.KeyPurpose.Name(self.purpose),
            "party": self.key.party,
            "holder": self.holder,
            "private": seed(self.name).hex(),
            "spki": self.key.spki.hex(),
            "keyid": keys.keyid(self.key),
        }


LOG_KEY = TestSigner("log", f"xinyi://{GATEWAY}/machine/main", purpose=LOG)
THE_GATEWAY = TestSigner("gateway", f"xinyi://{GATEWAY}/machine/main")
MAKER = TestSigner("li-wei", f"xinyi://{BUREAU}/person/li-wei")
APPROVER = TestSigner("wang-fang", f"xinyi://{BUREAU}/person/wang-fang")
THE_BANK = TestSigner("bank-1", f"xinyi://{BANK}/machine/main", keys.ECDSA_P256)
ASKER = TestSigner("zhao-min", f"xinyi://{AUDITOR}/person/zhao-min")
SECOND_BANK = TestSigner("bank-2", f"xinyi://{BANK_2}/machine/main")
TELLER = TestSigner("zhou-yan", f"xinyi://{BANK_2}/person/zhou-yan")
SIGNERS = (LOG_KEY, THE_GATEWAY, MAKER, APPROVER, THE_BANK, ASKER, SECOND_BANK, TELLER)
VERIFIER_KEY = VerifierKey.of(ORIGIN, LOG_KEY)
POLICY = Policy(
    log_key=VERIFIER_KEY,
    gateway=GATEWAY,
    bureaus=frozenset({BUREAU}),
    keys=(THE_GATEWAY.key, MAKER.key, APPROVER.key),
)
#: No SM2 key pair, only bytes in its place: a verifier without SM2 never looks at them.
SM2_KEY = party_pb2.PublicKey(
    algorithm=keys.SM2, purpose=DOCUMENT, spki=seed("sm2"), party=BUREAU, holder=MAKER.holder
)

ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
SMALL = {
    1: ["0100000000000000000000000000000000000000000000000000000000000000"],
    2: ["ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"],
    4: ["00" * 32, "00" * 31 + "80"],
    8: [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ],
}
ODD = {
    "y = p, for 0": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "y = p + 1, for 1": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "x = 0 with its sign bit": "0100000000000000000000000000000000000000000000000000000000000080",
    "x = 0 with its sign bit, order 2": "ec" + "ff" * 31,
    "y = 2, no point of the curve": "02" + "00" * 31,
}
