"""Step 9, editions: intake, publication, and every decision on one."""

from __future__ import annotations

from audit import exchanges
from audit.envelope import Opened
from audit.verification.entry import Entry
from audit.verification.findings import EvidenceMissing
from xinyi.errors import Invalid
from xinyi.v1 import edition_pb2

_FULL = edition_pb2.EDITION_KIND_FULL
_CORRECTION = edition_pb2.EDITION_KIND_CORRECTION


def intake(entry: Entry) -> None:
    manifest = entry.manifest(entry.first(edition_pb2.Manifest).digest)
    exchanges.check_edition(entry.message, manifest)
    _check_place(entry, manifest)
    message = manifest.message
    if message.predecessor:
        predecessor = entry.dossier.open(message.predecessor, edition_pb2.Manifest)
        exchanges.check_succession(message, predecessor.message)
        if message.kind != _FULL:
            _check_none_stopped(entry, predecessor)
    if message.kind == _CORRECTION:
        exchanges.check_corrected(message, entry.published(message.corrects, "correction.corrects").message)


def publication(entry: Entry) -> None:
    digest = entry.message.manifest_digest
    manifest = entry.manifest(digest)
    before = entry.register.newest(manifest.message.origin, manifest.message.product)
    entry.register.publish(digest, manifest.message)  # whatever is wrong with it: what follows builds on it
    approval = entry.first(edition_pb2.Approval)
    entry.check_same_edition(approval.message.manifest_digest)
    exchanges.check_approval(entry.taken_in(digest), approval)
    if before != manifest.message.predecessor:
        entry.contradict("another edition was published in its place", "edition.sequence")


def release(entry: Entry) -> None:
    _check_decision(entry, entry.first(edition_pb2.HoldRelease))


def cancellation(entry: Entry) -> None:
    _check_decision(entry, entry.first(edition_pb2.Cancellation))


def stop(entry: Entry) -> None:
    entry.register.stop(entry.message.manifest_digest)
    _check_decision(entry, entry.first(edition_pb2.Stop))


def rows_answered(entry: Entry) -> None:
    answer = entry.first(edition_pb2.RowAnswer)
    exchanges.check_row_answer(entry.message, answer, entry.taken_in(answer.message.manifest_digest))


def purge(entry: Entry) -> None:
    document = entry.taken_in(entry.first(edition_pb2.Manifest).digest).digest
    entry.check_same_edition(document)
    for digest in entry.notes.named_as("edition.cancelled"):
        if entry.notes.named_before(digest, entry.position, "edition.cancelled"):
            cancelled = entry.dossier.open(digest, edition_pb2.Cancellation).message
            if cancelled.manifest_digest == document:
                return
    if entry.notes.missing_before(entry.position):
        raise EvidenceMissing("no earlier opening that is here cancels this edition")
    raise Invalid("records were dropped of an edition that no earlier leaf cancels", basis="edition.purged")


def _check_decision(entry: Entry, decision: Opened[exchanges.D]) -> None:
    exchanges.check_decision(entry.message, decision, entry.taken_in(decision.message.manifest_digest))


def _check_place(entry: Entry, manifest: Opened[edition_pb2.Manifest]) -> None:
    """It comes behind the edition that was published last; a cancelled one has left its place."""
    message = manifest.message
    before = entry.register.newest(message.origin, message.product)
    if before != message.predecessor:
        entry.contradict("it does not follow on the edition that was published last", "edition.sequence")


def _check_none_stopped(entry: Entry, before: Opened[edition_pb2.Manifest]) -> None:
    """Nothing that an edition of changes builds on, back to its FULL, was stopped before it came."""
    while not entry.register.is_stopped(before.digest):
        if before.message.kind == _FULL:
            return
        before = entry.dossier.open(before.message.predecessor, edition_pb2.Manifest)
    raise Invalid("behind an edition that was stopped comes a FULL", basis="edition.after_stop")
