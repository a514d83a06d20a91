"""Records in ascending order → salted leaves, chunks on disk, subtree roots."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from audit import merkle, records


class ChunkWriter:
    """Use as a context manager; `root` and `chunk_roots` are whole after it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.chunk_roots: list[bytes] = []
        self._salted: list[tuple[bytes, bytes]] = []
        self._hashes: list[bytes] = []
        self._file: BinaryIO

    def __enter__(self) -> ChunkWriter:
        self.path.touch(mode=0o600, exist_ok=False)
        self._file = self.path.open("wb")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self._salted:
            self._write(len(self._salted))
        self._file.close()

    def add(self, items: Sequence[tuple[bytes, bytes]], salts: Sequence[bytes]) -> None:
        """Args: items — (blinded key, serialised record), all above what was added before."""
        self._salted += [(salt, record) for salt, (_, record) in zip(salts, items, strict=True)]
        self._hashes += records.leaf_hashes(items, salts)
        self.count += len(items)
        while len(self._salted) >= records.CHUNK_RECORDS:
            self._write(records.CHUNK_RECORDS)

    @property
    def root(self) -> bytes:
        return merkle.root(self.chunk_roots)

    def _write(self, size: int) -> None:
        data = records.chunk_bytes(self._salted[:size])
        self._file.write(len(data).to_bytes(4, "big") + data)
        self.chunk_roots.append(merkle.root(self._hashes[:size]))
        del self._salted[:size], self._hashes[:size]


def new_salts(count: int) -> list[bytes]:
    """Randomness of the operating system, 32 bytes each."""
    random = os.urandom(records.SALT_BYTES * count)
    return [random[i : i + records.SALT_BYTES] for i in range(0, len(random), records.SALT_BYTES)]
