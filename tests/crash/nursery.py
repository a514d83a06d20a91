"""A process that has imported a program's modules already and forks the program whenever it is told to.

Every child is a process of its own, with its own connections and files; only the import, three quarters of a
command's time, is spared. Told by lines of JSON: a child's command line, notes, plan and output. Answers with
its process id at once, and with its return code when it has ended.
"""

from __future__ import annotations

import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.crash.launcher import launch

ROOT = Path(__file__).parents[2]
#: Packages of each program; those it imports come with them.
PACKAGES = {
    "xinyi-gateway": ("gateway",),
    "xinyi-bureau": ("adapters.bureau",),
    "xinyi-bank": ("adapters.bank", "adapters.tables"),
}
#: Imported by the programs when first needed.
LATE = ("psycopg", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg")


class Nursery:
    """One child at a time. `close` it when the last one has ended."""

    def __init__(self, program: str) -> None:
        self.program = program
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery", program],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def bear(self, words: Sequence[object], notes: Path, plan: Path, output: Path) -> int:
        """Starts `program words`; returns its process id."""
        assert self._process.stdin
        order = [[self.program, *map(str, words)], str(notes), str(plan), str(output)]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._read()

    def wait(self) -> int:
        """The child's return code; the negative number of the signal that killed it."""
        return self._read()

    def _read(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def _import(package: str) -> None:
    module = import_module(package)
    for found in pkgutil.walk_packages(module.__path__, f"{package}."):
        if ".migrations." not in found.name:
            import_module(found.name)


def _bear(words: list[str], notes: str, plan: str, output: str) -> Any:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, descriptor, descriptor)):
        os.dup2(source, number)
    launch(words, notes, plan)


def _end_with_the_tests(child: int) -> None:
    """Waits for the child's end. No order comes while it runs: input is then the end of input, of killed tests."""
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, sys.stdin], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    os.close(ended)


def main(program: str) -> None:
    for package in PACKAGES[program]:
        _import(package)
    for module in LATE:
        import_module(module)
    assert threading.active_count() == 1, "a thread would not survive the fork"
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _bear(*json.loads(line))
            raise SystemExit
        print(child, flush=True)
        _end_with_the_tests(child)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
