"""The demonstration CA: for demos and tests, because its key lies on the gateway itself.

`mode = "production"` refuses it wherever it shows up.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audit import certificates
from audit.keys import ECDSA_P256, generate_private_key, party_of
from xinyi import files
from xinyi.channel import server_name
from xinyi.settings import SettingsInvalid

#: Organisation in every certificate made here: how production recognises it.
DEMO = "XINYI DEMONSTRATION CA - NOT FOR PRODUCTION"
_CA_DAYS, _LEAF_DAYS = 3650, 730


class Authority:
    """The CA of one gateway: <home>/authority/{ca.pem,ca.crt}."""

    def __init__(self, directory: Path) -> None:
        self._key = certificates.load_key(directory / "ca.pem")
        self.pem = (directory / "ca.crt").read_bytes()
        self._subject = x509.load_pem_x509_certificate(self.pem).subject

    @classmethod
    def create(cls, directory: Path, city: str) -> Authority:
        files.make_directory(directory)
        generate_private_key(directory / "ca.pem", ECDSA_P256)
        key = certificates.load_key(directory / "ca.pem")
        name = _name(f"{city} demonstration CA")
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            _builder(name, name, key.public_key(), _CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        files.create(directory / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))
        return cls(directory)

    def issue(self, request: str, holder: str) -> str:
        """PEM certificate for the key of a PKCS#10 request. Its names come from `holder`, never from the
        request. Raises Invalid where the request is not signed by its own P-256 key."""
        public = certificates.requested_key(request)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(_name(server_name(party_of(holder))), self._subject, public, _LEAF_DAYS)
            .add_extension(certificates.names(holder), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(issuer_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


def check_not_demo(home: Path, *candidates: Path) -> None:
    """Raises SettingsInvalid where anything of the demonstration CA is in a production home.

    Args:
        candidates: certificates about to be installed; those in the home are looked at always.
    """
    if (home / "authority").exists():
        raise SettingsInvalid(
            f'{home / "authority"} holds the demonstration CA: mode = "production" refuses it. '
            "Make a new home with `init --mode production`",
            basis="mode.demo_ca",
        )
    for file in (home / "keys/ca.crt", home / "keys/tls.crt", *candidates):
        if file.exists() and any(map(_is_demo, x509.load_pem_x509_certificates(file.read_bytes()))):
            raise SettingsInvalid(
                f'{file} is of the demonstration CA: mode = "production" takes certificates of an outside CA',
                basis="mode.demo_ca",
            )


def _is_demo(certificate: x509.Certificate) -> bool:
    parts = [*certificate.subject, *certificate.issuer]
    return any(part.oid == NameOID.ORGANIZATION_NAME and part.value == DEMO for part in parts)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEMO),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # Clocks of partners differ: the certificate is valid a little before it was made.
        .not_valid_before(now - timedelta(minutes=10))
        .not_valid_after(now + timedelta(days=days))
    )
