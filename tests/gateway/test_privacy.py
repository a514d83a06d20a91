"""What lies in a home is for its own account alone, also what libraries put there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from gateway.office.inspection import problems
from tests.terminal import Terminal
from tests.world import city


@pytest.fixture
def open_handed() -> Iterator[None]:
    """A login that lets everybody read its files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


async def test_a_gateway_that_has_served_passes_its_own_check(tmp_path: Path, open_handed: None) -> None:
    """Databases, the workflow engine's included, and what SQLite lays beside them."""
    async with city(tmp_path):
        shown = [file for file in (tmp_path / "gateway").glob("*.db*") if file.stat().st_mode & 0o077]
        assert shown == []
    assert not [line for line in problems(tmp_path / "gateway") if "can be read by others" in line]


def test_a_program_writes_for_its_own_account(tmp_path: Path, terminal: Terminal, open_handed: None) -> None:
    """Whatever it writes, and however: a database a library makes, a CSV file."""
    app = typer.Typer()

    @app.command()
    def write() -> None:
        (tmp_path / "landed.db").write_bytes(b"")

    terminal.ok(app)
    assert stat.S_IMODE((tmp_path / "landed.db").stat().st_mode) == 0o600
