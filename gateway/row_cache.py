"""Rows that the exchanges of one transaction read and have yet to write."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Table

from audit.bulk import Key, Row, key_names, read_rows


class RowCache:
    """Rows by primary key, as the shared transaction sees them, what it has yet to write included."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._rows: dict[Table, dict[Key, Row | None]] = {}

    def prefetch(self, needs: Iterable[tuple[Table, Key]]) -> None:
        wanted: dict[Table, list[Key]] = {}
        for table, key in needs:
            if key not in self._rows.setdefault(table, {}):
                wanted.setdefault(table, []).append(key)
        if wanted:
            for table, rows in read_rows(self._conn, wanted).items():
                self._rows[table] |= rows

    def get(self, table: Table, key: Key) -> Row | None:
        self.prefetch([(table, key)])
        row = self._rows[table][key]
        return None if row is None else dict(row)

    def put(self, table: Table, key: Key, row: Row) -> None:
        self._rows.setdefault(table, {})[key] = row

    def drop(self, table: Table, key: Key) -> None:
        """No row whose key begins so is there any more."""
        rows = self._rows.setdefault(table, {})
        for known in [key, *rows]:
            if known[: len(key)] == key:
                rows[known] = None


def key_of(table: Table, row: Row) -> Key:
    return tuple([row[name] for name in key_names(table)])
