"""Engines: what their errors may show, and two databases that are one under two names."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from audit.bulk import insert_rows
from audit.log import head_metadata
from gateway.office.founding import Plan, found
from gateway.store import migrations, tables
from gateway.store.db import check_apart, open_engine, same_database
from xinyi.errors import Invalid

SECRET = b"the blinding key of an edition"


def test_errors_of_the_database_show_no_values(database_url: str) -> None:
    """Neither what was bound, nor the row in the way that PostgreSQL quotes; the traceback included."""
    engine = open_engine(database_url)
    migrations.upgrade(engine)
    row = {"manifest_digest": SECRET, "envelope": SECRET, "blinding_key": SECRET, "begun_at_ms": None}
    failed = []
    for change in ({}, {"begun_at_ms": 1}, {"begun_at_ms": 1}):
        try:
            with engine.begin() as conn:
                insert_rows(conn, tables.intakes, [row | change])
        except SQLAlchemyError:
            failed.append(change)
            shown = traceback.format_exc()
            assert "intakes" in shown
            assert SECRET.decode() not in shown
            assert SECRET.hex() not in shown
    assert failed == [{}, {"begun_at_ms": 1}], "a value that is missing, and a row whose place is taken"
    engine.dispose()


@pytest.mark.parametrize("which", ["data", "heads"])
def test_a_head_store_in_a_gateways_database_is_found(tmp_path: Path, which: str) -> None:
    """By what lies in it: the log's entries where heads should be alone, or heads beside the entries."""
    engines = {name: open_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("data", "heads")}
    check_apart(engines["data"], engines["heads"])
    migrations.upgrade(engines["data"])
    head_metadata.create_all(engines["heads"])
    check_apart(engines["data"], engines["heads"])
    with pytest.raises(Invalid) as refused:
        check_apart(engines[which], engines[which])
    assert refused.value.basis == "settings.head_store"
    for engine in engines.values():
        engine.dispose()


@pytest.mark.postgresql
def test_another_name_of_the_server_hides_nothing(tmp_path: Path, postgresql_url: str) -> None:
    """The same database by a URL with other words: founding refuses before it makes a table of the log."""
    alias = make_url(postgresql_url).update_query_dict({"application_name": "heads"})
    alias = alias.set(port=5432) if alias.port is None else alias
    other = alias.render_as_string(hide_password=False)
    assert not same_database(postgresql_url, other)
    engine = open_engine(postgresql_url)
    with pytest.raises(Invalid) as refused:
        found(
            tmp_path / "gateway",
            Plan("test-city/gateway", "demo", "127.0.0.1:0", "", database=postgresql_url, head_store=other),
        )
    assert refused.value.basis == "settings.head_store"
    with engine.connect() as conn:
        assert conn.execute(text("SELECT to_regclass('log_entries')")).scalar() is None
    engine.dispose()
