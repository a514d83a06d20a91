"""Many rows in one statement, in and out.

CPython's sqlite3 lets go of the interpreter lock at every row it steps over; beside a busy thread each row
then waits for its turn (2 µs become 400). One statement that takes or gives many rows waits once. The
statements are the same on SQLite and PostgreSQL but for the placeholder, and for how many rows come back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Literal

from sqlalchemy import Connection, LargeBinary, Select, Table, func, select
from sqlalchemy.dialects import postgresql

#: SQLite takes 32,766 values in a statement, PostgreSQL 65,535.
MAX_VALUES = 30_000
#: Keys of a table looked for in one statement.
MAX_KEYS = 1024

Key = tuple[Any, ...]
Row = dict[str, Any]
Conflict = Literal["fail", "keep", "replace"]
#: A table, rows of it that all have the same columns, at least one, and what becomes of those whose place is taken.
Write = tuple[Table, Sequence[Mapping[str, Any]], Conflict]


@cache
def column_names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


@cache
def key_names(table: Table) -> tuple[str, ...]:
    """Of its primary key."""
    return tuple(column.name for column in table.primary_key.columns)


@cache
def _binary(table: Table) -> tuple[int, ...]:
    """Places of its binary columns."""
    return tuple(i for i, column in enumerate(table.columns) if isinstance(column.type, LargeBinary))


def insert_rows(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], on: Conflict = "fail"
) -> None:
    """Inserts rows that all have the same columns. Values are text, integers, bytes and nulls.

    Args:
        on: what a row does whose primary key is taken: fail (IntegrityError), keep the old row, replace it.
    """
    columns = tuple(rows[0])
    insert_values(conn, table, columns, [tuple(map(row.__getitem__, columns)) for row in rows], on)


def insert_values(
    conn: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]], on: Conflict = "fail"
) -> None:
    """The same, where rows are values in the order of their columns."""
    step = MAX_VALUES // len(columns)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        values = tuple(chain.from_iterable(part))
        conn.exec_driver_sql(_insert(table, columns, len(part), on, _placeholder(conn)), values)


def write_rows(conn: Connection, writes: Sequence[Write]) -> None:
    """Inserts rows of several tables, those that a foreign key names before those that name them.

    SQLite takes a statement for each table, PostgreSQL one for all, with one parameter for each: every
    statement there is a journey to the server, and it knows this one already, however many rows come.
    In which order PostgreSQL then writes the tables is not said: no row may take a place that another one frees.
    """
    if conn.dialect.name == "sqlite":
        for table, rows, on in writes:
            insert_rows(conn, table, rows, on)
        return
    if not writes:
        return
    shape = tuple((table, tuple(rows[0]), on) for table, rows, on in writes)
    conn.exec_driver_sql(_insert_packed(shape), tuple(_pack(rows) for _, rows, _ in writes))


def read_rows(
    conn: Connection, wanted: Mapping[Table, Iterable[Key]], by: Sequence[str] = ()
) -> dict[Table, dict[Key, Row | None]]:
    """Rows of several tables in one statement; None for those that are not there.

    Args:
        wanted: primary keys, or values of `by`: other columns that are unique together.
    """
    keys = {table: list(dict.fromkeys(some)) for table, some in wanted.items()}
    found: dict[Table, dict[Key, Row | None]] = {table: dict.fromkeys(some) for table, some in keys.items()}
    while any(keys.values()):
        part = {table: some[:MAX_KEYS] for table, some in keys.items() if some}
        keys = {table: some[MAX_KEYS:] for table, some in keys.items()}
        for table, rows in _read(conn, part, tuple(by)).items():
            key_at = [column_names(table).index(name) for name in by or key_names(table)]
            found[table] |= {
                tuple(row[i] for i in key_at): dict(zip(column_names(table), row, strict=True))
                for row in rows
            }
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
    conn: Connection, keys: Mapping[Table, list[Key]], by: tuple[str, ...]
) -> dict[Table, list[list[Any]]]:
    """All rows of a table come as one JSON text, binary columns in hex: one step instead of one for every row."""
    values: list[Any] = []
    counts = []
    for table, some in keys.items():
        # Only powers of two: the database meets few statements, and need not prepare each anew.
        count = 1 << (len(some) - 1).bit_length()
        counts.append((table, count))
        for key in [*some, *[some[-1]] * (count - len(some))]:
            values += key
    packed = conn.exec_driver_sql(_select(tuple(counts), by, conn.dialect.name), tuple(values)).one()
    found = {table: json.loads(text) for table, text in zip(keys, packed, strict=True)}
    for table, rows in found.items():
        for row in rows:
            for i in _binary(table):
                row[i] = None if row[i] is None else bytes.fromhex(row[i])
    return found


def _pack(rows: Sequence[Mapping[str, Any]]) -> str:
    """As JSON, bytes in hex."""
    return json.dumps([*map(dict, rows)], default=lambda value: bytes(value).hex())


def _placeholder(conn: Connection) -> str:
    return "?" if conn.dialect.name == "sqlite" else "%s"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@lru_cache(maxsize=1024)
def _insert(table: Table, columns: tuple[str, ...], count: int, on: Conflict, mark: str) -> str:
    row = "(" + ", ".join([mark] * len(columns)) + ")"
    return f"{_into(table, columns)} VALUES {', '.join([row] * count)}{_on_conflict(table, columns, on)}"


@lru_cache(maxsize=1024)
def _insert_packed(shape: tuple[tuple[Table, tuple[str, ...], Conflict], ...]) -> str:
    """Foreign keys are looked at when the whole statement is done."""
    inserts = []
    for table, columns, on in shape:
        binary = {column_names(table)[i] for i in _binary(table)}
        values = ", ".join(f"decode(\"{name}\", 'hex')" if name in binary else f'"{name}"' for name in columns)
        types = ", ".join(
            f'"{name}" {"text" if name in binary else _type(table, name)}' for name in columns
        )
        rows = f"SELECT {values} FROM json_to_recordset(%s) AS rows({types})"
        inserts.append(f"{_into(table, columns)} {rows}{_on_conflict(table, columns, on)}")
    *before, last = inserts
    parts = [f"part_{number} AS ({insert})" for number, insert in enumerate(before)]
    return f"WITH {', '.join(parts)} {last}" if parts else last


def _type(table: Table, name: str) -> str:
    return table.columns[name].type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]


def _into(table: Table, columns: tuple[str, ...]) -> str:
    return f'INSERT INTO "{table.name}" ({_quoted(columns)})'


def _on_conflict(table: Table, columns: tuple[str, ...], on: Conflict) -> str:
    key = key_names(table)
    others = [name for name in columns if name not in key]
    return {
        "fail": "",
        "keep": " ON CONFLICT DO NOTHING",
        "replace": f" ON CONFLICT ({_quoted(key)}) DO UPDATE SET "
        + ", ".join(f'"{name}" = excluded."{name}"' for name in others),
    }[on]


@lru_cache(maxsize=1024)
def _select(counts: tuple[tuple[Table, int], ...], by: tuple[str, ...], dialect: str) -> str:
    """One row, a column for each table."""
    array, pack, hexed, mark = {
        "sqlite": ("json_array", "json_group_array({})", 'hex("{}")', "?"),
        "postgresql": ("json_build_array", "coalesce(json_agg({}), '[]')::text", "encode(\"{}\", 'hex')", "%s"),
    }[dialect]
    columns = []
    for table, count in counts:
        values = ", ".join(
            f'CASE WHEN "{name}" IS NOT NULL THEN {hexed.format(name)} END' if i in _binary(table) else f'"{name}"'
            for i, name in enumerate(column_names(table))
        )
        rows = pack.format(f"{array}({values})")
        columns.append(f'(SELECT {rows} FROM "{table.name}" WHERE {_where(by or key_names(table), count, mark)})')
    return f"SELECT {', '.join(columns)}"


def _where(key: tuple[str, ...], count: int, mark: str) -> str:
    if len(key) == 1:
        return f'"{key[0]}" IN ({", ".join([mark] * count)})'
    one = "(" + ", ".join([mark] * len(key)) + ")"
    return f"({_quoted(key)}) IN (VALUES {', '.join([one] * count)})"
