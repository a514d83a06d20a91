"""Which keys may enter: proof of possession, weak keys, rotation, further persons, renewed certificates."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import select

from adapters.party import admission as onboarding
from adapters.party.home import Home
from audit import envelope
from audit.keys import ED25519, FileSigner, check_public_key, keyid
from audit.log import log_entries
from gateway.app import Gateway
from gateway.office import admission, keys, partners
from gateway.store import parties
from tests.gateway.conftest import GATEWAY
from tests.outside_ca import OutsideCa
from xinyi.errors import Conflict, EncodingInvalid, ExchangeError, Invalid, NotEntitled, SignatureInvalid
from xinyi.v1 import envelope_pb2, log_pb2, party_pb2

BANK = "xinyi://test-city/bank-1/machine/main"
MAKER = "xinyi://test-city/tax-bureau/person/li-wei"
APPROVER = "xinyi://test-city/tax-bureau/person/wang-fang"
BANK_KIND = party_pb2.PARTY_KIND_BANK


class Office:
    """The operator at the gateway, and homes made on demand."""

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self.gateway = gateway
        self._path = path
        self._made = 0

    def home(self, holder: str = BANK) -> Home:
        self._made += 1
        return Home.create(self._path / f"home-{self._made}", holder, "127.0.0.1:1", GATEWAY)

    def admit(self, request: bytes, kind: str = "", chain: str = "") -> bytes:
        certifier = admission.certifier(self.gateway.settings, chain)
        sealed = self.gateway.door.run_sync(
            lambda x: admission.admit(
                x, admission.read_request(request), kind, certifier, self.gateway.signer, self.gateway.holder
            )
        )
        return sealed.SerializeToString(deterministic=True)

    def read(self, query: Callable[[Any], Any]) -> Any:
        with self.gateway.database.reading() as conn:
            return query(conn)

    def join(self, holder: str, kind: party_pb2.PartyKind) -> Home:
        home = self.home(holder)
        answer = self.admit(onboarding.request(home, kind))
        home.pin(self.gateway.signer.key, keyid(self.gateway.signer.key))
        onboarding.install(home, answer)
        return home


@pytest.fixture
def office(gateway: Gateway, tmp_path: Path) -> Office:
    return Office(gateway, tmp_path)


def registration(key: party_pb2.PublicKey, *signers: Any, **fields: Any) -> bytes:
    message = party_pb2.KeyRegistration(key=key, party_kind=BANK_KIND, requested_at_ms=1, **fields)
    return envelope.seal(message, *signers).SerializeToString(deterministic=True)


def test_a_new_party_begins_in_testing(office: Office) -> None:
    """Admitted is not active: it has a key and a certificate, and no right to data."""
    home = office.join(BANK, BANK_KIND)
    party = office.read(lambda conn: parties.find_party(conn, home.party))
    assert (party["kind"], party["state"]) == ("BANK", "TESTING")
    assert office.read(lambda conn: parties.find_key(conn, keyid(home.signer().key)))["state"] == "ACTIVE"
    certificate = x509.load_pem_x509_certificate(home.tls().certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [BANK]


def test_a_key_proves_that_its_holder_has_it(office: Office) -> None:
    """A registration sealed by another key than the one it registers is refused."""
    home, thief = office.home(), office.home()
    with pytest.raises(SignatureInvalid):
        office.admit(registration(home.signer().key, thief.signer()))
    # Nor with the true signature of another message.
    true = envelope_pb2.Envelope.FromString(onboarding.request(home, BANK_KIND))
    true.payload = party_pb2.KeyRegistration(
        key=home.signer().key, party_kind=BANK_KIND, display_name="other"
    ).SerializeToString(deterministic=True)
    with pytest.raises(SignatureInvalid):
        office.admit(true.SerializeToString())


# ── weak keys ──────────────────────────────────────────────────────────────────────────────────────────

P = 2**255 - 19
D = (-121665 * pow(121666, P - 2, P)) % P


def _y_of_order_eight() -> int:
    """A point of order 8 doubles to one with y = 0; that asks for x² = −y², and with the curve's equation
    −x² + y² = 1 + d·x²·y² for d·t² + 2·t − 1 = 0 in t = y²."""
    root = pow((1 + D) % P, (P + 3) // 8, P)
    if root * root % P != (1 + D) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    for t in ((-1 + root) * pow(D, P - 2, P) % P, (-1 - root) * pow(D, P - 2, P) % P):
        y = pow(t, (P + 3) // 8, P)
        for candidate in (y, y * pow(2, (P - 1) // 4, P) % P):
            if candidate * candidate % P == t:
                return candidate
    raise AssertionError("no point of order 8 found")


def _weak() -> list[bytes]:
    """Every encoding of a point of order 1, 2, 4 or 8, canonical or not (the CCTV and libsodium lists)."""
    y8 = _y_of_order_eight()
    values = [0, 1, P - 1, y8, P - y8, P, P + 1]
    return [(y | sign << 255).to_bytes(32, "little") for y in values for sign in (0, 1)]


def _public(raw: bytes) -> party_pb2.PublicKey:
    spki = bytes.fromhex("302a300506032b6570032100") + raw
    return party_pb2.PublicKey(
        algorithm=ED25519,
        purpose=party_pb2.KEY_PURPOSE_DOCUMENT,
        spki=spki,
        party="test-city/bank-1",
        holder=BANK,
    )


#: From libsodium's blocklist and CCTV, as published: our own derivation above must contain them.
KNOWN_SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def test_the_derived_weak_points_contain_the_published_ones() -> None:
    """Two sources for one list."""
    assert {bytes.fromhex(known) for known in KNOWN_SMALL_ORDER} <= set(_weak())


@pytest.mark.parametrize("raw", [raw.hex() for raw in _weak()])
def test_a_key_under_which_signatures_prove_nothing_is_refused(office: Office, raw: str) -> None:
    """OpenSSL would verify under it: its holder could later deny every message."""
    with pytest.raises(Invalid) as refused:
        check_public_key(_public(bytes.fromhex(raw)))
    assert refused.value.basis in ("keys.small_order", "keys.canonical")
    request = registration(_public(bytes.fromhex(raw)), office.home().signer())
    with pytest.raises(Invalid):
        office.admit(request)


def test_the_danger_is_real() -> None:
    """Under the identity point one constant signature verifies for any message: hence the refusal above."""
    identity = (1).to_bytes(32, "little")
    signature = identity + bytes(32)
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(identity).verify(signature, b"I never said this")
    except Exception:
        pytest.skip("this build of OpenSSL refuses small-order keys by itself")


def test_honest_keys_pass() -> None:
    """The refusal does not catch a hundred ordinary keys."""
    for _ in range(100):
        check_public_key(_public(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()))


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        b"\x30\x00",
        bytes.fromhex("302a300506032b6570032100") + bytes(31),
        bytes.fromhex("302a300506032b656e032100") + b"\x09" + bytes(31),  # X25519
        bytes.fromhex("302a300506032b6570032100") + b"\x02" + bytes(31),  # no point of the curve
    ],
)
def test_what_is_no_key_is_refused(spki: bytes) -> None:
    """Broken encodings, keys of another algorithm, points off the curve."""
    with pytest.raises(Invalid):
        check_public_key(party_pb2.PublicKey(algorithm=ED25519, spki=spki))


# ── rotation and persons ───────────────────────────────────────────────────────────────────────────────


def test_a_rotated_key_is_signed_by_the_old_one(office: Office) -> None:
    """The new key enters under the old one's signature, and takes its place at home with `install`."""
    home = office.join(BANK, BANK_KIND)
    old = keyid(home.signer().key)
    answer = office.admit(onboarding.request(home, BANK_KIND, rotate=True))
    assert keyid(home.signer().key) == old
    onboarding.install(home, answer)
    new = keyid(home.signer().key)
    assert new != old
    assert (home.keys / f"document-{old[:16]}.pem").exists()
    rows = office.read(lambda conn: parties.list_keys(conn, home.party))
    assert {row["keyid"] for row in rows if row["state"] == "ACTIVE"} == {old, new}
    onboarding.install(home, answer)  # again is nothing
    assert keyid(home.signer().key) == new


def test_a_second_key_without_the_first_is_refused(office: Office) -> None:
    """Who only says he is li-wei does not get in beside li-wei; nor does a colleague bring him in."""
    maker = office.join(MAKER, party_pb2.PARTY_KIND_TAX_BUREAU)
    approver = office.join(APPROVER, party_pb2.PARTY_KIND_TAX_BUREAU)
    pretender = office.home(MAKER)
    with pytest.raises(SignatureInvalid):
        office.admit(onboarding.request(pretender, party_pb2.PARTY_KIND_TAX_BUREAU))
    new = pretender.signer()
    message = party_pb2.KeyRegistration(key=new.key, party_kind=party_pb2.PARTY_KIND_TAX_BUREAU)
    with pytest.raises(SignatureInvalid):
        office.admit(envelope.seal(message, new, approver.signer()).SerializeToString())
    assert len(office.read(lambda conn: parties.list_keys(conn, maker.party))) == 2


@pytest.mark.parametrize("how", ["retire", "compromise"])
def test_after_the_old_key_is_gone_a_new_one_enters_alone(office: Office, how: str) -> None:
    """A lost or stolen key is reported first; the next one is compared by its fingerprint like the first."""
    home = office.join(BANK, BANK_KIND)
    old = keyid(home.signer().key)
    run = office.gateway.door.run_sync
    if how == "retire":
        run(lambda x: keys.retire(x, old, "lost", office.gateway.holder))
    else:
        run(lambda x: keys.report_compromised(x, old, 5, "stolen", office.gateway.holder))
    office.admit(onboarding.request(office.home(BANK), BANK_KIND))
    with pytest.raises(Conflict):
        office.admit(onboarding.request(home, BANK_KIND))


def test_a_compromised_key_vouches_for_nobody(office: Office) -> None:
    """The thief cannot rotate the stolen key into a new one of his."""
    home = office.join(BANK, BANK_KIND)
    other = office.admit(onboarding.request(home, BANK_KIND, rotate=True))
    onboarding.install(home, other)
    stolen = FileSigner.load(
        next(home.keys.glob("document-*.pem")), holder=BANK, purpose=party_pb2.KEY_PURPOSE_DOCUMENT
    )
    office.gateway.door.run_sync(
        lambda x: keys.report_compromised(x, keyid(stolen.key), 5, "stolen", office.gateway.holder)
    )
    new = office.home(BANK).signer()
    with pytest.raises(SignatureInvalid):
        office.admit(registration(new.key, new, stolen))


def test_the_same_key_again_gets_a_new_certificate(office: Office) -> None:
    """Renewal: one key, two certificates, no second row; with the same request as well."""
    home = office.join(BANK, BANK_KIND)
    first = home.tls().certificate.read_bytes()
    onboarding.install(home, office.admit(onboarding.request(home, BANK_KIND)))
    assert home.tls().certificate.read_bytes() != first
    assert len(office.read(lambda conn: parties.list_keys(conn, home.party))) == 1


def test_a_key_belongs_to_one_holder(office: Office) -> None:
    """The same key cannot stand for two persons: the second signature of an approval would be the first's."""
    maker = office.join(MAKER, party_pb2.PARTY_KIND_TAX_BUREAU)
    key = party_pb2.PublicKey()
    key.CopyFrom(maker.signer().key)
    key.holder = APPROVER
    message = party_pb2.KeyRegistration(key=key, party_kind=party_pb2.PARTY_KIND_TAX_BUREAU)
    with pytest.raises(Conflict):
        office.admit(envelope.seal(message, maker.signer()).SerializeToString())


# ── names, kinds, states ───────────────────────────────────────────────────────────────────────────────


def test_kinds_must_agree(office: Office) -> None:
    """Request, register and operator say the same kind, or one of them says nothing."""
    unspecified = party_pb2.PARTY_KIND_UNSPECIFIED
    with pytest.raises(Invalid):
        office.admit(onboarding.request(office.home(), unspecified))
    with pytest.raises(Conflict):
        office.admit(onboarding.request(office.home(), BANK_KIND), kind="AUDITOR")
    office.admit(onboarding.request(office.home(), unspecified), kind="BANK")
    teller = office.home("xinyi://test-city/bank-1/person/teller")
    with pytest.raises(Conflict):
        office.admit(onboarding.request(teller, party_pb2.PARTY_KIND_CITY))
    office.admit(onboarding.request(teller, unspecified))


def test_nobody_enters_as_the_gateway(office: Office) -> None:
    """The gateway's own party takes no registration from outside."""
    home = office.home(f"xinyi://{GATEWAY}/machine/spare")
    with pytest.raises(NotEntitled):
        office.admit(onboarding.request(home, party_pb2.PARTY_KIND_GATEWAY))


def test_the_terminated_enter_no_more(office: Office) -> None:
    """A terminated partner registers no new keys; a suspended one may replace a compromised key."""
    home = office.join(BANK, BANK_KIND)
    run, actor = office.gateway.door.run_sync, office.gateway.holder
    run(lambda x: partners.decide(x, home.party, "activate", "ok", actor))
    run(lambda x: partners.decide(x, home.party, "suspend", "late", actor))
    office.admit(onboarding.request(home, BANK_KIND, rotate=True))
    run(lambda x: partners.decide(x, home.party, "terminate", "over", actor))
    with pytest.raises(NotEntitled) as refused:
        office.admit(onboarding.request(office.home("xinyi://test-city/bank-1/person/x"), BANK_KIND))
    assert refused.value.basis == "partner.terminated"


@pytest.mark.parametrize("purpose", [party_pb2.KEY_PURPOSE_LOG, party_pb2.KEY_PURPOSE_UNSPECIFIED])
def test_partners_register_document_keys_only(office: Office, purpose: party_pb2.KeyPurpose) -> None:
    """One key, one purpose."""
    home = office.home()
    signer = FileSigner.load(home.keys / "document.pem", holder=BANK, purpose=purpose)
    with pytest.raises(Invalid):
        office.admit(registration(signer.key, signer))


@pytest.mark.parametrize(
    "holder",
    [
        "xinyi://test-city/bank-1/machine/main/x",
        "xinyi://test-city/Bank-1/machine/main",
        "xinyi://test-city/bank-1/robot/main",
        "xinyi://test-city//machine/main",
        "xinyi://test-city/-bank/machine/main",
        "xinyi://test-city/bank-1/machine/ma in",
        "https://test-city/bank-1/machine/main",
        "",
    ],
)
def test_names_that_are_refused(office: Office, holder: str) -> None:
    """A holder's name becomes part of certificates and host names: only DNS labels get in."""
    with pytest.raises(Invalid):
        office.home(holder)
    key = office.home().signer()
    forged = party_pb2.PublicKey()
    forged.CopyFrom(key.key)
    forged.holder = holder
    with pytest.raises(Invalid):
        office.admit(registration(forged, key))


def test_a_holder_of_another_party(office: Office) -> None:
    """The party field and the holder's name may not tell two stories."""
    key = office.home().signer()
    forged = party_pb2.PublicKey()
    forged.CopyFrom(key.key)
    forged.party = "test-city/bank-2"
    with pytest.raises(Invalid):
        office.admit(registration(forged, key))


def test_files_that_are_no_request(office: Office) -> None:
    """Garbage, another document, trailing bytes: refused before anything is written."""
    home = office.home()
    good = envelope_pb2.Envelope.FromString(onboarding.request(home, BANK_KIND))
    other = envelope.seal(party_pb2.Admission(party=home.party), home.signer())
    padded = envelope_pb2.Envelope()
    padded.CopyFrom(good)
    padded.payload += b"\x98\x06\x01"
    for wrong in (b"\xff\xff", other.SerializeToString(), padded.SerializeToString(), b""):
        with pytest.raises(ExchangeError) as refused:
            office.admit(wrong)
        assert isinstance(refused.value, EncodingInvalid | Invalid | SignatureInvalid)
    assert office.read(lambda conn: parties.find_party(conn, home.party)) is None


def test_production_passes_on_an_outside_certificate(office: Office) -> None:
    """With --certificate the chain is checked against keys/ca.crt and handed to the holder."""
    ca = OutsideCa()
    (office.gateway.settings.home / "keys/ca.crt").write_bytes(ca.root)
    home = office.home()
    request = onboarding.request(home, BANK_KIND)
    asked = party_pb2.KeyRegistration.FromString(envelope_pb2.Envelope.FromString(request).payload)
    wrong = ca.issue(asked.certificate_request, "xinyi://test-city/bank-2/machine/main").decode()
    with pytest.raises(Invalid):
        office.admit(request, chain=wrong)
    right = ca.issue(asked.certificate_request, BANK)
    home.pin(office.gateway.signer.key, keyid(office.gateway.signer.key))
    onboarding.install(home, office.admit(request, chain=right.decode()))
    assert home.tls().certificate.read_bytes() == right
    assert home.tls().ca.read_bytes() == ca.root


def test_every_admission_is_in_the_log(office: Office) -> None:
    """Registration and admission are documents of one entry, and the key's row is among its changes."""
    home = office.join(BANK, BANK_KIND)
    openings = office.read(lambda conn: conn.execute(select(log_entries.c.opening)).scalars().all())
    entries = [log_pb2.LogEntry.FromString(opening) for opening in openings]
    assert [entry.kind for entry in entries] == ["gateway.founded", "key.registered"]
    assert len(entries[1].documents) == 2
    assert {change.table for change in entries[1].changes} == {"parties", "keys"}
    assert keyid(home.signer().key) in entries[1].detail
    assert base64.b64encode(home.signer().key.spki).decode() not in entries[1].detail
