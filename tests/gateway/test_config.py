"""gateway.toml: what stops start-up, and that the message says what to mend."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from audit import checkpoint
from audit.log import HeadStore
from gateway.app import Gateway, open_gateway
from gateway.config import Settings
from gateway.office.inspection import problems
from gateway.store.db import open_engine
from xinyi.errors import HeadConflict
from xinyi.settings import SettingsInvalid


def edit(home: Path, old: str, new: str) -> None:
    text = (home / "gateway.toml").read_text()
    assert old in text
    (home / "gateway.toml").write_text(text.replace(old, new))


def refusal(home: Path) -> SettingsInvalid:
    with pytest.raises(SettingsInvalid) as refused:
        Settings.load(home)
    return refused.value


def test_a_founded_home_loads_whole(home: Path) -> None:
    """Defaults, relative databases inside the home, and the log's name and key."""
    settings = Settings.load(home)
    assert settings.holder == "xinyi://test-city/gateway/machine/main"
    assert settings.database_url == f"sqlite:///{home}/gateway.db"
    assert settings.log_key().name == "test-city/gateway/log"
    assert settings.partner_address == settings.listen
    assert not settings.reflection


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('listen = "127', 'lisen = "127', "listen is missing; lisen is no setting (did you mean listen?)"),
        ("workers = 8", "worker_count = 8", "delivery.worker_count is no setting"),
        ('mode = "demo"', 'mode = "test"', "mode: Input should be 'demo' or 'production'"),
        ("max_attempts = 8", "max_attempts = 0", "delivery.max_attempts: Input should be greater than"),
        ("[delivery]", "[delivery", "is not TOML"),
        ('"sqlite:///head.db"', '"sqlite:///./gateway.db"', "head_store is the same database as database"),
        ('"sqlite:///workflows.db"', '"sqlite:///head.db"', "head_store is the same database as workflows"),
        ('"sqlite:///gateway.db"', '"sqlite://"', "is no file"),
    ],
)
def test_what_stops_start_up(home: Path, old: str, new: str, said: str) -> None:
    """Each mistake in the file is refused with the key and, where there is one, the nearest right name."""
    edit(home, old, new)
    assert said in refusal(home).explanation


def test_the_environment_wins_and_may_not_mistype(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable overrides the file; one that means nothing stops start-up like a key that means nothing."""
    monkeypatch.setenv("XINYI_DELIVERY__WORKERS", "3")
    monkeypatch.setenv("XINYI_HOME", "/elsewhere")
    assert Settings.load(home).delivery.workers == 3
    monkeypatch.setenv("XINYI_DELIVRY__WORKERS", "3")
    assert "XINYI_DELIVRY__WORKERS is no setting (did you mean delivery?)" in refusal(home).explanation


def test_messages_never_show_values(home: Path) -> None:
    """A database URL holds a password: neither an error nor a printed object shows it."""
    edit(home, 'database = "sqlite:///gateway.db"', 'database = ["postgresql://x:SECRET@db/x"]')
    assert "database: " in refusal(home).explanation
    assert "SECRET" not in str(refusal(home))
    edit(home, '["postgresql://x:SECRET@db/x"]', '"postgresql://x:SECRET@db/x"')
    assert "SECRET" not in repr(Settings.load(home))


def test_a_key_file_others_can_read_stops_start_up(home: Path) -> None:
    """The log's key with mode 0644 is refused with the command that mends it."""
    (home / "keys/log.pem").chmod(0o644)
    assert f"chmod 600 {home}/keys/log.pem" in refusal(home).explanation


def test_check_finds_nothing_wrong_with_a_new_home(home: Path) -> None:
    """What `init` makes is ready to serve."""
    assert problems(home) == []


def test_check_says_that_the_log_may_not_go_on(home: Path) -> None:
    """A partner showed a head of this log that it does not have: `serve` would refuse, too."""
    settings = Settings.load(home)
    engine = open_engine(settings.head_store_url)
    shown = checkpoint.sign(settings.log_origin, 99, bytes(32), settings.log_signer())
    HeadStore(engine, settings.log_origin, settings.log_key()).note_conflict(shown)
    engine.dispose()
    assert [line for line in problems(home) if "a head of 99 leaves" in line]
    with pytest.raises(HeadConflict):
        Gateway(settings)


def test_check_compares_the_database_with_the_head_store(home: Path) -> None:
    """A restored copy is found before `serve` refuses it, and nothing is written."""
    shutil.copy(home / "gateway.db", home / "backup.db")
    with open_gateway(Settings.load(home)) as gateway:
        gateway.door.run_sync(lambda x: x.log("partner.active", actor=gateway.holder))
    assert problems(home) == []
    (home / "gateway.db-wal").unlink(missing_ok=True)
    (home / "backup.db").rename(home / "gateway.db")
    assert [line for line in problems(home) if "restored or stale copy" in line]
    with pytest.raises(HeadConflict):
        Gateway(Settings.load(home))


def test_a_head_store_that_is_missing_is_said_and_not_made(home: Path) -> None:
    """By `check` and by whatever opens the gateway, `serve` too."""
    for file in home.glob("head.db*"):
        file.unlink()
    assert [line for line in problems(home) if "head store cannot be read (its file is missing)" in line]
    with pytest.raises(SettingsInvalid) as refused:
        Gateway(Settings.load(home))
    assert refused.value.basis == "settings.head_store"
    assert not (home / "head.db").exists()


def test_check_says_everything_at_once(home: Path) -> None:
    """Every problem in one run, each with what to do."""
    (home / "keys/document.pem").chmod(0o640)
    edit(home, 'listen = "127.0.0.1:7443"', 'listen = "7443"')
    shutil.copy(home / "gateway.db", home / "head.db")
    (home / "keys/tls.crt").unlink()
    found = "\n".join(problems(home))
    for words in ("chmod 600", "is not host:port", "head store cannot be read", "certificate install"):
        assert words in found
    assert len(problems(home)) == 5  # listen, and address that follows it


def test_production_refuses_the_demonstration_ca(home: Path) -> None:
    """Its key lies on the gateway: neither the CA itself nor a certificate of it is taken in production."""
    edit(home, 'mode = "demo"', 'mode = "production"')
    assert refusal(home).basis == "mode.demo_ca"
    shutil.rmtree(home / "authority")
    assert "ca.crt is of the demonstration CA" in refusal(home).explanation
    (home / "keys/ca.crt").unlink()
    assert "tls.crt is of the demonstration CA" in refusal(home).explanation
    (home / "keys/tls.crt").unlink()
    assert Settings.load(home).mode == "production"
    assert any("certificate request" in line for line in problems(home))
