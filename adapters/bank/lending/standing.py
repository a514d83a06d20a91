"""How a bank's own reports stand at the gateway, and what it asks: verified here under the gateway's seal.

By whose key of the bank a table was sealed is not judged: its digest, under the gateway's receipt, names it. How many
rows of a batch stand how is the gateway's word; what it asked about them is under its seal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.bank.lending.client import HELD, LendingClient, open_receipt
from audit.envelope import digest, open_sealed, parse_strict
from audit.keys import Keyring
from xinyi.days import day_of
from xinyi.errors import DigestMismatch, Unknown
from xinyi.lending import period_name
from xinyi.v1 import lending_pb2
from xinyi.v1 import lending_service_pb2 as pb

_DIGEST = re.compile(r"[0-9a-f]{64}")


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
    #: As the receipt told them: those that were answered since among them, not those that a later batch
    #: raised. How each row stands is told by `xinyi-bank outcomes`.
    questions: list[Asked]


@dataclass(frozen=True)
class Reports:
    """Newest last. left_out: so many older ones had no room in the gateway's answer."""

    tables: list[TableReport]
    batches: list[BatchReport]
    left_out: int


def reports(client: LendingClient, period: lending_pb2.LendingPeriod | None = None, as_of: str = "") -> Reports:
    """As they stood at the end of a day. Raises VerificationError.

    Args: as_of — ISO date, in China; empty for now.
    """
    found = client.reports(period, as_of)
    gateway, party = client.home.gateway_keyring(), client.home.party
    return Reports(
        [_table(status, gateway, party) for status in found.tables],
        [_batch(status, _questions(client, status, as_of), party) for status in found.batches],
        found.left_out,
    )


def find_document(client: LendingClient, digits: str) -> bytes:
    """Digest of the one table or batch that begins with these digits. Raises Unknown."""
    if _DIGEST.fullmatch(digits.lower()):
        return bytes.fromhex(digits)
    found = client.reports()
    every = [digest(one.table) for one in found.tables] + [digest(one.batch) for one in found.batches]
    named = [document for document in every if digits and document.hex().startswith(digits.lower())]
    if len(named) != 1:
        older = f", which leaves {found.left_out} older ones out: give all 64 digits" if found.left_out else ""
        raise Unknown(
            f"{digits!r} names {len(named) or 'none'} of the reports that the gateway shows{older}: see xinyi-bank "
            "reports",
            basis="report.digest",
        )
    return named[0]


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


def _batch(status: pb.BatchStatus, questions: list[Asked], party: str) -> BatchReport:
    batch = parse_strict(status.batch.payload, lending_pb2.OutcomeBatch)
    _check_own(batch.bank, party)
    return BatchReport(
        document=digest(status.batch).hex(),
        number=batch.number,
        agreement=batch.agreement_id,
        recorded_on=day_of(status.recorded_at_ms).isoformat(),
        rows=batch.count,
        counted=status.counted,
        held=status.held,
        corrected=status.corrected,
        questions=questions,
    )


def _questions(client: LendingClient, status: pb.BatchStatus, as_of: str) -> list[Asked]:
    """What the receipt of a batch asks; of one of which nothing is held any more, nothing.

    A receipt may have megabytes, so that each is asked for by itself.
    """
    if not status.held:
        return []
    document = digest(status.batch)
    found = client.reports(as_of=as_of, document=document).batches
    if len(found) != 1:
        raise DigestMismatch("the gateway does not show a batch that it listed")
    receipt = open_sealed(found[0].receipt, lending_pb2.OutcomeReceipt, client.home.gateway_keyring()).message
    if receipt.batch != document:
        raise DigestMismatch("the gateway shows the receipt of another batch")
    return [_asked(one.question, one.outcome_id) for one in receipt.findings if one.state == HELD]


def _check_own(bank: str, party: str) -> None:
    if bank != party:
        raise DigestMismatch("the gateway shows a report of another bank")


def _asked(question: lending_pb2.Question, outcome: str = "") -> Asked:
    return Asked(
        question.rule, question.basis, question.text, question.dimension, question.value, question.may_be_confirmed,
        outcome,
    )  # fmt: skip
