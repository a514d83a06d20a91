"""A database's table read as a file is: one snapshot, stable rows, one digest, nothing guessed of its types."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from adapters.bureau import inspection, sources
from adapters.tables.database import Source, open_database
from adapters.tables.profile import Profile
from adapters.tables.reading import NumberCell, Table
from xinyi.errors import Invalid, Unavailable

PROFILE = """
name = "test"
product = "grade-a"
[columns]
taxpayer_id = "编号"
name = "名称"
[identifiers]
taxpayer_id = "taxpayer_number"
"""
CITY = ["taxpayer_id", "name", "evaluation_year", "grade"]


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "profile.toml"
    file.write_text(PROFILE, encoding="utf-8")
    return Profile.load(file)


def run(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))
    engine.dispose()


def fill(url: str, rows: list[tuple[str | None, ...]], columns: str = '"编号" text, "名称" text') -> None:
    run(url, f"CREATE TABLE grades ({columns})")
    engine = create_engine(url)
    with engine.begin() as conn:
        insert(conn, rows)
    engine.dispose()


def insert(conn: Connection, rows: list[tuple[str | None, ...]]) -> None:
    marks = ", ".join(f":c{i}" for i in range(len(rows[0])))
    conn.execute(
        text(f"INSERT INTO grades VALUES ({marks})"), [{f"c{i}": v for i, v in enumerate(row)} for row in rows]
    )


def rows(table: Table) -> list[list[str]]:
    return [row for _, block in table.blocks() for row in block]


def test_rows_have_one_order_and_one_digest(database_url: str, profile: Profile) -> None:
    """However they lie in the table: by identifier, then by all else, NULL first; the digest is the documented one."""
    fill(database_url, [("b", "乙"), ("a", "丙"), ("B", "丁"), ("a", None), ("a", "甲")])
    wanted = [["B", "丁"], ["a", None], ["a", "丙"], ["a", "甲"], ["b", "乙"]]
    canonical = "".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in [["编号", "名称"], *wanted]
    ).encode()
    for _ in range(2):
        with open_database(Source(database_url, "grades"), profile) as table:
            assert table.name == "grades"
            assert table.encoding == database_url.partition(":")[0]
            assert (table.sha256, table.size_bytes) == (hashlib.sha256(canonical).digest(), len(canonical))
            assert table.certain
            blocks = list(table.blocks())
            assert blocks[0] == (0, [["编号", "名称"]])
            assert blocks[1] == (1, [[cell or "" for cell in row] for row in wanted])
        run(database_url, "CREATE TABLE other AS SELECT * FROM grades ORDER BY 2 DESC", "DROP TABLE grades")
        run(database_url, "CREATE TABLE grades AS SELECT * FROM other", "DROP TABLE other")


@pytest.mark.postgresql
def test_what_is_read_is_one_snapshot(postgresql_url: str, profile: Profile) -> None:
    """Whoever writes meanwhile neither waits nor is seen, in every reading while it is open."""
    fill(postgresql_url, [("a", "甲")])
    with open_database(Source(postgresql_url, "grades"), profile) as table:
        run(postgresql_url, "INSERT INTO grades VALUES ('b', '乙')", "UPDATE grades SET 名称 = '丙'")
        assert rows(table) == rows(table) == [["编号", "名称"], ["a", "甲"]]
    with open_database(Source(postgresql_url, "grades"), profile) as table:
        assert len(rows(table)) == 3


def test_a_query_is_read_and_writes_nothing(database_url: str, profile: Profile, tmp_path: Path) -> None:
    """Percent signs, a last comment and a semicolon are what they are in SQL; a statement that writes is refused."""
    fill(database_url, [("a", "10% 公司"), ("b", "乙")])
    query = tmp_path / "a.sql"
    query.write_text("SELECT * FROM grades WHERE \"名称\" LIKE '10%'; ", encoding="utf-8")
    with open_database(Source(database_url, query=query), profile) as table:
        assert table.name == "a.sql"
        assert rows(table)[1:] == [["a", "10% 公司"]]
    query.write_text("SELECT * FROM grades -- all of them", encoding="utf-8")
    with open_database(Source(database_url, query=query), profile) as table:
        assert len(rows(table)) == 3
    for wrong in ("DELETE FROM grades RETURNING *", "SELECT 1) AS x; DELETE FROM grades; SELECT (1", "SELECT nothing"):
        query.write_text(wrong, encoding="utf-8")
        with pytest.raises(Invalid), open_database(Source(database_url, query=query), profile):
            pass
    with open_database(Source(database_url, "grades"), profile) as table:
        assert len(rows(table)) == 3


@pytest.mark.postgresql
@pytest.mark.parametrize(("kind", "name"), [("bigint", "bigint"), ("numeric(18)", "numeric"), ("real", "real")])
def test_a_number_column_holds_no_identifier(postgresql_url: str, profile: Profile, kind: str, name: str) -> None:
    """The column and its type are named before a row is read."""
    run(postgresql_url, f"CREATE TABLE grades (编号 {kind}, 名称 text)")
    with (
        pytest.raises(Invalid, match=f"编号 has the type {name}") as refused,
        open_database(Source(postgresql_url, "grades"), profile),
    ):
        pass
    assert refused.value.basis == "source.identifier"


@pytest.mark.sqlite
def test_numbers_among_texts_are_marked(sqlite_url: str, profile: Profile) -> None:
    """SQLite has types per value: a number is refused as a workbook's cell is, by column and row."""
    run(
        sqlite_url,
        'CREATE TABLE grades ("编号", "名称" text)',
        "INSERT INTO grades VALUES (360206556023435, '甲'), ('360206556023435', '乙')",
    )
    with open_database(Source(sqlite_url, "grades"), profile) as table:
        _, first, second = rows(table)
    assert isinstance(first[0], NumberCell)
    assert "编号 of row 1" in first[0]
    assert second == ["360206556023435", "乙"]
    assert not isinstance(second[0], NumberCell)


@pytest.mark.postgresql
def test_values_have_one_text(postgresql_url: str, profile: Profile) -> None:
    """Whatever the session's settings: days are Chinese days, numbers and enums as they are written."""
    run(
        postgresql_url,
        "CREATE TYPE grade AS ENUM ('B', 'A')",
        "CREATE TABLE grades (编号 char(20), 名称 varchar(20), y int, n numeric(6,2), d date, t timestamptz, g grade, "
        "b boolean, u uuid)",
        "INSERT INTO grades VALUES ('a', '甲', 2018, 1.50, '2019-04-20', '2019-04-19 16:00+00', 'A', true, "
        "'00000000-0000-0000-0000-000000000001')",
    )
    with open_database(Source(postgresql_url, "grades"), profile) as table:
        assert rows(table)[1] == [
            "a" + " " * 19, "甲", "2018", "1.50", "2019-04-20", "2019-04-20", "A", "True",
            "00000000-0000-0000-0000-000000000001",
        ]  # fmt: skip
    run(postgresql_url, "ALTER TABLE grades ADD COLUMN j jsonb")
    with pytest.raises(Invalid, match="column j has the type jsonb"), open_database(
        Source(postgresql_url, "grades"), profile
    ):
        pass


@pytest.mark.sqlite
def test_bytes_have_no_text(sqlite_url: str, profile: Profile) -> None:
    """A column that cannot be written down is named, not guessed."""
    run(sqlite_url, 'CREATE TABLE grades ("编号", "名称")', "INSERT INTO grades VALUES ('a', x'00')")
    with pytest.raises(Invalid, match="名称 holds bytes"), open_database(Source(sqlite_url, "grades"), profile):
        pass


@pytest.mark.parametrize(
    ("table", "explanation"),
    [
        ("nothing", "cannot be read: .*nothing"),
        ("", "by --table or by --query"),
        ("a.b.c", "schema.table"),
        ("x..", "named"),
    ],
)
def test_what_is_not_there_is_said(database_url: str, profile: Profile, table: str, explanation: str) -> None:
    """The database's own words about the statement, which quote no row."""
    fill(database_url, [("a", "甲")])
    with pytest.raises(Invalid, match=explanation), open_database(Source(database_url, table), profile):
        pass


def test_columns_must_be_told_apart(database_url: str, profile: Profile, tmp_path: Path) -> None:
    """A heading that is missing or stands twice stops everything before the first row."""
    fill(database_url, [("a", "甲")])
    query = tmp_path / "q.sql"
    for wrong in ('SELECT "名称" FROM grades', 'SELECT g.*, g."名称" FROM grades g'):
        query.write_text(wrong, encoding="utf-8")
        with pytest.raises(Invalid), open_database(Source(database_url, query=query), profile):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:geheim@db.example/tax",
        "postgresql://reader@db.example/tax?password=geheim",
        "mysql://reader:geheim@db.example/tax",
        "postgresql://reader:geheim@db.example:x/tax",
    ],
)
def test_no_password_in_a_url(profile: Profile, url: str) -> None:
    """It is refused, and not repeated."""
    with pytest.raises(Invalid) as refused, open_database(Source(url, "grades"), profile):
        pass
    assert "geheim" not in refused.value.explanation


@pytest.mark.postgresql
def test_a_database_that_is_away_is_unavailable(profile: Profile, tmp_path: Path) -> None:
    """Trying again may help; the password is not in what is said."""
    source = Source(f"postgresql://reader@/tax?host={tmp_path}", "grades", password="geheim")
    assert "geheim" not in repr(source)
    with pytest.raises(Unavailable) as refused, open_database(source, profile):
        pass
    assert "geheim" not in refused.value.explanation


@pytest.mark.sqlite
def test_no_file_is_made_by_reading(tmp_path: Path, profile: Profile) -> None:
    """A typing error in a path leaves no empty database behind."""
    with pytest.raises(Invalid, match="no file"), open_database(
        Source(f"sqlite:///{tmp_path / 'none.db'}", "grades"), profile
    ):
        pass
    assert not (tmp_path / "none.db").exists()


def test_memory_is_flat(database_url: str, profile: Profile) -> None:
    """Ten times the rows take no more memory than a few blocks of them."""
    fill(database_url, [(f"{n:018d}", f"示例公司{n}") for n in range(100_000)])
    with open_database(Source(database_url, "grades"), profile) as table:
        for _ in table.pieces():
            break
        tracemalloc.start()
        count = sum(len(piece.rows()) for _, piece in table.pieces())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 100_001
    assert peak < 24 << 20


def test_the_bureau_assesses_a_database_as_a_file(database_url: str, tmp_path: Path) -> None:
    """The same rows come to the same records, rules and grades from a CSV and from a table."""
    lines = [
        ("91360200MA35F2TK3P", "甲公司示例", "2018", "A"),
        ("91360200MA35F2TK3P", "甲公司示例", "2018", "A"),
        ("not an identifier", "乙公司示例", "2018", "A"),
    ]
    file = tmp_path / "city.csv"
    file.write_text("\n".join(",".join(line) for line in [tuple(CITY), *lines]) + "\n", encoding="utf-8")
    mapping = tmp_path / "city.toml"
    mapping.write_text(
        'name = "city"\nproduct = "grade-a"\nencoding = "utf-8"\n[columns]\n'
        + "".join(f'{name} = "{name}"\n' for name in CITY),
        encoding="utf-8",
    )
    fill(database_url, lines, ", ".join(f"{name} text" for name in CITY))
    reports = []
    for source, table in ((str(file), ""), (database_url, "grades")):
        with sources.opened(source, str(mapping), table=table) as opened:
            counted = inspection.inspect(opened, lambda n: None, mend=tmp_path / f"mend{table}.csv")
        report = counted.tally.report()
        assert report.pop("rules")
        reports.append((report, counted.grades))
    assert reports[0] == reports[1]
    for table in ("", "grades"):
        assert (tmp_path / f"mend{table}.csv").read_text("utf-8-sig").count("not an identifier") == 1


def test_files_and_databases_are_told_apart(tmp_path: Path) -> None:
    """Options of one are not passed over in silence with the other."""
    for source, encoding, table in (("city.csv", "", "grades"), ("sqlite:///city.db", "utf-8", "grades")):
        with pytest.raises(Invalid), sources.opened(source, "city-grades", encoding, table=table):
            pass
