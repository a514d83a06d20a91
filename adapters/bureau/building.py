"""From a table to a sealed edition in the bureau's own state.

1. every row is assessed and every clean one blinded  2. rows of one taxpayer are merged, in the order of the
tree  3. records are compared with what stands, salted, hashed, and those the edition tells written in chunks
4. the manifest is sealed  5. the folder gets its name. Nothing has left the house until then.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.bureau.chunks import ChunkWriter
from adapters.bureau.comparison import ComparisonFile
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.quality import lost_of
from adapters.bureau.rows import Progress, Rows
from adapters.bureau.states import State, States, StateWriter
from adapters.tables.reading import Table
from audit import buckets, envelope, records
from audit.entries import canonical_json
from audit.keys import Signer, party_of
from xinyi import checks, files
from xinyi.errors import Invalid
from xinyi.processes import Crew
from xinyi.v1 import edition_pb2, records_pb2

FULL = edition_pb2.EDITION_KIND_FULL
DELTA = edition_pb2.EDITION_KIND_DELTA
CORRECTION = edition_pb2.EDITION_KIND_CORRECTION
WHOLE, CHANGES = edition_pb2.SOURCE_COVERAGE_WHOLE, edition_pb2.SOURCE_COVERAGE_CHANGES


@dataclass(frozen=True)
class Place:
    """Where an edition stands: what it is of, and what it follows on."""

    product: str
    period: edition_pb2.Period
    kind: edition_pb2.EditionKind = FULL
    sequence: int = 1
    #: Document digest of the predecessor's manifest.
    predecessor: bytes = b""
    #: The predecessor itself, where this home has it. None for a FULL alone.
    previous: Edition | None = None
    #: Of a CORRECTION: what it corrects, and what was wrong.
    corrects: Edition | None = None
    reason: str = ""

    @property
    def same_year(self) -> bool:
        """Whether blinding key and salts go on."""
        return self.previous is not None and self.previous.manifest.period.year == self.period.year


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
    states = States(editions)
    with editions.building() as workplace:
        scratch = workplace / "scratch"
        files.make_directory(scratch)
        previous = place.previous
        blinding_key = previous.blinding_key if previous is not None and place.same_year else os.urandom(32)
        changes = place.kind == CORRECTION or table.profile.tells_changes
        # 1
        holds = place.product if changes else ""
        rows = Rows(table, blinding_key, scratch, crew, product=holds, year=place.period.year)
        rows.read(progress)
        # 2, 3
        state = states.after(previous) if changes and previous is not None else None
        if state is not None:
            rows.change(state, _corrected(states, place))
        elif previous is not None:
            rows.compare_with(editions.chain(previous), keeps_salts=place.same_year)
        with states.writer(place.sequence) if place.kind == FULL else nullcontext() as index:
            told = _tell(rows, place, workplace, state, index)
            rows.write_mend(workplace / "mend.csv")
            # 4
            manifest = _manifest(rows, place, told, blinding_key, signers[0].key.holder)
            sealed = envelope.seal(manifest, *signers)
            report = describe(rows) | _describe_edition(envelope.digest(sealed), manifest, previous)
            files.create(workplace / "report.json", canonical_json(report).encode())
            files.create(workplace / "blinding.key", blinding_key)
            shutil.rmtree(scratch)
            # 5
            edition = editions.keep(workplace, sealed)
            if index is not None:
                states.adopt(index, edition, told.digests)
        return edition


@dataclass(frozen=True)
class _Told:
    """What the manifest seals about the records."""

    chunks: ChunkWriter
    #: Of the state that they come to.
    digests: buckets.Digests
    comparison: edition_pb2.Comparison | None
    #: Grade number → records told, ascending.
    grades: dict[int, int]
    gone: int


def _tell(
    rows: Rows, place: Place, workplace: Path, state: State | None, index: StateWriter | None
) -> _Told:
    """Args:
    state: what a file of changes changes; None for a whole file.
    index: of a FULL.
    """
    previous = place.previous
    comparison = ComparisonFile(workplace / "comparison.csv") if previous is not None else None
    digests = buckets.Digests(state.digests.packed) if state is not None else buckets.Digests()
    grades: Counter[int] = Counter()
    with ChunkWriter(workplace / "chunks") as chunks:
        for part in rows.parts(place.kind):
            offsets = chunks.add(part.entries, part.hashes)
            digests.update({number: buckets.digest(entries) for number, entries in part.buckets.items()})
            grades.update(part.grades)
            if index is not None:
                index.add(part.buckets, offsets)
            if comparison is not None and part.compared is not None:
                comparison.add(part.compared)
    counts = None
    if comparison is not None and previous is not None:
        comparison.close()
        counts = comparison.counts
        if state is not None:
            # Nobody looked at those whom the file does not name.
            known = counts.gone + counts.renamed + counts.changed
            counts.unchanged = previous.manifest.state_count - known
    gone = grades.pop(0, 0)
    told = rows.grades if place.kind == FULL else dict(sorted(grades.items()))
    return _Told(chunks, digests, counts, told, gone)


def _corrected(states: States, place: Place) -> tuple[State, bytes] | None:
    if place.corrects is None:
        return None
    return states.after(place.corrects), place.corrects.blinding_key


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
        "grades": {_word(grade): count for grade, count in rows.grades.items()},
        "organisations": rows.organisations.found(),
    }


def _describe_edition(
    digest: bytes, manifest: edition_pb2.Manifest, previous: Edition | None
) -> dict[str, Any]:
    """What is sealed, beside what became of the rows."""
    root = manifest.state_root
    before = previous.manifest.state_root if previous is not None else None
    compared = manifest.comparison if manifest.HasField("comparison") else None
    return {
        "manifest": digest.hex(),
        "product": manifest.product,
        "period": f"{manifest.period.year}-{manifest.period.month:02d}",
        "sequence": manifest.sequence,
        "kind": kind_word(manifest.kind),
        "corrects": manifest.corrects.hex(),
        "records": manifest.record_count,
        "gone": manifest.gone_count,
        "kept": manifest.quality.kept,
        "lost": lost_of(manifest.quality),
        "grades": {_word(count.grade): count.records for count in manifest.grade_counts},
        "state": {
            "root": root.hex(),
            "records": manifest.state_count,
            # Within a year alone: the first edition of the next blinds and salts anew.
            "same_as_before": root == before,
        },
        "comparison": _counts(compared) if compared is not None else None,
    }


def _manifest(
    rows: Rows, place: Place, told: _Told, blinding_key: bytes, holder: str
) -> edition_pb2.Manifest:
    chunks, tally, previous = told.chunks, rows.tally, place.previous
    whole = place.kind != CORRECTION and not rows.table.profile.tells_changes
    if not chunks.count and place.kind == FULL:
        raise Invalid("no row of this table became a record: see the report", basis="manifest.record_count")
    if not chunks.count and place.kind == CORRECTION:
        broken = tally.report()["rules"]
        which = "".join(f"; {rule['rule']}: rows {', '.join(map(str, rule['first_rows']))}" for rule in broken)
        raise Invalid(
            f"nothing is left to correct: each row says what stands already, or was not accepted{which}",
            basis="manifest.record_count",
        )
    if whole or previous is None or told.comparison is None:
        state_count = tally.records + tally.kept
    else:
        state_count = previous.manifest.state_count + told.comparison.added - told.comparison.gone
    table = rows.table
    manifest = edition_pb2.Manifest(
        origin=party_of(holder),
        issued_by=holder,
        product=place.product,
        period=place.period,
        kind=place.kind,
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
            coverage=WHOLE if whole else CHANGES,
        ),
        quality=tally.sealed(),
        grade_counts=[
            edition_pb2.GradeCount(grade=f"GRADE_{_word(grade)}", records=count)
            for grade, count in told.grades.items()
        ],
        issued_at_ms=time.time_ns() // 1_000_000,
        comparison=told.comparison,
        state_root=told.digests.root(),
        state_count=state_count,
        gone_count=told.gone,
        corrects=place.corrects.digest if place.corrects is not None else b"",
        reason=place.reason,
    )
    checks.check_manifest(manifest)
    return manifest


def kind_word(kind: edition_pb2.EditionKind) -> str:
    """ "full", "delta", "correction"."""
    return edition_pb2.EditionKind.Name(kind).removeprefix("EDITION_KIND_").lower()


def _word(number: int) -> str:
    return records_pb2.Grade.Name(number).removeprefix("GRADE_")


def _counts(comparison: edition_pb2.Comparison) -> dict[str, int]:
    return {field.name: getattr(comparison, field.name) for field in comparison.DESCRIPTOR.fields}
