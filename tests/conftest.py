"""Databases for tests, and the count of what ran on which.

TESTS_MUST_NOT_SKIP=1 (continuous integration) turns every skip into a failure.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import postgres

REQUIRE_ALL = os.environ.get("TESTS_MUST_NOT_SKIP", "") not in ("", "0")
BACKENDS = ("sqlite", "postgresql")

_server: list[postgres.Server] = []


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgres.Server]:
    """The session's one PostgreSQL server; skips, with the reason, where there is none."""
    try:
        server = postgres.Server()
    except postgres.NoServer as reason:
        pytest.skip(str(reason))
    _server.append(server)
    yield server
    server.stop()


@pytest.fixture
def postgresql_url(postgresql_server: postgres.Server) -> Iterator[str]:
    """A fresh PostgreSQL database. Use with `@pytest.mark.postgresql`; `database_url` marks by itself."""
    url = postgresql_server.create()
    yield url
    postgresql_server.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A fresh SQLite file. Use with `@pytest.mark.sqlite`; `database_url` marks by itself."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in BACKENDS])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database; the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def _refuse_skip(report: Any) -> None:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"TESTS_MUST_NOT_SKIP is set and this did not run. {reason}"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Iterator[None]:
    outcome = yield
    _refuse_skip(outcome.get_result())  # type: ignore[attr-defined]


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Iterator[None]:
    outcome = yield
    _refuse_skip(outcome.get_result())  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many tests ran on each database."""

    def count(outcomes: tuple[str, ...], backend: str) -> int:
        reports = {
            report.nodeid
            for outcome in outcomes
            for report in terminalreporter.stats.get(outcome, ())
            if backend in getattr(report, "keywords", {})
        }
        return len(reports)

    terminalreporter.section("databases")
    for backend, name in zip(BACKENDS, ("SQLite", "PostgreSQL"), strict=True):
        ran, skipped = count(("passed", "failed"), backend), count(("skipped",), backend)
        where = f" ({_server[0].version}, {_server[0].origin})" if _server and backend == "postgresql" else ""
        left_out = f", {skipped} SKIPPED" if skipped else ""
        terminalreporter.line(f"{name}: {ran} tests ran{left_out}{where}")


@pytest.fixture
def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
