"""Step 9, challenges: an auditor's sample of a table, by a seed that nobody knew when the table was sealed."""

from __future__ import annotations

from audit import checkpoint, lending_exchanges
from audit.envelope import Opened
from audit.keys import party_of
from audit.verification import tree, waiting
from audit.verification.entry import Entry
from audit.verification.ledger import ANSWERED, OPEN, UNANSWERED, ChallengeNote, TableNote
from audit.verification.run import Run
from xinyi.days import day_of
from xinyi.errors import Invalid
from xinyi.v1 import lending_pb2, party_pb2


def asked(entry: Entry) -> None:
    challenge = entry.first(lending_pb2.Challenge)
    message = challenge.message
    entry.ledger.ask(challenge.digest, message, entry.message.recorded_at_ms)
    table = entry.dossier.open(message.table, lending_pb2.LendingTable)
    note = entry.ledger.find_table(table.digest)
    if note is None:
        entry.contradict("no earlier leaf takes in the table that is challenged", "challenge.table")
    lending_exchanges.check_challenge(entry.message, challenge, table)
    if not entry.dossier.history.is_kind(party_of(message.asked_by), party_pb2.PARTY_KIND_AUDITOR):
        entry.contradict("who asks is of no auditor that an earlier leaf registers", "challenge.asked_by")
    _check_seed(entry, message, note)


def _check_seed(entry: Entry, challenge: lending_pb2.Challenge, table: TableNote) -> None:
    """The checkpoint that the seed comes from is one of this log, signed when the table stood in it already."""
    head = checkpoint.verify(challenge.checkpoint, entry.run.policy.log_key)
    basis = "challenge.checkpoint"
    if head.size <= table.position:
        raise Invalid("its checkpoint is older than the table: the bank could know the sample", basis=basis)
    if head.size > entry.position:
        raise Invalid("its checkpoint is newer than the challenge", basis=basis)
    if tree.root_at(entry.run, head.size) != head.root:
        raise Invalid("its checkpoint is of another log than this: keep both", basis=basis)


def answered(entry: Entry) -> None:
    answer = entry.first(lending_pb2.ChallengeAnswer)
    challenge, note = _known(entry, answer.message.challenge)
    entry.ledger.settle(challenge.digest, ANSWERED)
    table = entry.dossier.open(challenge.message.table, lending_pb2.LendingTable)
    lending_exchanges.check_challenge_answer(entry.message, answer, challenge, table.message)
    if note.state == ANSWERED:
        raise Invalid("an earlier leaf answers this challenge", basis="challenge_answer.challenge")


def unanswered(entry: Entry) -> None:
    challenge, note = _known(entry, entry.first(lending_pb2.Challenge).digest)
    lending_exchanges.check_unanswered(entry.message, challenge.message)
    if note.state != OPEN:
        raise Invalid("it was answered, or told as unanswered, before", basis="challenge.unanswered")
    entry.ledger.settle(challenge.digest, UNANSWERED)


def _known(entry: Entry, document: bytes) -> tuple[Opened[lending_pb2.Challenge], ChallengeNote]:
    challenge = entry.dossier.open(document, lending_pb2.Challenge)
    note = entry.ledger.find_challenge(document)
    if note is None:
        entry.contradict("no earlier leaf asks this challenge", "challenge_answer.challenge")
    return challenge, note


def note_open(run: Run) -> None:
    """Tells the reader which challenges have no answer: of which bank, since when, and whether they are late."""
    ends = day_of(run.notes.last_recorded()).isoformat()
    for found in run.ledger.unanswered():
        waiting.note(
            run,
            "challenges",
            found.bank,
            found.recorded_at_ms,
            challenge=found.document.hex(),
            bank=found.bank,
            due_on=found.due_on,
            overdue=found.due_on < ends,
        )
