"""Runs one of the console programs and ends it with SIGKILL at a durable step: nothing in it can clean up.

    CRASH_NOTES=notes CRASH_PLAN=plan python -m tests.crash.launcher xinyi-bank fetch --home ...

A durable step is what a later process finds: a database's commit, a rename, a file made, a file synced.
Whatever else a program does to the disk (it removes files, it writes without sync) lies between two of
these, so to die just before and just after each of them is to die everywhere. CRASH_NOTES gets one line per
step. CRASH_PLAN names a file `<step> <before or after> <signal>`; a new file there begins a new count, which
arms a server that runs already. Step 0 never comes: then the steps are counted only.

The programs know nothing of this: the calls of the standard library and of psycopg are wrapped around them.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

_open, _write, _stat = os.open, os.write, os.stat


class Steps:
    """Numbers the durable steps of this process, notes each, and sends it the signal at the planned one."""

    def __init__(self, notes: str, plan: str) -> None:
        self._notes = _open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._plan = plan
        self._lock = threading.Lock()
        self._armed = 0
        self._planned = (0, "before")
        self._signal = signal.SIGKILL
        self._numbers = itertools.count(1)

    @contextmanager
    def step(self, kind: str, subject: object) -> Iterator[None]:
        with self._lock:
            self._arm()
            number = next(self._numbers)
            _write(self._notes, f"{number} {kind} {subject}\n".encode())
        self._end_if((number, "before"))
        yield
        self._end_if((number, "after"))

    def _arm(self) -> None:
        try:
            found = _stat(self._plan).st_ino
        except OSError:
            return
        if found != self._armed:
            number, when, name = Path(self._plan).read_text().split()
            self._planned, self._signal = (int(number), when), signal.Signals[name]
            self._armed, self._numbers = found, itertools.count(1)
            _write(self._notes, b"armed\n")

    def _end_if(self, here: tuple[int, str]) -> None:
        if here == self._planned:
            os.kill(os.getpid(), self._signal)
            if self._signal == signal.SIGKILL:
                threading.Event().wait()  # it is on its way: this thread goes no further


def wrap_files(steps: Steps) -> None:
    """Renames, files made with O_EXCL, files synced. A synced directory changes nothing for a later process."""

    def renaming(real: Callable[..., None]) -> Callable[..., None]:
        def rename(source: Any, target: Any, **options: Any) -> None:
            with steps.step("rename", f"{os.fspath(source)} -> {os.fspath(target)}"):
                real(source, target, **options)

        return rename

    os.rename, os.replace = renaming(os.rename), renaming(os.replace)
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            sync(descriptor)
            return
        with steps.step("sync", os.readlink(f"/proc/self/fd/{descriptor}")):
            sync(descriptor)

    os.fsync = fsync

    def create(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        if not flags & os.O_EXCL:
            return _open(path, flags, mode, **options)
        with steps.step("create", path):
            return _open(path, flags, mode, **options)

    os.open = create


_SIGN_OF_LIFE = ("UPDATE workers SET", "INSERT INTO workers ")


def wrap_sqlite(steps: Steps) -> None:
    """Every connection anybody opens from now on notes its commits, and of which file.

    A commit that changed nothing is none: the sequencer looks at its log twice a second. Nor is a worker's sign
    of life, which comes whenever it likes and would move all other steps.
    """

    class Cursor(sqlite3.Cursor):
        connection: Connection

        def execute(self, statement: str, *values: Any) -> Any:
            word = statement.split(maxsplit=1)[0].upper()
            if word == "COMMIT":
                with self.connection.committing():
                    return super().execute(statement, *values)
            before = self.connection.total_changes
            self.connection.defines |= word in ("CREATE", "DROP", "ALTER")
            result = super().execute(statement, *values)
            if statement.startswith(_SIGN_OF_LIFE):
                self.connection.committed += self.connection.total_changes - before
            return result

    class Connection(sqlite3.Connection):
        def __init__(self, database: Any, *arguments: Any, **options: Any) -> None:
            super().__init__(database, *arguments, **options)
            self.place = os.path.basename(os.fspath(database))
            #: Whether the transaction makes or drops a table, which total_changes does not count.
            self.defines = False
            #: Changes that are committed, or count for nothing.
            self.committed = 0

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            with self.committing():
                super().commit()

        def __exit__(self, kind: Any, *_: object) -> Literal[False]:
            # As it is in sqlite3, where it does not come by `commit`.
            (self.commit if kind is None else self.rollback)()
            return False

        @contextmanager
        def committing(self) -> Iterator[None]:
            if self.total_changes == self.committed and not self.defines:
                yield
                return
            with steps.step("commit", self.place):
                yield
            self.committed, self.defines = self.total_changes, False

    real = sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **{"factory": Connection} | options)

    sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[assignment]


def wrap_psycopg(steps: Steps) -> None:
    import psycopg
    from psycopg.pq import TransactionStatus

    real = psycopg.Connection.commit

    def commit(self: psycopg.Connection[Any]) -> None:
        if self.info.transaction_status != TransactionStatus.INTRANS:
            return real(self)
        with steps.step("commit", self.info.dbname):
            return real(self)

    psycopg.Connection.commit = commit  # type: ignore[method-assign]


def launch(words: Sequence[str], notes: str, plan: str) -> None:
    """Becomes the program: `words` are its command line."""
    steps = Steps(notes, plan)
    wrap_files(steps)
    wrap_sqlite(steps)
    wrap_psycopg(steps)
    sys.argv = list(words)
    (program,) = entry_points(group="console_scripts", name=sys.argv[0])
    module, _, function = program.value.partition(":")
    getattr(import_module(module), function)()


if __name__ == "__main__":
    launch(sys.argv[1:], os.environ["CRASH_NOTES"], os.environ.get("CRASH_PLAN", ""))
