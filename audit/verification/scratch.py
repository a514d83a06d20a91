"""A temporary database of one verification: memory stays flat however long the log is.

Nothing in it is trusted beyond the run; the file has no name and vanishes with the process.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Self

#: Pages of 4 KiB kept in memory.
_CACHE_PAGES = 16_000


class Scratch:
    """Use as a context manager."""

    def __init__(self, schema: str) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(f"PRAGMA cache_size = {_CACHE_PAGES}")
        self._db.executescript(schema)
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def _rows(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._db.execute(statement, values)

    def _one(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()

    def _add(self, statement: str, *values: object) -> bool:
        """Whether it wrote a row."""
        return self._db.execute(statement, values).rowcount == 1
