"""Rows as plain dictionaries of columns, the form in which rules and the door take them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select

Row = dict[str, Any]


def first(conn: Connection, query: Select[Any]) -> Row | None:
    row = conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def rows(conn: Connection, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in conn.execute(query).mappings()]
