"""What is sorted holds borrowers: it lies in a private folder, wherever the system keeps files of everybody."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from adapters.bank.lending.scratch import open_scratch


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed by Linux alone")
def test_what_is_sorted_lies_beside_its_file(tmp_path: Path) -> None:
    """SQLite unlinks such files at once: what is open shows where they are."""
    with closing(open_scratch(tmp_path / "rows.db", 64)) as scratch:
        scratch.execute("CREATE TABLE rows (name BLOB, told BLOB)")
        scratch.execute("BEGIN")
        scratch.executemany("INSERT INTO rows VALUES (?, ?)", ((os.urandom(16), bytes(200)) for _ in range(20_000)))
        scratch.execute("COMMIT")
        ordered = scratch.execute("SELECT * FROM rows ORDER BY name")
        assert ordered.fetchone()
        places = set()
        for name in os.listdir("/proc/self/fd"):
            place = Path("/proc/self/fd") / name
            if place.is_symlink() and "etilqs" in (file := os.readlink(place)):
                places.add(Path(file).parent)
        assert ordered.fetchone(), "it is still read from there"
    assert places == {tmp_path}
