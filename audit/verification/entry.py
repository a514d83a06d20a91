"""One entry under examination: where it stands, what it names, and what earlier leaves said of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from google.protobuf.message import Message

from audit.envelope import Opened
from audit.verification.documents import Dossier
from audit.verification.findings import EvidenceMissing
from audit.verification.ledger import Ledger
from audit.verification.notes import Notes
from audit.verification.register import Register
from audit.verification.run import Run
from xinyi.errors import Invalid, ProofInvalid
from xinyi.v1 import edition_pb2, log_pb2

M = TypeVar("M", bound=Message)
INTAKES = ("edition.ready", "edition.held")


@dataclass(frozen=True)
class Entry:
    run: Run
    dossier: Dossier
    leaf: bytes
    position: int
    message: log_pb2.LogEntry

    @property
    def notes(self) -> Notes:
        return self.run.notes

    @property
    def register(self) -> Register:
        return self.run.register

    @property
    def ledger(self) -> Ledger:
        return self.run.ledger

    def first(self, kind: type[M]) -> Opened[M]:
        """The document this entry is about."""
        if not self.message.documents:
            raise ProofInvalid("the entry names no document")
        return self.dossier.open(self.message.documents[0], kind)

    def manifest(self, document: bytes) -> Opened[edition_pb2.Manifest]:
        """A manifest of a bureau. Raises Invalid for one of anybody else."""
        manifest = self.dossier.open(document, edition_pb2.Manifest)
        self.check_bureau(manifest.message.origin)
        return manifest

    def taken_in(self, document: bytes) -> Opened[edition_pb2.Manifest]:
        """The same, of an edition that an earlier leaf took in."""
        manifest = self.manifest(document)
        self.check_earlier(manifest, "takes in this edition", "edition.unknown", *INTAKES)
        return manifest

    def published(self, document: bytes, basis: str) -> Opened[edition_pb2.Manifest]:
        """The same, of an edition that an earlier leaf published."""
        manifest = self.manifest(document)
        if not self.register.is_published(document):
            self.contradict(f"no earlier leaf publishes edition {document.hex()[:16]}…", basis)
        return manifest

    def check_bureau(self, party: str) -> None:
        if party not in self.run.policy.bureaus:
            raise Invalid(f"{party} is no bureau of the policy", basis="policy.bureaus")

    def check_earlier(self, document: Opened[Any], does: str, basis: str, *kinds: str) -> None:
        """An earlier leaf of one of these kinds names the document; a missing opening may be the one."""
        if not self.notes.named_before(document.digest, self.position, *kinds):
            self.contradict(f"no earlier leaf {does}", basis)

    def contradict(self, reason: str, basis: str) -> NoReturn:
        """The earlier leaves say otherwise, unless one says so whose opening is not here."""
        if self.notes.missing_before(self.position):
            raise EvidenceMissing(f"{reason}, and an earlier opening is missing")
        raise Invalid(reason, basis=basis)

    def check_same_edition(self, document: bytes) -> None:
        if self.message.manifest_digest != document:
            raise Invalid(
                "the entry is for another edition than its document", basis="evidence.manifest_digest"
            )
