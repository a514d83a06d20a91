"""Admission: a registration sealed by the very key it registers becomes a key, a party and a certificate.

Decides which keys may enter. What a party may do afterwards is decided in rules/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from sqlalchemy import Connection

from audit import certificates, envelope
from audit.envelope import Opened
from audit.keys import Keyring, Signer, check_public_key, keyid, party_of
from gateway.authority import Authority
from gateway.config import Settings
from gateway.exchange import Exchange
from gateway.rules.partners import TESTING, check_right
from gateway.store import parties, tables
from xinyi.errors import Conflict, EncodingInvalid, Invalid, SignatureInvalid
from xinyi.v1 import envelope_pb2, party_pb2

DOCUMENT = party_pb2.KEY_PURPOSE_DOCUMENT

Registration = Opened[party_pb2.KeyRegistration]


@dataclass(frozen=True)
class Certifier:
    """How certificates come about here, and what else an admission says.

    `certify` takes (PEM request, holder) and returns the PEM chain, leaf first; "" where there is none yet.
    """

    certify: Callable[[str, str], str]
    ca: str
    gateway_address: str
    log_verifier_key: str


def certifier(settings: Settings, chain: str) -> Certifier:
    """Demo: the demonstration CA issues. Otherwise the chain that an outside CA issued is checked and passed
    on; the holder may also get it from that CA directly."""
    ca = settings.tls().ca.read_bytes()

    def outside(request: str, holder: str) -> str:
        if chain:
            certificates.check(chain.encode(), certificates.requested_key(request), holder, ca=ca)
        return chain

    demo = settings.mode == "demo" and not chain
    certify = Authority(settings.home / "authority").issue if demo else outside
    return Certifier(certify, ca.decode(), settings.partner_address, str(settings.log_key()))


def read_request(data: bytes) -> envelope_pb2.Envelope:
    """Raises EncodingInvalid."""
    try:
        return envelope_pb2.Envelope.FromString(data)
    except DecodeError as error:
        raise EncodingInvalid("this file is no signing request") from error


def open_registration(conn: Connection, sealed: envelope_pb2.Envelope) -> Registration:
    """A registration whose key proves that its holder possesses it, and has the right to register it.

    1. the key is no weak one, 2. it signed the registration itself, 3. where it is new and its holder has an
    active one, that one signed beside it (a colleague's does not do), 4. names fit together.

    Raises Invalid, SignatureInvalid, EncodingInvalid, Conflict.
    """
    # The key is read before the seal is verified because it is the key that the seal is verified with.
    key = envelope.parse_strict(sealed.payload, party_pb2.KeyRegistration).key
    # 1
    check_public_key(key)
    if key.purpose != DOCUMENT:
        raise Invalid("partners register document keys", basis="registration.purpose")
    # 2
    held = [row for row in parties.list_keys(conn, key.party) if row["state"] == "ACTIVE"]
    keyring = Keyring([key, *map(parties.public_key, held)])
    opened = envelope.open_sealed(sealed, party_pb2.KeyRegistration, keyring)
    signers = {keyid(signer) for signer in opened.signers}
    if keyid(key) not in signers:
        raise SignatureInvalid("the registration is not sealed by the key it registers")
    # 3
    known = parties.find_key(conn, keyid(key))
    older = {row["keyid"] for row in held if row["holder"] == key.holder}
    if known is None and older and not signers & older:
        raise SignatureInvalid(
            f"{key.holder} has an active key already: a new one is signed by that one too "
            "(`request --rotate`), or that one is retired or reported compromised first"
        )
    # 4
    if party_of(key.holder) != key.party:
        raise Invalid("the key's holder is of another party", basis="registration.party")
    if known is not None and (known["holder"] != key.holder or known["state"] != "ACTIVE"):
        raise Conflict(
            f"this key is registered for {known['holder']} and {known['state']}", basis="registration.key"
        )
    return opened


def admit(
    x: Exchange, sealed: envelope_pb2.Envelope, kind: str, certifier: Certifier, signer: Signer, actor: str
) -> envelope_pb2.Envelope:
    """Registers the key (a new party, a further person, a rotation) and seals the admission.

    The same key again gets a certificate for the request's new TLS key. The operator has compared the
    fingerprint with the holder by another way before.

    Args:
        kind: name of the party kind; "" takes the registration's.
    """
    opened = open_registration(x.conn, sealed)
    key = opened.message.key
    _enter_party(x, opened.message, kind)
    digest = x.document(sealed)
    if parties.find_key(x.conn, keyid(key)) is None:
        x.add(tables.keys, key_row(key, digest, x.now_ms))
        word = "key.registered"
    else:
        word = "certificate.issued"
    request = opened.message.certificate_request
    admission = x.seal(
        party_pb2.Admission(
            party=key.party,
            holder=key.holder,
            registration_digest=digest,
            certificate_chain=certifier.certify(request, key.holder) if request else "",
            ca_certificate=certifier.ca,
            gateway_address=certifier.gateway_address,
            log_verifier_key=certifier.log_verifier_key,
            admitted_at_ms=x.now_ms,
        ),
        signer,
    )
    x.log(
        word,
        actor=actor,
        counterparty=key.party,
        documents=[digest, x.document(admission)],
        detail=f"{key.holder} {keyid(key)}",
    )
    return admission


def _enter_party(x: Exchange, registration: party_pb2.KeyRegistration, kind: str) -> None:
    """Makes the party's row where it is new; refuses one that may bring nothing in any more."""
    stated = party_pb2.PartyKind.Name(registration.party_kind).removeprefix("PARTY_KIND_")
    asked = stated if stated != "UNSPECIFIED" else ""
    known = parties.find_party(x.conn, registration.key.party)
    expected = kind or (known["kind"] if known is not None else "") or asked
    if not expected:
        raise Invalid("name the party's kind with --kind: its request does not", basis="registration.kind")
    if (asked and asked != expected) or (known is not None and known["kind"] != expected):
        told = {"the request says": asked, "the register": known["kind"] if known else "", "you": kind}
        raise Conflict(
            "kinds differ: "
            + ", ".join(f"{who} {says}" for who, says in told.items() if says),
            basis="registration.kind",
        )
    if known is not None:
        check_right(known, "enter")
        return
    x.add(
        tables.parties,
        {
            "party": registration.key.party,
            "kind": expected,
            "display_name": registration.display_name,
            "state": TESTING,
            "changed_at_ms": x.now_ms,
        },
    )


def key_row(key: party_pb2.PublicKey, registration: bytes, now_ms: int) -> dict[str, Any]:
    return {
        "keyid": keyid(key),
        "party": key.party,
        "holder": key.holder,
        "algorithm": key.algorithm,
        "purpose": key.purpose,
        "spki": key.spki,
        "state": "ACTIVE",
        "registered_at_ms": now_ms,
        "compromised_since_ms": None,
        "registration": registration,
    }
