"""What the stories of this folder are told with: real programs, each step a command that a person could type."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

BIN = Path(sys.executable).parent


class Story:
    """Runs commands one after the other, shows them, and stops at the first that fails."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._stack = ExitStack()
        self.started = time.monotonic()

    def __enter__(self) -> Story:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def chapter(self, title: str) -> None:
        print(f"\n━━ {title} ({time.monotonic() - self.started:.0f} s)", flush=True)

    def run(self, *words: str | Path, quiet: bool = False, shown: bool = True) -> str:
        """Output of a command, printed unless quiet; not shown: a look that is no step of the story."""
        line = [str(word) for word in words]
        if shown:
            print("$ " + shlex.join(word.replace(f"{self.work}/", "") for word in line), flush=True)
        done = subprocess.run([str(BIN / line[0]), *line[1:]], capture_output=True, text=True, cwd=self.work)
        if done.returncode or not quiet:
            print(done.stdout + (done.stderr if done.returncode else ""), end="", flush=True)
        if done.returncode:
            print(done.stderr)
            raise SystemExit(f"the step above ended with {done.returncode}")
        return done.stdout

    def serve(self, port: int, *words: str | Path) -> None:
        """A process that stays until the story ends; waits until its port answers."""
        line = [str(word) for word in words]
        print("$ " + shlex.join(word.replace(f"{self.work}/", "") for word in line) + " &", flush=True)
        log = self._stack.enter_context((self.work / f"{line[0]}-{port}.log").open("w"))
        process = subprocess.Popen([str(BIN / line[0]), *line[1:]], stdout=log, stderr=log, cwd=self.work)
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.terminate)
        for _ in range(300):
            if process.poll() is not None:
                raise SystemExit(f"{line[0]} stopped: {Path(log.name).read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"{line[0]} does not listen on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def expect(what: str, found: object, wanted: object) -> None:
    """The story goes on only where it is true."""
    if found != wanted:
        raise SystemExit(f"{what}: {found} instead of {wanted}")


def wait_for(story: Story, place: Path, pattern: str = "*") -> None:
    """Until the gateway's push has arrived there."""
    for _ in range(600):
        if place.is_dir() and any(place.glob(pattern)):
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing arrived in {place}")
