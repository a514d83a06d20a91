"""Files a party must not lose or half-write: temporary name, fsync, rename, fsync of the directory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

#: Of an OSError: there is no room, on the disk or in the account's quota.
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """A full disk says which file it was for: the system names one where opening fails, none where writing does."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL or error.filename:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """A crash leaves the old file or the new one, beside it at most a `.tmp` that nobody reads; a full disk none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    _write_new(temporary, data, mode)
    temporary.replace(path)
    sync(path.parent)


def create(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Raises FileExistsError rather than overwrite."""
    _write_new(path, data, mode)
    sync(path.parent)


def make_directory(path: Path) -> None:
    """A directory only its owner may enter; an existing one stays as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def sync(path: Path) -> None:
    """Makes what was written to this file, or a rename in this directory, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def open_foreign(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that somebody else put there. Neither follows a link nor waits for a pipe.

    Raises OSError, also where it is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        yield file


def read_foreign(path: Path, most: int) -> bytes:
    """The whole file. Raises OSError as `open_foreign`, and where it has more than `most` bytes."""
    with open_foreign(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
    return data


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with named(path), os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
