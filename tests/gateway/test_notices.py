"""The operator's notices: notice periods by kind, fingerprints of what comes, one number once for ever."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from audit import certificates
from gateway.cli import app
from gateway.config import Settings
from tests.gateway.test_admin import check_state_is_the_log_s, log_of
from tests.terminal import Outcome, Terminal
from xinyi.days import CHINA
from xinyi.v1 import notice_pb2


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINYI_HOME", str(home))


def add(terminal: Terminal, number: str, kind: str, days: int, *more: object) -> Outcome:
    """Announces a change that holds in so many days."""
    day = (datetime.now(CHINA).date() + timedelta(days=days)).isoformat()
    words = ("notice", "add", number, "--kind", kind, "--effective", day)
    return terminal(app, *words, "--zh", "请更换", "--en", "Change it.", *more)


def listed(terminal: Terminal) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(terminal.ok(app, "notice", "list", "--json").out)
    return found


@pytest.mark.parametrize(
    ("kind", "days"), [("contract", 90), ("product", 30), ("maintenance", 3)], ids=lambda value: str(value)
)
def test_a_notice_keeps_its_period_or_says_why_not(terminal: Terminal, kind: str, days: int) -> None:
    """A day too late is refused; with a reason it is announced, with the reason in it; a needless one is refused."""
    refused = add(terminal, "1", kind, days - 1)
    assert refused.code == 3
    assert "notice.period" in refused.err
    assert f"{days} are the notice period" in refused.err
    assert add(terminal, "1", kind, days, "--urgent", "no reason").code == 3
    assert add(terminal, "2", kind, days).code == 0
    assert add(terminal, "3", kind, 0, "--urgent", "a key was lost").code == 0
    assert "is over" in add(terminal, "4", kind, -1, "--urgent", "a key was lost").err
    assert [(row["number"], row["urgent"]) for row in listed(terminal)] == [("3", "a key was lost"), ("2", "")]


def test_periods_are_settings(home: Path, terminal: Terminal) -> None:
    """Shorter ones by agreement: gateway.toml says so."""
    with (home / "gateway.toml").open("a") as settings:
        settings.write("\n[notices]\ncontract_days = 10\n")
    assert Settings.load(home).notices.days(notice_pb2.NOTICE_KIND_CONTRACT) == 10
    assert add(terminal, "1", "contract", 9).code == 3
    assert add(terminal, "1", "contract", 10).code == 0


def test_fingerprints_are_those_of_the_files(home: Path, tmp_path: Path, terminal: Terminal) -> None:
    """SHA-256 of the DER certificate, or of the public key; another file than the kind's is refused."""
    certificate = home / "keys/tls.crt"
    public = certificates.load_key(home / "keys/tls.pem").public_key()
    encoding, form = serialization.Encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    key = tmp_path / "next.pub"
    key.write_bytes(public.public_bytes(encoding.PEM, form))
    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(encoding.DER)
    expected = {"1": hashlib.sha256(der), "2": hashlib.sha256(public.public_bytes(encoding.DER, form))}
    assert add(terminal, "1", "certificate", 30, "--fingerprint", certificate).code == 0
    said = add(terminal, "2", "key", 31, "--fingerprint", key)
    assert expected["2"].hexdigest() in said.out
    assert {row["number"]: row["fingerprint"] for row in listed(terminal)} == {
        number: digest.hexdigest() for number, digest in expected.items()
    }
    for kind, *more in (
        ("key",),
        ("key", "--fingerprint", certificate),
        ("certificate", "--fingerprint", key),
        ("key", "--fingerprint", home / "keys/tls.pem"),
        ("product", "--fingerprint", certificate),
    ):
        refused = add(terminal, "3", kind, 99, *more)
        assert refused.code == 2
        assert "notice.fingerprint" in refused.err


def test_a_number_is_given_once_and_a_notice_is_replaced_once(home: Path, terminal: Terminal) -> None:
    """What was replaced stays known by its number; every row is the log's."""
    assert add(terminal, "2018-1", "product", 40).code == 0
    assert "notice.number" in add(terminal, "2018-1", "product", 41).err
    assert "notice.number" in add(terminal, "2018 1", "product", 41).err
    assert "notice.replaces" in add(terminal, "2018-2", "product", 50, "--replaces", "2018-7").err
    other = add(terminal, "2018-2", "maintenance", 50, "--replaces", "2018-1")
    assert (other.code, "is one of kind product" in other.err) == (3, True)
    assert add(terminal, "2018-2", "product", 50, "--replaces", "2018-1").code == 0
    assert "replaced by 2018-2" in add(terminal, "2018-3", "product", 50, "--replaces", "2018-1").err
    assert [row["number"] for row in listed(terminal)] == ["2018-2"]
    assert "2018-2" in terminal.ok(app, "notice", "list").out
    assert [entry.kind for entry in log_of(home)][1:] == ["notice.announced"] * 2
    check_state_is_the_log_s(home)
