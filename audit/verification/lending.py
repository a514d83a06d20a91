"""Step 9, lending: tables of a period, of which one counts, and batches of single loans.

A table stands while it counts or is held. Where one of a bank, period and currency counts, the next one has to name
it; what is held stands in nobody's way. One that counts takes the place of all that stood, one that is held that of
the held one which it corrects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from audit import lending_exchanges
from audit.verification.entry import Entry
from audit.verification.findings import EvidenceMissing
from audit.verification.ledger import COUNTED, HELD, TableNote
from audit.verification.run import Run
from xinyi.errors import EncodingInvalid, Invalid, ProofInvalid
from xinyi.v1 import lending_pb2


def table(entry: Entry) -> None:
    """A bank's table came in: it counts, or waits for an answer."""
    with _telling(entry):
        table = entry.first(lending_pb2.LendingTable)
        receipt = entry.dossier.open(_second(entry), lending_pb2.TableReceipt)
    fresh = entry.ledger.find_table(table.digest) is None
    note = entry.ledger.take(
        table.digest, table.message, receipt.digest, entry.position, entry.message.recorded_at_ms
    )
    standing = entry.ledger.standing(note)
    placed = all(state == HELD or document == note.corrects for document, state in standing.items())
    if placed and entry.message.kind == "lending.counted":
        _count(entry, note, standing)
    elif placed and standing.get(note.corrects) == HELD:
        entry.ledger.replace(note.corrects, note.recorded_at_ms)
    lending_exchanges.check_table(entry.message, table)
    lending_exchanges.check_table_receipt(entry.message, receipt, table)
    if not fresh:
        raise Invalid("an earlier leaf takes in this table", basis="lending.repeated")
    _check_corrected(entry, note)
    if not placed:
        entry.contradict("another table of this bank, period and currency counts", "lending.conflict")


def confirmation(entry: Entry) -> None:
    """An answer by a person of the bank made a held table count."""
    with _telling(entry):
        answer = entry.first(lending_pb2.LendingAnswer)
        table = entry.dossier.open(answer.message.document, lending_pb2.LendingTable)
        note = entry.ledger.find_table(table.digest)
        if note is None:
            entry.contradict("no earlier leaf takes in the table that is confirmed", "lending_answer.document")
        receipt = entry.dossier.open(note.receipt, lending_pb2.TableReceipt)
    if note.state == HELD:
        _count(entry, note, entry.ledger.standing(note))
    lending_exchanges.check_about(entry.message, table.message)
    lending_exchanges.check_confirmation(answer, table.message, receipt.message)
    if note.state != HELD:
        raise Invalid("the table was not held any more", basis="lending_answer.document")


def batch(entry: Entry) -> None:
    """Single loans came in. What became of each row, the receipt says; that it is so, the records alone show."""
    with _telling(entry):
        batch = entry.first(lending_pb2.OutcomeBatch)
        receipt = entry.dossier.open(_second(entry), lending_pb2.OutcomeReceipt)
    unique = entry.ledger.take_batch(batch.digest, batch.message, receipt.digest)
    lending_exchanges.check_batch(entry.message, batch)
    lending_exchanges.check_outcome_receipt(entry.message, receipt, batch)
    if not unique:
        raise Invalid("an earlier leaf has a batch of this number", basis="batch.number")
    for first in {finding.first for finding in receipt.message.findings if finding.first}:
        bank = entry.ledger.bank_of_batch(first)
        if not bank:
            entry.contradict("no earlier leaf takes in the batch that a row was in first", "outcome_receipt.first")
        if bank != batch.message.bank or first == batch.digest:
            raise Invalid("that batch is of another bank, or this one", basis="outcome_receipt.first")


def batch_confirmation(entry: Entry) -> None:
    answer = entry.first(lending_pb2.LendingAnswer)
    bank = entry.ledger.bank_of_batch(answer.message.document)
    if not bank:
        entry.contradict("no earlier leaf takes in the batch that is answered for", "lending_answer.document")
    lending_exchanges.check_answer(answer, bank)
    if not answer.message.outcome_ids:
        raise Invalid("an answer about a batch names its outcomes", basis="lending_answer.outcomes")


def _check_corrected(entry: Entry, note: TableNote) -> None:
    """What a correction names came in before, from the same bank, for the same period and currency."""
    if not note.corrects:
        return
    corrected = entry.ledger.find_table(note.corrects)
    if corrected is None:
        entry.contradict("no earlier leaf takes in the table that is corrected", "table.corrects")
    about = (note.bank, note.period, note.currency)
    if (corrected.bank, corrected.period, corrected.currency) != about:
        raise Invalid("the table that is corrected is of another bank, period or currency", basis="table.corrects")


def _count(entry: Entry, note: TableNote, standing: Iterable[bytes]) -> None:
    for other in standing:
        entry.ledger.replace(other, entry.message.recorded_at_ms)
    entry.ledger.count(note.document, entry.message.recorded_at_ms)


def _second(entry: Entry) -> bytes:
    if len(entry.message.documents) != 2:
        raise ProofInvalid("the entry does not name the document and its receipt")
    return entry.message.documents[1]


@contextmanager
def _telling(entry: Entry) -> Iterator[None]:
    """Notes that what this entry counts could not be read."""
    try:
        yield
    except EvidenceMissing:
        entry.ledger.incomplete = True
        raise


def check_row(run: Run, row: dict[str, Any]) -> None:
    """A row of `lending_tables` says of its table what the log says."""
    try:
        document, state = bytes.fromhex(row["document"]), row["state"]
    except (KeyError, TypeError, ValueError):
        raise EncodingInvalid("the row lacks what it must hold") from None
    note = run.ledger.find_table(document)
    # What came behind the moment whose rows are shown has changed none of them.
    if run.description.state_size < run.description.size and state in (COUNTED, HELD):
        return
    if run.notes.last_missing() >= 0 or run.ledger.incomplete:
        return
    if note is None:
        raise Invalid("no leaf takes in this table", basis="lending.row")
    if state != note.state:
        raise Invalid(f"the table is {note.state} by the log", basis="lending.row")
