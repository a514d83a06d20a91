"""Step 11: the records of an edition against the manifest that seals them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf

from audit.envelope import Opened
from audit.records import MAX_CHUNK_BYTES, ChunkVerifier, VerifiedChunk, check_blinding_key
from audit.verification.documents import Dossier
from audit.verification.exported import manifest_of
from audit.verification.findings import EvidenceMissing
from audit.verification.run import Run
from audit.verification.states import States
from xinyi import checks
from xinyi.errors import ProofInvalid
from xinyi.v1 import edition_pb2, records_pb2


def check(run: Run, dossier: Dossier) -> None:
    counts: dict[bytes, float] = {}
    purged = set(run.notes.named_as("edition.purged"))  # step 9 looked whether they were cancelled before
    with States(run, dossier) as states:
        for document in run.notes.named_as("edition.ready", "edition.held"):
            counts[document] = inf  # until the manifest says how many
            if document in purged:
                continue
            with run.report["records"].examine(f"edition {document.hex()[:16]}…"):
                manifest = dossier.open(document, edition_pb2.Manifest)
                counts[document] = len(manifest.message.chunk_roots)
                with states.edition(manifest) as state:
                    grades: Counter[int] = Counter()
                    for chunk in _chunks(run, manifest):
                        grades.update(chunk.records.grades())
                        state.tell(chunk)
                _check_counts(manifest.message, grades)
    for name, _ in run.export.files():
        place = manifest_of(name)
        if place is None:
            continue
        document, number = place
        known = document in counts
        if not known and run.notes.last_missing() >= 0:
            run.report["records"].undecide(name, "no opening that is here took in its edition")
        elif not known or (number is not None and number >= counts[document]):
            run.report["records"].refute(name, "no manifest that is here seals this file")


def _chunks(run: Run, manifest: Opened[edition_pb2.Manifest]) -> Iterator[VerifiedChunk]:
    """The chunks that are as they were sealed. Raises EvidenceMissing behind the last where any is not."""
    check, message, name = run.report["records"], manifest.message, manifest.digest.hex()[:16]
    key = run.export.blinding_key(manifest.digest)
    check_blinding_key(key, message)
    verifier, whole = ChunkVerifier(message, key), True
    for number in range(len(message.chunk_roots)):
        chunk = None
        with check.examine(f"edition {name}… chunk {number}"):
            chunk = verifier.take(number, run.export.chunk(manifest.digest, number, MAX_CHUNK_BYTES))
            checks.check_grade_records(chunk.records)
        if chunk is None:
            # Goes on behind the gap; that the order holds across it cannot be told, nor the counts.
            whole = False
            verifier = ChunkVerifier(message, key, start=number + 1)
        else:
            yield chunk
        run.watch("records", number + 1, len(message.chunk_roots))
    if not whole:
        raise EvidenceMissing("not every chunk could be read: order and counts of the whole are not known")


def _check_counts(manifest: edition_pb2.Manifest, grades: Counter[int]) -> None:
    gone = grades.pop(records_pb2.GRADE_UNSPECIFIED, 0)
    sealed = {count.grade: count.records for count in manifest.grade_counts}
    if (dict(grades), gone) != (sealed, manifest.gone_count):
        raise ProofInvalid("the counts by grade are not those of the records")
