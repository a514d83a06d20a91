"""Steps 5 to 7: the keys registered in the log, and every sealed document under the keys of its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar, cast

from google.protobuf.message import Message

from audit.envelope import Opened, digest, open_sealed, parse_strict, payload_type, signer_of_party
from audit.keys import keyid
from audit.verification.exported import read_document
from audit.verification.findings import EvidenceMissing
from audit.verification.history import KeyHistory
from audit.verification.notes import DocumentNote
from audit.verification.run import PACE, Run
from xinyi.errors import DigestMismatch, EncodingInvalid, ProofInvalid, SignatureInvalid
from xinyi.v1 import (
    edition_pb2,
    envelope_pb2,
    exchange_pb2,
    lending_pb2,
    log_pb2,
    notice_pb2,
    objection_pb2,
    party_pb2,
)

M = TypeVar("M", bound=Message)

#: Documents that only the gateway seals.
_GATEWAYS: tuple[type[Message], ...] = (
    exchange_pb2.Acknowledgement,
    exchange_pb2.Refusal,
    exchange_pb2.Delivery,
    exchange_pb2.DeliveryFailure,
    party_pb2.Admission,
    log_pb2.Erasure,
    notice_pb2.ChangeNotice,
    lending_pb2.TableReceipt,
    lending_pb2.OutcomeReceipt,
    lending_pb2.Statistics,
)
_KINDS = {
    payload_type(kind): kind
    for kind in (
        *_GATEWAYS,
        edition_pb2.Manifest,
        edition_pb2.Approval,
        edition_pb2.HoldRelease,
        edition_pb2.Cancellation,
        edition_pb2.Stop,
        edition_pb2.RowAnswer,
        exchange_pb2.DeliveryReceipt,
        exchange_pb2.PullRequest,
        exchange_pb2.WatchRequest,
        exchange_pb2.LogQuery,
        exchange_pb2.SubjectQuery,
        objection_pb2.Objection,
        objection_pb2.ObjectionDecision,
        lending_pb2.LendingTable,
        lending_pb2.OutcomeBatch,
        lending_pb2.LendingAnswer,
        lending_pb2.Challenge,
        lending_pb2.ChallengeAnswer,
        lending_pb2.StatisticsReceipt,
        party_pb2.KeyRegistration,
        party_pb2.AgreementAnnex,
    )
}
_REGISTRATION = payload_type(party_pb2.KeyRegistration)
_ANSWERS = (exchange_pb2.Acknowledgement, exchange_pb2.Refusal)
_FILE = "documents.jsonl"
#: Manifests, approvals and deliveries are looked at again and again.
_KEPT_OPEN = 256


class Dossier:
    """The documents of an export, once they are checked. Use as a context manager."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.history = KeyHistory(run.policy)
        self._reader = run.export.line_reader(_FILE) if run.export.holds(_FILE) else None
        self._load = lru_cache(_KEPT_OPEN)(self._read)
        #: The last document that was opened whose key is not pinned.
        self._unpinned = b""

    def __enter__(self) -> Dossier:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.close()

    # 5

    def check_keys(self) -> None:
        """Registrations in log order: whether a key counts may depend on an older one."""
        for ended in self._run.notes.ended_keys():
            self.history.end(*ended)
        for position, sealed in sorted(self._registrations(), key=lambda found: found[0]):
            with self._run.report["keys"].examine(f"leaf {position}"):
                key = parse_strict(sealed.payload, party_pb2.KeyRegistration).key
                ring = self.history.at(position, beside=key)
                self.history.register(position, open_sealed(sealed, party_pb2.KeyRegistration, ring))

    def _registrations(self) -> Iterator[tuple[int, envelope_pb2.Envelope]]:
        if self._reader is None:
            return
        for line in self._readable_lines():
            if _REGISTRATION.encode() not in line:
                continue
            try:
                sealed = read_document(line)
            except EncodingInvalid:
                continue  # 6 reports it
            if sealed.payload_type == _REGISTRATION:
                position = self._run.notes.first_named(digest(sealed), besides="refused")
                if position is not None:
                    yield position, sealed

    def _readable_lines(self) -> Iterator[bytes]:
        try:
            for _, line in self._run.export.lines(_FILE):
                yield line
        except EncodingInvalid:
            return  # 6 reports it

    # 6

    def check_documents(self) -> None:
        check = self._run.report["documents"]
        with check.examine(_FILE):
            for number, (offset, line) in enumerate(self._run.export.lines(_FILE), 1):
                with check.examine(f"{_FILE} line {number}"):
                    self._check_document(offset, line)
                if number % PACE == 0:
                    self._run.watch("documents", number, 0)

    def _check_document(self, offset: int, line: bytes) -> None:
        sealed = read_document(line)
        found = digest(sealed)
        kind = _KINDS.get(sealed.payload_type)
        if kind is None:
            raise EvidenceMissing(f"documents of type {sealed.payload_type!r:.120} are not known here")
        about, leaf = b"", b""
        if kind in _ANSWERS:
            message = parse_strict(sealed.payload, kind)
            assert isinstance(message, _ANSWERS)
            about, leaf = message.document_digest, message.leaf
            position = self._answered(found, message)
        else:
            position = self._run.notes.first_named(found)
        at = self._run.description.size if position is None else position
        signers = self._check_seal(found, sealed, kind, at)
        note = DocumentNote(found, offset, at, sealed.payload_type, signers, about)
        if not self._run.notes.document(note):
            raise DigestMismatch("this document stands twice")
        if position is None:
            self._check_named()
        if leaf and signers:
            self._run.notes.answer_leaf(leaf, found)

    def _check_named(self) -> None:
        if self._run.notes.last_missing() >= 0:
            raise EvidenceMissing("no opening that is here names this document")
        raise DigestMismatch("no leaf of the log names this document")

    # 8, the half of it that starts from the answer

    def _answered(
        self, found: bytes, answer: exchange_pb2.Acknowledgement | exchange_pb2.Refusal
    ) -> int | None:
        """Position of the leaf an answer names, whose entry must name the document it answers."""
        leaf = self._run.notes.find_leaf(answer.leaf)
        if leaf is None:
            return None
        with self._run.report["answers"].examine(f"document {found.hex()[:16]}…"):
            refusal = isinstance(answer, exchange_pb2.Refusal)
            # What was refused because nobody known had sealed it is not kept, and its entry names nothing.
            if not leaf.kind:
                raise EvidenceMissing(f"the opening of leaf {leaf.position} is missing")
            unkept = refusal and leaf.documents == 0
            if not unkept and not self._run.notes.is_named(answer.document_digest, leaf.position):
                raise ProofInvalid(f"leaf {leaf.position} is not of the exchange this answers")
            if refusal != (leaf.kind == "refused"):
                raise ProofInvalid(f"leaf {leaf.position} ({leaf.kind}) had another outcome than this says")
        return leaf.position

    # 7

    def _check_seal(
        self, found: bytes, sealed: envelope_pb2.Envelope, kind: type[Message], position: int
    ) -> tuple[str, ...]:
        """Key ids whose seals hold; empty where the document is not sealed as it must be."""
        with self._run.report["seals"].examine(f"document {found.hex()[:16]}…"):
            beside = None
            if kind is party_pb2.KeyRegistration:
                beside = parse_strict(sealed.payload, party_pb2.KeyRegistration).key
            try:
                opened = open_sealed(sealed, kind, self.history.at(position, beside=beside))
            except SignatureInvalid as error:
                if any(self.history.counts(s.keyid, position) for s in sealed.signatures):
                    if self.history.only_unavailable(sealed):
                        raise EvidenceMissing(
                            "sealed with an algorithm that is not available here"
                        ) from error
                    raise
                opened = self._open_unpinned(sealed, kind, position, error)
            if kind in _GATEWAYS:
                signer_of_party(opened.signers, self._run.policy.gateway)
            self._note_suspect(found, opened, position)
            return tuple(keyid(key) for key in opened.signers)
        return ()

    def _open_unpinned(
        self, sealed: envelope_pb2.Envelope, kind: type[M], position: int, error: SignatureInvalid
    ) -> Opened[M]:
        """A document of a key that the log registers and the policy does not pin: neither true nor false.

        What it says is examined all the same, so that what rests on it is not taken for a lie either.
        """
        if not any(self.history.is_registered(s.keyid, position) for s in sealed.signatures):
            explanation = self.history.explain(sealed, position) or error.explanation
            unknown = not any(self.history.find(s.keyid) for s in sealed.signatures)
            if unknown and self._run.notes.missing_before(position):
                raise EvidenceMissing(f"{explanation}, and an earlier opening is missing") from error
            raise SignatureInvalid(explanation) from error
        opened = open_sealed(sealed, kind, self.history.unpinned_at(position))
        for key in opened.signers:
            self._run.report["seals"].undecide(
                f"document {opened.digest.hex()[:16]}…", self.history.how_to_pin(key)
            )
        return opened

    def _note_suspect(self, found: bytes, opened: Opened[Message], position: int) -> None:
        """A seal of a compromised key's doubtful time holds, and still proves nothing by itself."""
        for key in opened.signers:
            if self.history.is_suspect(keyid(key), position):
                self._run.report["seals"].undecide(
                    f"document {found.hex()[:16]}…",
                    f"key {keyid(key)[:16]}… of {key.holder} was reported compromised: "
                    f"somebody else may have held it at leaf {position}",
                )

    # for 8 to 11

    def open(self, document: bytes, kind: type[M]) -> Opened[M]:
        """A document whose seal holds. Raises EvidenceMissing, EncodingInvalid (another kind)."""
        opened = self._load(document)
        if not isinstance(opened.message, kind):
            raise EncodingInvalid(f"document {document.hex()[:16]}… is no {kind.DESCRIPTOR.name}")
        if not any(self.history.keyring.find(keyid(key)) for key in opened.signers):
            self._unpinned = document
        return cast("Opened[M]", opened)

    @contextmanager
    def resting_on_pins(self) -> Iterator[None]:
        """Raises EvidenceMissing where a document was opened inside that only a key sealed which is not pinned."""
        self._unpinned = b""
        yield
        if self._unpinned:
            raise EvidenceMissing(f"document {self._unpinned.hex()[:16]}… is sealed by a key that is not pinned")

    def _read(self, document: bytes) -> Opened[Message]:
        note = self._run.notes.find_document(document)
        if note is None or self._reader is None:
            raise EvidenceMissing(f"document {document.hex()[:16]}… is not here")
        if not note.signers:
            raise EvidenceMissing(f"the seal of document {document.hex()[:16]}… does not hold")
        sealed = read_document(self._reader.at(note.offset))
        keys = (self.history.find(key_id) for key_id in note.signers)
        signers = tuple(key for key in keys if key is not None)
        return Opened(parse_strict(sealed.payload, _KINDS[note.kind]), document, signers, sealed)
