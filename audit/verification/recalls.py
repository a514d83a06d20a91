"""Recalls: whom a CORRECTION had to reach, what their receipts say, and who has not confirmed yet."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from audit.verification.entry import Entry
from audit.verification.findings import LISTED
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


def confirmation(entry: Entry) -> None:
    """Who applied a CORRECTION has confirmed its recall."""
    digest, recipient = entry.message.manifest_digest, entry.message.counterparty
    due = {recipient} if entry.register.is_recalled(digest, recipient) else set()
    noted = _written(entry)
    if due - noted:
        raise Invalid("the recall that this receipt confirms is not noted with it", basis="recall.confirmed")
    if noted - due:
        entry.contradict("no earlier leaf opens the recall that is confirmed here", "recall.confirmed")


def check_row(run: Run, row: dict[str, Any]) -> None:
    """A row of `recalls` is CONFIRMED where its recipient applied the CORRECTION; one that is OPEN is reported."""
    try:
        correction, recipient = bytes.fromhex(row["correction"]), str(row["recipient"])
        state, since = row["state"], datetime.fromtimestamp(row["changed_at_ms"] / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise EncodingInvalid("the row lacks what it must hold") from None
    applied = run.register.has_applied(correction, recipient)
    # What came behind the moment whose rows are shown has changed none of them.
    late = run.description.state_size < run.description.size
    if state == "OPEN" and not applied:
        waiting = run.report.notes.setdefault("open_recalls", [])
        if len(waiting) < LISTED:
            shown = {"correction": row["correction"], "recipient": recipient, "since": since.isoformat()}
            waiting.append(shown)
    elif state == "OPEN" and not late:
        raise Invalid("its recipient has applied the correction", basis="recall.confirmed")
    elif state == "CONFIRMED" and not applied and run.notes.last_missing() < 0:
        raise Invalid("its recipient never applied the correction", basis="recall.confirmed")
    elif state not in ("OPEN", "CONFIRMED"):
        raise Invalid("a recall is OPEN or CONFIRMED", basis="recall.row")


def _written(entry: Entry) -> set[str]:
    """Recipients whose rows of `recalls` this entry writes, all of them for the edition it is about."""
    found = set()
    for change in entry.message.changes:
        if change.table == "recalls":
            try:
                key = json.loads(change.key)
                correction, recipient = key["correction"], str(key["recipient"])
            except (KeyError, TypeError, ValueError):
                raise Invalid("a row of recalls without its key", basis="recall.row") from None
            if correction != entry.message.manifest_digest.hex():
                raise Invalid("a recall of another edition is written here", basis="recall.row")
            found.add(recipient)
    return found


def _named(parties: set[str]) -> str:
    named = sorted(parties)
    return ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "")
