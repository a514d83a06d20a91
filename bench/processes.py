"""Programs under measurement: jobs and floors are processes of their own, with wall time and peak memory.

This process must stay small: a child's ru_maxrss begins with its parent's, so nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
STOP_S = 30


@dataclass(frozen=True)
class Run:
    """One finished program."""

    seconds: float
    #: Largest resident set of the program or any child it waited for.
    peak_mib: float
    output: str

    @property
    def json(self) -> Any:
        """The last line a program printed, where that is its result."""
        return json.loads(self.output.strip().splitlines()[-1])


def python(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


def program(name: str, *arguments: object) -> list[str]:
    """One of the project's console commands."""
    return [str(BIN / name), *map(str, arguments)]


def _start(command: Sequence[str], env: Mapping[str, str] | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
    )


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, expect: tuple[int, ...] = (0,)
) -> Run:
    """Runs a program to its end. Raises RuntimeError with its last words where it fails."""
    started = time.perf_counter()
    child = _start(command, env)
    assert child.stdout
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in expect:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{output[-2000:]}")
    return Run(seconds, usage.ru_maxrss / 1024, output)


@dataclass
class Server:
    """A running program. `peak_mib` is known once it was stopped."""

    child: subprocess.Popen[str]
    ready: str
    lines: list[str] = field(default_factory=list)
    peak_mib: float = 0.0


@contextmanager
def serving(
    command: Sequence[str], *, ready: str, env: Mapping[str, str] | None = None, patience_s: float = 60
) -> Iterator[Server]:
    """A server for as long as the block; begins once it printed a line that holds `ready`."""
    child = _start(command, env)
    server = Server(child, "")
    is_ready = threading.Event()

    def listen() -> None:
        assert child.stdout
        for line in child.stdout:
            server.lines.append(line)
            del server.lines[:-200]
            if not is_ready.is_set() and ready in line:
                server.ready = line
                is_ready.set()
        is_ready.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        if not is_ready.wait(patience_s) or not server.ready:
            raise RuntimeError(f"{' '.join(command)} did not begin to serve:\n{''.join(server.lines[-40:])}")
        yield server
    finally:
        child.send_signal(signal.SIGTERM)
        overdue = threading.Timer(STOP_S, child.kill)
        overdue.start()
        _, status, usage = os.wait4(child.pid, 0)
        overdue.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        server.peak_mib = usage.ru_maxrss / 1024
        listener.join(STOP_S)
