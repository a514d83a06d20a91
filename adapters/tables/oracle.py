"""Files for Oracle: data and control files of SQL*Loader, and the scripts that make what was loaded visible.

    create.sql               tables and view, where they are not there yet
    grade_a.dat, .ctl        rows of a FULL → GRADE_A_LOAD
    grade_a_changes.…        rows of a DELTA or CORRECTION, each with U or D → GRADE_A_CHANGES
    grade_a_disputes.…       → GRADE_A_DISPUTES_LOAD
    grade_a_recalls.…        → GRADE_A_RECALLS_LOAD
    apply.sql                checks their number, then one transaction from there to GRADE_A

UTF-8. A text is enclosed in quotation marks, one inside is doubled; NULL is nothing. A row ends in the bytes 1E 0A,
of which no text holds the first, so that neither a comma nor a line's end inside a text is misread.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from adapters.tables.columns import Column, Value
from adapters.tables.loads import DISPUTES, RECALLS, Load, Relation, Values
from adapters.tables.target import Columns, Landed
from xinyi import files
from xinyi.errors import Conflict, Invalid

#: So that GRADE_A_DISPUTES_LOAD keeps the 30 characters that Oracle before 12.2 allows.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,15}")
END = "\x1e\n"
#: Characters of a text (the contract allows 200), and of several texts in one column, which go into a CLOB.
_TEXT, _LONG = 200, 60_000
_READ_CHARACTERS = 1 << 20


class OracleFiles:
    """A format of a LoadFolder."""

    ending = "dat"

    def __init__(self, name: str, columns: Columns) -> None:
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name!r} cannot be the name of tables in Oracle: at most 16 of a-z, 0-9 and _, a letter first; "
                "name another under [bank.tables]",
                basis="settings.tables",
            )
        self._name = name
        self._columns = columns.all

    def create(self, folder: Path, relation: Relation) -> _DataFile:
        return _DataFile(folder / f"{relation.name}.dat")

    def read(self, folder: Path, relation: Relation, width: int) -> Iterator[tuple[Value, ...]]:
        path = folder / f"{relation.name}.dat"
        numbers = [place for place, c in enumerate(relation.columns[:width]) if c.kind == "integer"]
        try:
            # No text is empty, so what is empty is NULL.
            for fields in csv.reader(_records(path), strict=True):
                if len(fields) != len(relation.columns):
                    raise Conflict(f"{path} has a row of other columns", basis="landing.table")
                values: list[Value] = [text or None for text in fields[:width]]
                for number in numbers:
                    values[number] = int(values[number] or 0) or None
                yield tuple(values)
        except (csv.Error, ValueError) as error:
            raise Conflict(f"{path} is not as it was written", basis="landing.table") from error

    def finish(self, folder: Path, load: Load) -> None:
        for relation in load.files:
            files.create(folder / f"{relation.name}.ctl", self._control(relation, load).encode())
        files.create(folder / "create.sql", self._create().encode())
        files.create(folder / "apply.sql", self._apply(load).encode())

    def _staging(self, relation: Relation) -> str:
        """The table that a file is loaded into."""
        changes = relation.name == f"{self._name}_changes"
        return relation.name.upper() + ("" if changes else "_LOAD")

    # SQL*Loader

    def _control(self, relation: Relation, load: Load) -> str:
        whole = self._long(relation.columns)
        lines = []
        for column in relation.columns:
            form = f"CHAR({_LONG if column.name in whole else _TEXT})"
            lines.append(f"  {column.name.upper()} {form if column.kind == 'text' else 'INTEGER EXTERNAL(20)'}")
        return _lines_of(
            f"-- {load.folder}: {load.files[relation]} rows",
            "OPTIONS (DIRECT=TRUE, ERRORS=0)",
            "LOAD DATA",
            "CHARACTERSET AL32UTF8 LENGTH SEMANTICS CHAR",
            f"INFILE '{relation.name}.dat' \"STR X'1E0A'\"",
            "TRUNCATE",
            f"INTO TABLE {self._staging(relation)}",
            "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'",
            "TRAILING NULLCOLS",
            "(",
            ",\n".join(lines),
            ")",
        )

    # SQL*Plus

    def _create(self) -> str:
        name = self._name.upper()
        key = "TAXPAYER_ID VARCHAR2(200 CHAR) PRIMARY KEY"
        rows = [key, *map(self._column, self._columns[1:])]
        loaded = [self._column(c) for c in self._columns]
        recalls = [self._column(c) for c in RECALLS]
        tables = {
            f"{name}_ROWS": rows,
            f"{name}_LOAD": loaded,
            f"{name}_CHANGES": ["OPERATION VARCHAR2(1 CHAR)", *loaded],
            f"{name}_DISPUTES": [key, "DISPUTED_SINCE VARCHAR2(200 CHAR)"],
            f"{name}_DISPUTES_LOAD": [self._column(c) for c in DISPUTES],
            f"{name}_RECALLS": [*recalls, "PRIMARY KEY (PRODUCT, TAXPAYER_ID, CORRECTION)"],
            f"{name}_RECALLS_LOAD": recalls,
            "XINYI_LOADS": _LOADS,
        }
        shown = ", ".join(f"r.{c.name.upper()}" for c in self._columns)
        return _lines_of(
            "WHENEVER SQLERROR EXIT FAILURE ROLLBACK",
            *(_create_table(table, columns) for table, columns in tables.items()),
            f"CREATE OR REPLACE VIEW {name} AS SELECT {shown}, d.DISPUTED_SINCE",
            f"  FROM {name}_ROWS r LEFT JOIN {name}_DISPUTES d ON d.TAXPAYER_ID = r.TAXPAYER_ID;",
            "EXIT",
        )

    def _column(self, column: Column) -> str:
        if column.kind == "integer":
            return f"{column.name.upper()} NUMBER(19)"
        kind = "CLOB" if column.name in self._long(self._columns) else f"VARCHAR2({_TEXT} CHAR)"
        return f"{column.name.upper()} {kind}"

    def _long(self, columns: Sequence[Column]) -> set[str]:
        """Columns of several texts: they come in pairs, `names` and `names_json`."""
        names = {c.name for c in columns}
        return {c for c in names if c.endswith("_json") or f"{c}_json" in names}

    def _apply(self, load: Load) -> str:
        """Every statement may be run twice."""
        counted = (_expect(self._staging(relation), rows) for relation, rows in load.files.items())
        statements = {"full": self._replace, "changes": self._merge, "recall": list}[load.kind]()
        if load.landed is not None:
            statements += [*self._dispute(), *self._note(load, load.landed)]
        return _lines_of(
            f"-- {load.folder}: behind SQL*Loader, in the order of the folders",
            "SET DEFINE OFF",
            "WHENEVER OSERROR EXIT FAILURE ROLLBACK",
            "WHENEVER SQLERROR EXIT FAILURE ROLLBACK",
            "LOCK TABLE XINYI_LOADS IN EXCLUSIVE MODE;",
            "DECLARE",
            "  n NUMBER;",
            "BEGIN",
            *counted,
            *(self._expect_before(load) if load.after else ()),
            "  NULL;",
            "END;",
            "/",
            *statements,
            *self._take_back(),
            "COMMIT;",
            "EXIT",
        )

    def _expect_before(self, load: Load) -> list[str]:
        name = self._name.upper()
        return [
            f"  SELECT MAX(LOAD_NUMBER) INTO n FROM XINYI_LOADS WHERE TABLE_NAME = '{name}';",
            f"  IF n IS NULL OR n NOT IN ({load.after}, {load.number}) THEN",
            f"    RAISE_APPLICATION_ERROR(-20002, 'load folder {load.after:06d} comes before this one');",
            "  END IF;",
        ]

    def _replace(self) -> list[str]:
        name, columns = self._name.upper(), _names(self._columns)
        return [
            f"DELETE FROM {name}_ROWS;",
            f"INSERT INTO {name}_ROWS ({columns}) SELECT {columns} FROM {name}_LOAD;",
        ]

    def _merge(self) -> list[str]:
        name, columns = self._name.upper(), _names(self._columns)
        key, *others = (c.name.upper() for c in self._columns)
        return [
            f"DELETE FROM {name}_ROWS WHERE {key} IN",
            f"  (SELECT {key} FROM {name}_CHANGES WHERE OPERATION = 'D');",
            f"MERGE INTO {name}_ROWS r USING",
            f"  (SELECT {columns} FROM {name}_CHANGES WHERE OPERATION = 'U') c ON (r.{key} = c.{key})",
            f"  WHEN MATCHED THEN UPDATE SET {', '.join(f'{c} = c.{c}' for c in others)}",
            f"  WHEN NOT MATCHED THEN INSERT ({columns})",
            f"  VALUES ({', '.join(f'c.{c.name.upper()}' for c in self._columns)});",
        ]

    def _dispute(self) -> list[str]:
        name, columns = self._name.upper(), _names(DISPUTES)
        return [
            f"DELETE FROM {name}_DISPUTES;",
            f"INSERT INTO {name}_DISPUTES ({columns}) SELECT {columns} FROM {name}_DISPUTES_LOAD;",
        ]

    def _take_back(self) -> list[str]:
        name, columns = self._name.upper(), _names(RECALLS)
        return [
            f"INSERT INTO {name}_RECALLS ({columns}) SELECT {columns} FROM {name}_RECALLS_LOAD l",
            f"  WHERE NOT EXISTS (SELECT 1 FROM {name}_RECALLS k WHERE k.PRODUCT = l.PRODUCT",
            "  AND k.TAXPAYER_ID = l.TAXPAYER_ID AND k.CORRECTION = l.CORRECTION);",
        ]

    def _note(self, load: Load, landed: Landed) -> list[str]:
        name = self._name.upper()
        return [
            f"DELETE FROM XINYI_LOADS WHERE TABLE_NAME = '{name}';",
            "INSERT INTO XINYI_LOADS",
            "  (TABLE_NAME, LOAD_NUMBER, PRODUCT, ORIGIN, SEQUENCE, MANIFEST_DIGEST, ROOT, ACCEPTED, REJECTED)",
            f"  VALUES ('{name}', {load.number}, '{landed.product}', '{landed.origin}', {landed.sequence},",
            f"  '{landed.manifest_digest}', '{landed.root}', {landed.accepted}, {landed.rejected});",
        ]


_LOADS = [
    "TABLE_NAME VARCHAR2(30 CHAR) PRIMARY KEY",
    "LOAD_NUMBER NUMBER(19) NOT NULL",
    *(f"{name} VARCHAR2(200 CHAR) NOT NULL" for name in ("PRODUCT", "ORIGIN", "MANIFEST_DIGEST", "ROOT")),
    *(f"{name} NUMBER(19) NOT NULL" for name in ("SEQUENCE", "ACCEPTED", "REJECTED")),
]


class _DataFile:
    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")

    def write(self, rows: Iterable[Values]) -> None:
        self._file.writelines(",".join(map(_quoted, row)) + END for row in rows)

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _quoted(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if "\x1e" in value:
        raise Invalid("a text with the control character 1E cannot be written for Oracle", basis="landing.rows")
    return '"' + value.replace('"', '""') + '"'


def _records(path: Path) -> Iterator[str]:
    rest = ""
    with path.open(encoding="utf-8", newline="") as file:
        while text := file.read(_READ_CHARACTERS):
            *records, rest = (rest + text).split(END)
            yield from records
    if rest:
        raise Conflict(f"{path} does not end with a row", basis="landing.table")


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(c.name.upper() for c in columns)


def _create_table(name: str, columns: Sequence[str]) -> str:
    """ORA-00955: it is there already."""
    return _lines_of(
        "BEGIN",
        f"  EXECUTE IMMEDIATE 'CREATE TABLE {name} ({', '.join(columns)})';",
        "EXCEPTION WHEN OTHERS THEN",
        "  IF SQLCODE <> -955 THEN RAISE; END IF;",
        "END;",
        "/",
    ).rstrip("\n")


def _expect(table: str, rows: int) -> str:
    return (
        f"  SELECT COUNT(*) INTO n FROM {table};\n"
        f"  IF n <> {rows} THEN\n"
        f"    RAISE_APPLICATION_ERROR(-20001, '{table} does not hold the {rows} rows of this folder');\n"
        "  END IF;"
    )


def _lines_of(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
