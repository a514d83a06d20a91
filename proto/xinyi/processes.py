"""Heavy pure work on several cores: child interpreters that take calls and give back what they return.

A child is a fresh interpreter, never a fork (gRPC does not survive one). It talks over its own two pipes, so it
ends when its parent does, however that ends. Functions travel by name, arguments and results by value: this
is for bytes in and something small out.
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import LifoQueue
from typing import Any, Protocol, TypeVar

from xinyi.errors import Unavailable

T = TypeVar("T")

#: More would wait for the one process that sends and stores.
_MOST = 4
_CHILD = "from xinyi.processes import serve; serve()"


class Crew(Protocol):
    """Who does the work: other processes, or this one."""

    #: How many calls are worth submitting before the first result is taken.
    ahead: int

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]: ...


class Inline:
    """Does the work at once, in the caller's thread."""

    ahead = 0

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(work(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def in_order(crew: Crew, work: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> Iterator[T]:
    """Results in the order of the calls; as many are under way at a time as the crew works on."""
    waiting: deque[Future[T]] = deque()
    for args in calls:
        waiting.append(crew.submit(work, *args))
        while len(waiting) > crew.ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class Processes:
    """Children that start with the first call. Use as a context manager, or `close`.

    Args:
        count: how many; by default one per core this process may use, four at most.
    """

    def __init__(self, count: int = 0) -> None:
        self.count = count or min(_MOST, len(os.sched_getaffinity(0)))
        self.ahead = 2 * self.count
        self._children: list[_Child] = []
        self._starting = threading.Lock()
        self._idle: LifoQueue[_Child] = LifoQueue()
        # One thread per child: it waits while the child works.
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="processes")

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the children now, beside what the caller does next. Otherwise the first call does."""
        with self._starting:
            if not self._children:
                self._children = [_Child() for _ in range(self.count)]
                for child in self._children:
                    self._idle.put(child)

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Calls `work` in a child. The future raises what it raised, or Unavailable where the child died."""
        self.start()
        return self._threads.submit(self._call, work, args)

    def _call(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        child = self._idle.get()
        try:
            return child.call(work, args)  # type: ignore[no-any-return]
        finally:
            self._idle.put(child)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self._children:
            child.close()


class _Child:
    def __init__(self) -> None:
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        # A group of its own: the terminal's Ctrl-C is for the parent, which ends its children.
        # -P: nothing is imported from the folder it is started in, which others may write to.
        command = [sys.executable, "-P", "-c", _CHILD]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0)  # noqa: S603 - no input of others

    def call(self, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        process = self._process
        assert process.stdin
        assert process.stdout
        try:
            pickle.dump((work, args), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            returned, value = pickle.load(process.stdout)  # noqa: S301 - our own child's
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            # Killed, or out of memory: the next call gets a new one.
            self.close()
            self._process = self._begin()
            raise Unavailable("a worker process of this program died; try again", basis="process.died") from error
        if not returned:
            raise value
        return value

    def close(self) -> None:
        process = self._process
        with suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def collect_seldom() -> None:
    """Lets the garbage collector look at few and large generations.

    Records and rows hold no cycles, but each batch of them makes the collector walk everything that start-up
    made: by default a third of the time of landing an edition. What cycles there are still goes, later.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def serve() -> None:
    """A child's life: calls from standard input, results to standard output, until the parent is gone."""
    collect_seldom()
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not speak between the results
    calls = sys.stdin.buffer
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            work, args = pickle.load(calls)  # noqa: S301 - our own parent's
            try:
                answer = (True, work(*args))
            except Exception as error:
                answer = (False, error)
            pickle.dump(answer, results, pickle.HIGHEST_PROTOCOL)
            results.flush()
