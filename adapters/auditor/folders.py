"""Folders that the auditor's program makes: an export as it streams in, a proof to hand over.

Each is made beside its place and renamed into it: what has its final name is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from audit.verification.exported import is_export_path
from xinyi import files
from xinyi.errors import EncodingInvalid, Unavailable


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """A draft to fill, renamed to `folder` where all went well. Raises FileExistsError."""
    if folder.exists():
        raise FileExistsError(17, "it exists already; nothing was changed", str(folder))
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(draft, ignore_errors=True)
    files.make_directory(draft)
    try:
        yield draft
        for path in (*draft.rglob("*"), draft):
            _sync(path)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    files.sync(folder.parent)


def write_export(folder: Path, pieces: Iterable[tuple[str, bytes]]) -> Iterator[int]:
    """Writes the parts as they come; yields the bytes of each. Every export is of a new moment, so that a
    broken one is not taken up again but made anew.

    Raises EncodingInvalid for a path outside the format, Unavailable where the stream ended too early.
    """
    finished = False
    with made_whole(folder) as draft:
        for name, data in pieces:
            if not is_export_path(name) or finished:
                raise EncodingInvalid(f"the gateway sent {name!r:.100}, which has no place in an export")
            finished = name == "export.json"
            files.make_directory((draft / name).parent)
            with open(draft / name, "ab", opener=_private) as file:
                file.write(data)
            yield len(data)
        if not finished:
            raise Unavailable("the export ended before it was whole: ask again")


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    with made_whole(folder) as draft:
        for name, data in contents.items():
            files.make_directory((draft / name).parent)
            files.create(draft / name, data)


def _sync(path: Path) -> None:
    """What is renamed into place must not come out of a power cut empty."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
