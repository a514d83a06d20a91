"""Sealed documents: DSSE v1 over exact protobuf bytes.

Decides what a valid seal is. Knows nothing of the meaning of a document or of who may send it.
Format: DSSE v1 protocol; policy on several signatures: docs/evidence-format.md §1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from audit.keys import Signer, TrustedKeys, keyid
from xinyi.errors import EncodingInvalid, SignatureInvalid
from xinyi.v1 import envelope_pb2, party_pb2

MAX_SIGNATURES = 8
MAX_PAYLOAD_BYTES = 4 << 20
#: A valid signature may stand beside another by a key nobody knows: that one is kept and exported, too.
MAX_SIGNATURE_BYTES = 512
_KEY_ID = re.compile(r"[0-9a-f]{64}")

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Opened(Generic[M]):
    """A document whose seal was verified: nobody else parses the payload again."""

    message: M
    digest: bytes
    #: Keys of the keyring that signed, in envelope order; at least one.
    signers: tuple[party_pb2.PublicKey, ...]
    envelope: envelope_pb2.Envelope


def payload_type(kind: type[Message]) -> str:
    """GradeRecord → "application/vnd.xinyi.grade-record.v1+protobuf"."""
    return _payload_type(kind.DESCRIPTOR.name)


@cache
def _payload_type(name: str) -> str:
    words = "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
    return f"application/vnd.xinyi.{words}.v1+protobuf"


def pre_encoding(kind: str, payload: bytes) -> bytes:
    """DSSE v1 PAE: what is signed, and what a document's digest is taken over. Raises EncodingInvalid."""
    if not kind.isascii():
        raise EncodingInvalid("a payload type is ASCII")
    head = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(head), head, len(payload), payload)


def digest(envelope: envelope_pb2.Envelope) -> bytes:
    """SHA-256 of the pre-encoding, 32 bytes: the same however the document was signed or packed."""
    return hashlib.sha256(pre_encoding(envelope.payload_type, envelope.payload)).digest()


def seal(message: Message, *signers: Signer) -> envelope_pb2.Envelope:
    """Serialises once (deterministically) and signs those bytes with every signer."""
    payload = message.SerializeToString(deterministic=True)
    kind = payload_type(type(message))
    signed = pre_encoding(kind, payload)
    return envelope_pb2.Envelope(
        payload=payload,
        payload_type=kind,
        signatures=[envelope_pb2.Signature(keyid=keyid(s.key), sig=s.sign(signed)) for s in signers],
    )


def open_sealed(
    envelope: envelope_pb2.Envelope, kind: type[M], keyring: TrustedKeys, *, most: int = MAX_PAYLOAD_BYTES
) -> Opened[M]:
    """Verifies the seal, then parses. The order matters: nothing unsigned reaches a parser.

    1. type and sizes, 2. every signature under a known key holds and at least one such is there,
    3. the payload is in the one expected encoding.

    Args:
        most: bytes of the payload.

    Raises:
        SignatureInvalid: no signature of a known key, a wrong one, a key id twice, or one in no known form.
        EncodingInvalid: another type, or bytes that parsers could read differently.
    """
    # 1
    if envelope.payload_type != payload_type(kind):
        raise EncodingInvalid(f"expected {payload_type(kind)}, got {envelope.payload_type!r:.120}")
    if len(envelope.payload) > most:
        raise EncodingInvalid(f"document of {len(envelope.payload)} bytes; at most {most}")
    signatures = envelope.signatures
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise SignatureInvalid(f"{len(signatures)} signatures; 1 to {MAX_SIGNATURES} are allowed")
    if len({s.keyid for s in signatures}) != len(signatures):
        raise SignatureInvalid("one key id stands twice in the envelope")
    if not all(_KEY_ID.fullmatch(s.keyid) and len(s.sig) <= MAX_SIGNATURE_BYTES for s in signatures):
        raise SignatureInvalid("a key id is no SHA-256 in hex, or a signature is none in its size")
    # 2
    signed = pre_encoding(envelope.payload_type, envelope.payload)
    signers = tuple(key for s in signatures if (key := keyring.verify(s.keyid, s.sig, signed)) is not None)
    if not signers:
        names = ", ".join(f"{s.keyid[:16]}…" for s in signatures)
        raise SignatureInvalid(f"no signature is by a key known here: {names}")
    # 3
    return Opened(parse_strict(envelope.payload, kind), hashlib.sha256(signed).digest(), signers, envelope)


def parse_strict(payload: bytes, kind: type[M]) -> M:
    """Parses bytes that are in the one expected encoding: ascending fields, none unknown, minimal numbers.

    Protobuf parsers disagree about everything else (repeated singular fields, unknown fields), so two
    readers of one signed payload could see two documents. Raises EncodingInvalid.
    """
    message = kind()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise EncodingInvalid(f"{kind.DESCRIPTOR.name}: bytes cannot be parsed") from error
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != payload:
        raise EncodingInvalid(f"{kind.DESCRIPTOR.name}: not in the one expected encoding")
    return message


def signer_of_party(signers: Sequence[party_pb2.PublicKey], party: str) -> party_pb2.PublicKey:
    """The first signer that belongs to this party. Raises SignatureInvalid."""
    for key in signers:
        if key.party == party:
            return key
    raise SignatureInvalid(f"not signed by {party}")
