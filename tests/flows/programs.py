"""The project's own programs as real processes, and all that they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent


class Program:
    """A serving program; both of its outputs go to one file."""

    def __init__(self, said: Path, *words: object, env: Mapping[str, str] | None = None) -> None:
        self._said = said
        with said.open("ab") as file:
            self._process = subprocess.Popen(
                [str(BIN / str(words[0])), *map(str, words[1:])],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=os.environ | (env or {}),
            )

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8", errors="replace")

    def await_line(self, word: str, *, times: int = 1, patience_s: float = 60) -> None:
        """Until it has said a word that often. Raises AssertionError with its last words."""
        until = time.monotonic() + patience_s
        while self.said.count(word) < times:
            assert self._process.poll() is None, f"it ended:\n{self.said[-2000:]}"
            assert time.monotonic() < until, f"it never said {word}:\n{self.said[-2000:]}"
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut does it: nothing is finished, nothing is said."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def stop(self) -> None:
        """Ends it, unless it was killed here. Raises AssertionError where it had ended by itself."""
        ended = self._process.poll()
        assert ended in (None, -signal.SIGKILL), f"it ended by itself with {ended}:\n{self.said[-2000:]}"
        self._process.terminate()
        self._process.wait(30)


@contextmanager
def serving(
    said: Path, ready: str, *words: object, env: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """A program from the moment it says `ready`; it is stopped at the end unless it was killed."""
    times = said.read_text().count(ready) if said.exists() else 0
    program = Program(said, *words, env=env)
    try:
        program.await_line(ready, times=times + 1)
        yield program
    finally:
        program.stop()


def run(*words: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    return subprocess.run(
        [str(BIN / str(words[0])), *map(str, words[1:])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | (env or {}),
    )
