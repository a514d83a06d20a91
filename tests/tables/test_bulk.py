"""Rows of an edition go into PostgreSQL by COPY, as the server itself sees it."""

from __future__ import annotations

import psycopg
import pytest

from adapters.bank.rows import COLUMNS
from adapters.tables.landing import SqlTarget
from adapters.tables.target import Landed, Row
from tests.tables.test_loads import landed, row
from xinyi.errors import Invalid

ROWS: list[Row] = [(n, None, row(f"{n:06d}", f"公司{n}")) for n in range(3000)]


@pytest.mark.postgresql
def test_an_edition_goes_in_by_copy(postgresql_url: str) -> None:
    """A FULL and a DELTA: while their rows go in, the server runs a COPY into the table that is staged."""
    with psycopg.connect(postgresql_url, autocommit=True) as server:

        def copying() -> list[tuple[object, ...]]:
            return server.execute(
                "SELECT command, relid::regclass::text FROM pg_stat_progress_copy"
            ).fetchall()

        base: Landed | None = None
        for sequence in (1, 2):
            target = SqlTarget(postgresql_url, "grade_a", COLUMNS)
            base = target.landed("grade-a")
            target.stage(sequence)
            assert copying() == []
            target.write(ROWS)
            assert copying() == [("COPY FROM", f"grade_a__{sequence:06d}")]
            target.written()
            assert copying() == []
            if base is not None:
                assert target.merge(base) == len(ROWS)
            assert len(list(target.rows())) == len(ROWS)
            target.publish(landed(sequence, len(ROWS)), {})
            target.close()
        assert server.execute("SELECT count(*) FROM grade_a").fetchall() == [(3000,)]


@pytest.mark.postgresql
def test_what_rows_share_goes_in_by_copy(postgresql_url: str) -> None:
    """The second table of an edition: the statements that the server prepared or ran hold no INSERT of rows."""
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute("CREATE TABLE seen (statement text)")
        server.execute(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN INSERT INTO seen VALUES (current_query()); RETURN NULL; END$$"
        )
        server.execute(
            "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$DECLARE t record; BEGIN "
            "FOR t IN SELECT object_identity AS name FROM pg_event_trigger_ddl_commands() "
            "WHERE object_type = 'table' LOOP EXECUTE 'CREATE TRIGGER note AFTER INSERT ON ' || t.name || "
            "' FOR EACH STATEMENT EXECUTE FUNCTION note()'; END LOOP; END$$"
        )
        server.execute(
            "CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION watch()"
        )
        target = SqlTarget(postgresql_url, "grade_a", COLUMNS)
        target.landed("grade-a")
        target.stage(1)
        target.write(ROWS)
        target.written()
        target.close()
        seen = {statement.split(" (")[0] for (statement,) in server.execute("SELECT statement FROM seen")}
    assert seen == {'COPY "grade_a__000001"', 'COPY "grade_a__000001_shared"'}


def test_a_url_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a password in it; a missing driver is named with the command that installs it."""
    for url in ("postgresql://bank:geheim@db:x/credit", "oracle://bank:geheim@db/credit"):
        with pytest.raises(Invalid) as refused:
            SqlTarget(url, "grade_a", COLUMNS)
        assert "geheim" not in refused.value.explanation
    monkeypatch.setattr("adapters.tables.bulk.find_spec", lambda _: None)
    with pytest.raises(Invalid, match=r"pip install 'xinyi-gateway\[postgres\]'"):
        SqlTarget("postgresql://bank@db/credit", "grade_a", COLUMNS)
