"""A city under measurement: its place on disk, founded once, and its real programs."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.processes import Server, python, run, serving

NAME = "bench-city"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class City:
    """Homes of a gateway, a bureau (li-wei publishes, wang-fang approves) and banks 1 to n."""

    place: Path
    banks: int

    @classmethod
    def found(
        cls, place: Path, banks: int, database: str = "sqlite:///gateway.db", *, with_inbox: bool = False
    ) -> City:
        """Args: with_inbox — one bank more, which the gateway dials, and an auditor."""
        inbox = [f"127.0.0.1:{free_port()}"] if with_inbox else []
        run(python("bench.founding", place, free_port(), banks, database, *inbox))
        return cls(place, banks)

    def copy(self, place: Path) -> City:
        """The same city at the same moment, elsewhere; only one of the two may serve."""
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.place, place)
        return City(place, self.banks)

    @property
    def gateway(self) -> Path:
        return self.place / "gateway"

    @property
    def maker(self) -> Path:
        return self.place / "tax-bureau-li-wei"

    @property
    def approver(self) -> Path:
        return self.place / "tax-bureau-wang-fang"

    @property
    def auditor(self) -> Path:
        return self.place / "auditor-zhao-min"

    def bank(self, number: int) -> Path:
        return self.place / f"bank-{number}-main"

    @contextmanager
    def serving(self) -> Iterator[Server]:
        command = processes.program("xinyi-gateway", "serve", "--home", self.gateway)
        with serving(command, ready="gateway.serving") as server:
            yield server


@contextmanager
def postgresql() -> Iterator[str | None]:
    """URL of an empty, durable database; None where no server can be had."""
    try:
        with serving(python("bench.postgres"), ready="database ") as server:
            yield server.ready.split()[1]
    except RuntimeError as reason:
        if "no PostgreSQL found" not in str(reason):
            raise
        yield None
