"""The workflow engine behind its one module: what is due runs, what is lost runs again, what is old goes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

from gateway import workflows
from gateway.app import Gateway
from gateway.store import tables
from gateway.workers import Worker
from gateway.workflows import QUEUE, Steps, Workflows
from xinyi.errors import Conflict, Unavailable

BANK = "test-city/bank-1"


class Due:
    """Deliveries in a dictionary instead of a gateway: id → number of the attempt that is due."""

    def __init__(self, *deliveries: str) -> None:
        self.attempts = dict.fromkeys(deliveries, 0)
        self.urgent: set[str] = set()
        self.given_up: dict[str, str] = {}

    def __call__(self) -> list[tuple[str, str, bool]]:
        return [(f"{name}.0.{number}", BANK, name in self.urgent) for name, number in self.attempts.items()]

    def attempt(self, name: str) -> None:
        self.attempts.pop(name, None)

    def give_up(self, name: str, code: str) -> None:
        self.attempts.pop(name)
        self.given_up[name] = code


@contextmanager
def running(
    place: Path, due: Due, attempt: Callable[[str], None] | None = None, worker: str = "a", **options: Any
) -> Iterator[Workflows]:
    engine = Workflows(
        f"sqlite:///{place / 'workflows.db'}",
        worker,
        Steps(attempt=attempt or due.attempt, give_up=due.give_up),
        workers=2,
        due=due,
        beat=lambda: {worker},
        sweep_s=0.1,
        **options,
    )
    try:
        yield engine
    finally:
        engine.close()


def until(holds: Callable[[], Any], patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def test_an_attempt_that_ends_without_an_outcome_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that blinks longer than a step is repeated fails its workflow; another takes the delivery up."""
    monkeypatch.setattr(workflows, "BLINK_S", 0.01)
    due, calls = Due("d1"), []

    def attempt(name: str) -> None:
        calls.append(name)
        if len(calls) <= 2 * workflows.BLINKS:
            raise OSError("the database is away")
        due.attempt(name)

    with running(tmp_path, due, attempt):
        until(lambda: not due.attempts)
    assert len(calls) == 2 * workflows.BLINKS + 1
    assert not due.given_up


def test_an_attempt_that_never_has_an_outcome_is_given_up_and_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours ends in a DEAD delivery that a person sees, not in a loop."""
    monkeypatch.setattr(workflows, "MAX_RESTARTS", 1)
    due = Due("d1", "d2")

    def attempt(name: str) -> None:
        if name == "d1":
            raise Unavailable("never repeated within a step")
        due.attempt(name)

    with running(tmp_path, due, attempt):
        until(lambda: not due.attempts)
    assert due.given_up == {"d1": "internal"}


def test_what_is_urgent_goes_before_what_waits_at_the_same_bank(tmp_path: Path) -> None:
    """A correction that comes last is carried next."""
    due, begun, release, order = Due("d1", "d2", "d3"), threading.Event(), threading.Event(), list[str]()

    def attempt(name: str) -> None:
        order.append(name)
        if name == order[0]:
            begun.set()
            release.wait(20)
        due.attempt(name)

    with running(tmp_path, due, attempt) as engine:
        assert begun.wait(20)
        engine.sweep()  # d2 and d3 wait in the queue by now
        due.urgent.add("c4")
        due.attempts["c4"] = 0
        engine.sweep()
        release.set()
        until(lambda: not due.attempts)
    assert order == ["d1", "c4", "d2", "d3"]


def test_work_of_a_dead_worker_goes_back_into_the_queue(tmp_path: Path) -> None:
    """Its attempt is made by another worker, and still counts against the bank's one at a time."""
    due, begun, release = Due("d1"), threading.Event(), threading.Event()

    def hang(name: str) -> None:
        begun.set()
        release.wait(30)

    with running(tmp_path, due, hang, worker="a"):
        assert begun.wait(20)
    seen: list[tuple[str | None, str | None]] = []

    def attempt(name: str) -> None:
        status = DBOS.get_workflow_status(f"{name}.0.0.0")
        assert status is not None
        seen.append((status.queue_name, status.queue_partition_key))
        due.attempt(name)

    try:
        with running(tmp_path, due, attempt, worker="b"):
            until(lambda: not due.attempts)
    finally:
        release.set()
    assert seen == [(QUEUE, BANK)]


def test_finished_workflows_are_forgotten_after_their_time(tmp_path: Path) -> None:
    """What an attempt did stands in the log; the engine's own record of it goes."""
    due = Due("d1", "d2")

    def known() -> int:
        return len(DBOS.list_workflows(load_input=False, load_output=False))

    with running(tmp_path, due):
        until(lambda: not due.attempts)
        assert known() == 2
    with running(tmp_path, due, keep=timedelta(days=1)) as engine:
        engine.sweep()
        assert known() == 2
    with running(tmp_path, due, keep=timedelta(0)):
        until(lambda: known() == 0)


def test_two_living_processes_of_one_name_are_refused(gateway: Gateway) -> None:
    """They would take each other's work; a name is free again once its process is gone or silent."""
    Worker(gateway.database, "gateway-1", gateway.clock).beat()
    Worker(gateway.database, "gateway-1", gateway.clock)  # this very process, started again

    def claim(process: str, age_s: float) -> None:
        with gateway.database.writing() as conn:
            seen = gateway.clock() - int(age_s * 1000)
            conn.execute(tables.workers.update().values(process=process, seen_at_ms=seen))

    # Of another machine it cannot be told whether it lives: the name is waited for.
    for living, error in (("elsewhere:1", Unavailable), (f"{socket.gethostname()}:1", Conflict)):
        claim(living, 1)
        with pytest.raises(error) as refused:
            Worker(gateway.database, "gateway-1", gateway.clock)
        assert refused.value.basis == "worker.name"
    claim("elsewhere:1", workflows.DEAD_AFTER_S + 1)
    Worker(gateway.database, "gateway-1", gateway.clock)
