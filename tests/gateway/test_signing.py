"""A gateway whose own keys lie in a token: founded with them, moved to them, and when the token is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from audit import checkpoint, envelope
from audit.keys import ECDSA_P256, ED25519, Keyring, keyid
from gateway.app import open_gateway
from gateway.cli import app
from gateway.config import Settings
from gateway.office.founding import Plan, found
from gateway.office.inspection import problems
from gateway.sequencer import Sequencer
from gateway.store import parties, tables
from tests.gateway.conftest import GATEWAY
from tests.softhsm import PIN, SoftToken, soft_token
from tests.terminal import Terminal
from xinyi.errors import Unavailable
from xinyi.settings import SettingsInvalid
from xinyi.v1 import envelope_pb2, party_pb2


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "hsm", monkeypatch) as token:
        token.make("document", "EC:prime256v1")
        token.make("log", "EC:edwards25519")
        yield token


def signing(hsm: SoftToken, document: str = "token:document", log: str = "token:log") -> str:
    return f'[signing]\ndocument = "{document}"\nlog = "{log}"\n\n{hsm.place_toml()}'


def test_a_gateway_is_founded_on_a_token(hsm: SoftToken, tmp_path: Path, terminal: Terminal) -> None:
    """`init --signing`: no private document or log file; entry, document and checkpoint hold under its keys."""
    (tmp_path / "signing.toml").write_text(signing(hsm))
    home = tmp_path / "made"
    terminal.ok(app, "init", "--city", "test-city", "--home", home, "--signing", tmp_path / "signing.toml")
    assert sorted(path.name for path in home.glob("keys/*.pem")) == ["tls.pem"]
    assert problems(home) == []
    settings = Settings.load(home)
    assert (settings.signer().key.algorithm, settings.log_signer().key.algorithm) == (ECDSA_P256, ED25519)
    with open_gateway(settings) as gateway:
        head = gateway.log.sequence()
        assert head is not None
        checkpoint.verify(head.note, settings.log_key())
        with gateway.database.reading() as conn:
            assert parties.find_key(conn, keyid(settings.signer().key))["state"] == "ACTIVE"
            data = conn.execute(select(tables.documents.c.envelope)).scalar_one()
    sealed = envelope_pb2.Envelope.FromString(data)
    envelope.open_sealed(sealed, party_pb2.KeyRegistration, Keyring([settings.signer().key]))


@pytest.mark.parametrize(
    ("document", "log", "said"),
    [
        ("token:document", "token:document", "the log's key signs nothing but the log"),
        ("file:document", "token:document", "a log key is an Ed25519 key"),
        ("token:dokument", "file:log", "labelled 'dokument'"),
        ("elsewhere", "file:log", "signing.document: String should match"),
    ],
)
def test_a_gateway_is_not_founded_on_the_wrong_keys(
    hsm: SoftToken, tmp_path: Path, document: str, log: str, said: str
) -> None:
    """And nothing of it is left."""
    with pytest.raises(Exception, match=said):
        found(tmp_path / "made", Plan(GATEWAY, "demo", "127.0.0.1:7443", ""), signing(hsm, document, log))
    assert not list(tmp_path.glob("*made*"))


def test_the_document_key_moves_into_a_token(hsm: SoftToken, home: Path, terminal: Terminal) -> None:
    """`key rotate --to`: registered under the file's key, put into service by settings, the old one retired."""
    old = keyid(Settings.load(home).signer().key)
    with (home / "gateway.toml").open("a") as settings:
        settings.write("\n" + hsm.place_toml())
    new = terminal.ok(app, "key", "rotate", "--to", "token:document", "--home", home).out.split()[-1]
    assert keyid(Settings.load(home).signer().key) == old
    text = (home / "gateway.toml").read_text()
    (home / "gateway.toml").write_text(
        text.replace("[signing.token]", '[signing]\ndocument = "token:document"\n\n[signing.token]')
    )
    assert keyid(Settings.load(home).signer().key) == new != old
    terminal.ok(app, "key", "retire", old, "--reason", "moved", "--home", home)
    refused = terminal(app, "key", "rotate", "--home", home)
    assert (refused.code, "key rotate --to" in refused.err) == (3, True)
    assert problems(home) == []


def test_the_log_waits_for_its_token(hsm: SoftToken, tmp_path: Path) -> None:
    """While the token is away entries gather and nothing stops; once it is back they are signed."""
    settings = found(
        tmp_path / "made", Plan(GATEWAY, "demo", "127.0.0.1:7443", ""), signing(hsm, "file:document")
    )
    stopped: list[Exception] = []
    with open_gateway(settings) as gateway:
        before = gateway.log.sequence()
        assert before is not None
        hsm.pin_file.write_text("000000")
        hsm.restart()
        gateway.door.run_sync(lambda x: x.log("agreement.annexed", actor=gateway.holder))
        with pytest.raises(Unavailable, match="refuses the PIN"):
            gateway.log.sequence()
        sequencer = Sequencer(gateway.log, stopped.append)
        sequencer.start()
        time.sleep(0.2)
        hsm.pin_file.write_text(PIN)
        deadline = time.monotonic() + 10
        while gateway.log.newest == before and time.monotonic() < deadline:
            time.sleep(0.05)
        sequencer.close()
        assert gateway.log.newest is not None
        assert gateway.log.newest.size == before.size + 1
        assert not stopped


def test_a_gateway_does_not_start_without_its_token(hsm: SoftToken, tmp_path: Path) -> None:
    """The log's key is looked at when settings are read; the message says which PIN to mend."""
    settings = found(tmp_path / "made", Plan(GATEWAY, "demo", "127.0.0.1:7443", ""), signing(hsm))
    hsm.restart()
    hsm.pin_file.write_text("000000")
    with pytest.raises(SettingsInvalid, match="refuses the PIN"):
        Settings.load(settings.home)
