"""How a bank's own reports stand at the gateway, and what it asks: verified here under the gateway's seal.

By whose key of the bank a table was sealed is not judged: its digest, under the gateway's receipt, names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.bank.lending.client import HELD, LendingClient, open_receipt
from audit.envelope import digest, open_sealed, parse_strict
from audit.keys import Keyring
from xinyi.days import day_of
from xinyi.errors import DigestMismatch, Unknown
from xinyi.lending import period_name
from xinyi.v1 import lending_pb2
from xinyi.v1 import lending_service_pb2 as pb


@dataclass(frozen=True)
class Asked:
    """A question that is open. `outcome`: of a batch, which one; empty for a table's."""

    rule: str
    basis: str
    text: str
    dimension: str
    value: str
    may_be_confirmed: bool
    outcome: str = ""


@dataclass(frozen=True)
class TableReport:
    document: str
    period: str
    agreement: str
    currency: str
    state: str
    recorded_on: str
    rows: int
    firms: int
    #: Of the total: newly granted, and how much in the hundredth part of the currency's unit.
    loans: int
    granted: int
    corrects: str
    replaced_by: str
    questions: list[Asked]


@dataclass(frozen=True)
class BatchReport:
    document: str
    number: str
    agreement: str
    recorded_on: str
    rows: int
    counted: int
    held: int
    corrected: int
    #: As the receipt told them; those that were answered since among them.
    questions: list[Asked]


def reports(
    client: LendingClient, period: lending_pb2.LendingPeriod | None = None, as_of: str = ""
) -> tuple[list[TableReport], list[BatchReport]]:
    """Newest last, as they stood at the end of a day. Raises VerificationError.

    Args: as_of — ISO date, in China; empty for now.
    """
    found = client.reports(period, as_of)
    gateway, party = client.home.gateway_keyring(), client.home.party
    return (
        [_table(status, gateway, party) for status in found.tables],
        [_batch(status, gateway, party) for status in found.batches],
    )


def find_document(tables: Iterable[TableReport], batches: Iterable[BatchReport], digits: str) -> bytes:
    """Digest of the one table or batch that begins with these digits. Raises Unknown."""
    every = [one.document for one in tables] + [one.document for one in batches]
    found = [document for document in every if digits and document.startswith(digits.lower())]
    if len(found) != 1:
        raise Unknown(
            f"{digits!r} names {len(found) or 'none'} of the reports that the gateway shows: see xinyi-bank reports",
            basis="report.digest",
        )
    return bytes.fromhex(found[0])


def _table(status: pb.TableStatus, gateway: Keyring, party: str) -> TableReport:
    document = digest(status.table)
    receipt = open_receipt(status.receipt, document, gateway).message
    table = parse_strict(status.table.payload, lending_pb2.LendingTable)
    _check_own(table.bank, party)
    total = table.margins[0].cells[0].sums if table.margins else lending_pb2.LendingSums()
    return TableReport(
        document=document.hex(),
        period=period_name(table.period),
        agreement=table.agreement_id,
        currency=table.currency,
        state=lending_pb2.ReportState.Name(status.state).removeprefix("REPORT_STATE_").lower(),
        recorded_on=day_of(receipt.recorded_at_ms).isoformat(),
        rows=table.rows,
        firms=table.firms,
        loans=total.loans,
        granted=total.granted,
        corrects=table.corrects.hex(),
        replaced_by=status.replaced_by.hex(),
        questions=[_asked(question) for question in receipt.questions] if status.state == HELD else [],
    )


def _batch(status: pb.BatchStatus, gateway: Keyring, party: str) -> BatchReport:
    document = digest(status.batch)
    receipt = open_sealed(status.receipt, lending_pb2.OutcomeReceipt, gateway).message
    if receipt.batch != document:
        raise DigestMismatch("the gateway shows the receipt of another batch")
    batch = parse_strict(status.batch.payload, lending_pb2.OutcomeBatch)
    _check_own(batch.bank, party)
    return BatchReport(
        document=document.hex(),
        number=batch.number,
        agreement=batch.agreement_id,
        recorded_on=day_of(receipt.recorded_at_ms).isoformat(),
        rows=batch.count,
        counted=status.counted,
        held=status.held,
        corrected=status.corrected,
        questions=[_asked(one.question, one.outcome_id) for one in receipt.findings if one.state == HELD],
    )


def _check_own(bank: str, party: str) -> None:
    if bank != party:
        raise DigestMismatch("the gateway shows a report of another bank")


def _asked(question: lending_pb2.Question, outcome: str = "") -> Asked:
    return Asked(
        question.rule, question.basis, question.text, question.dimension, question.value, question.may_be_confirmed,
        outcome,
    )  # fmt: skip
