"""Seals: DSSE v1 against a foreign implementation, the policy on several signatures, the one wire encoding."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from securesystemslib.dsse import Envelope as ForeignEnvelope
from securesystemslib.exceptions import VerificationError as ForeignError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from audit import envelope
from audit.keys import ECDSA_P256, FileSigner, Keyring, generate_private_key, keyid
from tests.audit.story import BUREAU, Cast
from xinyi.errors import EncodingInvalid, SignatureInvalid
from xinyi.v1 import edition_pb2, envelope_pb2, party_pb2, records_pb2

HOLDER = f"xinyi://{BUREAU}/person/li-wei"
STOP = edition_pb2.Stop(manifest_digest=bytes(32), stopped_by=HOLDER, reason="数据有误", stopped_at_ms=7)


@pytest.fixture(params=["ed25519", "p-256"])
def signer(request: pytest.FixtureRequest, cast: Cast, tmp_path: Path) -> FileSigner:
    if request.param == "ed25519":
        return cast.maker
    generate_private_key(tmp_path / "p256.pem", ECDSA_P256)
    return FileSigner.load(tmp_path / "p256.pem", holder=HOLDER, purpose=party_pb2.KEY_PURPOSE_DOCUMENT)


def foreign_key(signer: FileSigner) -> SSlibKey:
    public = serialization.load_der_public_key(signer.key.spki)
    return SSlibKey.from_crypto(public, keyid=keyid(signer.key))  # type: ignore[arg-type]


def foreign(sealed: envelope_pb2.Envelope) -> ForeignEnvelope:
    signatures = {s.keyid: Signature(s.keyid, s.sig.hex()) for s in sealed.signatures}
    return ForeignEnvelope(sealed.payload, sealed.payload_type, signatures)


def test_a_seal_holds_for_securesystemslib(signer: FileSigner) -> None:
    """Ours, checked by another implementation; a changed payload or type is refused there as well."""
    sealed = envelope.seal(STOP, signer)
    assert foreign(sealed).pae() == envelope.pre_encoding(sealed.payload_type, sealed.payload)
    assert list(foreign(sealed).verify([foreign_key(signer)], 1)) == [keyid(signer.key)]
    for changed in ({"payload": sealed.payload + b"x"}, {"payload_type": "text/plain"}):
        other = envelope_pb2.Envelope()
        other.CopyFrom(sealed)
        for name, value in changed.items():
            setattr(other, name, value)
        with pytest.raises(ForeignError):
            foreign(other).verify([foreign_key(signer)], 1)


def test_securesystemslibs_seal_holds_here(signer: FileSigner) -> None:
    """Theirs, opened by ours."""
    made = ForeignEnvelope(STOP.SerializeToString(), envelope.payload_type(edition_pb2.Stop), {})
    made.sign(CryptoSigner(signer._private, foreign_key(signer)))
    (signature,) = made.signatures.values()
    sealed = envelope_pb2.Envelope(
        payload=made.payload,
        payload_type=made.payload_type,
        signatures=[envelope_pb2.Signature(keyid=signature.keyid, sig=bytes.fromhex(signature.signature))],
    )
    opened = envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([signer.key]))
    assert opened.message == STOP
    assert [keyid(key) for key in opened.signers] == [keyid(signer.key)]


def test_the_digest_depends_on_payload_and_type_alone(cast: Cast) -> None:
    """However a document was signed or packed, it is the same document."""
    one, two = envelope.seal(STOP, cast.maker), envelope.seal(STOP, cast.approver, cast.maker)
    expected = hashlib.sha256(foreign(one).pae()).digest()
    assert envelope.digest(one) == envelope.digest(two) == expected
    assert envelope.open_sealed(one, edition_pb2.Stop, Keyring([cast.maker.key])).digest == expected
    retyped = envelope_pb2.Envelope(payload=one.payload, payload_type="x")
    assert envelope.digest(retyped) != expected


def test_any_changed_byte_of_a_seal_is_refused(cast: Cast) -> None:
    """Every byte of payload, type and signature, one at a time."""
    sealed, keyring = envelope.seal(STOP, cast.maker), Keyring([cast.maker.key])
    for place in range(len(sealed.payload)):
        with pytest.raises(SignatureInvalid):
            envelope.open_sealed(
                changed(sealed, payload=flipped(sealed.payload, place)), edition_pb2.Stop, keyring
            )
    for place in range(64):
        other = changed(sealed)
        other.signatures[0].sig = flipped(sealed.signatures[0].sig, place)
        with pytest.raises(SignatureInvalid):
            envelope.open_sealed(other, edition_pb2.Stop, keyring)
    for place in range(len(sealed.payload_type)):
        kind = flipped(sealed.payload_type.encode(), place).decode()
        with pytest.raises(EncodingInvalid):
            envelope.open_sealed(changed(sealed, payload_type=kind), edition_pb2.Stop, keyring)


# ── several signatures ─────────────────────────────────────────────────────────────────────────────────────


def test_one_known_key_is_enough_and_unknown_ones_are_no_harm(cast: Cast) -> None:
    """Signers are the keys the verifier knows, in envelope order; the rest is counted as absent."""
    sealed = envelope.seal(STOP, cast.bank, cast.approver, cast.maker)
    opened = envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([cast.maker.key, cast.approver.key]))
    assert [key.holder for key in opened.signers] == [cast.approver.key.holder, cast.maker.key.holder]
    assert envelope.signer_of_party(opened.signers, BUREAU).holder == cast.approver.key.holder
    with pytest.raises(SignatureInvalid, match="not signed by"):
        envelope.signer_of_party(opened.signers, "test-city/bank-1")


def test_a_wrong_signature_of_a_known_key_spoils_the_seal(cast: Cast) -> None:
    """Another signature that holds does not heal one that lies."""
    sealed = envelope.seal(STOP, cast.maker, cast.approver)
    sealed.signatures[1].sig = flipped(sealed.signatures[1].sig, 0)
    with pytest.raises(SignatureInvalid, match="does not hold"):
        envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([cast.maker.key, cast.approver.key]))


def test_no_signature_too_many_or_a_key_twice_are_refused(cast: Cast) -> None:
    """1 to 8 signatures, no key id twice, each in the form of one, at least one of a key known here."""
    keyring = Keyring([cast.maker.key])
    sealed = envelope.seal(STOP, cast.maker)
    for signatures in (
        [],
        [sealed.signatures[0]] * 2,
        [sealed.signatures[0], *(envelope_pb2.Signature(keyid=str(n)) for n in range(8))],
        envelope.seal(STOP, cast.bank).signatures,
        [envelope_pb2.Signature(keyid="", sig=sealed.signatures[0].sig)],
        [sealed.signatures[0], envelope_pb2.Signature(keyid="91360100123456789X", sig=b"x")],
        [sealed.signatures[0], envelope_pb2.Signature(keyid="0" * 64, sig=bytes(513))],
    ):
        other = envelope_pb2.Envelope(
            payload=sealed.payload, payload_type=sealed.payload_type, signatures=signatures
        )
        with pytest.raises(SignatureInvalid):
            envelope.open_sealed(other, edition_pb2.Stop, keyring)


def test_an_sm2_signature_beside_another_is_counted_as_absent(cast: Cast) -> None:
    """The identifier is registered from v1 on; the algorithm is not available here."""
    key = party_pb2.PublicKey(
        algorithm=party_pb2.KEY_ALGORITHM_SM2_SM3, spki=b"sm2", party=BUREAU, holder=HOLDER
    )
    sealed = envelope.seal(STOP, cast.maker)
    sealed.signatures.add(keyid=keyid(key), sig=b"sm2")
    opened = envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([cast.maker.key, key]))
    assert [keyid(k) for k in opened.signers] == [keyid(cast.maker.key)]
    del sealed.signatures[0]
    with pytest.raises(SignatureInvalid):
        envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([cast.maker.key, key]))


def test_a_seal_for_one_kind_is_none_for_another(cast: Cast) -> None:
    """The type is signed: a Stop is never read as a Cancellation, whose wire form is the same."""
    sealed = envelope.seal(STOP, cast.maker)
    with pytest.raises(EncodingInvalid):
        envelope.open_sealed(sealed, edition_pb2.Cancellation, Keyring([cast.maker.key]))
    retyped = changed(sealed, payload_type=envelope.payload_type(edition_pb2.Cancellation))
    with pytest.raises(SignatureInvalid):
        envelope.open_sealed(retyped, edition_pb2.Cancellation, Keyring([cast.maker.key]))


def test_a_document_of_more_than_4_mib_is_refused(cast: Cast) -> None:
    """Before anything is computed over it."""
    sealed = envelope.seal(edition_pb2.Stop(reason="x" * envelope.MAX_PAYLOAD_BYTES), cast.maker)
    with pytest.raises(EncodingInvalid, match="at most"):
        envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([cast.maker.key]))


def test_a_payload_type_outside_ascii_is_refused() -> None:
    """Implementations count its length differently."""
    with pytest.raises(EncodingInvalid):
        envelope.digest(envelope_pb2.Envelope(payload_type="类型"))


# ── the one wire encoding ──────────────────────────────────────────────────────────────────────────────────

RECORD = records_pb2.GradeRecord(
    taxpayer_id="91999999000000000X", names=["a", "b"], evaluation_year=2018, grade=records_pb2.GRADE_A
)
WIRE = RECORD.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("what", "wire"),
    [
        ("a singular field twice: grade A, then D", WIRE + b"\x30\x05"),
        ("a singular field twice, the same value", WIRE + b"\x30\x01"),
        ("an unknown field", WIRE + b"\x78\x01"),
        ("an unknown field of a high number", WIRE + b"\xfa\xff\x03\x01x"),
        ("a default written out", WIRE + b"\x38\x00"),
        ("a number not minimal", WIRE.replace(b"\x30\x01", b"\x30\x81\x00")),
        ("a tag not minimal", WIRE.replace(b"\x30\x01", b"\xb0\x00\x01")),
        ("fields in another order", WIRE[WIRE.index(b"\x28") :] + WIRE[: WIRE.index(b"\x28")]),
        ("an empty string written out", WIRE + b"\x42\x00"),
        ("a number wider than its field", WIRE.replace(b"\x28\xe2\x0f", b"\x28\xe2\x8f\x80\x80\x80\x80\x01")),
        ("a group", WIRE + b"\x7b\x7c"),
        ("cut off", WIRE[:-1]),
        ("a length beyond the end", WIRE + b"\x42\x7f"),
        ("text that is not UTF-8", WIRE.replace(b"\x1a\x01a", b"\x1a\x01\xff")),
        ("a wrong wire type", WIRE + b"\x35\x01\x00\x00\x00"),
    ],
)
def test_another_encoding_of_a_message_is_refused(what: str, wire: bytes) -> None:
    """Parsers disagree about all of these, so that two readers of one signed payload could see two documents."""
    assert wire != WIRE, what
    with pytest.raises(EncodingInvalid):
        envelope.parse_strict(wire, records_pb2.GradeRecord)


def test_the_one_encoding_is_accepted() -> None:
    """And nothing is lost in it."""
    assert envelope.parse_strict(WIRE, records_pb2.GradeRecord) == RECORD
    assert envelope.parse_strict(b"", records_pb2.GradeRecord) == records_pb2.GradeRecord()


def changed(sealed: envelope_pb2.Envelope, **fields: Any) -> envelope_pb2.Envelope:
    other = envelope_pb2.Envelope()
    other.CopyFrom(sealed)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def flipped(value: bytes, place: int) -> bytes:
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
