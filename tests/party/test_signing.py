"""[signing] of party.toml: what is refused, what `check` says, and that secrets stay out of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.bank.cli import app
from adapters.party import admission
from adapters.party.home import Home
from adapters.party.onboarding import problems
from audit import envelope, pins
from audit.keys import Keyring, generate_private_key, keyid
from tests.signing_desk import signing_desk
from tests.softhsm import PIN, SoftToken, soft_token
from tests.terminal import Terminal
from xinyi.errors import Invalid
from xinyi.settings import SettingsInvalid
from xinyi.v1 import envelope_pb2, party_pb2

HOLDER = "xinyi://test-city/bank-1/machine/main"
TOKEN = '[signing]\nkeys = ["token:document"]\n[signing.token]\nmodule = "/x.so"\nlabel = "bank-1"\n'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "bank", HOLDER, "127.0.0.1:1", "test-city/gateway")


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "hsm", monkeypatch) as token:
        token.make("document")
        yield token


def signed_with(home: Home, toml: str) -> Home:
    path = home.path / "party.toml"
    path.write_text(path.read_text().partition("[signing]")[0] + toml)
    return Home.open(home.path)


def said(home: Home) -> str:
    """What `check` says of the keys: the first line; a home that was not admitted has others."""
    return problems(home)[0]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[signing]\nkeys = ["document"]', "signing.keys.0: String should match pattern"),
        ('[signing]\nkeys = ["file:../authority/ca"]', "signing.keys.0: String should match pattern"),
        ("[signing]\nkeys = []", "signing.keys: Tuple should have at least 1 item"),
        ('[signing]\nkeys = ["file:document", "file:document"]', "a key signs a document once"),
        ('[signing]\nkind = "token"', "signing.kind is no setting"),
        (TOKEN.replace("module", "modul"), "signing.token.modul is no setting (did you mean module?)"),
        (TOKEN.replace('label = "bank-1"', ""), "signing.token.label is missing"),
        (TOKEN + f'pin = "{PIN}"', "signing.token.pin is a secret"),
        (TOKEN + f"pin = {PIN}", "XINYI_SIGNING__TOKEN__PIN"),
        ('[signing.server]\nurl = "https://x"', "signing.server.public_keys is missing"),
    ],
)
def test_settings_that_are_wrong_stop_start_up(home: Home, toml: str, words: str) -> None:
    """Each names its key; a PIN in the file is refused and not repeated."""
    with pytest.raises(SettingsInvalid) as refused:
        signed_with(home, toml)
    assert words in refused.value.explanation
    assert PIN not in refused.value.explanation


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[signing]\nkeys = ["token:document"]', "[signing.token] is missing"),
        ('[signing]\nkeys = ["server:document"]', "[signing.server] is missing"),
        (
            '[signing]\nkeys = ["server:a"]\n[signing.server]\nurl = "http://127.0.0.1:1"\npublic_keys = {b = ""}',
            "signing.server.public_keys.a is missing",
        ),
        (
            '[signing]\nkeys = ["server:a"]\n[signing.server]\nurl = "http://127.0.0.1:1"\npublic_keys = {a = "AA=="}',
            "signing.server.public_keys.a is not base64 of a DER SubjectPublicKeyInfo",
        ),
        (TOKEN, "/x.so is no PKCS#11 library"),
    ],
)
def test_check_says_what_a_key_lacks(home: Home, toml: str, words: str) -> None:
    """What only shows when the key is used."""
    assert words in said(signed_with(home, toml))


def test_check_signs_with_the_token(home: Home, hsm: SoftToken) -> None:
    """All well; another key's name; a PIN of others, a wrong one, none."""
    assert "no certificate yet" in said(signed_with(home, hsm.toml("token:document")))
    assert "labelled 'dokument'" in said(signed_with(home, hsm.toml("token:dokument")))
    hsm.restart()
    hsm.pin_file.chmod(0o640)
    assert "chmod 600" in said(signed_with(home, hsm.toml("token:document")))
    hsm.pin_file.chmod(0o600)
    assert "pin_file names it" in said(signed_with(home, hsm.toml("token:document", pin_file="keys/none")))
    assert "PIN is not given" in said(signed_with(home, hsm.toml("token:document", pin_file="")))
    hsm.pin_file.write_text("000000")
    assert "refuses the PIN" in said(signed_with(home, hsm.toml("token:document")))


def test_the_pin_may_come_from_the_environment(
    home: Home, hsm: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wins over the file, and no printed settings show it."""
    hsm.pin_file.write_text("000000")
    monkeypatch.setenv("XINYI_SIGNING__TOKEN__PIN", PIN)
    opened = signed_with(home, hsm.toml("token:document"))
    assert "no certificate yet" in said(opened)
    assert PIN not in repr(opened.settings)


def test_check_signs_at_the_server(home: Home, tmp_path: Path) -> None:
    """All well; a server that refuses, that signs with another key, that is away."""
    with signing_desk(tmp_path / "desk", "document", "other") as desk:
        opened = signed_with(home, desk.toml("server:document"))
        assert "no certificate yet" in said(opened)
        desk.answer = 403, b""
        assert "answers 403" in said(opened)
        desk.answer = None
        desk.signers["document"] = desk.signers["other"]
        assert "signs with another key" in said(opened)
    assert "cannot be reached" in said(opened)


def test_the_commands_use_the_token(home: Home, hsm: SoftToken, tmp_path: Path, terminal: Terminal) -> None:
    """`key` and `request` of a home without a private file: the request is sealed by the token's key."""
    signed_with(home, hsm.toml("token:document"))
    (home.keys / "document.pem").unlink()
    terminal.ok(app, "key", "--home", home.path, "-o", tmp_path / "key.json")
    (key,) = pins.load(tmp_path / "key.json")
    terminal.ok(app, "request", "--home", home.path, "-o", tmp_path / "request")
    sealed = envelope_pb2.Envelope.FromString((tmp_path / "request").read_bytes())
    opened = envelope.open_sealed(sealed, party_pb2.KeyRegistration, Keyring([key]))
    assert opened.message.key == key
    refused = terminal(app, "request", "--home", home.path, "--rotate")
    assert (refused.code, "add it to signing.keys" in refused.err) == (3, True)
    refused = terminal(app, "request", "--home", home.path, "--key", "token:other")
    assert (refused.code, "not among signing.keys" in refused.err) == (3, True)
    hsm.pin_file.write_text("000000")
    hsm.restart()
    refused = terminal(app, "check", "--home", home.path)
    assert (refused.code, "refuses the PIN" in refused.err) == (2, True)


def test_status_needs_no_token(home: Home, terminal: Terminal) -> None:
    """Looking at what lies here signs nothing."""
    with (home.path / "party.toml").open("a") as settings:
        settings.write(f'\n[bank]\nproducts = ["grade-a"]\n\n{TOKEN}')
    terminal.ok(app, "status", "--home", home.path)


def test_two_files_sign_beside_each_other(home: Home) -> None:
    """And a missing one stops start-up."""
    toml = '[signing]\nkeys = ["file:document", "file:second"]'
    with pytest.raises(SettingsInvalid, match=r"second\.pem is missing"):
        signed_with(home, toml)
    generate_private_key(home.keys / "second.pem")
    opened = signed_with(home, toml)
    request = admission.request(opened, party_pb2.PARTY_KIND_BANK, key="file:second")
    sealed = envelope_pb2.Envelope.FromString(request)
    first, second = (keyid(signer.key) for signer in opened.signers())
    assert [signature.keyid for signature in sealed.signatures] == [second, first]
    with pytest.raises(Invalid):
        opened.signer("file:third")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def test_check_names_a_damaged_key_file(home: Home) -> None:
    """What a bad restore cut off; nothing else is hidden by it."""
    (home.keys / "document.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    assert "document.pem holds no private key" in said(home)
    assert any("no certificate yet" in problem for problem in problems(home))


def test_check_says_each_thing_once(home: Home) -> None:
    (home.keys / "document.pem").chmod(0o644)
    assert len([problem for problem in problems(home) if "chmod 600" in problem]) == 1


def test_a_request_says_the_fingerprint_to_tell(home: Home, tmp_path: Path, terminal: Terminal) -> None:
    """Of the new key, too: an operator who has it from the file alone compares the file with itself."""
    for arguments in ((), ("--rotate",)):
        said = terminal.ok(app, "request", "--home", home.path, "-o", tmp_path / "request", *arguments).err
        sealed = envelope_pb2.Envelope.FromString((tmp_path / "request").read_bytes())
        key = party_pb2.KeyRegistration.FromString(sealed.payload).key
        assert f"fingerprint {keyid(key)}" in said
        assert (key == home.signer().key) == (not arguments)
