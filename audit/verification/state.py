"""Step 10: business rows against the row changes the log commits to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from audit.entries import canonical_json
from audit.verification import challenges, lending, objections, recalls
from audit.verification.exported import read_row
from audit.verification.run import Run
from xinyi.errors import EncodingInvalid

#: Tables without row changes, because their rows name the leaf of their own entry: 8 compares them.
_LINKED = ("answers", "refusals")


def read_linked(run: Run) -> None:
    """Notes the rows that 8 needs."""
    check = run.report["answers"]
    for table in _LINKED:
        for subject, row, _ in _rows(run, table, "answers"):
            with check.examine(subject):
                try:
                    if not _note_linked(run, table, row):
                        raise EncodingInvalid("there are two rows for one exchange")
                except (KeyError, TypeError, ValueError) as error:
                    raise EncodingInvalid("the row lacks what it must hold") from error


def _note_linked(run: Run, table: str, row: dict[str, Any]) -> bool:
    if table == "answers":
        return run.notes.answer(_bytes(row["document"]), _bytes(row["answer"]))
    words = filter(None, (row["method"], row["basis"], row["subject"]))
    return run.notes.refusal(_bytes(row["leaf"]), str(row["party"]), str(row["day"]), ": ".join(words))


def _bytes(text: str) -> bytes:
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise ValueError("not in lower-case hex")
    return value


def check(run: Run) -> None:
    shown = set(run.export.tables())
    for table in sorted(shown.difference(_LINKED)):
        columns = _key_columns(run.notes.sample_key(table))
        for subject, row, digest in _rows(run, table, "rows"):
            key = canonical_json({name: row.get(name) for name in columns}) if columns else ""
            if key:
                subject = f"{table} {key}"[:200]
            with run.report["rows"].examine(subject):
                _check_row(run, subject, table, key, digest)
            if table == "recalls":
                with run.report["recalls"].examine(subject):
                    recalls.check_row(run, row)
            if table == "lending_tables":
                with run.report["lending"].examine(subject):
                    lending.check_row(run, row)
    objections.note_open(run)
    challenges.note_open(run)
    absent = set(run.notes.changed_tables()) - shown
    for table in sorted(absent):
        run.report["rows"].undecide(f"state/{table}.jsonl", "the file is missing")
    for table, key, position in run.notes.rows_not_shown():
        if table not in absent:
            run.report["rows"].refute(f"{table} {key}"[:200], f"the row is missing: leaf {position} wrote it")


def _check_row(run: Run, subject: str, table: str, key: str, digest: bytes) -> None:
    change = run.notes.take_change(table, key)
    blind_from = run.notes.last_missing()
    if change is not None and change.row_digest == digest and not change.shown:
        return
    if change is not None and change.shown:
        raise EncodingInvalid("the row stands twice")
    if blind_from > (change.position if change is not None else -1):
        # What an erased opening did to the row cannot be known.
        run.report["rows"].undecide(subject, f"the opening of leaf {blind_from} is missing")
    elif change is None:
        raise EncodingInvalid("no leaf of the log wrote this row")
    elif not change.row_digest:
        raise EncodingInvalid(f"leaf {change.position} deleted this row")
    else:
        raise EncodingInvalid(f"the row is not as leaf {change.position} left it")


def _rows(run: Run, table: str, check: str) -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """(subject, row, digest of the row) of an exported table; a broken line is a finding."""
    with run.report[check].examine(f"state/{table}.jsonl"):
        for number, (_, line) in enumerate(run.export.lines(f"state/{table}.jsonl"), 1):
            subject = f"{table} row {number}"
            try:
                row = read_row(line)
            except EncodingInvalid as error:
                run.report[check].refute(subject, error.explanation)
                continue
            yield subject, row, hashlib.sha256(line).digest()


def _key_columns(sample: str | None) -> list[str]:
    """Names of a table's key columns: every row change of the log shows them."""
    try:
        key = json.loads(sample or "{}")
    except ValueError:
        return []
    return list(key) if isinstance(key, dict) else []


def column(key: str, name: str) -> str:
    """One column of a row change's key; empty where it has none."""
    try:
        value = json.loads(key)
    except ValueError:
        return ""
    return str(value.get(name, "")) if isinstance(value, dict) else ""
