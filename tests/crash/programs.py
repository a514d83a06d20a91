"""The programs under test as processes: a job that dies at one durable step, a service that is started again.

How many kills are tried: evenly spread samples of all points, the first and the last among them.
CRASH_EVERYWHERE=1 takes every point; that lasts two hours.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.nursery import Nursery

DONE, AGAIN, NOTHING = 0, 6, 7
PATIENCE_S = 120


@dataclass(frozen=True)
class Point:
    """Where a program is ended: just before or just after its nth durable step."""

    step: int
    when: str
    signal: str = "SIGKILL"

    def __str__(self) -> str:
        return f"{self.when} step {self.step}"

    def arm(self, plan: Path) -> None:
        draft = plan.with_suffix(".draft")
        draft.write_text(f"{self.step} {self.when} {self.signal}")
        draft.replace(plan)


#: Counts the steps and ends nothing.
COUNTING = Point(0, "before")


def points(steps: int, samples: int) -> list[Point]:
    """Both sides of steps 1 to `steps`, or so many of them, the first and the last included."""
    assert steps > 0, "no durable step was noted: nothing would die"
    every = [Point(step, when) for step in range(1, steps + 1) for when in ("before", "after")]
    if os.environ.get("CRASH_EVERYWHERE") or samples >= len(every):
        return every
    return [every[round(n * (len(every) - 1) / (samples - 1))] for n in range(samples)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_idle: dict[str, list[Nursery]] = defaultdict(list)


@contextmanager
def nursery(program: str) -> Iterator[Nursery]:
    """One that is free, for as long as the block."""
    try:
        free = _idle[program].pop()
    except IndexError:
        free = Nursery(program)
    yield free
    _idle[program].append(free)


def close_nurseries() -> None:
    for free in [free for many in _idle.values() for free in many]:
        free.close()
    _idle.clear()


def steps_noted(notes: Path) -> list[str]:
    """The steps since the last count began, as "<kind> <subject>"."""
    lines = notes.read_text().splitlines() if notes.exists() else []
    begun = max((n + 1 for n, line in enumerate(lines) if line == "armed"), default=0)
    return [line.partition(" ")[2] for line in lines[begun:]]


@dataclass
class Job:
    """One command of a job scheduler, in a party's home: it may die, and is started again until it is done."""

    home: Path
    program: str
    command: str
    arguments: Sequence[object] = ()
    output: str = ""

    @property
    def name(self) -> str:
        return f"{self.program} {self.command} in {self.home.name}"

    def count(self) -> int:
        """Runs it to its end; how many durable steps that took."""
        self._run(COUNTING)
        return len(steps_noted(self._notes))

    def die(self, point: Point) -> bool:
        """Starts it once and kills it there; False where it had fewer steps this time and is done."""
        code = self.start(point)
        if code == -signal.SIGKILL:
            return True
        steps = steps_noted(self._notes)
        assert code in (DONE, NOTHING), f"{self.name}, not killed, ended with {code}: {self.output}"
        assert len(steps) < point.step, f"{self.name} was not killed {point}"
        return False

    def finish(self) -> None:
        self._run(COUNTING)

    def _run(self, point: Point) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (code := self.start(point)) == AGAIN and time.monotonic() < deadline:
            time.sleep(0.3)
        assert code in (DONE, NOTHING), f"{self.name} ended with {code}: {self.output}"

    @property
    def _notes(self) -> Path:
        return self.home / f"{self.command}.notes"

    def start(self, point: Point = COUNTING) -> int:
        """Runs it once; its return code."""
        plan, output = self._notes.with_suffix(".plan"), self._notes.with_suffix(".log")
        point.arm(plan)
        with nursery(self.program) as free:
            free.bear([self.command, *self.arguments, "--home", self.home], self._notes, plan, output)
            code = free.wait()
        self.output = output.read_text()[-2000:]
        return code


@dataclass
class Service:
    """A server under a supervisor that starts it again whenever it dies. Use as a context manager."""

    home: Path
    program: str
    command: str
    port: int
    #: How often it was ended and started again.
    deaths: int = 0
    #: Where its next lives end, each before it is armed anew.
    next_lives: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.notes = self.home / f"{self.command}.notes"
        self.log = self.notes.with_suffix(".log")
        self._plan = self.notes.with_suffix(".plan")
        self._stopping = False
        self._ended = threading.Event()
        #: Cleared, the supervisor waits with the next life.
        self.reviving = threading.Event()
        self.reviving.set()

    def __enter__(self) -> Service:
        self._nursery = Nursery(self.program)
        self._begin()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()
        self.wait_until_serving()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
            if not self._ended.is_set():
                self.send(number)
                self._ended.wait(20 if number == signal.SIGTERM else 0)
        self._supervisor.join()
        self._nursery.close()

    def arm(self, point: Point) -> None:
        """From now on its steps are counted anew."""
        point.arm(self._plan)

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process, number)

    def wait_for_death(self, deaths: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.deaths < deaths:
            assert time.monotonic() < deadline, f"{self.program} was not killed"
            time.sleep(0.02)

    def is_paused(self) -> bool:
        return Path(f"/proc/{self._process}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"{self.program} does not serve: {self.log.read_text()[-3000:]}")

    def _begin(self) -> None:
        self._process = self._nursery.bear(
            [self.command, "--home", self.home], self.notes, self._plan, self.log
        )

    def _supervise(self) -> None:
        while True:
            code = self._nursery.wait()
            if self._stopping or code not in (-signal.SIGKILL, DONE):
                break  # one that fails stays down, and the test fails on its silence
            self.deaths += 1
            self.reviving.wait(PATIENCE_S)
            (self.next_lives.pop(0) if self.next_lives else COUNTING).arm(self._plan)
            self._begin()
        self._ended.set()
