"""Databases that put a file's rows in order, for one run: nobody reads them after a crash."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from xinyi.errors import Unavailable


def spill_into(connection: sqlite3.Connection, folder: Path) -> None:
    """What SQLite puts into files while it sorts, in all of this process, lies in this private folder from now on, not
    in one of all: it holds borrowers and their loans. By the pragma: SQLITE_TMPDIR is read before any program of ours
    runs.

    Raises Unavailable where SQLite was built without it.
    """
    quoted = str(folder).replace("'", "''")
    connection.execute(f"PRAGMA temp_store_directory = '{quoted}'")
    if connection.execute("PRAGMA temp_store_directory").fetchone() != (str(folder),):
        raise Unavailable(
            "this SQLite (built without temp_store_directory) would sort borrowers' rows in a folder of everybody",
            basis="lending.scratch",
        )


def open_scratch(path: Path, cache_kib: int) -> sqlite3.Connection:
    """An empty one, which commits by itself; sorting spills into its folder, not into memory."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{cache_kib}", "temp_store = FILE"):
        connection.execute(f"PRAGMA {setting}")
    spill_into(connection, path.parent)
    return connection
