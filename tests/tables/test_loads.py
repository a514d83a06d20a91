"""Folders of loads: what a loader that takes them in their order ends with is what the bank shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Connection, create_engine, text

from adapters.bank.rows import COLUMNS
from adapters.tables.columns import Value
from adapters.tables.load_folder import LoadFolder
from adapters.tables.oracle import OracleFiles
from adapters.tables.parquet import ParquetFiles
from adapters.tables.target import ABSENT, GONE, Landed, Recall, Row, Shown
from xinyi.errors import Conflict, Invalid

NAME = "grade_a"
NAMES = [c.name for c in COLUMNS.all]
KEY = COLUMNS.own[0].name
FORMATS = ["oracle", "parquet"]


def target(path: Path, form: str) -> LoadFolder:
    return LoadFolder(path, NAME, COLUMNS, OracleFiles(NAME, COLUMNS) if form == "oracle" else ParquetFiles(COLUMNS))


def row(identifier: str, name: str, grade: str = "A") -> Shown:
    values: dict[str, Value] = {
        KEY: identifier, "identifier_kind": "USCC", "names": name, "evaluation_year": 2018, "grade": grade,
    }  # fmt: skip
    flat = [values.get(column) for column in NAMES]
    return (*flat[: len(COLUMNS.own)], tuple(flat[len(COLUMNS.own) :]))


def landed(sequence: int, accepted: int) -> Landed:
    digest = f"{sequence:064x}"
    return Landed("grade-a", "city/bureau", "delivery", digest, sequence, "", accepted, 0, "ab" * 32, 7)


@dataclass
class Bank:
    """Lands by the protocol, and knows what has to be shown."""

    path: Path
    form: str
    truth: dict[str, Shown] = field(default_factory=dict)
    sequence: int = 0

    def full(self, rows: list[Shown], disputes: dict[str, str] | None = None, refused: int = 0) -> None:
        self.sequence += 1
        to = target(self.path, self.form)
        to.stage(self.sequence)
        hidden: list[Row] = [(0, "bank.name_length", row(f"refused-{i}", "x")) for i in range(refused)]
        to.write([*((0, None, shown) for shown in rows), *hidden])
        to.written()
        assert list(to.rows()) == rows
        to.publish(landed(self.sequence, len(rows)), disputes or {})
        to.discard()
        to.close()
        self.truth = {shown[0]: shown for shown in rows}

    def changes(
        self,
        rows: list[Shown],
        hidden: dict[str, str] | None = None,
        disputes: dict[str, str] | None = None,
        recall: Recall | None = None,
    ) -> None:
        """Args: hidden — identifier → why its row is not shown."""
        self.sequence += 1
        to = target(self.path, self.form)
        base = to.landed("grade-a")
        assert base is not None
        to.stage(self.sequence)
        to.write([(0, None, shown) for shown in rows])
        to.write([(0, why, row(name, "")) for name, why in (hidden or {}).items()])
        to.written()
        touched = {shown[0] for shown in rows} | {n for n, why in (hidden or {}).items() if why != ABSENT}
        assert to.merge(base) == len(touched & self.truth.keys())
        assert list(to.rows()) == rows
        if recall is not None:
            to.recall(recall)
        for name in touched:
            self.truth.pop(name, None)
        self.truth |= {shown[0]: shown for shown in rows}
        to.publish(replace(landed(self.sequence, len(self.truth)), relation=base.relation), disputes)
        to.discard()
        to.close()


def recalling(sequence: int) -> Recall:
    return Recall("grade-a", f"{sequence:064x}", f"{1:064x}", sequence, 1_700_000_000_000)


# An independent reader of each format


def flat(shown: Shown) -> dict[str, Value]:
    return dict(zip(NAMES, (*shown[:-1], *shown[-1]), strict=True))


@dataclass
class Control:
    """What a control file says, read by its words."""

    data: Path
    table: str
    columns: dict[str, str]

    @classmethod
    def parse(cls, path: Path) -> Control:
        statement = "\n".join(line for line in path.read_text("utf-8").splitlines() if not line.startswith("--"))
        found = re.fullmatch(
            r"OPTIONS \(DIRECT=TRUE, ERRORS=0\)\s+LOAD DATA\s+CHARACTERSET AL32UTF8 LENGTH SEMANTICS CHAR\s+"
            r"""INFILE '(?P<file>[^']+)' "STR X'1E0A'"\s+TRUNCATE\s+INTO TABLE (?P<table>[A-Z0-9_]+)\s+"""
            r"""FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"'\s+TRAILING NULLCOLS\s+"""
            r"\((?P<columns>[^;]*)\)\s*",
            statement,
        )
        assert found is not None, statement
        columns = dict(c.split(maxsplit=1) for c in found["columns"].strip().split(",\n"))
        return cls(path.parent / found["file"], found["table"], columns)

    def rows(self) -> list[dict[str, Value]]:
        """As SQL*Loader reads: records by their terminator, fields by character."""
        records = self.data.read_bytes().split(b"\x1e\n")
        assert records.pop() == b""
        return [self._record(record.decode("utf-8")) for record in records]

    def _record(self, record: str) -> dict[str, Value]:
        values: list[str] = []
        place = 0
        while place <= len(record):
            value, enclosed = "", record[place : place + 1] == '"'
            place += enclosed
            while place < len(record):
                if enclosed and record[place] == '"':
                    if record[place + 1 : place + 2] != '"':
                        place += 1
                        break
                    place += 1
                elif not enclosed and record[place] == ",":
                    break
                value += record[place]
                place += 1
            assert place == len(record) or record[place] == ","
            place += 1
            values.append(value)
        assert len(values) == len(self.columns)
        for value, form in zip(values, self.columns.values(), strict=True):
            assert len(value) <= int(re.search(r"\((\d+)\)", form)[1])  # type: ignore[index]
        return {
            name.lower(): (int(value) if form.startswith("INTEGER") else value) if value else None
            for (name, form), value in zip(self.columns.items(), values, strict=True)
        }


def contents(folder: Path, form: str) -> dict[str, list[dict[str, Value]]]:
    """Name of the file → its rows."""
    if form == "oracle":
        return {path.stem: Control.parse(path).rows() for path in folder.glob("*.ctl")}
    return {path.stem: pq.read_table(path).to_pylist() for path in folder.glob("*.parquet")}


def loaded(path: Path, form: str) -> tuple[dict[str, dict[str, Value]], dict[str, Value], list[dict[str, Value]]]:
    """(rows, disputes, recalls) of a loader that takes every marked folder in order."""
    rows: dict[str, dict[str, Value]] = {}
    disputes: dict[str, Value] = {}
    recalls: list[dict[str, Value]] = []
    for mark in sorted(path.glob("*.done")):
        files = contents(mark.with_suffix(""), form)
        if NAME in files:
            rows = {str(line[KEY]): line for line in files[NAME]}
        for change in files.get(f"{NAME}_changes", []):
            operation = change.pop("operation")
            rows.pop(str(change[KEY]), None)
            if operation == "U":
                rows[str(change[KEY])] = change
        if f"{NAME}_disputes" in files:
            disputes = {str(d[KEY]): d["disputed_since"] for d in files[f"{NAME}_disputes"]}
        recalls = files[f"{NAME}_recalls"]
    return rows, disputes, recalls


ODD = [row("a", '甲"公司",'), row("b", "乙\n,公司"), row("c", '""'), row("d", "𠮷田, 公司 "), row("e", "戊", "B")]


@pytest.fixture(params=FORMATS)
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Bank:
    return Bank(tmp_path / "loads", request.param)


def test_a_year_of_loads_comes_to_what_is_shown(bank: Bank) -> None:
    """A FULL, a DELTA, a CORRECTION, the next FULL: after each, rows, objections and recalls are those told."""
    bank.full(ODD, {"a": "2026-01-05"}, refused=3)
    bank.changes([row("b", "乙", "B"), row("n", "新")], {"c": GONE, "e": "bank.name_length", "x": "bank.name_length"})
    rows, disputes, recalls = loaded(bank.path, bank.form)
    assert rows == {name: flat(shown) for name, shown in bank.truth.items()}
    assert set(rows) == {"a", "b", "d", "n"}
    assert (disputes, recalls) == ({"a": "2026-01-05"}, []), "None leaves the objections"
    bank.changes([row("d", "丁")], {"n": GONE, "q": ABSENT}, {"b": "2026-02-01"}, recalling(3))
    rows, disputes, recalls = loaded(bank.path, bank.form)
    assert rows == {name: flat(shown) for name, shown in bank.truth.items()}
    assert disputes == {"b": "2026-02-01"}
    assert {(r["taxpayer_id"], r["what"], r["sequence"]) for r in recalls} == {
        ("d", "changed", 3), ("n", "gone", 3), ("q", "changed", 3),
    }  # fmt: skip
    bank.changes([])
    assert [path.name for path in sorted(bank.path.glob("*.done"))] == [
        "000001-full.done", "000002-changes.done", "000003-changes.done", "000004-changes.done",
    ]  # fmt: skip
    bank.full(ODD[:2])
    assert [path.name for path in sorted(bank.path.glob("[0-9]*"))] == ["000005-full", "000005-full.done"]
    rows, disputes, kept = loaded(bank.path, bank.form)
    assert rows == {name: flat(shown) for name, shown in bank.truth.items()}
    assert (disputes, kept) == ({}, recalls), "what was taken back is told in every folder"
    shown = target(bank.path, bank.form).landed("grade-a")
    assert shown is not None
    assert (shown.sequence, shown.accepted, shown.relation) == (5, 2, "000005-full")


def test_a_recall_before_its_turn(bank: Bank) -> None:
    """What is shown stays the edition it is; the rows taken back and their account are one load."""
    bank.full(ODD)
    bank.sequence = 8
    bank.changes([row("a", "甲")], {"b": ABSENT}, recall=recalling(9))
    assert set(loaded(bank.path, bank.form)[0]) == {"a", "b", "c", "d", "e"}
    assert len(loaded(bank.path, bank.form)[2]) == 2


def test_a_recall_of_an_edition_that_is_not_shown(bank: Bank) -> None:
    """A folder of its own, whoever holds nothing or something newer; told again it names nothing twice."""
    for _ in range(2):
        to = target(bank.path, bank.form)
        to.stage(4)
        to.write([(0, None, row("a", "甲")), (1, GONE, row("b", ""))])
        to.written()
        to.recall(recalling(4))
        to.discard()
        to.close()
    assert to.landed("grade-a") is None
    rows, _, recalls = loaded(bank.path, bank.form)
    assert rows == {}
    assert [(r["taxpayer_id"], r["what"]) for r in recalls] == [("a", "changed"), ("b", "gone")]
    assert [path.name for path in sorted(bank.path.glob("*.done"))] == ["000001-recall.done", "000002-recall.done"]
    bank.full(ODD)
    assert len(loaded(bank.path, bank.form)[2]) == 2


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["written", "merged", "renamed", "marked"])
def test_a_crash_leaves_no_half_folder(bank: Bank, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the marker nothing is seen; behind it the same load comes again under its number."""
    bank.full(ODD)
    before = loaded(bank.path, bank.form)
    to = target(bank.path, bank.form)
    base = to.landed("grade-a")
    assert base is not None

    def cut(*_: Any, **__: Any) -> None:
        raise Cut

    to.stage(2)
    to.write([(0, None, row("a", "新")), (1, GONE, row("b", ""))])
    to.written()
    if moment != "written":
        assert to.merge(base) == 2
    if moment in ("renamed", "marked"):
        place = {"renamed": "files.create", "marked": "csv.writer"}[moment]
        kind: Any = OracleFiles if bank.form == "oracle" else ParquetFiles
        finish = kind.finish
        with monkeypatch.context() as patch:

            def then_cut(*args: Any) -> None:
                finish(*args)
                patch.setattr(f"adapters.tables.load_folder.{place}", cut)

            patch.setattr(kind, "finish", then_cut)
            with pytest.raises(Cut):
                to.publish(replace(landed(2, 4), relation=base.relation), {})
    if moment != "marked":
        assert loaded(bank.path, bank.form) == before
    assert target(bank.path, bank.form).landed("grade-a") == base
    bank.changes([row("a", "新")], {"b": GONE})
    assert loaded(bank.path, bank.form)[0] == {name: flat(shown) for name, shown in bank.truth.items()}
    assert not list(bank.path.glob(".*part"))
    assert len(list(bank.path.glob("*.done"))) == 2


def test_what_was_not_published_is_undone(bank: Bank) -> None:
    """`close` without `publish` leaves what was there."""
    bank.full(ODD)
    before = sorted(path.name for path in bank.path.rglob("*"))
    to = target(bank.path, bank.form)
    base = to.landed("grade-a")
    assert base is not None
    to.stage(2)
    to.write([(0, None, row("a", "新"))])
    to.written()
    to.merge(base)
    to.recall(recalling(2))
    to.close()
    to.discard()
    assert sorted(path.name for path in bank.path.rglob("*")) == before


def test_folders_that_are_gone_are_landed_again(bank: Bank) -> None:
    """Changes cannot be counted against rows that are not there; another product has another folder."""
    bank.full(ODD)
    to = target(bank.path, bank.form)
    with pytest.raises(Conflict, match="name another folder"):
        to.landed("grade-all")
    (bank.path / "000001-full").rename(bank.path.parent / "archived")
    assert to.landed("grade-a") is None
    (bank.path / "state.json").write_text("{")
    with pytest.raises(Conflict, match="damaged"):
        to.landed("grade-a")


def test_a_reopened_full_is_read_back(bank: Bank) -> None:
    """After a crash behind the marker the same rows are compared again."""
    bank.full(ODD)
    to = target(bank.path, bank.form)
    shown = to.landed("grade-a")
    assert shown is not None
    to.reopen(shown)
    to.written()
    assert list(to.rows()) == ODD


def test_files_are_for_their_owner(bank: Bank) -> None:
    """They name taxpayers."""
    bank.full(ODD)
    assert all(path.stat().st_mode & 0o077 == 0 for path in bank.path.rglob("*"))


# Oracle

RESERVED = """
ACCESS ADD ALL ALTER AND ANY AS ASC AUDIT BETWEEN BY CHAR CHECK CLUSTER COLUMN COMMENT COMPRESS CONNECT CREATE
CURRENT DATE DECIMAL DEFAULT DELETE DESC DISTINCT DROP ELSE EXCLUSIVE EXISTS FILE FLOAT FOR FROM GRANT GROUP
HAVING IDENTIFIED IMMEDIATE IN INCREMENT INDEX INITIAL INSERT INTEGER INTERSECT INTO IS LEVEL LIKE LOCK LONG
MAXEXTENTS MINUS MLSLABEL MODE MODIFY NOAUDIT NOCOMPRESS NOT NOWAIT NULL NUMBER OF OFFLINE ON ONLINE OPTION OR
ORDER PCTFREE PRIOR PUBLIC RAW RENAME RESOURCE REVOKE ROW ROWID ROWNUM ROWS SELECT SESSION SET SHARE SIZE
SMALLINT START SUCCESSFUL SYNONYM SYSDATE TABLE THEN TO TRIGGER UID UNION UNIQUE UPDATE USER VALIDATE VALUES
VARCHAR VARCHAR2 VIEW WHENEVER WHERE WITH
"""


def statements(script: Path) -> Iterator[str]:
    """What SQL*Plus sends, without its own commands and without PL/SQL blocks."""
    lines = script.read_text("utf-8").splitlines()
    own = ("--", "SET DEFINE", "WHENEVER", "EXIT")
    plain, block = [], False
    for line in lines:
        block = block or line in ("BEGIN", "DECLARE")
        if not block and not line.startswith(own):
            plain.append(line)
        block = block and line != "/"
    return (found.strip() for found in "\n".join(plain).split(";") if found.strip())


def create(conn: Connection, script: Path) -> None:
    """The tables of create.sql, in PostgreSQL's types."""
    for table in re.findall(r"EXECUTE IMMEDIATE '(CREATE TABLE [^']+)'", script.read_text("utf-8")):
        ours = re.sub(r"VARCHAR2\((\d+) CHAR\)", r"varchar(\1)", table)
        conn.execute(text(ours.replace("CLOB", "text").replace("NUMBER(19)", "bigint")))
    for view in statements(script):
        conn.execute(text(view))


@pytest.mark.postgresql
def test_the_scripts_make_the_rows_visible(tmp_path: Path, postgresql_url: str) -> None:
    """The statements of apply.sql run on another database that has MERGE, and may run twice."""
    bank = Bank(tmp_path, "oracle")
    engine = create_engine(postgresql_url)
    done: set[Path] = set()

    def load() -> None:
        for mark in sorted(set(tmp_path.glob("*.done")) - done):
            done.add(mark)
            folder = mark.with_suffix("")
            with engine.begin() as conn:
                if len(done) == 1:
                    create(conn, folder / "create.sql")
                for control in map(Control.parse, folder.glob("*.ctl")):
                    conn.execute(text(f"TRUNCATE {control.table}"))
                    names = ", ".join(control.columns)
                    marks = ", ".join(f":{name.lower()}" for name in control.columns)
                    if rows := control.rows():
                        conn.execute(text(f"INSERT INTO {control.table} ({names}) VALUES ({marks})"), rows)
            for _ in range(2):
                with engine.connect() as conn:
                    for statement in statements(folder / "apply.sql"):
                        conn.execute(text(statement))

    def shown() -> dict[str, dict[str, Value]]:
        with engine.connect() as conn:
            found = conn.execute(text(f"SELECT * FROM {NAME}")).mappings()
            return {line[KEY]: dict(line) for line in found}

    def expected(disputes: dict[str, str]) -> dict[str, dict[str, Value]]:
        return {n: flat(s) | {"disputed_since": disputes.get(n)} for n, s in bank.truth.items()}

    bank.full(ODD, {"a": "2026-01-05"})
    load()
    assert shown() == expected({"a": "2026-01-05"})
    bank.changes([row("b", "乙", "B"), row("n", "新")], {"c": GONE}, {"b": "2026-02-01"}, recalling(2))
    load()
    assert shown() == expected({"b": "2026-02-01"})
    bank.changes([])
    load()
    assert shown() == expected({"b": "2026-02-01"})
    with engine.connect() as conn:
        assert conn.execute(text("SELECT load_number, sequence, accepted FROM xinyi_loads")).all() == [(3, 3, 5)]
        taken = conn.execute(text("SELECT taxpayer_id, what FROM grade_a_recalls ORDER BY 1")).all()
        assert taken == [("b", "changed"), ("c", "gone"), ("n", "changed")]
    engine.dispose()


def test_the_scripts_check_before_they_change(tmp_path: Path) -> None:
    """How many rows each table must hold, and which load comes before; a FULL follows on anything."""
    bank = Bank(tmp_path, "oracle")
    bank.full(ODD)
    bank.changes([row("a", "新")], {"b": GONE})
    full, changes = ((tmp_path / name / "apply.sql").read_text() for name in ("000001-full", "000002-changes"))
    assert "FROM GRADE_A_LOAD;\n  IF n <> 5 THEN" in full
    assert "n NOT IN" not in full
    assert "FROM GRADE_A_CHANGES;\n  IF n <> 2 THEN" in changes
    assert "n NOT IN (1, 2)" in changes
    for script in (full, changes):
        assert script.index("RAISE_APPLICATION_ERROR") < script.index("DELETE FROM")
        assert script.count("COMMIT") == 1


def test_names_are_oracle_s(tmp_path: Path) -> None:
    """30 characters at most, none of its reserved words, in every table and column."""
    bank = Bank(tmp_path, "oracle")
    bank.full(ODD)
    script = (tmp_path / "000001-full/create.sql").read_text()
    tables = re.findall(r"CREATE TABLE (\w+) \((.*)\)'", script)
    assert len(tables) == 8
    names = {name for name, _ in tables}
    names |= {column.split()[0] for _, columns in tables for column in columns.split(", ")}
    assert not names & set(RESERVED.split())
    assert max(map(len, names)) <= 30
    for wrong in ("1st", "Grade", "a" * 17, "grade-a"):
        with pytest.raises(Invalid, match="Oracle"):
            OracleFiles(wrong, COLUMNS)


# Parquet


def test_parquet_names_its_edition(tmp_path: Path) -> None:
    """Metadata, types and encodings, as any reader of Parquet sees them."""
    bank = Bank(tmp_path, "parquet")
    bank.full([row(f"{n:06d}", f"公司{n}") for n in range(70_000)])
    file = pq.ParquetFile(tmp_path / "000001-full/grade_a.parquet")
    metadata = {key.decode(): value.decode() for key, value in file.metadata.metadata.items()}
    assert metadata["xinyi.manifest_digest"] == f"{1:064x}"
    assert (metadata["xinyi.sequence"], metadata["xinyi.root"]) == ("1", "ab" * 32)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [65_536, 4_464]
    assert file.schema_arrow.names == NAMES
    encodings = {
        file.metadata.row_group(0).column(n).path_in_schema: file.metadata.row_group(0).column(n).encodings
        for n in range(len(NAMES))
    }
    assert "RLE_DICTIONARY" in encodings["grade"]
    assert "RLE_DICTIONARY" not in encodings["taxpayer_id"]
    bank.changes([row("000001", "新")], {"000002": GONE})
    changed = pq.read_table(tmp_path / "000002-changes/grade_a_changes.parquet")
    assert changed.column_names == ["operation", *NAMES]
    assert changed.column("operation").to_pylist() == ["U", "D"]
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["folders"] == ["000001-full", "000002-changes"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_was_changed_is_found(tmp_path: Path, form: str) -> None:
    """What is read back is what lies there."""
    bank = Bank(tmp_path, form)
    bank.full(ODD)
    ending = "dat" if form == "oracle" else "parquet"
    data = tmp_path / f"000001-full/grade_a.{ending}"
    data.write_bytes(data.read_bytes()[:-9])
    to = target(tmp_path, form)
    shown = to.landed("grade-a")
    assert shown is not None
    to.reopen(shown)
    with pytest.raises(Conflict):
        list(to.rows())
