"""Records in ascending order → chunks on disk, subtree roots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from adapters.bureau.editions import Edition
from audit import merkle, records


class ChunkWriter:
    """Use as a context manager; `root` and `chunk_roots` are whole after it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.chunk_roots: list[bytes] = []
        self._offset = 0
        self._entries: list[bytes] = []
        self._hashes: list[bytes] = []
        self._file: BinaryIO

    def __enter__(self) -> ChunkWriter:
        self.path.touch(mode=0o600, exist_ok=False)
        self._file = self.path.open("wb")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self._entries:
            self._write(len(self._entries))
        self._file.close()

    def add(self, entries: Sequence[bytes], hashes: Sequence[bytes]) -> list[int]:
        """Where each of the records begins in the file.

        Args: entries, hashes — as MergedPart has them, all above what was added before.
        """
        offsets = self._offsets(entries)
        self._entries += entries
        self._hashes += hashes
        whole = len(self._entries) - len(self._entries) % records.CHUNK_RECORDS
        for start in range(0, whole, records.CHUNK_RECORDS):
            self._write(records.CHUNK_RECORDS, start)
        del self._entries[:whole], self._hashes[:whole]
        return offsets

    def _offsets(self, entries: Sequence[bytes]) -> list[int]:
        offsets, offset, count = [], self._offset, self.count
        for size in map(len, entries):
            if not count % records.CHUNK_RECORDS:
                offset += Edition.LENGTH_BYTES
            offsets.append(offset)
            offset += size
            count += 1
        self._offset, self.count = offset, count
        return offsets

    @property
    def root(self) -> bytes:
        return merkle.root(self.chunk_roots)

    def _write(self, size: int, start: int = 0) -> None:
        data = b"".join(self._entries[start : start + size])
        self._file.write(len(data).to_bytes(Edition.LENGTH_BYTES, "big") + data)
        self.chunk_roots.append(merkle.root(self._hashes[start : start + size]))
