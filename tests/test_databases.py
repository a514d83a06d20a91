"""The database fixtures themselves: fresh, separate, on both products."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.store.db import open_engine


def _tables_then_create(url: str) -> list[str]:
    engine = open_engine(url)
    found = sa.inspect(engine).get_table_names()
    with engine.begin() as conn:
        conn.execute(sa.text("CREATE TABLE left_over (n INTEGER)"))
    engine.dispose()
    return found


def test_database_is_fresh(database_url: str) -> None:
    """A test's database is empty when it begins."""
    assert _tables_then_create(database_url) == []


def test_database_is_its_own(database_url: str) -> None:
    """What another test left does not show, whichever ran first."""
    assert _tables_then_create(database_url) == []
