"""Files a party must not lose or half-write: temporary name, fsync, rename, fsync of the directory."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """A crash leaves the old file or the new one, beside it at most a `.tmp` that nobody reads."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    _write_new(temporary, data, mode)
    temporary.replace(path)
    sync_directory(path.parent)


def create(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Raises FileExistsError rather than overwrite."""
    _write_new(path, data, mode)
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """A directory only its owner may enter; an existing one stays as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def sync_directory(path: Path) -> None:
    """Makes a rename in this directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
