"""Certificates: what the demonstration CA puts into them, and which certificates are taken."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from audit import certificates
from audit.keys import ECDSA_P256, generate_private_key
from gateway.authority import Authority
from tests.outside_ca import OutsideCa
from xinyi.errors import Invalid

HOLDER = "xinyi://test-city/bank-1/machine/main"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"), "test-city")


@pytest.fixture
def tls_key(tmp_path: Path) -> Path:
    generate_private_key(tmp_path / "tls.pem", ECDSA_P256)
    return tmp_path / "tls.pem"


def test_the_authority_s_key_is_private(tmp_path: Path) -> None:
    """Key and certificate are for their owner alone."""
    Authority.create(tmp_path / "ca", "test-city")
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "ca/ca.pem").stat().st_mode) == 0o600


def test_names_come_from_the_holder_never_from_the_request(authority: Authority, tls_key: Path) -> None:
    """A request that asks for another party's names gets a certificate with its own."""
    other = certificates.request(tls_key, "xinyi://test-city/tax-bureau/person/li-wei")
    issued = x509.load_pem_x509_certificate(authority.issue(other, HOLDER).encode())
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [HOLDER]
    assert names.get_values_for_type(x509.DNSName) == ["bank-1.test-city.xinyi.internal", "localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert isinstance(issued.public_key(), ec.EllipticCurvePublicKey)
    assert not issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_what_is_issued_is_accepted(authority: Authority, tls_key: Path) -> None:
    """The holder's own check takes the certificate, and nobody else's does."""
    key = certificates.load_key(tls_key).public_key()
    chain = authority.issue(certificates.request(tls_key, HOLDER), HOLDER).encode()
    certificates.check(chain, key, HOLDER, ca=authority.pem)
    for wrong_key, holder, basis in (
        (ec.generate_private_key(ec.SECP256R1()).public_key(), HOLDER, "certificate.key"),
        (key, "xinyi://test-city/bank-2/machine/main", "certificate.uri"),
    ):
        with pytest.raises(Invalid) as refused:
            certificates.check(chain, wrong_key, holder, ca=authority.pem)
        assert refused.value.basis == basis


def test_an_outside_ca_s_chain(tls_key: Path) -> None:
    """Leaf and intermediate lead to the root; without the intermediate, or to another root, they do not."""
    ca, stranger = OutsideCa(), OutsideCa("Stranger")
    key = certificates.load_key(tls_key).public_key()
    request = certificates.request(tls_key, HOLDER)
    chain = ca.issue(request, HOLDER)
    certificates.check(chain, key, HOLDER, ca=ca.root)
    certificates.check(chain, key, HOLDER, ca=stranger.root + ca.root)
    leaf_alone = chain.removesuffix(ca.intermediate)
    certificates.check(leaf_alone, key, HOLDER, ca=ca.intermediate)
    for wrong, root in (
        (leaf_alone, ca.root),
        (chain, stranger.root),
        (stranger.issue(request, HOLDER), ca.root),
    ):
        with pytest.raises(Invalid) as refused:
            certificates.check(wrong, key, HOLDER, ca=root)
        assert refused.value.basis == "certificate.chain"


def test_a_certificate_names_one_holder(tls_key: Path) -> None:
    """Two holders in one certificate, or none, are refused; so is one that has ended."""
    ca = OutsideCa()
    key = certificates.load_key(tls_key).public_key()
    request = certificates.request(tls_key, HOLDER)
    for chain, basis in (
        (ca.issue(request, HOLDER, "xinyi://test-city/bank-2/machine/main"), "certificate.uri"),
        (ca.issue(request), "certificate.encoding"),
        (ca.issue(request, HOLDER, days=-1), "certificate.expired"),
        (b"no certificate", "certificate.encoding"),
    ):
        with pytest.raises(Invalid) as refused:
            certificates.check(chain, key, HOLDER, ca=ca.root)
        assert refused.value.basis == basis


def test_requests_that_are_refused(authority: Authority, tls_key: Path) -> None:
    """Not a request, not P-256, or not signed by its own key."""
    request = certificates.request(tls_key, HOLDER)
    der = bytearray(x509.load_pem_x509_csr(request.encode()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    edwards = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)
    larger = builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256())
    others = [r.public_bytes(serialization.Encoding.PEM).decode() for r in (edwards, larger)]
    for wrong in ("", "hello", forged, *others):
        with pytest.raises(Invalid):
            authority.issue(wrong, HOLDER)
