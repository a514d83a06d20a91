"""Steps 8 and 9: entries in the order of the log, against their documents and answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf.message import Message

from audit import entries, exchanges
from audit.envelope import Opened
from audit.keys import party_of
from audit.verification.documents import Dossier
from audit.verification.exported import read_opening
from audit.verification.findings import EvidenceMissing
from audit.verification.run import PACE, Run
from xinyi.errors import DigestMismatch, EncodingInvalid, Invalid, ProofInvalid
from xinyi.v1 import edition_pb2, exchange_pb2, log_pb2

M = TypeVar("M", bound=Message)

_INTAKES = ("edition.ready", "edition.held")
#: First words of kinds this verifier knows; a log that speaks of other things is beyond it.
_SUBJECTS = {
    "agreement", "certificate", "delivery", "edition", "entitlement", "gateway", "key", "log", "opening",
    "partner", "party", "product", "receipt", "refused",
}  # fmt: skip


def check(run: Run, dossier: Dossier) -> None:
    with run.report["openings"].examine("openings.jsonl"):
        for number, (_, line) in enumerate(run.export.lines("openings.jsonl"), 1):
            _check_line(run, dossier, line)
            if number % PACE == 0:
                run.watch("entries", number, run.description.size)
    for document in run.notes.unfounded_answers():
        run.report["answers"].refute(
            f"document {document.hex()[:16]}…", "its answer is not the one kept for it"
        )
    for leaf, unknown in run.notes.unfounded_refusals():
        with run.report["answers"].examine(f"refusal {leaf.hex()[:16]}…"):
            if unknown:
                raise EvidenceMissing("the opening of the leaf that its row names is missing")
            raise ProofInvalid("its row names no leaf of a refusal")


def _check_line(run: Run, dossier: Dossier, line: bytes) -> None:
    try:
        opening = read_opening(line)
    except EncodingInvalid:
        return  # 4 reported it
    leaf = entries.leaf(opening.salt, opening.opening)
    known = run.notes.find_leaf(leaf)
    if known is None or known.position != opening.index:
        return  # erased, or 4 reported it
    _Entry(run, dossier, leaf, opening.index, log_pb2.LogEntry.FromString(opening.opening)).check()


class _Entry:
    def __init__(
        self, run: Run, dossier: Dossier, leaf: bytes, position: int, entry: log_pb2.LogEntry
    ) -> None:
        self._run = run
        self._dossier = dossier
        self._leaf = leaf
        self._position = position
        self._entry = entry

    def check(self) -> None:
        subject = f"leaf {self._position} ({self._entry.kind})"
        for document in self._entry.documents:
            with self._run.report["documents"].examine(subject):
                if self._run.notes.find_document(document) is None:
                    raise DigestMismatch(f"document {document.hex()[:16]}… is not kept")
        # 8
        if self._entry.kind in _ANSWERED or self._entry.kind == "refused":
            with self._run.report["answers"].examine(subject):
                self._check_answer()
        # 9
        if self._entry.kind in _RULES:
            name, rule = _RULES[self._entry.kind]
            with self._run.report[name].examine(subject):
                rule(self)
        elif self._entry.kind.split(".")[0] not in _SUBJECTS:
            self._run.report["openings"].undecide(subject, "this kind of entry is not known here")

    # 8

    def _check_answer(self) -> None:
        if self._position >= self._run.description.state_size:
            return  # came after the moment whose rows and answers are shown
        answer = self._run.notes.answer_of_leaf(self._leaf)
        if answer is None:
            raise ProofInvalid("the gateway's sealed answer is not kept")
        if self._entry.kind == "refused":
            day = datetime.fromtimestamp(self._entry.recorded_at_ms / 1000, UTC).date().isoformat()
            shown = (party_of(self._entry.actor), day, self._entry.detail)
            if self._run.notes.find_refusal(self._leaf) != shown:
                raise ProofInvalid("the row of this refusal is missing or says something else")
        elif self._run.notes.find_answer(self._entry.documents[0]) != answer:
            raise ProofInvalid("the row of this answer is missing or names another")

    # 9

    def edition(self) -> None:
        exchanges.check_edition(self._entry, self._manifest(self._first(edition_pb2.Manifest).digest))

    def approval(self) -> None:
        approval = self._first(edition_pb2.Approval)
        self._check_same_edition(approval.message.manifest_digest)
        exchanges.check_approval(self._taken_in(approval.message.manifest_digest), approval)

    def release(self) -> None:
        self._decision(self._first(edition_pb2.HoldRelease))

    def cancellation(self) -> None:
        self._decision(self._first(edition_pb2.Cancellation))

    def stop(self) -> None:
        self._decision(self._first(edition_pb2.Stop))

    def purge(self) -> None:
        document = self._taken_in(self._first(edition_pb2.Manifest).digest).digest
        self._check_same_edition(document)
        notes = self._run.notes
        for digest in notes.named_as("edition.cancelled"):
            if notes.named_before(digest, self._position, "edition.cancelled"):
                cancelled = self._dossier.open(digest, edition_pb2.Cancellation).message
                if cancelled.manifest_digest == document:
                    return
        if notes.missing_before(self._position):
            raise EvidenceMissing("no earlier opening that is here cancels this edition")
        raise Invalid(
            "records were dropped of an edition that no earlier leaf cancels", basis="edition.purged"
        )

    def delivery(self) -> None:
        delivery = self._first(exchange_pb2.Delivery)
        approval = self._dossier.open(delivery.message.approval_digest, edition_pb2.Approval)
        self._check_earlier(
            approval, "publishes the edition with this approval", "delivery.approval", "edition.published"
        )
        manifest = self._taken_in(delivery.message.manifest_digest)
        exchanges.check_delivery(self._entry, delivery, manifest, approval)

    def receipt(self) -> None:
        receipt = self._first(exchange_pb2.DeliveryReceipt)
        delivery = self._dossier.open(receipt.message.delivery_digest, exchange_pb2.Delivery)
        self._check_earlier(delivery, "offers this delivery", "receipt.delivery_digest", "delivery.offered")
        manifest = self._manifest(receipt.message.manifest_digest)
        exchanges.check_receipt(self._entry, receipt, delivery, manifest)

    def query(self) -> None:
        exchanges.check_query(self._entry, self._first(exchange_pb2.LogQuery))

    def erasure(self) -> None:
        for leaf in self._first(log_pb2.Erasure).message.leaves:
            known = self._run.notes.find_leaf(leaf)
            if known is None or known.position >= self._position:
                raise ProofInvalid("it erases what does not stand in the log before it")
            self._run.notes.erase(leaf)

    def _decision(self, decision: Opened[exchanges.D]) -> None:
        manifest = self._taken_in(decision.message.manifest_digest)
        exchanges.check_decision(self._entry, decision, manifest)

    def _first(self, kind: type[M]) -> Opened[M]:
        if not self._entry.documents:
            raise ProofInvalid("the entry names no document")
        return self._dossier.open(self._entry.documents[0], kind)

    def _manifest(self, document: bytes) -> Opened[edition_pb2.Manifest]:
        """A manifest of a bureau. Raises Invalid for one of anybody else."""
        manifest = self._dossier.open(document, edition_pb2.Manifest)
        if manifest.message.origin not in self._run.policy.bureaus:
            raise Invalid(f"{manifest.message.origin} is no bureau of the policy", basis="policy.bureaus")
        return manifest

    def _taken_in(self, document: bytes) -> Opened[edition_pb2.Manifest]:
        """The same, of an edition that an earlier leaf took in."""
        manifest = self._manifest(document)
        self._check_earlier(manifest, "takes in this edition", "edition.unknown", *_INTAKES)
        return manifest

    def _check_earlier(self, document: Opened[Any], does: str, basis: str, *kinds: str) -> None:
        """An earlier leaf of one of these kinds names the document; a missing opening may be the one."""
        if self._run.notes.named_before(document.digest, self._position, *kinds):
            return
        if self._run.notes.missing_before(self._position):
            raise EvidenceMissing(f"no earlier opening that is here {does}")
        raise Invalid(f"no earlier leaf {does}", basis=basis)

    def _check_same_edition(self, document: bytes) -> None:
        if self._entry.manifest_digest != document:
            raise Invalid(
                "the entry is for another edition than its document", basis="evidence.manifest_digest"
            )


_RULES: dict[str, tuple[str, Callable[[_Entry], None]]] = {
    **dict.fromkeys(_INTAKES, ("editions", _Entry.edition)),
    "edition.published": ("editions", _Entry.approval),
    "edition.released": ("editions", _Entry.release),
    "edition.cancelled": ("editions", _Entry.cancellation),
    "edition.stopped": ("editions", _Entry.stop),
    "edition.purged": ("records", _Entry.purge),
    "delivery.offered": ("deliveries", _Entry.delivery),
    **dict.fromkeys(exchanges.STAGES, ("receipts", _Entry.receipt)),
    "log.queried": ("queries", _Entry.query),
    "log.exported": ("queries", _Entry.query),
    "opening.erased": ("openings", _Entry.erasure),
}
#: Kinds whose document the gateway answers with an acknowledgement that it keeps.
_ANSWERED = {kind for kind, (name, _) in _RULES.items() if name in ("editions", "receipts")}
