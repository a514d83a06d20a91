"""A key behind a signature server: what it signs is verified first, and a server that fails is for later."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from audit import envelope
from audit.keys import ECDSA_P256, ED25519, Keyring, keyid
from audit.signature_server import Pins, ServerSigner, SignatureServer
from tests.audit.test_token import verify_with_openssl
from tests.signing_desk import Desk, signing_desk
from xinyi.errors import Invalid, Unavailable
from xinyi.v1 import edition_pb2, party_pb2

STOP = edition_pb2.Stop(reason="数据有误")


def client(desk: Desk, key: str = "document", *, timeout_s: float = 5.0, url: str = "") -> ServerSigner:
    tls = desk.url.startswith("https")
    pins = Pins(desk.place / "ca.crt", desk.place / "client.crt", desk.place / "client.pem") if tls else None
    return ServerSigner(desk.signers["document"].key, SignatureServer(url or desk.url, timeout_s, pins), key)


@pytest.mark.parametrize("tls", [True, False], ids=["https", "loopback"])
@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_P256], ids=["ed25519", "p-256"])
def test_the_server_signs_exactly_the_document(
    tmp_path: Path, algorithm: party_pb2.KeyAlgorithm, tls: bool
) -> None:
    """The bytes posted are the pre-encoding; what comes back holds here and for the openssl command."""
    with signing_desk(tmp_path / "desk", "document", algorithm=algorithm, tls=tls) as desk:
        signer = client(desk)
        sealed = envelope.seal(STOP, signer)
        message = envelope.pre_encoding(sealed.payload_type, sealed.payload)
        assert desk.asked == [message]
        opened = envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([signer.key]))
        assert [keyid(key) for key in opened.signers] == [keyid(signer.key)]
        verify_with_openssl(tmp_path, signer.key, sealed.signatures[0].sig, message)


def test_the_largest_document_is_signed(tmp_path: Path) -> None:
    """4 MiB go to the server whole."""
    with signing_desk(tmp_path / "desk", "document") as desk:
        signer, message = client(desk), b"x" * envelope.MAX_PAYLOAD_BYTES
        Keyring([signer.key]).verify(keyid(signer.key), signer.sign(message), message)


def test_a_server_that_signs_with_another_key_is_found_out(tmp_path: Path) -> None:
    """Its signature is good, and not ours: nothing is handed on."""
    with signing_desk(tmp_path / "desk", "document", "other") as desk:
        desk.signers["document"], desk.signers["other"] = desk.signers["other"], desk.signers["document"]
        signer = ServerSigner(desk.signers["other"].key, client(desk).server, "document")
        with pytest.raises(Unavailable, match="signs with another key") as refused:
            envelope.seal(STOP, signer)
        assert refused.value.basis == "signing.signature"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"garbage", "does not hold under our key"),
        (200, bytes(64), "does not hold under our key"),
        (200, b"", "no signature"),
        (200, b"<html>" * 1000, "no signature"),
        (403, b"not that document", "answers 403 for document"),
        (500, b"", "answers 500 for document"),
        (301, b"", "answers 301 for document"),
    ],
)
def test_what_is_no_signature_is_not_used(tmp_path: Path, status: int, body: bytes, said: str) -> None:
    """Garbage, nothing, somebody's page, a refusal, a redirection."""
    with signing_desk(tmp_path / "desk", "document") as desk:
        desk.answer = status, body
        with pytest.raises(Unavailable, match=said):
            client(desk).sign(b"message")


def test_a_key_the_server_does_not_have(tmp_path: Path) -> None:
    """404 is said with the key's name."""
    with (
        signing_desk(tmp_path / "desk", "document") as desk,
        pytest.raises(Unavailable, match="404 for dokument"),
    ):
        client(desk, "dokument").sign(b"message")


def test_a_server_that_is_down_or_slow_is_for_later(tmp_path: Path) -> None:
    """Nobody waits longer than was set."""
    with signing_desk(tmp_path / "desk", "document", tls=False) as desk:
        desk.pause_s = 30.0
        signer, begun = client(desk, timeout_s=0.3), time.monotonic()
        with pytest.raises(Unavailable, match=r"not answered within 0\.3 s"):
            signer.sign(b"message")
        assert time.monotonic() - begun < 15
    with pytest.raises(Unavailable, match="cannot be reached"):
        signer.sign(b"message")


def test_something_that_speaks_no_http(tmp_path: Path) -> None:
    """A TLS server asked in plain text."""
    with signing_desk(tmp_path / "desk", "document") as desk, pytest.raises(Unavailable):
        client(desk, url=desk.url.replace("https", "http")).sign(b"message")


def test_only_the_pinned_server_is_asked_and_only_we_are_answered(tmp_path: Path) -> None:
    """A server of another CA gets nothing to sign; a caller without a certificate of its CA gets no signature."""
    with (
        signing_desk(tmp_path / "desk", "document") as desk,
        signing_desk(tmp_path / "other", "document") as other,
    ):
        of_other = Pins(other.place / "ca.crt", other.place / "client.crt", other.place / "client.pem")
        stranger = Pins(desk.place / "ca.crt", other.place / "client.crt", other.place / "client.pem")
        for pins, said in ((of_other, "not of the pinned CA"), (stranger, "cannot be reached")):
            with pytest.raises(Unavailable, match=said):
                SignatureServer(desk.url, 5, pins).sign("document", b"message")
        assert not desk.asked


@pytest.mark.parametrize(
    "url",
    ["http://sign.bank.example/document", "http://10.0.0.1:8080", "ftp://127.0.0.1/x", "127.0.0.1:8080",
     "https://127.0.0.1/x", "http://user:secret@127.0.0.1/x", "http://127.0.0.1/x?y"],
)  # fmt: skip
def test_plain_http_stays_on_this_machine(url: str) -> None:
    """And https comes with its three files."""
    with pytest.raises(Invalid):
        SignatureServer(url, 5)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    """Another key's certificate, a missing CA, a key that others can read."""
    with signing_desk(tmp_path / "desk", "document") as desk:
        place = desk.place
        for pins in (
            Pins(place / "ca.crt", place / "client.crt", place / "server.pem"),
            Pins(place / "nothing.crt", place / "client.crt", place / "client.pem"),
        ):
            with pytest.raises(Invalid, match="cannot be used"):
                SignatureServer(desk.url, 5, pins)
        (place / "client.pem").chmod(0o644)
        with pytest.raises(Invalid, match="chmod 600"):
            client(desk)
