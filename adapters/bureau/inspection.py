"""Looking at a table without publishing it: the same rows, rules and report, nothing kept but the report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.bureau.rows import Rows
from adapters.bureau.rules import OF_STATE
from adapters.tables.reading import Table
from xinyi.errors import DigestMismatch
from xinyi.fields import LAST_YEAR
from xinyi.processes import Crew
from xinyi.v1 import edition_pb2


def inspect(
    table: Table,
    progress: Callable[[int], None],
    *,
    mend: Path | None = None,
    crew: Crew | None = None,
    year: int = LAST_YEAR,
) -> Rows:
    """Args:
    mend: where to write the CSV of rows to mend; it names taxpayers.
    crew: who works on large tables; this process where None.
    year: of the edition that the table is, or will be, of; no evaluation comes after it.
    """
    with tempfile.TemporaryDirectory(prefix="xinyi-") as scratch:
        # Only order and equality matter here, so any blinding key will do.
        rows = Rows(table, os.urandom(32), Path(scratch), crew, year=year)
        rows.read(progress)
        for _ in rows.parts(None):
            pass
        if mend is not None:
            rows.write_mend(mend)
    return rows


def check_against(manifest: edition_pb2.Manifest, rows: Rows) -> None:
    """That a manifest seals what this very file comes to: an approver's own count, not the publisher's word.

    What stood before is not in the file: rules that it decides on, and what a DELTA or CORRECTION tells, are not
    counted here.

    Raises DigestMismatch naming what differs.
    """
    source, table, quality = manifest.source, rows.table, rows.tally.sealed()
    full = manifest.kind == edition_pb2.EDITION_KIND_FULL
    ours: dict[str, Any] = {
        "source file": (table.sha256, table.size_bytes, table.encoding),
        "mapping profile": table.profile.sha256,
        "quality counts": _of_file(quality, manifest.source.coverage),
    }
    sealed: dict[str, Any] = {
        "source file": (source.sha256, source.size_bytes, source.encoding),
        "mapping profile": source.profile_sha256,
        "quality counts": _of_file(manifest.quality, manifest.source.coverage),
    }
    if full:
        ours |= {"number of records": rows.tally.records, "counts by grade": rows.grades}
        sealed |= {
            "number of records": manifest.record_count,
            "counts by grade": {count.grade: count.records for count in manifest.grade_counts},
        }
    different = [what for what, value in ours.items() if value != sealed[what]]
    if different:
        raise DigestMismatch(f"the manifest seals another {', another '.join(different)} than this file has")


def _of_file(quality: edition_pb2.Quality, coverage: edition_pb2.SourceCoverage) -> edition_pb2.Quality:
    """What the file alone decides: in a file of changes what becomes of a row depends on what stood."""
    copy = edition_pb2.Quality()
    copy.CopyFrom(quality)
    copy.ClearField("rules")
    if coverage == edition_pb2.SOURCE_COVERAGE_WHOLE:
        copy.rules.extend(rule for rule in quality.rules if rule.rule not in OF_STATE)
        copy.ClearField("kept")
        return copy
    return edition_pb2.Quality(rows=copy.rows, withheld=copy.withheld, rule_set=copy.rule_set)
