"""Writes the evidence vectors beside this file: `python -m proto.vectors.evidence`. A test compares them, and
checks them again with code and tools that are not ours.

Everything comes from fixed seeds: a city of its own with test keys, fictitious taxpayers of the division 999999,
which does not exist, one edition, and a log of eleven entries. docs/evidence-format.md says what each part is.
A case has the exact bytes in hex (files in base64) and the error that is expected; "" holds.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from google.protobuf.message import Message

from audit import checkpoint, entries, envelope, export, keys, merkle, records, tiles
from audit.checkpoint import Checkpoint, TlogProof, VerifierKey
from audit.entry_proof import EntryProof
from audit.record_proof import RecordProof, make
from audit.verification.policy import Policy
from audit.verification.procedure import verify as verify_export
from xinyi import checks
from xinyi.errors import ExchangeError
from xinyi.identifiers import organisation_check_character, uscc_check_character
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, log_pb2, party_pb2, records_pb2

FILE = Path(__file__).with_suffix(".json")
GATEWAY, BUREAU, BANK, AUDITOR = (
    f"test-city/{name}" for name in ("gateway", "tax-bureau", "bank-1", "auditor")
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
SIGNERS = (LOG_KEY, THE_GATEWAY, MAKER, APPROVER, THE_BANK, ASKER)
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

_ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
_SMALL = {
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
_ODD = {
    "y = p, for 0": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "y = p + 1, for 1": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "x = 0 with its sign bit": "0100000000000000000000000000000000000000000000000000000000000080",
    "x = 0 with its sign bit, order 2": "ec" + "ff" * 31,
    "y = 2, no point of the curve": "02" + "00" * 31,
}


def public_keys() -> list[Case]:
    """Which public keys may be registered and pinned."""

    def one(title: str, expected: str, algorithm: int, spki: bytes) -> Case:
        key = party_pb2.PublicKey(algorithm=algorithm, spki=spki)  # type: ignore[arg-type]
        name = party_pb2.KeyAlgorithm.Name(algorithm)  # type: ignore[arg-type]
        shown = {"algorithm": name, "spki": spki.hex()}
        return case(title, expected, lambda: keys.check_public_key(key), **shown)

    point = THE_BANK.private.public_key()
    assert isinstance(point, ec.EllipticCurvePublicKey)
    compressed = point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    p384 = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    p384_spki = p384.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return [
        one("Ed25519", "", keys.ED25519, MAKER.key.spki),
        one("P-256", "", keys.ECDSA_P256, THE_BANK.key.spki),
        *(
            one(f"point of order {order}", "invalid", keys.ED25519, _ED25519_PREFIX + bytes.fromhex(raw))
            for order, raws in _SMALL.items()
            for raw in raws
        ),
        *(
            one(title, "invalid", keys.ED25519, _ED25519_PREFIX + bytes.fromhex(raw))
            for title, raw in _ODD.items()
        ),
        one("31 bytes", "invalid", keys.ED25519, _ED25519_PREFIX + MAKER.key.spki[12:43]),
        one("byte behind the key", "invalid", keys.ED25519, MAKER.key.spki + b"\0"),
        one("P-256, compressed point", "invalid", keys.ECDSA_P256, head + compressed),
        one("P-256, point off the curve", "invalid", keys.ECDSA_P256, flipped(THE_BANK.key.spki, 90)),
        one("P-384", "invalid", keys.ECDSA_P256, p384_spki),
        one("Ed25519 key called P-256", "invalid", keys.ECDSA_P256, MAKER.key.spki),
    ]


# ── documents ──────────────────────────────────────────────────────────────────────────────────────────────


def pre_encodings() -> list[Case]:
    def one(title: str, expected: str, kind: str, payload: bytes) -> Case:
        shown: Case = {"payload_type": kind, "payload": payload.hex()}
        if not expected:
            signed = envelope.pre_encoding(kind, payload)
            shown |= {"pre_encoding": signed.hex(), "digest": hashlib.sha256(signed).hexdigest()}
        return case(title, expected, lambda: envelope.pre_encoding(kind, payload), **shown)

    plain = "application/vnd.xinyi.stop.v1+protobuf"
    return [
        one("the example of the DSSE protocol", "", "http://example.com/HelloWorld", b"hello world"),
        one("empty payload", "", plain, b""),
        one("payload of bytes that are no text", "", plain, bytes(range(256))),
        one("type that is not ASCII", "verification.encoding", plain + "é", b""),
    ]


def payload_types() -> dict[str, str]:
    kinds: list[type[Message]] = [
        edition_pb2.Manifest,
        edition_pb2.Approval,
        edition_pb2.HoldRelease,
        edition_pb2.Cancellation,
        edition_pb2.Stop,
        exchange_pb2.Delivery,
        exchange_pb2.DeliveryReceipt,
        exchange_pb2.PullRequest,
        exchange_pb2.LogQuery,
        exchange_pb2.Acknowledgement,
        exchange_pb2.Refusal,
        party_pb2.KeyRegistration,
        party_pb2.Admission,
        party_pb2.AgreementAnnex,
        log_pb2.Erasure,
    ]
    return {kind.DESCRIPTOR.full_name: envelope.payload_type(kind) for kind in kinds}


STOP = edition_pb2.Stop(
    manifest_digest=seed("some manifest"), stopped_by=MAKER.holder, reason="wrong month", stopped_at_ms=TIME
)


def envelopes() -> list[Case]:
    """One Stop in many envelopes, before a verifier that trusts the keys named beside it."""
    good = envelope.seal(STOP, MAKER)
    signed = envelope.pre_encoding(good.payload_type, good.payload)
    (first,) = good.signatures

    def sig(signer: TestSigner, data: bytes = signed) -> envelope_pb2.Signature:
        return envelope_pb2.Signature(keyid=keys.keyid(signer.key), sig=signer.sign(data))

    def packed(*signatures: envelope_pb2.Signature, payload: bytes = good.payload, kind: str = ""):  # type: ignore[no-untyped-def]
        return envelope_pb2.Envelope(
            payload=payload, payload_type=kind or good.payload_type, signatures=signatures
        )

    def signed_payload(payload: bytes, kind: str = good.payload_type) -> envelope_pb2.Envelope:
        return packed(sig(MAKER, envelope.pre_encoding(kind, payload)), payload=payload, kind=kind)

    def broken(signature: envelope_pb2.Signature, value: bytes) -> envelope_pb2.Signature:
        return envelope_pb2.Signature(keyid=signature.keyid, sig=value)

    by_sm2 = envelope_pb2.Signature(keyid=hashlib.sha256(SM2_KEY.spki).hexdigest(), sig=seed("sm2") * 2)
    r, s = decode_dss_signature(sig(THE_BANK).sig)
    s_and_order = (int.from_bytes(first.sig[32:], "little") + L).to_bytes(32, "little")
    cancellation = envelope.payload_type(edition_pb2.Cancellation)
    trusted = (MAKER, APPROVER, THE_BANK)
    wrong, unread = "verification.signature", "verification.encoding"
    listed: list[tuple[str, str, envelope_pb2.Envelope]] = [
        ("one signature", "", good),
        ("ECDSA P-256", "", envelope.seal(STOP, THE_BANK)),
        ("two known keys", "", envelope.seal(STOP, MAKER, APPROVER)),
        ("a known and an unknown key", "", envelope.seal(STOP, ASKER, MAKER)),
        ("SM2, which is not available, beside Ed25519", "", packed(by_sm2, first)),
        ("an unknown key alone", wrong, envelope.seal(STOP, ASKER)),
        ("SM2 alone", wrong, packed(by_sm2)),
        ("no signature", wrong, packed()),
        ("one key id twice", wrong, packed(first, first)),
        (
            "nine signatures",
            wrong,
            packed(first, *(envelope_pb2.Signature(keyid=f"{n:064x}", sig=b"x") for n in range(8))),
        ),
        (
            "a known key's signature that does not hold beside one that does",
            wrong,
            packed(first, broken(sig(APPROVER), flipped(sig(APPROVER).sig, 3))),
        ),
        ("payload changed by a bit", wrong, packed(first, payload=flipped(good.payload, 5))),
        ("signature changed by a bit", wrong, packed(broken(first, flipped(first.sig, 40)))),
        ("signature with S + L", wrong, packed(broken(first, first.sig[:32] + s_and_order))),
        ("signature cut short", wrong, packed(broken(first, first.sig[:63]))),
        (
            "ECDSA as r and s, not as DER",
            wrong,
            packed(broken(sig(THE_BANK), r.to_bytes(32, "big") + s.to_bytes(32, "big"))),
        ),
        ("signed without the pre-encoding", wrong, packed(sig(MAKER, good.payload))),
        ("signed under another type", wrong, packed(sig(MAKER, b"DSSEv1 1 x" + signed))),
        ("another type than expected", unread, signed_payload(good.payload, cancellation)),
        ("unknown field, signed", unread, signed_payload(good.payload + b"\x7a\x01x")),
        ("field given twice, signed", unread, signed_payload(good.payload + b"\x1a\x01x")),
    ]
    ring = keys.Keyring([*(signer.key for signer in trusted), SM2_KEY])
    return [
        case(
            title,
            expected,
            lambda sealed=sealed: envelope.open_sealed(sealed, edition_pb2.Stop, ring),  # type: ignore[misc]
            expected_type=good.payload_type,
            trusted=[*(keys.keyid(signer.key) for signer in trusted), by_sm2.keyid],
            envelope=sealed.SerializeToString(deterministic=True).hex(),
            digest=envelope.digest(sealed).hex(),
        )
        for title, expected, sealed in listed
    ]


def strict() -> list[Case]:
    """One expected encoding: what a reader must take and what it must refuse."""
    good = record(1).SerializeToString(deterministic=True)
    at_year = good.index(b"\x28\xe2\x0f")
    year_after, grade = good[at_year + 3 :], b"\x30\x01"
    assert year_after == grade
    bad = "verification.encoding"
    listed: list[tuple[str, str, type[Message], bytes]] = [
        ("record", "", records_pb2.GradeRecord, good),
        ("empty message", "", records_pb2.GradeRecord, b""),
        ("empty message inside", "", edition_pb2.Manifest, b"\x22\x00"),
        ("unknown field", bad, records_pb2.GradeRecord, good + b"\x7a\x01x"),
        ("fields not ascending", bad, records_pb2.GradeRecord, good[:at_year] + grade + b"\x28\xe2\x0f"),
        ("field twice", bad, records_pb2.GradeRecord, good[:at_year] + b"\x28\xe1\x0f" + good[at_year:]),
        ("zero written out", bad, records_pb2.GradeRecord, good + b"\x38\x00"),
        ("empty text written out", bad, records_pb2.GradeRecord, good + b"\x42\x00"),
        (
            "number longer than it must be",
            bad,
            records_pb2.GradeRecord,
            good[:at_year] + b"\x28\xe2\x8f\x00" + grade,
        ),
        (
            "tag longer than it must be",
            bad,
            records_pb2.GradeRecord,
            good[:at_year] + b"\xa8\x00\xe2\x0f" + grade,
        ),
        ("length longer than it must be", bad, records_pb2.GradeRecord, b"\x0a\x92\x00" + good[2:]),
        (
            "33 bits in a uint32",
            bad,
            records_pb2.GradeRecord,
            good[:at_year] + b"\x28\xe2\x8f\x80\x80\x10" + grade,
        ),
        ("other wire type", bad, records_pb2.GradeRecord, good[:at_year] + b"\x2d\xe2\x07\x00\x00" + grade),
        ("no UTF-8", bad, records_pb2.GradeRecord, good[:2] + b"\xff" + good[3:]),
        ("cut off", bad, records_pb2.GradeRecord, good[:-1]),
        ("unknown field inside", bad, edition_pb2.Manifest, b"\x22\x02\x18\x01"),
        ("message in two parts", bad, edition_pb2.Manifest, b"\x22\x03\x08\xe2\x0f\x22\x02\x10\x0a"),
    ]
    return [
        case(
            title,
            expected,
            lambda kind=kind, data=data: envelope.parse_strict(data, kind),  # type: ignore[misc]
            message=kind.DESCRIPTOR.full_name,
            bytes=data.hex(),
        )
        for title, expected, kind, data in listed
    ]


# ── an edition ─────────────────────────────────────────────────────────────────────────────────────────────


def uscc(number: int) -> str:
    """A code that holds, of the division 999999, which does not exist."""
    organisation = f"{number:08d}"
    head = f"91999999{organisation}{organisation_check_character(organisation)}"
    return head + uscc_check_character(head)


def record(number: int) -> records_pb2.GradeRecord:
    return records_pb2.GradeRecord(
        taxpayer_id=uscc(number),
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=[f"示例{number}有限公司"],
        tax_offices=["示例市税务局"] if number % 2 else [],
        evaluation_year=2018,
        grade=records_pb2.GRADE_A,
    )


BLINDING_KEY = seed("blinding key")


@dataclass(frozen=True)
class Row:
    identifier: str
    blinded_key: bytes
    salt: bytes
    record: bytes

    @property
    def leaf(self) -> bytes:
        return records.leaf(self.blinded_key, records.commitment(self.salt, self.record))


def rows(count: int) -> list[Row]:
    blind = records.blinder(BLINDING_KEY)
    made = [
        Row(
            r.taxpayer_id,
            blind(r.taxpayer_id.encode()),
            seed(f"salt {n}"),
            r.SerializeToString(deterministic=True),
        )
        for n, r in enumerate(map(record, range(count)))
    ]
    return sorted(made, key=lambda row: row.blinded_key)


def chunk(chosen: Iterable[Row]) -> bytes:
    return records.chunk_bytes((row.salt, row.record) for row in chosen)


ROWS = rows(5)
HASHES = [merkle.leaf_hash(row.leaf) for row in ROWS]
CHUNK = chunk(ROWS)


def manifest_of(hashes_: Sequence[bytes]) -> edition_pb2.Manifest:
    count, size = len(hashes_), records.CHUNK_RECORDS
    return edition_pb2.Manifest(
        origin=BUREAU,
        issued_by=MAKER.holder,
        product="grade-a",
        period=PERIOD,
        kind=edition_pb2.EDITION_KIND_FULL,
        sequence=1,
        record_schema="xinyi.v1.GradeRecord",
        record_count=count,
        root=merkle.root(hashes_),
        chunk_roots=[merkle.root(hashes_[i : i + size]) for i in range(0, count, size)],
        blinding_key_commitment=records.blinding_key_commitment(BLINDING_KEY),
        source=edition_pb2.SourceFile(
            sha256=seed("source"), size_bytes=1000, encoding="utf-8", profile_sha256=seed("profile")
        ),
        quality=edition_pb2.Quality(rows=count, accepted=count, rule_set="grade-rules/1"),
        grade_counts=[edition_pb2.GradeCount(grade=records_pb2.GRADE_A, records=count)],
        issued_at_ms=TIME,
    )


MANIFEST = manifest_of(HASHES)
SEALED = envelope.seal(MANIFEST, MAKER)
EDITION = envelope.digest(SEALED)


def approval_of(signer: TestSigner) -> envelope_pb2.Envelope:
    decision = edition_pb2.Approval(
        manifest_digest=EDITION, origin=BUREAU, approved_by=signer.holder, approved_at_ms=TIME + 1000
    )
    return envelope.seal(decision, signer)


APPROVAL = approval_of(APPROVER)


def record_leaves() -> list[Case]:
    return [
        {
            "identifier": row.identifier,
            "blinded_key": row.blinded_key.hex(),
            "salt": row.salt.hex(),
            "record": row.record.hex(),
            "commitment": records.commitment(row.salt, row.record).hex(),
            "leaf": row.leaf.hex(),
            "leaf_hash": hash_.hex(),
        }
        for row, hash_ in zip(ROWS, HASHES, strict=True)
    ]


def chunks() -> list[Case]:
    """The first chunk of the edition, good and changed, before its manifest."""

    def one(title: str, expected: str, data: bytes, key: bytes = BLINDING_KEY) -> Case:
        return case(
            title,
            expected,
            lambda: records.ChunkVerifier(MANIFEST, key).take(0, data),
            chunk=data.hex(),
            blinding_key=key.hex(),
        )

    swapped = [ROWS[1], ROWS[0], *ROWS[2:]]
    other_salt = [*ROWS[:4], Row(ROWS[4].identifier, ROWS[4].blinded_key, seed("other"), ROWS[4].record)]
    short_salt = [*ROWS[:4], Row(ROWS[4].identifier, ROWS[4].blinded_key, b"s" * 31, ROWS[4].record)]
    at = CHUNK.index("示例".encode())
    untrue, misread, refuted = "verification.digest", "verification.encoding", "verification.proof"
    return [
        one("as sealed", "", CHUNK),
        one("record changed by a bit", untrue, CHUNK[:at] + "示侌".encode() + CHUNK[at + 6 :]),
        one("another salt", untrue, chunk(other_salt)),
        one("another blinding key", untrue, CHUNK, seed("other blinding key")),
        one("blinding key of 31 bytes", untrue, CHUNK, BLINDING_KEY[:31]),
        one("last record missing", refuted, chunk(ROWS[:4])),
        one("two records exchanged", refuted, chunk(swapped)),
        one("one record twice", refuted, chunk([*ROWS[:4], ROWS[3]])),
        one("salt of 31 bytes", misread, chunk(short_salt)),
        one("no record", misread, b""),
        one("unknown field", misread, CHUNK + b"\x12\x00"),
        one("record in another encoding", misread, chunk([*ROWS[:4], _padded(ROWS[4])])),
    ]


def _padded(row: Row) -> Row:
    return Row(row.identifier, row.blinded_key, row.salt, row.record + b"\x38\x00")


def chunk_trees() -> list[Case]:
    """Chunk roots are nodes of the tree: over leaf hashes SHA-256(0x00 ‖ "leaf <n>")."""
    made = []
    for count in (1, 1023, 1024, 1025, 2048, 2500):
        hashes_ = [merkle.leaf_hash(b"leaf %d" % n) for n in range(count)]
        roots = [merkle.root(hashes_[i : i + 1024]) for i in range(0, count, 1024)]
        assert merkle.root(roots) == merkle.root(hashes_)
        made.append(
            {"records": count, "chunk_roots": [r.hex() for r in roots], "root": merkle.root(roots).hex()}
        )
    return made


# ── trees ──────────────────────────────────────────────────────────────────────────────────────────────────

LEAVES = [merkle.leaf_hash(b"leaf %d" % n) for n in range(1000)]


def _node(level: int, index: int) -> bytes:
    return merkle.root(LEAVES[index << level : (index + 1) << level])


def roots() -> list[Case]:
    return [
        {"size": n, "root": merkle.root(LEAVES[:n]).hex()}
        for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 255, 256, 257, 1000)
    ]


def inclusions() -> list[Case]:
    def one(
        title: str, expected: str, index: int, size: int, proof: list[bytes], leaf: int | None = None
    ) -> Case:
        hash_ = LEAVES[index if leaf is None else leaf]
        root = merkle.root(LEAVES[:size])
        return case(
            title,
            expected,
            lambda: merkle.check_inclusion(hash_, index, size, proof, root),
            leaf_hash=hash_.hex(),
            index=index,
            size=size,
            root=root.hex(),
            proof=[h.hex() for h in proof],
        )

    bad = "verification.proof"
    good = merkle.inclusion_proof(_node, 5, 7)
    return [
        *(
            one(f"leaf {index} of {size}", "", index, size, merkle.inclusion_proof(_node, index, size))
            for index, size in ((0, 1), (0, 2), (1, 2), (2, 3), (5, 7), (6, 7), (737, 1000), (999, 1000))
        ),
        one("another leaf", bad, 5, 7, good, leaf=4),
        one("another index", bad, 4, 7, good, leaf=5),
        one("index behind the end", bad, 7, 7, good, leaf=5),
        one("a hash changed by a bit", bad, 5, 7, [good[0], flipped(good[1], 0), *good[2:]]),
        one("a hash too few", bad, 5, 7, good[:-1]),
        one("a hash too many", bad, 5, 7, [*good, bytes(32)]),
        one("a hash of 31 bytes", bad, 5, 7, [*good[:-1], good[-1][:31]]),
        one("64 hashes", bad, 5, 7, [bytes(32)] * 64),
        one("hashes exchanged", bad, 5, 7, [good[1], good[0], *good[2:]]),
    ]


def consistencies() -> list[Case]:
    def one(title: str, expected: str, old: int, new: int, proof: list[bytes], forged: bytes = b"") -> Case:
        old_root, new_root = forged or merkle.root(LEAVES[:old]), merkle.root(LEAVES[:new])
        return case(
            title,
            expected,
            lambda: merkle.check_consistency(old, new, proof, old_root, new_root),
            old=old,
            new=new,
            old_root=old_root.hex(),
            new_root=new_root.hex(),
            proof=[h.hex() for h in proof],
        )

    bad = "verification.proof"
    good = merkle.consistency_proof(_node, 6, 7)
    return [
        *(
            one(f"{old} to {new}", "", old, new, merkle.consistency_proof(_node, old, new))
            for old, new in ((0, 7), (1, 2), (3, 3), (4, 7), (6, 7), (256, 1000), (600, 1000))
        ),
        one("another tree of the old size", bad, 6, 7, good, merkle.root(LEAVES[1:7])),
        one("two roots of one size", bad, 7, 7, [], merkle.root(LEAVES[1:8])),
        one("a smaller tree as the newer one", bad, 7, 6, good),
        one("a hash changed by a bit", bad, 6, 7, [flipped(good[0], 31), *good[1:]]),
        one("a hash too few", bad, 6, 7, good[:-1]),
        one("a hash too many", bad, 6, 7, [*good, bytes(32)]),
        one("a proof from the empty tree", bad, 0, 7, good),
        one("a proof between equal trees", bad, 7, 7, good),
        one("no proof", bad, 6, 7, []),
    ]


def tile_files() -> list[Case]:
    """Names and SHA-256 of the tile files over leaves SHA-256 of "leaf <n>" behind the byte 1."""
    made = []
    for size in (3, 256, 300, 65_792):
        stream, files = tiles.TileStream(), {}
        for n in range(size):
            for name, data in stream.add(b"\1" + hashlib.sha256(b"leaf %d" % n).digest()):
                files[name] = hashlib.sha256(data).hexdigest()
        files |= {name: hashlib.sha256(data).hexdigest() for name, data in stream.finish()}
        shown = dict(sorted(files.items()))
        if size > 1000:  # the first, the last and those of the upper levels say enough
            keep = [
                *[n for n in shown if n.startswith("tile/0/")][:1],
                *[n for n in shown if n.split("/")[1] in "12"],
            ]
            keep += [n for n in shown if n.startswith(("tile/0/", "tile/entries/"))][-2:]
            shown = {name: shown[name] for name in sorted(set(keep))}
        made.append({"size": size, "root": stream.root().hex(), "files_in_all": len(files), "files": shown})
    return made


def tile_paths() -> list[Case]:
    listed: list[tuple[int | str, int, int]] = [
        (0, 0, 256),
        (0, 67, 13),
        (1, 1067, 256),
        ("entries", 1_234_067, 1),
    ]
    return [
        {"level": str(level), "index": i, "width": w, "path": tiles.tile_path(level, i, w)}
        for level, i, w in listed
    ]


# ── the log ────────────────────────────────────────────────────────────────────────────────────────────────

#: Primary keys of the tables that this small log writes.
_KEYS = {
    "parties": ["party"],
    "keys": ["keyid"],
    "editions": ["manifest_digest"],
    "deliveries": ["delivery_id"],
    "receipts": ["delivery_id", "stage"],
}


class City:
    """A log written by hand, as a gateway writes it: entries, documents, rows, answers."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, bytes, bytes]] = []
        self.documents: dict[bytes, envelope_pb2.Envelope] = {}
        self.state: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in _KEYS}
        self.answers: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []

    def log(
        self,
        kind: str,
        actor: str,
        documents: Sequence[envelope_pb2.Envelope] = (),
        rows: Sequence[tuple[str, dict[str, Any]]] = (),
        **fields: Any,
    ) -> bytes:
        changes = []
        for table, row in rows:
            key = entries.canonical_json({name: row[name] for name in _KEYS[table]})
            self.state[table][key] = row
            changes.append(log_pb2.RowChange(table=table, key=key, row_sha256=entries.row_digest(row)))
        entry = log_pb2.LogEntry(
            kind=kind,
            recorded_at_ms=self.now,
            actor=actor,
            documents=[self.keep(document) for document in documents],
            changes=changes,
            **fields,
        )
        salt, opening = seed(f"entry {len(self.entries)}"), entry.SerializeToString(deterministic=True)
        self.entries.append((entries.leaf(salt, opening), salt, opening))
        return self.entries[-1][0]

    @property
    def now(self) -> int:
        return TIME + 60_000 * len(self.entries)

    def keep(self, document: envelope_pb2.Envelope) -> bytes:
        digest = envelope.digest(document)
        self.documents[digest] = document
        return digest

    def acknowledge(
        self, document: envelope_pb2.Envelope, outcome: str, leaf: bytes
    ) -> envelope_pb2.Envelope:
        digest = envelope.digest(document)
        message = exchange_pb2.Acknowledgement(
            document_digest=digest, outcome=outcome, leaf=leaf, recorded_at_ms=self.now - 60_000
        )
        sealed = envelope.seal(message, THE_GATEWAY)
        self.answers.append({"document": digest, "answer": self.keep(sealed)})
        return sealed

    def register(self, signer: TestSigner, kind: str, word: str = "key.registered") -> None:
        registration = envelope.seal(
            party_pb2.KeyRegistration(
                key=signer.key,
                party_kind=f"PARTY_KIND_{kind}",
                requested_at_ms=self.now,  # type: ignore[arg-type]
            ),
            signer,
        )
        party = {"party": signer.key.party, "kind": kind, "state": "ACTIVE"}
        row = {
            "keyid": keys.keyid(signer.key),
            "party": signer.key.party,
            "holder": signer.holder,
            "spki": signer.key.spki,
            "state": "ACTIVE",
            "registration": envelope.digest(registration),
        }
        new = (
            []
            if entries.canonical_json({"party": signer.key.party}) in self.state["parties"]
            else [("parties", party)]
        )
        self.log(
            word, THE_GATEWAY.holder, [registration], [*new, ("keys", row)], counterparty=signer.key.party
        )

    def head(self, size: int = 0) -> Checkpoint:
        size = size or len(self.entries)
        root = merkle.root([merkle.leaf_hash(leaf) for leaf, _, _ in self.entries[:size]])
        return checkpoint.sign(ORIGIN, size, root, LOG_KEY)

    def proof(self, index: int) -> TlogProof:
        row = [merkle.leaf_hash(leaf) for leaf, _, _ in self.entries]
        path = merkle.inclusion_proof(
            lambda level, i: merkle.root(row[i << level : (i + 1) << level]), index, len(row)
        )
        return TlogProof(index, tuple(path), self.head().note)

    def export(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        state = [(table, list(rows.values())) for table, rows in self.state.items()]
        pieces = export.write(
            self.head(),
            entries=self.entries,
            documents=[self.documents[digest] for digest in sorted(self.documents)],
            state=[*state, ("answers", self.answers), ("refusals", self.refusals)],
            chunks=[(EDITION, 0, CHUNK)],
            blinding_keys=[(EDITION, BLINDING_KEY)],
        )
        for name, data in pieces:
            files[name] = files.get(name, b"") + data
        return files


def tell() -> City:
    """Keys, an edition, an approval by its publisher that is refused, the right one, a delivery, a receipt."""
    city = City()
    city.register(THE_GATEWAY, "GATEWAY", "gateway.founded")
    for signer, kind in (
        (MAKER, "TAX_BUREAU"),
        (APPROVER, "TAX_BUREAU"),
        (THE_BANK, "BANK"),
        (ASKER, "AUDITOR"),
    ):
        city.register(signer, kind)
    about: dict[str, Any] = {
        "product": "grade-a",
        "period": PERIOD,
        "manifest_digest": EDITION,
        "record_count": 5,
    }
    row = {
        "manifest_digest": EDITION,
        "product": "grade-a",
        "sequence": 1,
        "state": "READY",
        "approval": None,
    }
    leaf = city.log("edition.ready", MAKER.holder, [SEALED], [("editions", row)], **about)
    city.acknowledge(SEALED, "edition.ready", leaf)
    _refuse(city)
    row = row | {"state": "PUBLISHED", "approval": envelope.digest(APPROVAL)}
    leaf = city.log("edition.published", APPROVER.holder, [APPROVAL], [("editions", row)], **about)
    city.acknowledge(APPROVAL, "edition.published", leaf)
    _delivery, _receipt = _deliver(city, about)
    query = exchange_pb2.LogQuery(
        asked_by=ASKER.holder,
        purpose="annual audit",
        requested_at_ms=city.now,
        nonce=seed("nonce")[:16],
        export=True,
        with_records=True,
    )
    city.log("log.exported", ASKER.holder, [envelope.seal(query, ASKER)], detail="annual audit")
    return city


def _refuse(city: City) -> None:
    own = approval_of(MAKER)
    basis = "approval.second_person"
    leaf = city.log("refused", MAKER.holder, [own], code="not_entitled", detail=f"DecideEdition: {basis}")
    refusal = exchange_pb2.Refusal(
        document_digest=envelope.digest(own),
        code="not_entitled",
        basis=basis,
        leaf=leaf,
        explanation="who published an edition cannot approve or release it",
        recorded_at_ms=city.now - 60_000,
    )
    city.keep(envelope.seal(refusal, THE_GATEWAY))
    city.refusals.append(
        {
            "party": BUREAU,
            "method": "DecideEdition",
            "basis": basis,
            "subject": "",
            "day": "2018-11-01",
            "leaf": leaf,
        }
    )


def _deliver(city: City, about: dict[str, Any]) -> tuple[envelope_pb2.Envelope, envelope_pb2.Envelope]:
    message = exchange_pb2.Delivery(
        delivery_id=checks.delivery_id(EDITION, BANK),
        recipient=BANK,
        manifest_digest=EDITION,
        approval_digest=envelope.digest(APPROVAL),
        product="grade-a",
        period=PERIOD,
        agreement_id="0123456789ab",
        disclosure_class=exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
        offered_at_ms=city.now,
        expires_at_ms=city.now + 30 * 86_400_000,
    )
    delivery = envelope.seal(message, THE_GATEWAY)
    row = {
        "delivery_id": message.delivery_id,
        "recipient": BANK,
        "state": "OFFERED",
        "document": envelope.digest(delivery),
    }
    named = {
        "counterparty": BANK,
        "agreement_id": "0123456789ab",
        "delivery_id": message.delivery_id,
        "channel": exchange_pb2.CHANNEL_PULL,
    }
    city.log("delivery.offered", THE_GATEWAY.holder, [delivery], [("deliveries", row)], **about, **named)
    receipt = envelope.seal(
        exchange_pb2.DeliveryReceipt(
            delivery_id=message.delivery_id,
            delivery_digest=envelope.digest(delivery),
            manifest_digest=EDITION,
            stage=exchange_pb2.RECEIPT_STAGE_RECEIVED,
            root=MANIFEST.root,
            accepted=5,
            signed_by=THE_BANK.holder,
            signed_at_ms=city.now,
        ),
        THE_BANK,
    )
    given = {
        "delivery_id": message.delivery_id,
        "stage": 1,
        "document": envelope.digest(receipt),
        "recorded_at_ms": city.now,
    }
    leaf = city.log(
        "receipt.received",
        THE_BANK.holder,
        [receipt],
        [("receipts", given), ("deliveries", row | {"state": "RECEIVED"})],
        **(about | named),
    )
    city.acknowledge(receipt, "receipt.received", leaf)
    return delivery, receipt


CITY = tell()
HEAD = CITY.head()


def log_leaves() -> list[Case]:
    return [
        {
            "index": index,
            "kind": log_pb2.LogEntry.FromString(opening).kind,
            "salt": salt.hex(),
            "opening": opening.hex(),
            "leaf": leaf.hex(),
            "leaf_hash": merkle.leaf_hash(leaf).hex(),
        }
        for index, (leaf, salt, opening) in enumerate(CITY.entries)
    ]


def openings() -> list[Case]:
    leaf, salt, opening = CITY.entries[5]

    def one(title: str, expected: str, salt: bytes, opening: bytes) -> Case:
        return case(
            title,
            expected,
            lambda: entries.check_opening(leaf, salt, opening),
            leaf=leaf.hex(),
            salt=salt.hex(),
            opening=opening.hex(),
        )

    bad = "verification.digest"
    return [
        one("as committed to", "", salt, opening),
        one("another salt", bad, flipped(salt, 0), opening),
        one("a byte of the opening moved into the salt", bad, salt + opening[:1], opening[1:]),
        one("opening changed by a bit", bad, salt, flipped(opening, 3)),
    ]


def canonical_rows() -> list[Case]:
    listed: list[dict[str, Any]] = [
        {"b": 1, "a": "text", "c": None},
        {"digest": bytes.fromhex("00ff"), "empty": b"", "note": ""},
        {"name": "示例有限公司", "quote": '"\\/', "control": "\t\n\x01\x7f"},
        {"number": -1, "large": 2**53 + 1, "é": "é", "Z": 0},
    ]
    return [
        {
            "columns": {
                name: {"bytes": value.hex()} if isinstance(value, bytes) else value
                for name, value in row.items()
            },
            "text": entries.canonical_json(row),
            "sha256": entries.row_digest(row).hex(),
        }
        for row in listed
    ]


# ── notes and proofs ───────────────────────────────────────────────────────────────────────────────────────


def verifier_keys() -> list[Case]:
    def one(title: str, expected: str, text: str) -> Case:
        return case(title, expected, lambda: VerifierKey.parse(text), text=text)

    def of(kind: bytes, raw: bytes) -> str:
        hash_ = hashlib.sha256(ORIGIN.encode() + b"\n" + kind + raw).hexdigest()[:8]
        return f"{ORIGIN}+{hash_}+{b64(kind + raw)}"

    raw, bad = VERIFIER_KEY.public, "verification.encoding"
    return [
        one("the log's", "", str(VERIFIER_KEY)),
        one("another name", bad, str(VERIFIER_KEY).replace("test-city", "next-city", 1)),
        one("another hash", bad, f"{ORIGIN}+00000000+{b64(bytes([1]) + raw)}"),
        one("another kind of key", bad, of(b"\4", raw)),
        one("31 bytes", bad, of(b"\1", raw[:31])),
        one("two parts", bad, ORIGIN),
        one("small order", "invalid", of(b"\1", bytes.fromhex(_SMALL[8][0]))),
    ]


def notes() -> list[Case]:
    good, other = HEAD.note, TestSigner("another log", LOG_KEY.holder, purpose=LOG)
    body, signature = good.split(b"\n\n")
    origin, size, root = body.split(b"\n")

    def signed(text: bytes, signer: TestSigner = LOG_KEY, name: str = ORIGIN) -> bytes:
        line = b64(VerifierKey.of(name, signer).key_hash + signer.sign(text))
        return text + f"\n— {name} {line}\n".encode()

    def one(title: str, expected: str, note: bytes) -> Case:
        return case(title, expected, lambda: checkpoint.verify(note, VERIFIER_KEY), note=note.decode())

    wrong, unread = "verification.signature", "verification.encoding"
    raw = base64.b64decode(signature.split(b" ")[2])
    witness = f"— witness.example {b64(seed('witness') * 2 + seed('hash')[:4])}\n".encode()
    return [
        one("the log's head", "", good),
        one("a line of somebody unknown beside it", "", good + witness),
        one("the unknown line first", "", body + b"\n\n" + witness + signature),
        one(
            "another key of the same name beside it", "", good + signed(body + b"\n", other).split(b"\n\n")[1]
        ),
        one("signed by another key alone", wrong, signed(body + b"\n", other)),
        one("nobody known", wrong, body + b"\n\n" + witness),
        one(
            "another log",
            wrong,
            signed(b"next-city/gateway/log\n" + size + b"\n" + root + b"\n", name="next-city/gateway/log"),
        ),
        one("size changed", wrong, good.replace(b"\n11\n", b"\n12\n")),
        one("root changed", wrong, good.replace(root, b64(flipped(HEAD.root, 0)).encode())),
        one(
            "signature changed by a bit",
            wrong,
            body + b"\n\n" + f"— {ORIGIN} {b64(flipped(raw, 20))}\n".encode(),
        ),
        one("extension line, signed", unread, signed(body + b"\nmore\n")),
        one("size with a zero before it, signed", unread, signed(origin + b"\n011\n" + root + b"\n")),
        one(
            "root of 31 bytes, signed",
            unread,
            signed(origin + b"\n11\n" + b64(HEAD.root[:31]).encode() + b"\n"),
        ),
        one("hyphen for the dash", unread, good.replace("— ".encode(), b"- ")),
        one("no line end", unread, good[:-1]),
        one("no signature block", unread, body + b"\n"),
        one("no empty line", unread, good.replace(b"\n\n", b"\n")),
    ]


def tlog_proofs() -> list[Case]:
    leaf, good = CITY.entries[8][0], CITY.proof(8)
    text = good.encode()

    def one(title: str, expected: str, data: bytes, leaf: bytes = leaf) -> Case:
        return case(
            title,
            expected,
            lambda: TlogProof.decode(data).verify(leaf, VERIFIER_KEY),
            leaf=leaf.hex(),
            proof=data.decode(),
        )

    first = b64(good.proof[0]).encode()
    refuted, unread = "verification.proof", "verification.encoding"
    return [
        one("entry 8 of 11", "", text),
        one("last entry", "", CITY.proof(10).encode(), CITY.entries[10][0]),
        one("another leaf", refuted, text, CITY.entries[9][0]),
        one("another index", refuted, text.replace(b"index 8\n", b"index 9\n")),
        one("a hash changed by a bit", refuted, text.replace(first, b64(flipped(good.proof[0], 9)).encode())),
        one("a hash too few", refuted, text.replace(first + b"\n", b"")),
        one("a hash too many", refuted, text.replace(first, first + b"\n" + first)),
        one("under an older head", refuted, TlogProof(8, good.proof, CITY.head(10).note).encode()),
        one("index with a zero before it", unread, text.replace(b"index 8\n", b"index 08\n")),
        one("base64 without padding", unread, text.replace(first, first.rstrip(b"="))),
        one("another version", unread, text.replace(b"@v1", b"@v2")),
        one(
            "head's signature changed",
            "verification.signature",
            text[:-10] + (b"A" if text[-10:-9] != b"A" else b"B") + text[-9:],
        ),
    ]


# ── bundles ────────────────────────────────────────────────────────────────────────────────────────────────


def _folder(files: dict[str, bytes], run: Callable[[Path], object]) -> object:
    with tempfile.TemporaryDirectory() as place:
        for name, data in files.items():
            (Path(place) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(place) / name).write_bytes(data)
        return run(Path(place))


def _changed(files: dict[str, bytes], changes: dict[str, bytes | None]) -> dict[str, bytes]:
    return {name: data for name, data in (files | changes).items() if data is not None}


def _shown(changes: dict[str, bytes | None]) -> dict[str, str | None]:
    return {name: None if data is None else b64(data) for name, data in changes.items()}


def record_proofs() -> Case:
    proof = make(SEALED, APPROVAL, BLINDING_KEY, [CHUNK], ROWS[2].identifier)
    files = proof.files()
    own = approval_of(MAKER).SerializeToString(deterministic=True)
    by_other = envelope.seal(MANIFEST, ASKER).SerializeToString(deterministic=True)

    def described(**changes: Any) -> bytes:
        value = json.loads(files["proof.json"]) | changes
        return entries.canonical_json(value).encode() + b"\n"

    def one(title: str, expected: str, changes: dict[str, bytes | None]) -> Case:
        return case(
            title,
            expected,
            lambda: _folder(_changed(files, changes), lambda place: RecordProof.read(place).verify(POLICY)),
            changes=_shown(changes),
        )

    refuted, unread, wrong = "verification.proof", "verification.encoding", "verification.signature"
    at = ROWS[2].record.index("示例".encode())
    forged = ROWS[2].record[:at] + "示侌".encode() + ROWS[2].record[at + 6 :]
    cases = [
        one("as it is", "", {}),
        one("another name in the record", refuted, {"record.bin": forged}),
        one(
            "another grade in the record",
            refuted,
            {"record.bin": ROWS[2].record.replace(b"\x30\x01", b"\x30\x02")},
        ),
        one("record in another encoding", unread, {"record.bin": ROWS[2].record + b"\x38\x00"}),
        one("another salt", refuted, {"proof.json": described(salt=seed("other").hex())}),
        one("another blinded key", refuted, {"proof.json": described(blinded_key=ROWS[1].blinded_key.hex())}),
        one("another index", refuted, {"proof.json": described(index=3)}),
        one("a hash too few", refuted, {"proof.json": described(proof=[h.hex() for h in proof.path[:-1]])}),
        one("another format", unread, {"proof.json": described(format="xinyi-record-proof/2")}),
        one("approved by its publisher", "invalid", {"approval.dsse": own}),
        one("sealed by somebody who is not the bureau", wrong, {"manifest.dsse": by_other}),
        one("manifest for the approval", unread, {"approval.dsse": files["manifest.dsse"]}),
    ]
    return {"files": _shown(dict(files)), "cases": cases}


def entry_proofs() -> Case:
    _leaf, salt, opening = CITY.entries[9]
    named = log_pb2.LogEntry.FromString(opening).documents
    proof = EntryProof(salt, opening, tuple(CITY.documents[digest] for digest in named), CITY.proof(9))
    files, document = proof.files(), "documents/00.dsse"

    def one(title: str, expected: str, changes: dict[str, bytes | None]) -> Case:
        return case(
            title,
            expected,
            lambda: _folder(
                _changed(files, changes), lambda place: EntryProof.read(place).verify(VERIFIER_KEY)
            ),
            changes=_shown(changes),
        )

    untrue = "verification.digest"
    other = CITY.documents[sorted(set(CITY.documents) - set(named))[0]]
    sealed_again = envelope_pb2.Envelope.FromString(files[document])
    sealed_again.signatures[0].sig = b"x"
    of_other = {
        "leaf.bin": CITY.entries[8][0],
        "salt.bin": CITY.entries[8][1],
        "opening.bin": CITY.entries[8][2],
    }
    cases = [
        one("as it is", "", {}),
        one(
            "a signature inside a document, which this does not check",
            "",
            {document: sealed_again.SerializeToString()},
        ),
        one("opening changed by a bit", untrue, {"opening.bin": flipped(opening, 3)}),
        one("another salt", untrue, {"salt.bin": flipped(salt, 0)}),
        one("leaf of another opening", untrue, {"leaf.bin": CITY.entries[8][0]}),
        one("another entry, whole", "verification.proof", {**of_other}),
        one("another document", untrue, {document: other.SerializeToString(deterministic=True)}),
        one("document missing", untrue, {document: None}),
        one("proof of another entry", "verification.proof", {"entry.tlog-proof": CITY.proof(8).encode()}),
    ]
    return {"files": _shown(dict(files)), "cases": cases}


def exports() -> Case:
    """The whole log as an export, and what a verifier says of changed ones: verdict and checks that do not hold."""
    files = CITY.export()

    def one(title: str, verdict: str, failing: set[str], changes: dict[str, bytes | None]) -> Case:
        report: Any = _folder(_changed(files, changes), lambda place: verify_export(place, POLICY))
        found = {
            check.name: check.verdict.value for check in report.checks.values() if check.verdict != "holds"
        }
        assert (report.verdict, set(found)) == (verdict, failing), (title, report.verdict, found)
        return {"case": title, "verdict": report.verdict.value, "checks": found, "changes": _shown(changes)}

    def lines(name: str) -> list[bytes]:
        return files[name].splitlines(keepends=True)

    def edited(name: str, old: bytes, new: bytes) -> dict[str, bytes | None]:
        assert files[name].count(old) == 1, (name, old)
        return {name: files[name].replace(old, new)}

    openings_, documents = lines("openings.jsonl"), lines("documents.jsonl")
    erased = export.opening_line(9, b"", b"").encode() + b"\n"
    approval = export.document_line(APPROVAL).encode() + b"\n"
    unsealed = envelope_pb2.Envelope.FromString(APPROVAL.SerializeToString())
    unsealed.signatures[0].sig = flipped(unsealed.signatures[0].sig, 0)
    bundle, tile, held = "tile/entries/000.p/11", "tile/0/000.p/11", f"chunks/{EDITION.hex()}/000000.chunk"
    at = CHUNK.index("示例".encode())
    cases = [
        one("as it is", "holds", set(), {}),
        one(
            "signature of the head changed",
            "false",
            {"checkpoint"},
            {
                "checkpoint": files["checkpoint"][:-10]
                + (b"A" if files["checkpoint"][-10:-9] != b"A" else b"B")
                + files["checkpoint"][-9:]
            },
        ),
        one("a file that has no place", "false", {"files"}, {"readme.txt": b""}),
        one("hash in a tile changed", "false", {"tree"}, {tile: flipped(files[tile], 0)}),
        one(
            "leaf in a bundle changed",
            "false",
            {"tree", "openings", "documents", "receipts"},
            {bundle: flipped(files[bundle], 8 * 35 + 10)},
        ),
        one("row edited", "false", {"rows"}, edited("state/deliveries.jsonl", b'"RECEIVED"', b'"REJECTED"')),
        one("row removed", "false", {"rows"}, {"state/receipts.jsonl": b""}),
        one(
            "row added",
            "false",
            {"rows"},
            {
                "state/parties.jsonl": files["state/parties.jsonl"]
                + b'{"kind":"BANK","party":"test-city/bank-2","state":"ACTIVE"}\n'
            },
        ),
        one(
            "row in another form",
            "false",
            {"rows"},
            edited("state/receipts.jsonl", b'"stage":1', b'"stage": 1'),
        ),
        one(
            "opening missing without an erasure",
            "false",
            {"openings", "documents", "answers", "rows"},
            {"openings.jsonl": b"".join([*openings_[:9], erased, *openings_[10:]])},
        ),
        one(
            "document missing",
            "false",
            {"documents", "deliveries", "editions"},
            {"documents.jsonl": b"".join(d for d in documents if d != approval)},
        ),
        one(
            "seal of a document changed",
            "false",
            {"seals", "editions", "deliveries"},
            edited("documents.jsonl", approval, export.document_line(unsealed).encode() + b"\n"),
        ),
        one(
            "answer missing",
            "false",
            {"answers"},
            {"state/answers.jsonl": b"".join(lines("state/answers.jsonl")[1:])},
        ),
        one("record changed", "false", {"records"}, {held: CHUNK[:at] + "示侌".encode() + CHUNK[at + 6 :]}),
        one("chunk missing", "cannot decide", {"records"}, {held: None}),
        one("table missing", "cannot decide", {"rows"}, {"state/keys.jsonl": None}),
    ]
    return {"policy": POLICY.dump().decode(), "files": _shown(dict(files)), "cases": cases}


def content() -> dict[str, Any]:
    return {
        "about": "docs/evidence-format.md. TEST KEYS: every private key is published here. Fictitious taxpayers.",
        "keys": [signer.described() for signer in SIGNERS],
        "public_keys": public_keys(),
        "payload_types": payload_types(),
        "pre_encodings": pre_encodings(),
        "envelopes": envelopes(),
        "strict": strict(),
        "edition": {
            "manifest": SEALED.SerializeToString(deterministic=True).hex(),
            "digest": EDITION.hex(),
            "approval": APPROVAL.SerializeToString(deterministic=True).hex(),
            "blinding_key": BLINDING_KEY.hex(),
            "blinding_key_commitment": records.blinding_key_commitment(BLINDING_KEY).hex(),
            "recipient": BANK,
            "delivery_id": checks.delivery_id(EDITION, BANK),
        },
        "record_leaves": record_leaves(),
        "chunks": chunks(),
        "chunk_trees": chunk_trees(),
        "roots": roots(),
        "inclusion": inclusions(),
        "consistency": consistencies(),
        "tile_paths": tile_paths(),
        "tiles": tile_files(),
        "canonical_rows": canonical_rows(),
        "log_leaves": log_leaves(),
        "openings": openings(),
        "verifier_keys": verifier_keys(),
        "checkpoints": notes(),
        "tlog_proofs": tlog_proofs(),
        "record_proof": record_proofs(),
        "entry_proof": entry_proofs(),
        "export": exports(),
    }


def text() -> str:
    """The vector file's content. Raises AssertionError where our own verdict is not the expected one."""
    return json.dumps(content(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
