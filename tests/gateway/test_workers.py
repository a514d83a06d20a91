"""Which processes may serve one database side by side."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from gateway.app import Gateway
from gateway.exchange import wall_clock
from gateway.store import tables
from gateway.workers import Worker
from gateway.workflows import DEAD_AFTER_S
from xinyi.errors import Conflict, Unavailable


def beside(gateway: Gateway, process: str, *, age_s: float = 0, worker: str = "gateway-2") -> None:
    seen = wall_clock() - int(age_s * 1000)
    with gateway.database.writing() as conn:
        conn.execute(tables.workers.insert().values(worker=worker, process=process, seen_at_ms=seen))


def test_two_machines_need_one_head_store(gateway: Gateway) -> None:
    """A head store that is a file of this machine cannot tell what another machine signed."""
    beside(gateway, "elsewhere:7")
    with pytest.raises(Conflict) as refused:
        Worker(gateway.database, "gateway-1", wall_clock, local_heads=True)
    assert refused.value.basis == "worker.head_store"
    Worker(gateway.database, "gateway-1", wall_clock)


def test_a_machine_that_is_gone_is_no_hindrance(gateway: Gateway) -> None:
    """Nor is another process of this machine, which swaps in the same file."""
    beside(gateway, "elsewhere:7", age_s=DEAD_AFTER_S + 1)
    own = Worker(gateway.database, "gateway-1", wall_clock, local_heads=True)
    own.beat()
    Worker(gateway.database, "gateway-3", wall_clock, local_heads=True)


def test_a_killed_process_holds_no_name(gateway: Gateway) -> None:
    """Also while its parent has not asked for it: a gateway that was killed starts again at once."""
    process = subprocess.Popen(["sleep", "60"])
    beside(gateway, f"{socket.gethostname()}:{process.pid}", worker="gateway-1")
    with pytest.raises(Conflict):
        Worker(gateway.database, "gateway-1", wall_clock)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert Worker(gateway.database, "gateway-1", wall_clock).beat() == {"gateway-1"}
    finally:
        process.wait()


def test_a_worker_name_is_held_by_one_process(gateway: Gateway) -> None:
    """Of another machine it cannot be told whether it lives: its name is free once its lease is over."""
    beside(gateway, "elsewhere:7", worker="gateway-1")
    with pytest.raises(Unavailable) as refused:
        Worker(gateway.database, "gateway-1", wall_clock)
    assert refused.value.basis == "worker.name"
    beside(gateway, "elsewhere:7", worker="gateway-2", age_s=DEAD_AFTER_S + 1)
    assert Worker(gateway.database, "gateway-2", wall_clock).beat() == {"gateway-1", "gateway-2"}
