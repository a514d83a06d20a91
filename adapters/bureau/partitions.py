"""More items than memory should hold, in ascending order of a uniformly distributed key.

Blinded keys are uniform: their first byte cuts any edition into 256 equal parts, each small enough to sort.
The same key always falls into the same part, so repeated taxpayers meet there by themselves.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PARTS = 256
#: Items held before they spill: about 30 MB of drafts, however many there are in all.
_HELD = 100_000

#: A tuple of plain values whose first is the key.
Item = tuple[Any, ...]


class Partitions:
    """Args: directory — private to this process and empty; what spills there is gone after iteration."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._parts: list[list[Item]] = [[] for _ in range(PARTS)]
        self._held = 0

    def add(self, items: Iterable[Item]) -> None:
        parts = self._parts
        before = self._held
        for item in items:
            parts[item[0][0]].append(item)
            before += 1
        self._held = before
        if before > _HELD:
            self._spill()

    def __iter__(self) -> Iterator[list[Item]]:
        """All 256 parts in order, each sorted; once."""
        for number in range(PARTS):
            items = [item for held in self._spilt(number) for item in held] + self._parts[number]
            self._parts[number] = []
            items.sort()
            yield items

    def _spill(self) -> None:
        for number, items in enumerate(self._parts):
            # marshal: our own file, our own process, five times as fast as the alternatives.
            data = marshal.dumps(items)
            with self._path(number).open("ab") as file:
                file.write(len(data).to_bytes(4, "big") + data)
        self._parts = [[] for _ in range(PARTS)]
        self._held = 0

    def _spilt(self, number: int) -> Iterator[list[Item]]:
        path = self._path(number)
        if not path.exists():
            return
        with path.open("rb") as file:
            while length := file.read(4):
                yield marshal.loads(file.read(int.from_bytes(length, "big")))  # noqa: S302
        path.unlink()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:03d}.part"
