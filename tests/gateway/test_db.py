"""Engines: what their errors may show, and two databases that are one under two names."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from audit.bulk import insert_rows, read_rows, write_rows
from audit.log import head_metadata
from gateway.office.founding import Plan, found
from gateway.store import migrations, tables
from gateway.store.db import FRESH_S, check_apart, open_engine, same_database
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


def test_rows_of_several_tables_come_and_go_together(database_url: str) -> None:
    """One table after the other or all at once: the same rows, nulls and bytes included."""
    engine = open_engine(database_url)
    migrations.upgrade(engine)
    parties = [_party(str(number)) for number in range(5)]
    documents = [{"digest": bytes([number]), "envelope": b"\0\xff'\"\\"} for number in range(3)]
    product = {
        "product": "p", "version": 1, "enabled": 1, "disclosure_class": 1, "record_schema": "", "definition": "级"
    }  # fmt: skip
    edition = {
        "manifest_digest": b"m", "origin": "0", "product": "p", "year": 2018, "month": 4, "kind": 1, "sequence": 1,
        "state": "HELD", "record_count": 1 << 40, "root": b"", "blinding_key": b"k", "issued_by": "", "approval": None,
        "changed_at_ms": 1, "note": "", "sequence_slot": None,
    }  # fmt: skip
    with engine.begin() as conn:
        write_rows(
            conn,
            [
                (tables.documents, documents, "keep"),
                (tables.parties, parties, "fail"),
                (tables.products, [product], "replace"),
                (tables.editions, [edition], "fail"),
            ],
        )
        write_rows(
            conn,
            [
                (tables.documents, [documents[0] | {"envelope": b"another"}], "keep"),
                (tables.parties, [parties[4] | {"state": "ACTIVE"}], "replace"),
            ],
        )
        write_rows(conn, [])
        found = read_rows(
            conn,
            {
                tables.parties: [(str(number),) for number in (4, 0, 9, 2, 0)],
                tables.documents: [(b"\0",)],
                tables.editions: [(b"m",), (b"n",)],
                tables.receipts: [("d", 1), ("e", 2), ("f", 3)],
            },
        )
        with pytest.raises(IntegrityError):
            write_rows(conn, [(tables.documents, documents[:1], "fail"), (tables.parties, parties[:1], "keep")])
    engine.dispose()
    assert found[tables.parties] == {
        ("4",): parties[4] | {"state": "ACTIVE"}, ("0",): parties[0], ("9",): None, ("2",): parties[2]
    }  # fmt: skip
    assert found[tables.documents] == {(b"\0",): documents[0]}
    assert found[tables.editions] == {(b"m",): edition, (b"n",): None}
    assert found[tables.receipts] == dict.fromkeys([("d", 1), ("e", 2), ("f", 3)])


def _party(name: str) -> dict[str, Any]:
    return {"party": name, "kind": "BANK", "display_name": "", "state": "TESTING", "changed_at_ms": 0}


@pytest.mark.postgresql
def test_a_connection_that_died_is_replaced(postgresql_url: str) -> None:
    """At once where it was idle for a while; else the one who takes it fails, and nobody after."""
    engine = open_engine(postgresql_url)
    other = open_engine(postgresql_url)

    def backend() -> int:
        with engine.connect() as conn:
            return int(conn.execute(text("SELECT pg_backend_pid()")).scalar_one())

    def end(process: int) -> None:
        with other.begin() as conn:
            conn.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})

    first = backend()
    assert backend() == first
    end(first)
    with pytest.raises(OperationalError):
        backend()
    second = backend()
    end(second)
    time.sleep(FRESH_S + 0.1)
    assert backend() not in (first, second)
    for opened in (engine, other):
        opened.dispose()
