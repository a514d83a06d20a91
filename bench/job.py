"""What all jobs share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import python, serving


@dataclass(frozen=True)
class Bench:
    place: Path
    #: Taxpayers of the city.
    rows: int
    #: Times each floor and each job runs; the fastest of both counts.
    repeat: int
    say: Callable[[str], None]

    def fresh(self, name: str) -> Path:
        """A file's path where none is."""
        path = self.place / name
        for left in self.place.glob(f"{name}*"):
            left.unlink()
        return path


@contextmanager
def floor_server(chunks: object = "", tls: object = "") -> Iterator[str]:
    """Port of a bare server that echoes, and streams the chunks of a file."""
    with serving(python("bench.floors", "serve", chunks, tls), ready="serving ") as server:
        yield server.ready.split()[1]
