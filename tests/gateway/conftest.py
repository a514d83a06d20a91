"""A founded gateway, copied for each test: keys and migrations are slow to make."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import Gateway, open_gateway
from gateway.config import Settings
from gateway.office.founding import Plan, found
from tests.terminal import Terminal

GATEWAY = "test-city/gateway"


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("founded") / "gateway"
    found(home, Plan(GATEWAY, "demo", "127.0.0.1:7443", ""))
    return home


@pytest.fixture
def home(founded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(founded, tmp_path / "gateway")


@pytest.fixture
def gateway(home: Path) -> Iterator[Gateway]:
    with open_gateway(Settings.load(home)) as opened:
        yield opened


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)
