"""Recalls: whom a CORRECTION had to reach, what their receipts say, and who has not confirmed yet."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from audit.verification import waiting
from audit.verification.entry import Entry
from audit.verification.run import Run
from xinyi.errors import EncodingInvalid, Invalid
from xinyi.v1 import edition_pb2

_CORRECTION = edition_pb2.EDITION_KIND_CORRECTION


def opening(entry: Entry) -> None:
    """The publication of a CORRECTION recalls it from everybody who took what it corrects, and nobody else."""
    manifest = entry.dossier.open(entry.message.manifest_digest, edition_pb2.Manifest)
    told = _written(entry)
    if manifest.message.kind != _CORRECTION:
        if told:
            raise Invalid("only a CORRECTION recalls anything", basis="recall.correction")
        return
    for recipient in told:
        entry.register.recall(manifest.digest, recipient)
    first = entry.dossier.open(manifest.message.corrects, edition_pb2.Manifest).message
    beyond = manifest.message.sequence
    if forgotten := entry.register.takers(first, beyond) - told:
        raise Invalid(f"took what is corrected, and are not told: {_named(forgotten)}", basis="recall.missing")
    if strangers := told - entry.register.takers(first, beyond, refused=True):
        entry.contradict(f"never took what is corrected, and are told: {_named(strangers)}", "recall.recipient")


def late_opening(entry: Entry) -> None:
    """By this receipt its party took what published CORRECTIONS correct: it is recalled here, if not before."""
    recipient, applied = entry.message.counterparty, entry.message.kind == "receipt.applied"
    told = set()
    for correction, party in _rows(entry):
        if applied and correction == entry.message.manifest_digest:
            continue  # for `confirmation`
        if party != recipient:
            raise Invalid("a receipt recalls nothing from another party", basis="recall.recipient")
        told.add(correction)
    manifest = entry.dossier.open(entry.message.manifest_digest, edition_pb2.Manifest).message
    due = entry.register.untold(manifest, recipient) if entry.message.kind != "receipt.rejected" else set()
    for correction in told:
        entry.register.recall(correction, recipient)
    if due - told:
        entry.contradict(f"took what is corrected, and is not told: {recipient}", "recall.missing")
    if told - due:
        entry.contradict("its party took nothing here that is corrected, and is told", "recall.recipient")


def confirmation(entry: Entry) -> None:
    """Who applied a CORRECTION has confirmed its recall."""
    digest, recipient = entry.message.manifest_digest, entry.message.counterparty
    due = {recipient} if entry.register.is_recalled(digest, recipient) else set()
    noted = {party for correction, party in _rows(entry) if correction == digest}
    if due - noted:
        raise Invalid("the recall that this receipt confirms is not noted with it", basis="recall.confirmed")
    if noted - due:
        entry.contradict("no earlier leaf opens the recall that is confirmed here", "recall.confirmed")


def stopping(entry: Entry) -> None:
    """The stop of a CORRECTION closes recalls that are open, and no others. One it leaves open is told as open."""
    digest = entry.message.manifest_digest
    for recipient in _written(entry):
        if not entry.register.is_recalled(digest, recipient):
            entry.contradict("no earlier leaf opens the recall that is closed here", "recall.stopped")
        if entry.register.has_applied(digest, recipient):
            raise Invalid("a recall is closed that was confirmed before", basis="recall.stopped")


def check_row(run: Run, row: dict[str, Any]) -> None:
    """A row of `recalls` is CONFIRMED where its recipient applied the CORRECTION, else OPEN, or STOPPED with it.

    One that is OPEN is reported.
    """
    try:
        correction, recipient = bytes.fromhex(row["correction"]), str(row["recipient"])
        state, since_ms = row["state"], int(row["changed_at_ms"])
        since = datetime.fromtimestamp(since_ms / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise EncodingInvalid("the row lacks what it must hold") from None
    applied = run.register.has_applied(correction, recipient)
    # What came behind the moment whose rows are shown has changed none of them.
    late = run.description.state_size < run.description.size
    if state == "OPEN" and not applied:
        shown = {"correction": row["correction"], "recipient": recipient, "since": since.isoformat()}
        waiting.note(run, "recalls", recipient, since_ms, **shown)
    elif state in ("OPEN", "STOPPED") and applied and not late:
        raise Invalid("its recipient has applied the correction", basis="recall.confirmed")
    elif state == "CONFIRMED" and not applied and run.notes.last_missing() < 0:
        raise Invalid("its recipient never applied the correction", basis="recall.confirmed")
    elif state == "STOPPED" and not run.register.is_stopped(correction) and run.notes.last_missing() < 0:
        raise Invalid("no leaf stops its correction", basis="recall.stopped")
    elif state not in ("OPEN", "CONFIRMED", "STOPPED"):
        raise Invalid("a recall is OPEN, CONFIRMED or STOPPED", basis="recall.row")


def _written(entry: Entry) -> set[str]:
    """Recipients whose rows of `recalls` this entry writes, all of them for the edition it is about."""
    written = _rows(entry)
    if any(correction != entry.message.manifest_digest for correction, _ in written):
        raise Invalid("a recall of another edition is written here", basis="recall.row")
    return {recipient for _, recipient in written}


def _rows(entry: Entry) -> set[tuple[bytes, str]]:
    """(correction, recipient) of the rows of `recalls` that this entry writes."""
    try:
        keys = [json.loads(change.key) for change in entry.message.changes if change.table == "recalls"]
        return {(bytes.fromhex(key["correction"]), str(key["recipient"])) for key in keys}
    except (KeyError, TypeError, ValueError):
        raise Invalid("a row of recalls without its key", basis="recall.row") from None


def _named(parties: set[str]) -> str:
    named = sorted(parties)
    return ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "")
