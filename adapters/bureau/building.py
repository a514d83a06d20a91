"""From a table to a sealed edition in the bureau's own state.

1. every row is assessed and every clean one blinded  2. rows of one taxpayer are merged, in the order of the
tree  3. records are compared with the predecessor, salted, hashed and written in chunks  4. the manifest is
sealed  5. the folder gets its name. Nothing has left the house until then.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.bureau.chunks import ChunkWriter
from adapters.bureau.comparison import ComparisonFile
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.rows import Progress, Rows
from adapters.tables.reading import Table
from audit import buckets, envelope, records
from audit.entries import canonical_json
from audit.keys import Signer, party_of
from xinyi import checks, files
from xinyi.errors import Invalid
from xinyi.processes import Crew
from xinyi.v1 import edition_pb2, records_pb2


@dataclass(frozen=True)
class Place:
    """Where an edition stands: what it is of, and what it follows on."""

    product: str
    period: edition_pb2.Period
    sequence: int = 1
    #: Document digest of the predecessor's manifest.
    predecessor: bytes = b""
    #: The predecessor itself, where this home has it.
    previous: Edition | None = None


def build(
    editions: Editions,
    table: Table,
    place: Place,
    signers: Sequence[Signer],
    progress: Progress = lambda rows: None,
    crew: Crew | None = None,
) -> Edition:
    """Args: crew — who works on large tables; this process where None.

    Raises Invalid where the table cannot be read or holds nothing to publish.
    """
    with editions.building() as workplace:
        scratch = workplace / "scratch"
        files.make_directory(scratch)
        previous = place.previous
        same_year = previous is not None and previous.manifest.period.year == place.period.year
        blinding_key = previous.blinding_key if previous is not None and same_year else os.urandom(32)
        # 1
        rows = Rows(table, blinding_key, scratch, crew)
        rows.read(progress)
        # 2, 3
        comparison = None
        if previous is not None:
            rows.set_previous(previous)
            comparison = ComparisonFile(workplace / "comparison.csv")
        state = buckets.Digests()
        with ChunkWriter(workplace / "chunks") as chunks:
            for part in rows.parts(sealed=True, keeps_salts=same_year):
                chunks.add(part.entries, part.hashes)
                state.update(part.buckets)
                if comparison is not None and part.compared is not None:
                    comparison.add(part.compared)
        if comparison is not None:
            comparison.close()
        rows.write_mend(workplace / "mend.csv")
        # 4
        counts = comparison.counts if comparison is not None else None
        manifest = _manifest(rows, place, chunks, state, blinding_key, signers[0].key.holder, counts)
        sealed = envelope.seal(manifest, *signers)
        report = describe(rows) | {
            "manifest": envelope.digest(sealed).hex(),
            "product": place.product,
            "period": f"{place.period.year}-{place.period.month:02d}",
            "sequence": place.sequence,
            "comparison": _counts(counts) if counts is not None else None,
        }
        files.create(workplace / "report.json", canonical_json(report).encode())
        files.create(workplace / "blinding.key", blinding_key)
        shutil.rmtree(scratch)
        # 5
        return editions.keep(workplace, sealed)


def describe(rows: Rows) -> dict[str, Any]:
    """The quality report: what the file is and what became of every row."""
    table = rows.table
    return rows.tally.report() | {
        "source": {
            "file": table.name,
            "sha256": table.sha256.hex(),
            "size_bytes": table.size_bytes,
            "encoding": table.encoding,
            "encoding_known": table.how,
            "profile": table.profile.name,
            "profile_sha256": table.profile.sha256.hex(),
        },
        "grades": {_grade(grade): count for grade, count in rows.grades.items()},
        "organisations": rows.organisations.found(),
    }


def _manifest(
    rows: Rows,
    place: Place,
    chunks: ChunkWriter,
    state: buckets.Digests,
    blinding_key: bytes,
    holder: str,
    comparison: edition_pb2.Comparison | None,
) -> edition_pb2.Manifest:
    if not chunks.count:
        raise Invalid("no row of this table became a record: see the report", basis="manifest.record_count")
    table = rows.table
    manifest = edition_pb2.Manifest(
        origin=party_of(holder),
        issued_by=holder,
        product=place.product,
        period=place.period,
        kind=edition_pb2.EDITION_KIND_FULL,
        sequence=place.sequence,
        predecessor=place.predecessor,
        record_schema=checks.RECORD_SCHEMA,
        record_count=chunks.count,
        root=chunks.root,
        chunk_roots=chunks.chunk_roots,
        blinding_key_commitment=records.blinding_key_commitment(blinding_key),
        source=edition_pb2.SourceFile(
            sha256=table.sha256,
            size_bytes=table.size_bytes,
            encoding=table.encoding,
            profile_sha256=table.profile.sha256,
            coverage=edition_pb2.SOURCE_COVERAGE_WHOLE,
        ),
        quality=rows.tally.sealed(),
        grade_counts=[
            edition_pb2.GradeCount(grade=f"GRADE_{_grade(grade)}", records=count)
            for grade, count in rows.grades.items()
        ],
        issued_at_ms=time.time_ns() // 1_000_000,
        comparison=comparison,
        state_root=state.root(),
        state_count=chunks.count,
    )
    checks.check_manifest(manifest)
    return manifest


def _grade(number: int) -> str:
    return records_pb2.Grade.Name(number).removeprefix("GRADE_")


def _counts(comparison: edition_pb2.Comparison) -> dict[str, int]:
    return {field.name: getattr(comparison, field.name) for field in comparison.DESCRIPTOR.fields}
