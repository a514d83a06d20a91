"""Vectors of keys, envelopes, the strict encoding, and the edition's leaves and chunks."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from google.protobuf.message import Message

from audit import envelope, keys, merkle, records
from proto.vectors.evidence.cast import (
    APPROVER,
    ASKER,
    ED25519_PREFIX,
    MAKER,
    ODD,
    SM2_KEY,
    SMALL,
    THE_BANK,
    TIME,
    Case,
    L,
    TestSigner,
    case,
    flipped,
    seed,
)
from proto.vectors.evidence.edition import (
    BLINDING_KEY,
    CHUNK,
    HASHES,
    MANIFEST,
    ROWS,
    Row,
    chunk,
    record,
)
from xinyi.v1 import (
    edition_pb2,
    envelope_pb2,
    exchange_pb2,
    lending_pb2,
    log_pb2,
    notice_pb2,
    objection_pb2,
    party_pb2,
    records_pb2,
)


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
            one(f"point of order {order}", "invalid", keys.ED25519, ED25519_PREFIX + bytes.fromhex(raw))
            for order, raws in SMALL.items()
            for raw in raws
        ),
        *(
            one(title, "invalid", keys.ED25519, ED25519_PREFIX + bytes.fromhex(raw))
            for title, raw in ODD.items()
        ),
        one("31 bytes", "invalid", keys.ED25519, ED25519_PREFIX + MAKER.key.spki[12:43]),
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
        edition_pb2.RowAnswer,
        exchange_pb2.Delivery,
        exchange_pb2.DeliveryReceipt,
        exchange_pb2.PullRequest,
        exchange_pb2.WatchRequest,
        exchange_pb2.LogQuery,
        exchange_pb2.SubjectQuery,
        exchange_pb2.Acknowledgement,
        exchange_pb2.Refusal,
        party_pb2.KeyRegistration,
        party_pb2.Admission,
        party_pb2.AgreementAnnex,
        log_pb2.Erasure,
        objection_pb2.Objection,
        objection_pb2.ObjectionDecision,
        notice_pb2.ChangeNotice,
        lending_pb2.LendingTable,
        lending_pb2.TableReceipt,
        lending_pb2.OutcomeBatch,
        lending_pb2.OutcomeReceipt,
        lending_pb2.LendingAnswer,
        lending_pb2.Challenge,
        lending_pb2.ChallengeAnswer,
        lending_pb2.Opening,
        lending_pb2.Statistics,
        lending_pb2.StatisticsReceipt,
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
        ("a key id that is no digest", wrong, packed(first, envelope_pb2.Signature(keyid="a-name", sig=b"x"))),
        ("an unknown key's signature of 513 bytes", wrong, packed(first, broken(by_sm2, bytes(513)))),
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
        ("numbers, packed", "", edition_pb2.RowAnswer, b"\x12\x04\x01\x02\xac\x02"),
        ("numbers, each by itself", bad, edition_pb2.RowAnswer, b"\x10\x01\x10\x02"),
        ("numbers in two parts", bad, edition_pb2.RowAnswer, b"\x12\x01\x01\x12\x01\x02"),
        ("no numbers written out", bad, edition_pb2.RowAnswer, b"\x12\x00"),
        ("packed number longer than it must be", bad, edition_pb2.RowAnswer, b"\x12\x02\x81\x00"),
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
