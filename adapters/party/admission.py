"""How a party asks its gateway for admission, and takes the answer into its home.

Decides which answer belongs to which request. Nothing in the answer makes a key trusted.
"""

from __future__ import annotations

import time

from google.protobuf.message import DecodeError

from adapters.party.home import Home
from audit import certificates, envelope
from audit.custody import is_file
from audit.keys import generate_private_key, keyid, replace_private_key
from xinyi import files
from xinyi.errors import EncodingInvalid, Invalid
from xinyi.v1 import envelope_pb2, party_pb2


def request(
    home: Home,
    kind: party_pb2.PartyKind,
    display_name: str = "",
    *,
    rotate: bool = False,
    key: str = "",
) -> bytes:
    """Serialised Envelope of a KeyRegistration; kept, so that the answer can be told from another's.

    Rotation makes a new document key in a file, which waits beside the old one until `install`. A further key
    is one of `signing.keys`. Either is signed by itself and by the home's first key, and changes no certificate.

    Args:
        key: name of the key to register; the home's first where none is named.

    Raises Invalid: rotation of a key that lies elsewhere, a key that signs nothing here.
    """
    own = home.settings.signing.keys
    key = key or own[0]
    if rotate:
        key = _make_waiting(home, key)
    elif key not in own:
        raise Invalid(f"{key} is not among signing.keys of this home: {', '.join(own)}", basis="signing.keys")
    further = key != own[0]
    signers = [home.signer(key), *([home.signer()] if further else [])]
    registration = party_pb2.KeyRegistration(
        key=signers[0].key,
        party_kind=kind,
        certificate_request=""
        if further
        else certificates.request(home.keys / "tls.pem", home.settings.holder),
        requested_at_ms=time.time_ns() // 1_000_000,
        display_name=display_name,
    )
    sealed = envelope.seal(registration, *signers).SerializeToString(deterministic=True)
    files.write_atomically(home.state / "request", sealed)
    return sealed


def install(home: Home, admission: bytes, *, chain: bytes = b"", ca: bytes = b"") -> party_pb2.Admission:
    """Takes the gateway's answer: certificate, CA, and a rotated key into service.

    1. sealed by a pinned key of the gateway, 2. about this holder and the last request of this home,
    3. the certificate is for our TLS key; only then files change.

    Args:
        chain, ca: PEM of an outside CA, where the gateway passes no certificate on.

    Raises SignatureInvalid, EncodingInvalid, Invalid.
    """
    # 1
    opened = envelope.open_sealed(_parse(admission), party_pb2.Admission, home.gateway_keyring())
    message = opened.message
    # 2
    kept = home.state / "request"
    if message.holder != home.settings.holder or not kept.exists():
        raise Invalid(f"the admission is for {message.holder}, not for this home", basis="admission.holder")
    asked = _parse(kept.read_bytes())
    if message.registration_digest != envelope.digest(asked):
        raise Invalid(
            "the admission answers another request than the last of this home", basis="admission.request"
        )
    # 3
    chain = chain or message.certificate_chain.encode()
    if chain:
        ca = ca or message.ca_certificate.encode()
        tls_key = certificates.load_key(home.keys / "tls.pem").public_key()
        certificates.check(chain, tls_key, home.settings.holder, ca=ca)
        files.write_atomically(home.keys / "ca.crt", ca)
        files.write_atomically(home.keys / "tls.crt", chain)
    _put_into_service(home, envelope.parse_strict(asked.payload, party_pb2.KeyRegistration).key)
    return message


def _make_waiting(home: Home, key: str) -> str:
    if not is_file(key):
        raise Invalid(
            f"{key} is no file: make the new key there, add it to signing.keys, then `request --key`",
            basis="signing.rotate",
        )
    waiting = _waiting(key)
    if not home.custody.path(waiting).exists():
        generate_private_key(home.custody.path(waiting))
    return waiting


def _put_into_service(home: Home, registered: party_pb2.PublicKey) -> None:
    for key in filter(is_file, home.settings.signing.keys):
        path, waiting = home.custody.path(key), home.custody.path(_waiting(key))
        if waiting.exists() and home.signer(_waiting(key)).key == registered:
            replace_private_key(path, waiting, keyid(home.signer(key).key))


def _waiting(key: str) -> str:
    return f"{key}-next"


def _parse(data: bytes) -> envelope_pb2.Envelope:
    try:
        return envelope_pb2.Envelope.FromString(data)
    except DecodeError as error:
        raise EncodingInvalid("this file holds no sealed document") from error
