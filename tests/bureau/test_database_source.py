"""xinyi-bureau reads a database by command: published once, counted again by the approver, no password in sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.programs import ok, run
from tests.world import APPROVER, MAKER, city, made_up_uscc

pytestmark = pytest.mark.processes

HEADINGS = ("taxpayer_id", "name", "evaluation_year", "grade")


def profile(path: Path) -> Path:
    file = path / "city.toml"
    columns = "".join(f'{name} = "{name}"\n' for name in HEADINGS)
    file.write_text(f'name = "city"\nproduct = "grade-a"\n[columns]\n{columns}', encoding="utf-8")
    return file


def fill(url: str, count: int) -> None:
    engine = create_engine(url)
    rows = [{"id": made_up_uscc(n), "name": f"示例公司第{n}号"} for n in range(count)]
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE grades (taxpayer_id text, name text, evaluation_year integer, grade text)"))
        conn.execute(text("INSERT INTO grades VALUES (:id, :name, 2018, 'A')"), rows)
    engine.dispose()


async def test_a_table_is_published_and_counted_by_the_approver(tmp_path: Path, database_url: str) -> None:
    """The manifest seals the canonical form; the approver's own reading comes to the same; twice is once."""
    fill(database_url, 1500)
    of = ("--profile", profile(tmp_path), "--table", "grades")
    async with city(tmp_path / "city") as world:
        maker, approver = world.homes[MAKER], world.homes[APPROVER]
        publish = ("publish", database_url, *of, "--period", "2019-04", "--home", maker.path, "--json")
        report = (await ok("xinyi-bureau", *publish)).json
        assert (report["outcome"], report["records"]) == ("edition.ready", 1500)
        assert report["source"]["file"] == "grades"
        assert report["source"]["encoding"] == database_url.partition(":")[0]
        assert (await run("xinyi-bureau", *publish)).code == 7
        edition = report["manifest"]
        counted = ("review", edition, "--source", database_url, *of, "--home", approver.path, "--json")
        assert (await ok("xinyi-bureau", *counted)).json["counted_here"] is True
        engine = create_engine(database_url)
        with engine.begin() as conn:
            conn.execute(text("UPDATE grades SET grade = 'B' WHERE taxpayer_id = :id"), {"id": made_up_uscc(7)})
        engine.dispose()
        changed = await run("xinyi-bureau", *counted)
        assert (changed.code, "another source file" in changed.err) == (4, True)


async def test_a_password_is_not_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the URL it is refused and not repeated; in its variable it is no unknown setting."""
    of = ("--profile", profile(tmp_path), "--table", "grades")
    refused = await run("xinyi-bureau", "inspect", "postgresql://reader:geheim@127.0.0.1:1/tax", *of)
    assert refused.code == 3
    assert "XINYI_BUREAU_SOURCE_PASSWORD" in refused.err
    assert "geheim" not in refused.err + refused.out
    monkeypatch.setenv("XINYI_BUREAU_SOURCE_PASSWORD", "geheim")
    away = await run("xinyi-bureau", "inspect", "postgresql://reader@127.0.0.1:1/tax", *of)
    assert away.code == 6
    assert "geheim" not in away.err + away.out
