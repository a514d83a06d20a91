"""A person of the bank answers: what is held is right, for this reason.

Kept before it goes: after a crash or a lost answer the same document goes out again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from adapters.bank.lending.client import LendingClient, is_final
from audit.envelope import parse_strict, seal
from audit.keys import is_person
from xinyi import files
from xinyi.errors import NotEntitled, Refused
from xinyi.lending import check_lending_answer
from xinyi.v1 import envelope_pb2, lending_pb2


def answer(client: LendingClient, document: bytes, reason: str, outcomes: Sequence[str] = ()) -> str:
    """Seals and sends a LendingAnswer; the gateway's word for what happened.

    Args: outcomes — of a batch: the ids spoken of.

    Raises NotEntitled for a machine's home, Invalid, and the gateway's refusal.
    """
    home = client.home
    if not is_person(home.settings.holder):
        raise NotEntitled(
            "a person answers in their own name: use the home of one, not a machine's",
            basis="lending_answer.answered_by",
        )
    said = lending_pb2.LendingAnswer(
        document=document,
        outcome_ids=sorted(set(outcomes)),
        reason=reason,
        answered_by=home.settings.holder,
        answered_at_ms=time.time_ns() // 1_000_000,
    )
    check_lending_answer(said)
    place = home.path / "lending/answers"
    files.make_directory(place)
    # By what is said, but for when.
    content = "\0".join((document.hex(), *said.outcome_ids, reason)).encode()
    kept = place / f"{hashlib.sha256(content).hexdigest()}.dsse"
    if kept.exists():
        sealed = parse_strict(kept.read_bytes(), envelope_pb2.Envelope)
    else:
        sealed = seal(said, *home.signers())
        files.write_atomically(kept, sealed.SerializeToString(deterministic=True))
    try:
        acknowledgement = client.answer_questions(sealed)
    except Refused as error:
        if error.sealed and is_final(error):
            kept.unlink()  # a later attempt is another document
        raise
    files.write_atomically(
        kept.with_suffix(".acknowledgement.dsse"),
        acknowledgement.envelope.SerializeToString(deterministic=True),
    )
    return acknowledgement.message.outcome
