"""Step 12: what the records come to, edition by edition, and what later documents claim of that.

Only states that something builds on or asks about are kept; the root of any other FULL is checked with its chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from audit.envelope import Opened
from audit.records import MAX_CHUNK_BYTES, ChunkVerifier, blinder
from audit.verification.documents import Dossier
from audit.verification.findings import EvidenceMissing
from audit.verification.replay import Replay
from audit.verification.run import Run
from xinyi.errors import ExchangeError, Invalid, VerificationError
from xinyi.v1 import edition_pb2

_FULL = edition_pb2.EDITION_KIND_FULL
_CORRECTION = edition_pb2.EDITION_KIND_CORRECTION
_NOT_WHOLE = "its records are not all here as they were sealed"


class States:
    """Use as a context manager, with `edition` for one after the other in log order."""

    def __init__(self, run: Run, dossier: Dossier) -> None:
        self._run = run
        self._dossier = dossier
        #: Edition → CORRECTIONS of it; edition → (objection, blinded key of its record).
        self._corrections: dict[bytes, list[bytes]] = {}
        self._objections = {edition: run.register.about(edition) for edition in run.register.objected()}
        self._wanted = set(self._objections)
        self._plan()
        self._replay = Replay(self._wanted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._replay.close()
        for edition in [*self._corrections, *self._objections]:
            self._answer(edition, None)

    @contextmanager
    def edition(self, manifest: Opened[edition_pb2.Manifest]) -> Iterator[Replay]:
        """Takes the chunks of one edition; what is raised inside goes on, and says that they are not whole."""
        listens = manifest.message.kind != _FULL or manifest.digest in self._wanted
        self._replay.begin(listens=listens)
        whole = False
        try:
            yield self._replay
            whole = True
        finally:
            if listens:
                with self._run.report["states"].examine(_named(manifest.digest)):
                    if not whole:
                        raise EvidenceMissing(_NOT_WHOLE)
                    self._replay.apply(manifest)
            self._answer(manifest.digest, manifest)

    def _plan(self) -> None:
        purged = set(self._run.notes.named_as("edition.purged"))
        for document in self._run.notes.named_as("edition.ready", "edition.held"):
            try:
                manifest = self._dossier.open(document, edition_pb2.Manifest).message
            except (EvidenceMissing, ExchangeError):
                continue  # told when it comes to its records
            if manifest.kind != _FULL:
                self._wanted.add(manifest.predecessor)
            if manifest.kind == _CORRECTION and document not in purged:
                self._wanted.add(manifest.corrects)
                self._corrections.setdefault(manifest.corrects, []).append(document)

    def _answer(self, edition: bytes, manifest: Opened[edition_pb2.Manifest] | None) -> None:
        """What later documents claim of the state after an edition, None where it cannot be read."""
        for correction in self._corrections.pop(edition, ()):
            with self._run.report["states"].examine(f"{_named(correction)}, its taxpayers"):
                self._check_subjects(correction, _required(manifest))
        for objection, key in self._objections.pop(edition, ()):
            with self._run.report["objections"].examine(f"document {objection.hex()[:16]}…"):
                if not self._replay.holds(_required(manifest), [key]):
                    raise Invalid("no record stood under this key", basis="objection.blinded_key")

    def _check_subjects(self, correction: bytes, corrected: Opened[edition_pb2.Manifest]) -> None:
        """It speaks of nobody of whom the edition that it corrects did not tell."""
        export, message = self._run.export, self._dossier.open(correction, edition_pb2.Manifest).message
        blind = blinder(export.blinding_key(corrected.digest))  # under the year's own key
        verifier = ChunkVerifier(message, export.blinding_key(correction))
        for number in range(len(message.chunk_roots)):
            try:
                chunk = verifier.take(number, export.chunk(correction, number, MAX_CHUNK_BYTES))
            except VerificationError as error:
                raise EvidenceMissing(_NOT_WHOLE) from error  # 11 says what is wrong
            if not self._replay.holds(corrected, map(blind, chunk.records.keys())):
                raise Invalid(
                    "it tells of a taxpayer of whom the corrected edition did not", basis="correction.subject"
                )


def _required(manifest: Opened[edition_pb2.Manifest] | None) -> Opened[edition_pb2.Manifest]:
    if manifest is None:
        raise EvidenceMissing("the edition it is about is not here")
    return manifest


def _named(edition: bytes) -> str:
    return f"edition {edition.hex()[:16]}…"
