"""The schema by migrations, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, text

from gateway.store import migrations, tables
from gateway.store.db import open_engine
from xinyi.settings import SettingsInvalid


def test_migrations_make_what_the_tables_declare(database_url: str) -> None:
    """From nothing to the newest revision; then nothing is left to change, and doing it again is nothing."""
    engine = open_engine(database_url)
    with pytest.raises(SettingsInvalid, match="schema is empty"):
        migrations.check_current(engine)
    migrations.upgrade(engine)
    migrations.check_current(engine)
    migrations.upgrade(engine)
    with engine.connect() as conn:
        assert migrations.differences(conn) == []
        assert set(inspect(conn).get_table_names()) == {*tables.metadata.tables, "alembic_version"}
    engine.dispose()


def test_a_drifted_schema_is_seen(database_url: str) -> None:
    """The comparison above can fail: a column somebody dropped by hand shows."""
    engine = open_engine(database_url)
    migrations.upgrade(engine)
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE parties DROP COLUMN display_name"))
    with engine.connect() as conn:
        assert migrations.differences(conn) != []
    engine.dispose()


def test_a_failed_upgrade_leaves_the_schema_as_it_was(database_url: str) -> None:
    """A table that stands in the way fails the upgrade whole: no half schema, no revision noted."""
    engine = open_engine(database_url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE receipts (x INTEGER)"))
    with pytest.raises(Exception, match="receipts"):
        migrations.upgrade(engine)
    with engine.connect() as conn:
        assert inspect(conn).get_table_names() == ["receipts"]
    engine.dispose()


def test_a_schema_of_another_version_is_refused(database_url: str) -> None:
    """A database that a newer program moved on is not served by this one."""
    engine = open_engine(database_url)
    migrations.upgrade(engine)
    with engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsInvalid, match="schema is 9999"):
        migrations.check_current(engine)
    engine.dispose()
