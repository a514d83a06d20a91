"""Many rows in one statement, in and out.

CPython's sqlite3 lets go of the interpreter lock at every row it steps over; beside a busy thread each row
then waits for its turn (2 µs become 400). One statement that takes or gives many rows waits once. The
statements are the same on SQLite and PostgreSQL but for the placeholder, and for how many rows come back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, LargeBinary, Select, Table, func, select

#: SQLite takes 32,766 values in a statement, PostgreSQL 65,535.
MAX_VALUES = 30_000

Key = tuple[Any, ...]
Row = dict[str, Any]
Conflict = Literal["fail", "keep", "replace"]


def insert_rows(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], on: Conflict = "fail"
) -> None:
    """Inserts rows that all have the same columns. Values are text, integers, bytes and nulls.

    Args:
        on: what a row does whose primary key is taken: fail (IntegrityError), keep the old row, replace it.
    """
    columns = tuple(rows[0])
    step = MAX_VALUES // len(columns)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        values = tuple(row[name] for row in part for name in columns)
        conn.exec_driver_sql(_insert(table, columns, len(part), on, _placeholder(conn)), values)


def read_rows(
    conn: Connection, table: Table, keys: Iterable[Key], by: Sequence[str] = ()
) -> dict[Key, Row | None]:
    """Rows by primary key, or by other columns that are unique together; None for those that are not there."""
    wanted = list(dict.fromkeys(keys))
    found: dict[Key, Row | None] = dict.fromkeys(wanted)
    names = [column.name for column in table.columns]
    key_names = tuple(by) or tuple(column.name for column in table.primary_key.columns)
    step = MAX_VALUES // len(key_names)
    for start in range(0, len(wanted), step):
        part = wanted[start : start + step]
        values = tuple(value for key in part for value in key)
        for row in _read(conn, table, key_names, len(part), values):
            found[tuple(row[names.index(name)] for name in key_names)] = dict(zip(names, row, strict=True))
    return found


def read_places(conn: Connection, table: Table, first: bytes, numbers: Iterable[int], column: str) -> dict[int, bytes]:
    """A binary column of the rows whose primary key is `first` and one of these numbers, by number."""
    key, number = (c.name for c in table.primary_key.columns)
    wanted = sorted(numbers)
    if conn.dialect.name != "sqlite":
        query = f'SELECT "{number}", "{column}" FROM "{table.name}" WHERE "{key}" = %s AND "{number}" = ANY(%s)'
        return {row[0]: bytes(row[1]) for row in conn.exec_driver_sql(query, (first, wanted))}
    packed = conn.exec_driver_sql(
        f'SELECT json_group_array(json_array("{number}", hex("{column}"))) FROM "{table.name}" '
        f'WHERE "{key}" = ? AND "{number}" IN (SELECT value FROM json_each(?))',
        (first, json.dumps(wanted)),
    ).scalar_one()
    return {place: bytes.fromhex(value) for place, value in json.loads(packed)}


def read_numbered(conn: Connection, query: Select[Any]) -> list[bytes]:
    """The second, binary column of a query, in the order of its first, a number."""
    if conn.dialect.name != "sqlite":
        return [row[1] for row in sorted(conn.execute(query), key=lambda row: row[0])]
    number, data = query.subquery().c
    packed = conn.execute(select(func.json_group_array(func.json_array(number, func.hex(data))))).scalar_one()
    return [bytes.fromhex(value) for _, value in sorted(json.loads(packed))]


def _read(
    conn: Connection, table: Table, key: tuple[str, ...], count: int, values: tuple[Any, ...]
) -> list[list[Any]]:
    if conn.dialect.name != "sqlite":
        cursor = conn.exec_driver_sql(_select(table, key, count, _placeholder(conn)), values)
        return [list(row) for row in cursor.fetchall()]
    packed: str = conn.exec_driver_sql(_select_packed(table, key, count), values).scalar_one()
    rows: list[list[Any]] = json.loads(packed)
    binary = [i for i, column in enumerate(table.columns) if isinstance(column.type, LargeBinary)]
    for row in rows:
        for i in binary:
            row[i] = None if row[i] is None else bytes.fromhex(row[i])
    return rows


def _placeholder(conn: Connection) -> str:
    return "?" if conn.dialect.name == "sqlite" else "%s"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@lru_cache(maxsize=1024)
def _insert(table: Table, columns: tuple[str, ...], count: int, on: Conflict, mark: str) -> str:
    row = "(" + ", ".join([mark] * len(columns)) + ")"
    key = [column.name for column in table.primary_key.columns]
    others = [name for name in columns if name not in key]
    end = {
        "fail": "",
        "keep": " ON CONFLICT DO NOTHING",
        "replace": f" ON CONFLICT ({_quoted(key)}) DO UPDATE SET "
        + ", ".join(f'"{name}" = excluded."{name}"' for name in others),
    }[on]
    return f'INSERT INTO "{table.name}" ({_quoted(columns)}) VALUES {", ".join([row] * count)}{end}'


@lru_cache(maxsize=1024)
def _select(table: Table, key: tuple[str, ...], count: int, mark: str) -> str:
    columns = _quoted(column.name for column in table.columns)
    return f'SELECT {columns} FROM "{table.name}" WHERE {_where(key, count, mark)}'


@lru_cache(maxsize=1024)
def _select_packed(table: Table, key: tuple[str, ...], count: int) -> str:
    """All rows as one JSON text, binary columns in hex: one step instead of one for every row."""
    packed = ", ".join(
        f'CASE WHEN "{c.name}" IS NULL THEN NULL ELSE hex("{c.name}") END'
        if isinstance(c.type, LargeBinary)
        else f'"{c.name}"'
        for c in table.columns
    )
    return f'SELECT json_group_array(json_array({packed})) FROM "{table.name}" WHERE {_where(key, count, "?")}'


def _where(key: tuple[str, ...], count: int, mark: str) -> str:
    if len(key) == 1:
        return f'"{key[0]}" IN ({", ".join([mark] * count)})'
    one = "(" + ", ".join([mark] * len(key)) + ")"
    return f"({_quoted(key)}) IN (VALUES {', '.join([one] * count)})"
