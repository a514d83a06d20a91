"""Which gateway processes share the database and live. A lease, renewed by each, read by all."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from sqlalchemy import select

from gateway.exchange import Clock
from gateway.store import tables
from gateway.store.db import Database
from gateway.workflows import DEAD_AFTER_S
from xinyi.errors import Conflict, Unavailable


class Worker:
    """This process among the workers. Its name is stable over restarts, so that its work is found again.

    Args: local_heads — the head store is a file of this machine: no other machine may serve beside it.
    """

    def __init__(self, database: Database, name: str, clock: Clock, *, local_heads: bool = False) -> None:
        self._database = database
        self.name = name
        self._clock = clock
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._check_alone()
        if local_heads:
            self._check_local()

    def _check_alone(self) -> None:
        """Two live processes of one name would take each other's work.

        Raises Conflict, or Unavailable where it is on another machine and may be gone: it shows within the lease.
        """
        w = tables.workers.c
        with self._database.reading() as conn:
            row = conn.execute(select(w.process, w.seen_at_ms).where(w.worker == self.name)).first()
        if row is None or self._clock() - row.seen_at_ms > DEAD_AFTER_S * 1000:
            return
        host, _, pid = row.process.rpartition(":")
        if host != socket.gethostname():
            raise Unavailable(
                f"process {row.process} worked as {self.name!r} a moment ago: give this one another name "
                f"([delivery] worker), or wait {DEAD_AFTER_S:.0f} s if it is gone",
                basis="worker.name",
            )
        if row.process != self._process and _is_running(int(pid)):
            raise Conflict(
                f"process {row.process} works as {self.name!r}: give this one another name ([delivery] worker)",
                basis="worker.name",
            )

    def _check_local(self) -> None:
        """Two machines that swap heads in two files would each sign what the other does not know. Raises Conflict."""
        w = tables.workers.c
        living = select(w.process).where(w.seen_at_ms > self._clock() - DEAD_AFTER_S * 1000)
        with self._database.reading() as conn:
            processes = conn.execute(living.where(w.worker != self.name)).scalars().all()
        for process in processes:
            if process.rpartition(":")[0] != socket.gethostname():
                raise Conflict(
                    f"process {process} serves this database on another machine: several machines need one "
                    "head_store that all of them reach, on PostgreSQL",
                    basis="worker.head_store",
                )

    def beat(self) -> set[str]:
        """Renews this worker's lease; returns the names of all that live."""
        now = self._clock()
        w = tables.workers
        with self._database.writing() as conn:
            renewed = conn.execute(
                w.update().where(w.c.worker == self.name).values(process=self._process, seen_at_ms=now)
            )
            if renewed.rowcount == 0:
                conn.execute(w.insert().values(worker=self.name, process=self._process, seen_at_ms=now))
            living = conn.execute(select(w.c.worker).where(w.c.seen_at_ms > now - DEAD_AFTER_S * 1000))
            return set(living.scalars())


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A killed process stays listed until its parent asks for it: in a container perhaps nobody ever does.
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process, or nothing tells
        return True
