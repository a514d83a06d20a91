"""A key in a token: signatures hold for others, and whatever is wrong is said before anything is signed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from audit import custody, envelope
from audit.keys import ECDSA_P256, ED25519, FileSigner, Keyring, generate_private_key, keyid
from audit.token import Token, TokenSigner
from tests.softhsm import LABEL, PIN, SoftToken, soft_token
from xinyi.errors import Invalid, Unavailable
from xinyi.v1 import edition_pb2, party_pb2

HOLDER = "xinyi://test-city/bank-1/machine/main"
DOCUMENT = party_pb2.KEY_PURPOSE_DOCUMENT
KINDS = {"EC:edwards25519": ED25519, "EC:prime256v1": ECDSA_P256}


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "hsm", monkeypatch) as token:
        yield token


def opened(hsm: SoftToken, pin: str = PIN, label: str = LABEL) -> Token:
    return Token(hsm.module, label, lambda: pin)


def signer(token: Token, label: str) -> TokenSigner:
    return TokenSigner(token, label, holder=HOLDER, purpose=DOCUMENT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_s_signature_holds_everywhere(hsm: SoftToken, tmp_path: Path, kind: str) -> None:
    """Under the public key read from the token: for the seal, for `cryptography`, for the openssl command."""
    hsm.make("document", kind)
    made = signer(opened(hsm), "document")
    assert (made.key.algorithm, made.key.holder, made.key.party) == (KINDS[kind], HOLDER, "test-city/bank-1")
    sealed = envelope.seal(edition_pb2.Stop(reason="数据有误"), made)
    envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([made.key]))

    message = envelope.pre_encoding(sealed.payload_type, sealed.payload)
    signature = sealed.signatures[0].sig
    public = serialization.load_der_public_key(made.key.spki)
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, message)
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    verify_with_openssl(tmp_path, made.key, signature, message)


def verify_with_openssl(place: Path, key: party_pb2.PublicKey, signature: bytes, message: bytes) -> None:
    for name, data in (("key.der", key.spki), ("signature", signature), ("message", message)):
        (place / name).write_bytes(data)
    if key.algorithm == ED25519:
        verify = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin"]
        verify += ["-in", "message", "-sigfile", "signature"]
    else:
        verify = [
            "dgst",
            "-sha256",
            "-verify",
            "key.der",
            "-keyform",
            "DER",
            "-signature",
            "signature",
            "message",
        ]
    done = subprocess.run(["openssl", *verify], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("label", "key", "pin", "basis", "said"),
    [
        ("bank-2", "document", PIN, "signing.token", "there: 'bank-1'"),
        (LABEL, "dokument", PIN, "signing.key", "holds 0 objects PRIVATE_KEY labelled 'dokument'"),
        (LABEL, "document", "000000", "signing.pin", "refuses the PIN"),
        (LABEL, "rsa", PIN, "keys.algorithm", "neither an Ed25519 nor a P-256 key"),
        (LABEL, "p384", PIN, "keys.algorithm", "neither an Ed25519 nor a P-256 key"),
        (LABEL, "twice", PIN, "signing.key", "holds 2 objects PRIVATE_KEY"),
        (LABEL, "halved", PIN, "signing.key", "holds 0 objects PUBLIC_KEY"),
    ],
)
def test_what_is_wrong_with_a_token_is_said(
    hsm: SoftToken, label: str, key: str, pin: str, basis: str, said: str
) -> None:
    """Another token, no such key, two of one name, a wrong PIN, an algorithm that signs nothing here."""
    hsm.make("document")
    if key in ("rsa", "p384", "twice", "halved"):
        hsm.make(key, {"rsa": "rsa:2048", "p384": "EC:secp384r1"}.get(key, "EC:prime256v1"))
    if key == "twice":
        hsm.make(key)
    if key == "halved":
        hsm.remove(key, "pubkey")
    with pytest.raises(Invalid) as refused:
        signer(opened(hsm, pin, label), key)
    assert refused.value.basis == basis
    assert said in refused.value.explanation
    assert pin not in str(refused.value)


def test_what_is_no_token_library_is_said(tmp_path: Path) -> None:
    """No file, or a file that is something else."""
    (tmp_path / "text.so").write_text("no library")
    for module in (tmp_path / "missing.so", tmp_path / "text.so"):
        with pytest.raises(Invalid, match=r"signing\.token\.module"):
            signer(Token(module, LABEL, lambda: PIN), "document")


def test_a_refused_pin_is_not_tried_again(hsm: SoftToken) -> None:
    """A token locks after a few wrong PINs. Once the PIN is another, it is tried without a new start."""
    hsm.make("document")
    pins = ["000000"]
    token = Token(hsm.module, LABEL, lambda: pins[0])
    for _ in range(20):
        with pytest.raises(Invalid, match="refuses the PIN"):
            token.public_key("document")
    flags = pkcs11.lib(str(hsm.module)).get_token(token_label=LABEL).flags
    assert not flags & pkcs11.TokenFlag.USER_PIN_LOCKED
    pins[0] = PIN
    custody.probe(signer(token, "document"))


def test_a_restarted_token_is_logged_in_again(hsm: SoftToken) -> None:
    """Every session is gone; the next signature opens one. Where that fails, it is for later."""
    hsm.make("document")
    pins = [PIN]
    made = signer(Token(hsm.module, LABEL, lambda: pins[0]), "document")
    hsm.restart()
    custody.probe(made)
    hsm.restart()
    pins[0] = "000000"
    with pytest.raises(Unavailable, match="refuses the PIN"):
        made.sign(b"message")
    pins[0] = PIN
    custody.probe(made)


def test_a_key_that_vanishes_is_for_later(hsm: SoftToken) -> None:
    """Deleted while in service: nothing is signed with another, and nothing crashes."""
    hsm.make("document")
    made = signer(opened(hsm), "document")
    hsm.remove("document", "privkey")
    hsm.restart()
    with pytest.raises(Unavailable, match="holds 0 objects PRIVATE_KEY"):
        made.sign(b"message")


def test_a_pair_that_is_none_signs_nothing(hsm: SoftToken) -> None:
    """One label, two different halves: the signature does not hold, and is not handed on."""
    hsm.make("document")
    hsm.remove("document", "pubkey")
    hsm.make("other")
    hsm.remove("other", "privkey")
    session = pkcs11.lib(str(hsm.module)).get_token(token_label=LABEL).open(rw=True, user_pin=PIN)
    session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label="other")[pkcs11.Attribute.LABEL] = (
        "document"
    )
    session.close()
    with pytest.raises(Unavailable, match="does not hold under our key"):
        signer(opened(hsm), "document").sign(b"message")


def test_threads_share_a_token(hsm: SoftToken) -> None:
    """Two keys, two logins, eight threads: every signature holds under its own key."""
    for label, kind in (("p256", "EC:prime256v1"), ("ed25519", "EC:edwards25519")):
        hsm.make(label, kind)
    shared = opened(hsm)
    made = [signer(shared, "p256"), signer(shared, "ed25519"), signer(opened(hsm), "p256")]
    ring = Keyring(one.key for one in made)

    def work(number: int) -> None:
        one, message = made[number % 3], b"message %d" % number
        if number == 100:
            shared.close()
        ring.verify(keyid(one.key), one.sign(message), message)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))


def test_a_file_and_a_token_seal_one_document(hsm: SoftToken, tmp_path: Path) -> None:
    """Who knows either key is content; who knows both requires both to hold."""
    hsm.make("document")
    generate_private_key(tmp_path / "document.pem")
    file = FileSigner.load(tmp_path / "document.pem", holder=HOLDER, purpose=DOCUMENT)
    token = signer(opened(hsm), "document")
    stop = edition_pb2.Stop(reason="x")
    sealed = envelope.seal(stop, file, token)
    assert envelope.digest(sealed) == envelope.digest(envelope.seal(stop, file))
    for known in ([file], [token], [file, token]):
        found = envelope.open_sealed(sealed, edition_pb2.Stop, Keyring(one.key for one in known))
        assert [keyid(key) for key in found.signers] == [keyid(one.key) for one in known]


def test_without_the_extra_the_error_names_it(tmp_path: Path) -> None:
    """Whoever has no token installs no binding; settings that name one say what to install."""
    program = (
        "import sys; sys.modules['pkcs11'] = None\n"
        "from pathlib import Path; from audit.token import Token\n"
        "Token(Path('x.so'), 'bank-1', lambda: '').public_key('document')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert "pip install 'xinyi-gateway[hsm]'" in done.stderr


def test_a_logout_by_another_user_of_the_process_is_mended(hsm: SoftToken) -> None:
    """Logins are the process's: when one logs out, the private keys vanish for all."""
    for label in ("one", "two"):
        hsm.make(label)
    first, second = opened(hsm), opened(hsm)
    signer(first, "one")
    custody.probe(signer(second, "one"))
    first.close()
    custody.probe(signer(second, "two"))
    custody.probe(signer(first, "one"))
