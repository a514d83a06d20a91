"""Answers about what was known, as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.auditor.show import time_of
from audit.disclosure.folder import read_registration
from audit.entry_proof import EntryProof
from audit.keys import keyid
from audit.verification.policy import Policy
from xinyi.terminal import console, notices


def answer_text(answer: dict[str, Any], now: str = "now") -> None:
    """Args: now — of which moment the head is, and so what is held true."""
    for feed in answer["answers"]:
        say(f"{feed['product']} of {feed['origin']}")
        if "known" in feed:
            say(f"  on {answer['day']} {answer['recipient']} knew:")
            _known(feed["known"], with_record=bool(answer["subject"]))
        if "true" in feed:
            say(f"  held true {now}:")
            _true(feed["true"], with_record=bool(answer["subject"]))
    say(f"head: {answer['head']['size']} leaves, root {answer['head']['root']}")
    for sentence in answer["not_proven"]:
        notices.print(f"not proven: {sentence}", markup=False)


def say_keys(registrations: Sequence[EntryProof], policy: Policy) -> None:
    """Keys that were taken from the log, for the reader to compare with the agreements' annexes."""
    for proof in registrations:
        key = read_registration(proof, policy.log_key)
        if key.party not in policy.pinned_parties:
            notices.print(
                f"key of {key.holder} as the log registers it (leaf {proof.receipt.index}): {keyid(key)}",
                markup=False,
            )


def say(text: str) -> None:
    console.print(text, markup=False)


def _known(known: dict[str, Any] | None, *, with_record: bool) -> None:
    if known is None:
        say("    no edition")
        return
    _edition(known["edition"])
    say(f"    applied {time_of(known['known_since_ms'])}, signed by {known['known_by']} (leaf {known['receipt_leaf']})")
    if not with_record:
        return
    if recall := known["recalled_by"]:
        say(f"    taken back by correction {recall['edition'][:16]}… ahead of the editions between")
    if known["uncertain"]:
        say("    a correction ahead of the editions between may have taken the record back")
    if known["refused_under"]:
        say(f"    not held: refused under its own rules {', '.join(known['refused_under'])}")
    else:
        _record(known["record"])


def _true(true: dict[str, Any] | None, *, with_record: bool) -> None:
    if true is None:
        say("    no edition")
        return
    _edition(true["edition"])
    if with_record:
        _record(true["record"])


def _edition(edition: dict[str, Any]) -> None:
    place = f"{edition['kind']} {edition['period']}, sequence {edition['sequence']}"
    say(f"    edition {edition['edition'][:16]}… ({place}), published {time_of(edition['published_at_ms'])}")


def _record(record: dict[str, Any] | None) -> None:
    if record is None:
        say("    no record of the subject")
        return
    said = [f"grade {record['grade'].removeprefix('GRADE_')}", f"evaluation year {record['evaluation_year']}"]
    dates = (("decided_on", "decided"), ("valid_from", "valid from"), ("valid_to", "valid to"))
    said += [f"{word} {record[name]}" for name, word in dates if record.get(name)]
    say(f"    {', '.join(said)}")
