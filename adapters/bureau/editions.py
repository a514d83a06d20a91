"""Sealed editions on the bureau's own disk: what was signed is kept until, and after, the gateway has it.

One folder per edition, named by the manifest's document digest:

    manifest.dsse        the sealed manifest; there from the first moment the folder has its name
    blinding.key         32 bytes
    chunks               each chunk's length as four bytes, then its bytes
    report.json          quality, comparison, organisations under two identifiers
    mend.csv             rows that did not simply become records
    comparison.csv       taxpayers new, gone, renamed, changed, and those whose row decided nothing
    acknowledgement.dsse the gateway's; once it is there, the edition is submitted

A folder is built under another name and renamed when everything in it is on disk: after a crash there is the
whole edition or none, and publishing the same file again goes on with the same sealed manifest.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from audit import envelope
from xinyi import files
from xinyi.errors import Conflict, DigestMismatch, UsageInvalid
from xinyi.v1 import edition_pb2, envelope_pb2

_BUILDING = ".building"


class Edition:
    """One folder. What it holds was sealed by this bureau, so it is read, not verified again."""

    #: Before each chunk in `chunks`.
    LENGTH_BYTES = 4

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.path.name)

    @cached_property
    def sealed(self) -> envelope_pb2.Envelope:
        """Raises DigestMismatch where the folder holds another manifest than its name says."""
        sealed = envelope_pb2.Envelope.FromString((self.path / "manifest.dsse").read_bytes())
        if envelope.digest(sealed) != self.digest:
            raise DigestMismatch(f"{self.path} holds another manifest")
        return sealed

    @cached_property
    def manifest(self) -> edition_pb2.Manifest:
        return envelope.parse_strict(self.sealed.payload, edition_pb2.Manifest)

    @property
    def blinding_key(self) -> bytes:
        return (self.path / "blinding.key").read_bytes()

    def chunks(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """(number, serialised Chunk) from `start` on."""
        with (self.path / "chunks").open("rb") as file:
            for number in range(len(self.manifest.chunk_roots)):
                length = int.from_bytes(file.read(self.LENGTH_BYTES), "big")
                if number < start:
                    file.seek(length, os.SEEK_CUR)
                else:
                    yield number, file.read(length)

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.path / "report.json").read_bytes())
        return report

    @property
    def acknowledgement(self) -> envelope_pb2.Envelope | None:
        """The gateway's answer; None while the edition has not been submitted."""
        try:
            return envelope_pb2.Envelope.FromString((self.path / "acknowledgement.dsse").read_bytes())
        except FileNotFoundError:
            return None

    def keep_acknowledgement(self, sealed: envelope_pb2.Envelope) -> None:
        files.write_atomically(
            self.path / "acknowledgement.dsse", sealed.SerializeToString(deterministic=True)
        )


class Editions:
    """All editions of one home."""

    def __init__(self, state: Path) -> None:
        self.path = state / "editions"
        files.make_directory(self.path)

    def all(self) -> list[Edition]:
        """Oldest first by sequence."""
        found = [Edition(path) for path in self.path.iterdir() if not path.name.startswith(".")]
        return sorted(found, key=lambda edition: (edition.manifest.sequence, edition.manifest.issued_at_ms))

    def find(self, digest: bytes) -> Edition | None:
        path = self.path / digest.hex()
        return Edition(path) if path.is_dir() else None

    def chain(self, edition: Edition) -> list[Edition]:
        """From the FULL that an edition builds on to the edition itself. Raises Conflict where a folder is missing."""
        chain = [edition]
        while chain[0].manifest.kind != edition_pb2.EDITION_KIND_FULL:
            before = self.find(chain[0].manifest.predecessor)
            if before is None:
                raise Conflict(
                    f"this home has no copy of edition {chain[0].manifest.predecessor.hex()[:16]}, on which "
                    f"{edition.path.name[:16]} builds: copy its folder from the home that published it to {self.path}",
                    basis="edition.predecessor",
                )
            chain.insert(0, before)
        return chain

    def resolve(self, prefix: str) -> Edition:
        """The one edition whose digest begins so. Raises Invalid."""
        found = [edition for edition in self.all() if edition.path.name.startswith(prefix.lower())]
        if len(prefix) < 6:
            raise UsageInvalid(f"{prefix}: give six digits of the edition's digest or more", basis="edition.digest")
        if len(found) != 1:
            said = "more editions of this home begin so: give more digits"
            none = "no edition of this home begins so; `status` shows those of all homes"
            raise UsageInvalid(f"{prefix}: {said if found else none}", basis="edition.digest")
        return found[0]

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A private folder to build one edition in. Raises Conflict while another process builds here."""
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    "another publish runs in this home: wait for it", basis="edition.building"
                ) from None
            workplace = self.path / _BUILDING
            # What a crash left behind was never sealed under a name anybody knows.
            shutil.rmtree(workplace, ignore_errors=True)
            files.make_directory(workplace)
            try:
                yield workplace
            finally:
                shutil.rmtree(workplace, ignore_errors=True)

    def keep(self, workplace: Path, sealed: envelope_pb2.Envelope) -> Edition:
        """Gives a built edition its name: from here on it exists, whatever happens."""
        files.create(workplace / "manifest.dsse", sealed.SerializeToString(deterministic=True))
        for path in workplace.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        files.sync(workplace)
        place = self.path / envelope.digest(sealed).hex()
        workplace.rename(place)
        files.sync(self.path)
        return Edition(place)
