"""TLS identities: what a certificate must say for a holder, the request for it, and whether one is right.

A certificate names exactly one holder. Which CA to trust is decided elsewhere.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit.keys import party_of, private_key
from xinyi.channel import server_name
from xinyi.errors import Invalid


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Raises Invalid for anything but a P-256 key (Ed25519 certificates fail between gRPC peers)."""
    private = private_key(path.read_bytes(), path)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise Invalid(f"{path} is no P-256 key", basis="keys.algorithm")
    return private


def names(holder: str) -> x509.SubjectAlternativeName:
    """The names a holder's certificate carries: the holder, and where its server may stand."""
    return x509.SubjectAlternativeName(
        [
            x509.UniformResourceIdentifier(holder),
            x509.DNSName(server_name(party_of(holder))),
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
    )


def request(tls_key: Path, holder: str) -> str:
    """PEM PKCS#10 request with the names the certificate must carry."""
    common = x509.NameAttribute(NameOID.COMMON_NAME, server_name(party_of(holder))[:64])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([common]))
        .add_extension(names(holder), critical=False)
        .sign(load_key(tls_key), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def requested_key(request_pem: str) -> ec.EllipticCurvePublicKey:
    """The key a request asks a certificate for. Raises Invalid unless that very P-256 key signed it."""
    try:
        parsed = x509.load_pem_x509_csr(request_pem.encode())
    except ValueError as error:
        raise Invalid("the certificate request cannot be read", basis="certificate.request") from error
    public = parsed.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise Invalid("TLS certificates are for P-256 keys", basis="certificate.algorithm")
    if not parsed.is_signature_valid:
        raise Invalid("the certificate request is not signed by its own key", basis="certificate.request")
    return public


def check(chain: bytes, key: ec.EllipticCurvePublicKey, holder: str, *, ca: bytes) -> None:
    """Raises Invalid unless the first certificate of a PEM chain is for this key, names this holder and no
    other, has not ended, and the chain leads, leaf first, to a certificate in `ca`."""
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        roots = x509.load_pem_x509_certificates(ca)
        found = certificates[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise Invalid(
            "the certificate cannot be read or names nobody", basis="certificate.encoding"
        ) from error
    if certificates[0].public_key() != key:
        raise Invalid("the certificate is for another key", basis="certificate.key")
    holders = [
        n for n in found.get_values_for_type(x509.UniformResourceIdentifier) if n.startswith("xinyi://")
    ]
    if holders != [holder]:
        raise Invalid(f"the certificate does not name {holder} alone", basis="certificate.uri")
    if certificates[0].not_valid_after_utc < datetime.now(UTC):
        raise Invalid("the certificate has ended", basis="certificate.expired")
    for i, certificate in enumerate(certificates):
        if any(_issued(certificate, root) for root in roots):
            return
        if not any(_issued(certificate, above) for above in certificates[i + 1 : i + 2]):
            break
    raise Invalid("the certificate does not lead to the CA, leaf first", basis="certificate.chain")


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def days_left(chain: bytes) -> int:
    """Whole days until the first certificate ends; negative afterwards."""
    return (x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc - datetime.now(UTC)).days
