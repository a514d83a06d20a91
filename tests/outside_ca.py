"""A CA that is not the gateway's: what production takes certificates of. Root and one intermediate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit import certificates


class OutsideCa:
    def __init__(self, name: str = "Licensed CA") -> None:
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        root, self._name = _name(f"{name} root"), _name(f"{name} issuing")
        self.root = _pem(
            _builder(root, root, self._root_key.public_key(), True).sign(self._root_key, hashes.SHA256())
        )
        intermediate = _builder(self._name, root, self._key.public_key(), True)
        self.intermediate = _pem(intermediate.sign(self._root_key, hashes.SHA256()))

    def issue(self, request: str, *holders: str, days: int = 365) -> bytes:
        """PEM chain, leaf first, that names these holders."""
        names = [x509.UniformResourceIdentifier(holder) for holder in holders]
        leaf = _builder(_name("leaf"), self._name, certificates.requested_key(request), False, days=days)
        if names:
            leaf = leaf.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _pem(leaf.sign(self._key, hashes.SHA256())) + self.intermediate


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, ca: bool, *, days: int = 365
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
