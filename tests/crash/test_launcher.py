"""The launcher ends a program exactly where it is told: otherwise no other crash test would mean anything."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.programs import Point, points, steps_noted

#: Five durable steps; `file` and the row of the table tell which of them took effect.
PROGRAM = """
import os, sqlite3, sys
from pathlib import Path
from tests.crash import launcher

steps = launcher.Steps("notes", "plan")
launcher.wrap_files(steps)
launcher.wrap_sqlite(steps)
descriptor = os.open("draft", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
os.write(descriptor, b"whole")
os.fsync(descriptor)
Path("draft").rename("file")
conn = sqlite3.connect("db", isolation_level=None)
conn.execute("BEGIN IMMEDIATE")
conn.commit()
cursor = conn.cursor()
cursor.execute("BEGIN IMMEDIATE")
cursor.execute("UPDATE workers SET seen_at_ms = 1")
conn.commit()
cursor.execute("BEGIN IMMEDIATE")
cursor.execute("INSERT INTO t VALUES (1)")
cursor.execute("UPDATE workers SET seen_at_ms = 2")
conn.commit()
with conn:
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("INSERT INTO t VALUES (2)")
"""


def run(place: Path, point: Point) -> tuple[int, str, int]:
    """Return code, what lies in the folder, rows of the table."""
    with sqlite3.connect(place / "db") as conn:
        conn.execute("CREATE TABLE t (n)")
        conn.execute("CREATE TABLE workers (seen_at_ms)")
        conn.execute("INSERT INTO workers VALUES (0)")
    conn.close()
    point.arm(place / "plan")
    root = Path(__file__).parents[2]
    program = f"import sys; sys.path.insert(0, {str(root)!r})\n{PROGRAM}"
    code = subprocess.run([sys.executable, "-c", program], cwd=place, check=False).returncode
    files = [path for name in ("draft", "file") if (path := place / name).exists()]
    with sqlite3.connect(place / "db") as conn:
        rows: int = conn.execute("SELECT count(*) FROM t").fetchone()[0]
    conn.close()
    return code, " ".join(f"{path.name}:{path.read_text()}" for path in files), rows


@pytest.mark.parametrize(
    ("point", "files", "rows"),
    [
        (Point(1, "before"), "", 0),
        (Point(1, "after"), "draft:", 0),
        (Point(2, "before"), "draft:whole", 0),
        (Point(3, "before"), "draft:whole", 0),
        (Point(3, "after"), "file:whole", 0),
        (Point(4, "before"), "file:whole", 0),
        (Point(4, "after"), "file:whole", 1),
        (Point(5, "before"), "file:whole", 1),
        (Point(5, "after"), "file:whole", 2),
    ],
    ids=str,
)
def test_a_program_dies_where_it_is_told(tmp_path: Path, point: Point, files: str, rows: int) -> None:
    """Before a step it has no effect, after it the whole."""
    assert run(tmp_path, point) == (-9, files, rows)


def test_every_step_is_noted_and_an_empty_commit_is_none(tmp_path: Path) -> None:
    """A program that is not to die tells what it did."""
    assert run(tmp_path, Point(0, "before")) == (0, "file:whole", 2)
    assert [step.split()[0] for step in steps_noted(tmp_path / "notes")] == [
        "create",
        "sync",
        "rename",
        "commit",
        "commit",
    ]


def test_samples_hold_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few points are tried, dying before everything and after everything are among them."""
    monkeypatch.delenv("CRASH_EVERYWHERE", raising=False)
    chosen = points(40, 8)
    assert (len(set(chosen)), chosen[0], chosen[-1]) == (8, Point(1, "before"), Point(40, "after"))
    assert len(points(3, 8)) == 6
