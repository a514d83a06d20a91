"""What the documents about lending must say to each other and to their log entry.

Pure, like `audit.exchanges`: every check takes documents whose seals hold and returns, or raises Invalid or
SignatureInvalid with the rule that does not hold.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from audit import outcomes
from audit.envelope import Opened
from audit.exchanges import check_same, check_signer
from audit.keys import party_of
from xinyi import lending
from xinyi.days import day_of
from xinyi.errors import Invalid
from xinyi.fields import is_rule
from xinyi.v1 import edition_pb2, lending_pb2, log_pb2

_COUNTED, _HELD = lending_pb2.REPORT_STATE_COUNTED, lending_pb2.REPORT_STATE_HELD
_REPEATED, _CONFLICT = lending_pb2.REPORT_STATE_REPEATED, lending_pb2.REPORT_STATE_CONFLICT
#: What became of a table, by the kind of the entry that takes it in.
INTAKES = {"lending.counted": _COUNTED, "lending.held": _HELD}


def log_period(period: lending_pb2.LendingPeriod) -> edition_pb2.Period:
    """As an entry of the log tells a lending period: its year and last month."""
    last = lending.last_day(period)
    return edition_pb2.Period(year=last.year, month=last.month)


def check_about(entry: log_pb2.LogEntry, table: lending_pb2.LendingTable) -> None:
    """An entry that is about a table says which one."""
    check_same("bank", entry.counterparty, table.bank)
    check_same("period", entry.period, log_period(table.period))
    check_same("agreement_id", entry.agreement_id, table.agreement_id)


def check_table(entry: log_pb2.LogEntry, table: Opened[lending_pb2.LendingTable]) -> None:
    """The bank's own issuer sealed it, and the entry says what it says."""
    message = table.message
    lending.check_lending_table(message)
    check_signer(table, message.issued_by, message.bank)
    check_about(entry, message)
    check_same("record_count", entry.record_count, message.rows)


def check_table_receipt(
    entry: log_pb2.LogEntry,
    receipt: Opened[lending_pb2.TableReceipt],
    table: Opened[lending_pb2.LendingTable],
) -> None:
    """The receipt is for this table, of the outcome that the entry says: questions where it is held, and only there.

    What does not add up can neither count nor be confirmed.
    """
    message = receipt.message
    check_same("table", message.table, table.digest)
    check_same("state", message.state, INTAKES.get(entry.kind))
    check_same("recorded_at_ms", message.recorded_at_ms, entry.recorded_at_ms)
    for question in message.questions:
        check_question(question)
    if bool(message.questions) != (message.state == _HELD):
        raise Invalid("what is held has a question, and nothing else has", basis="table_receipt.questions")
    adds_up = not lending.find_shortfalls(table.message)
    if not adds_up and (message.state == _COUNTED or all(q.may_be_confirmed for q in message.questions)):
        raise Invalid("its cells do not come to the total", basis="lending.sums")


def check_question(question: lending_pb2.Question) -> None:
    if not is_rule(question.rule) or not question.text:
        raise Invalid("a question names its rule and says what it asks", basis="question.rule")


def check_confirmation(
    answer: Opened[lending_pb2.LendingAnswer],
    table: lending_pb2.LendingTable,
    receipt: lending_pb2.TableReceipt,
) -> None:
    """A person of the table's bank answered questions that an answer settles."""
    message = answer.message
    check_answer(answer, table.bank)
    check_same("document", message.document, receipt.table)
    if message.outcome_ids:
        raise Invalid("an answer about a table names no outcomes", basis="lending_answer.outcomes")
    if not all(question.may_be_confirmed for question in receipt.questions):
        raise Invalid("no answer settles this question, another table does", basis="lending_answer.document")


def check_answer(answer: Opened[lending_pb2.LendingAnswer], bank: str) -> None:
    message = answer.message
    lending.check_lending_answer(message)
    check_signer(answer, message.answered_by, bank)


def check_batch(entry: log_pb2.LogEntry, batch: Opened[lending_pb2.OutcomeBatch]) -> None:
    """The bank's own issuer sealed it, its root follows from its chunk roots, and the entry says what it says."""
    message = batch.message
    lending.check_outcome_batch(message)
    lending.check_issue(message, entry.recorded_at_ms)
    outcomes.check_batch_tree(message)
    check_signer(batch, message.issued_by, message.bank)
    check_same("bank", entry.counterparty, message.bank)
    check_same("agreement_id", entry.agreement_id, message.agreement_id)
    check_same("record_count", entry.record_count, message.count)


def check_outcome_receipt(
    entry: log_pb2.LogEntry,
    receipt: Opened[lending_pb2.OutcomeReceipt],
    batch: Opened[lending_pb2.OutcomeBatch],
) -> None:
    """The receipt is for this batch and tells of each of its rows.

    Findings also speak of rows of earlier batches, so those of this one are not told apart by their number.
    """
    message = receipt.message
    check_same("batch", message.batch, batch.digest)
    check_same("recorded_at_ms", message.recorded_at_ms, entry.recorded_at_ms)
    uncounted = message.held + message.repeated + message.conflicts + message.refused
    check_same("counts", message.counted + uncounted, batch.message.count)
    ids = [finding.outcome_id for finding in message.findings]
    if any(before > after for before, after in pairwise(ids)) or len(ids) > lending.MAX_NAMED:
        raise Invalid("findings are not ascending, or too many", basis="outcome_receipt.findings")
    if len(ids) < min(uncounted, lending.MAX_NAMED):
        raise Invalid("a row was not counted, and nothing is said of it", basis="outcome_receipt.findings")
    for finding in message.findings:
        if bool(finding.first) != (finding.state in (_REPEATED, _CONFLICT)):
            raise Invalid("what was here before names its batch, and nothing else", basis="outcome_receipt.first")


def check_challenge(
    entry: log_pb2.LogEntry,
    challenge: Opened[lending_pb2.Challenge],
    table: Opened[lending_pb2.LendingTable],
) -> None:
    """A person asked for rows of this table in their own name. Whose checkpoint it holds shows beside the log."""
    message = challenge.message
    lending.check_challenge(message)
    check_same("actor", entry.actor, message.asked_by)
    check_signer(challenge, message.asked_by, party_of(message.asked_by))
    check_same("table", message.table, table.digest)
    check_same("bank", message.bank, table.message.bank)
    check_about(entry, table.message)
    if date.fromisoformat(message.due_on) < day_of(entry.recorded_at_ms):
        raise Invalid("it was due before it was asked", basis="challenge.due_on")


def check_challenge_answer(
    entry: log_pb2.LogEntry,
    answer: Opened[lending_pb2.ChallengeAnswer],
    challenge: Opened[lending_pb2.Challenge],
    table: lending_pb2.LendingTable,
) -> None:
    """The bank that was asked answered; what it opened, the auditor alone knows."""
    message = answer.message
    lending.check_challenge_answer(message)
    check_same("challenge", message.challenge, challenge.digest)
    check_signer(answer, message.answered_by, challenge.message.bank)
    check_same("bank", entry.counterparty, challenge.message.bank)
    if message.rows > table.rows:
        raise Invalid("more rows were opened than the table has", basis="challenge_answer.rows")


def check_unanswered(entry: log_pb2.LogEntry, challenge: lending_pb2.Challenge) -> None:
    """Nobody is told to be late before the due date is over."""
    check_same("bank", entry.counterparty, challenge.bank)
    if day_of(entry.recorded_at_ms) <= date.fromisoformat(challenge.due_on):
        raise Invalid("the bank still had time to answer", basis="challenge.due_on")


def check_statistics_receipt(
    entry: log_pb2.LogEntry, receipt: Opened[lending_pb2.StatisticsReceipt]
) -> None:
    """Who got the statistics confirms it."""
    lending.check_statistics_receipt(receipt.message)
    check_signer(receipt, receipt.message.signed_by, entry.counterparty)
