"""Single loans that banks reported with the borrowers' authorisation, as their agreements show them to the bureau.

A batch is verified under its bank's pinned key, and its rows against its root: all of them are there, and as many
without content as the gateway's sealed receipt says were refused. Of a bank that is not pinned here, for what became of
a row, and for which batches there are, the gateway's word is all there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit.envelope import digest, open_sealed, parse_strict
from audit.keys import Keyring
from audit.outcomes import check_batch_tree, check_kept
from xinyi.channel import errors_restored
from xinyi.errors import DigestMismatch, SignatureInvalid
from xinyi.lending import check_outcome_batch
from xinyi.v1 import envelope_pb2, lending_pb2, records_pb2
from xinyi.v1 import lending_service_pb2 as pb
from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

STREAM_DEADLINE_S = 3600.0
#: States of rows that tell of a loan.
_STANDING = frozenset({lending_pb2.REPORT_STATE_COUNTED, lending_pb2.REPORT_STATE_HELD})


@dataclass(frozen=True)
class Loan:
    """A loan, or an application, as its last event that stands tells of it."""

    bank: str
    loan: str
    taxpayer_id: str
    product: str
    #: "DISBURSED", ...
    stage: str
    event_date: str
    #: The first day on which something was disbursed, and how much in all, in fen; empty and 0 where nothing was.
    granted_on: str
    granted: int
    currency: str
    #: Relied on; empty where none was.
    edition: str
    grade: str
    evaluation_year: int
    #: Whether a correction took that grade back, and the true one: empty where the correction tells none.
    recalled: bool
    true_grade: str
    #: Whether any of its events is in question.
    in_question: bool
    #: Whether its batches were verified under a pinned key of the bank.
    verified: bool


def loans(client: GatewayClient, home: Home, bank: str, as_of: str = "", *, recalled: bool = False) -> list[Loan]:
    """By the bank's reference. Memory grows with the loans that are wanted.

    Args:
        as_of: ISO date in China, its end; empty for now.
        recalled: those alone whose grade a correction took back.

    Raises VerificationError; NotEntitled where no agreement shows the bank's loans; Unavailable.
    """
    found: dict[str, list[tuple[lending_pb2.LendingOutcome, pb.OutcomeStatus, bool]]] = {}
    for status, verified in _statuses(client, home, bank, as_of):
        if status.state not in _STANDING or (recalled and not status.recalled):
            continue
        outcome = parse_strict(status.outcome.record, lending_pb2.LendingOutcome)
        if not outcome.voids:
            found.setdefault(outcome.loan.reference, []).append((outcome, status, verified))
    return [_loan(bank, rows) for _, rows in sorted(found.items())]


def _statuses(
    client: GatewayClient, home: Home, bank: str, as_of: str
) -> Iterator[tuple[pb.OutcomeStatus, bool]]:
    """Each row, and whether it was verified."""
    ring = Keyring(key for key in home.keyring() if key.party == bank)
    pinned = any(key.party == bank for key in home.keyring())
    gateway = home.gateway_keyring()
    shown: _Shown | None = None
    request = pb.ListOutcomesRequest(bank=bank, as_of=as_of)
    stub = LendingServiceStub(client.channel)  # type: ignore[no-untyped-call]
    with errors_restored():
        for page in stub.ListOutcomes(request, timeout=STREAM_DEADLINE_S):
            if pinned and page.HasField("batch"):
                if shown is not None:
                    shown.check_whole()
                shown = _Shown.open(page, bank, ring, gateway)
            if pinned:
                if shown is None:
                    raise DigestMismatch("the gateway shows rows of no batch", basis="batch.root")
                shown.take([status.outcome for status in page.outcomes])
            for status in page.outcomes:
                yield status, pinned
    if shown is not None:
        shown.check_whole()


@dataclass
class _Shown:
    """A batch whose seals hold, and how much of it has come."""

    batch: lending_pb2.OutcomeBatch
    #: Rows of which the gateway keeps nothing, as its receipt says.
    refused: int
    chunks: int = 0
    withheld: int = 0

    @classmethod
    def open(cls, page: pb.ListOutcomesResponse, bank: str, ring: Keyring, gateway: Keyring) -> _Shown:
        receipt = open_sealed(page.receipt, lending_pb2.OutcomeReceipt, gateway).message
        if receipt.batch != digest(page.batch):
            raise DigestMismatch("the gateway shows the receipt of another batch", basis="batch.receipt")
        return cls(_open(page.batch, bank, ring), receipt.refused)

    def take(self, rows: Sequence[records_pb2.SaltedRecord]) -> None:
        """The next chunk. Raises DigestMismatch."""
        check_kept(self.batch, self.chunks, rows)
        self.chunks += 1
        self.withheld += sum(not row.record for row in rows)

    def check_whole(self) -> None:
        """Raises DigestMismatch where loans of it are not shown."""
        number = self.batch.number
        if self.chunks != len(self.batch.chunk_roots):
            raise DigestMismatch(f"the gateway does not show all of batch {number}", basis="batch.root")
        if self.withheld != self.refused:
            raise DigestMismatch(
                f"of batch {number} the content of {self.withheld} rows is not shown; its receipt says that "
                f"{self.refused} were refused",
                basis="batch.receipt",
            )


def _open(sealed: envelope_pb2.Envelope, bank: str, ring: Keyring) -> lending_pb2.OutcomeBatch:
    opened = open_sealed(sealed, lending_pb2.OutcomeBatch, ring)
    check_outcome_batch(opened.message)
    check_batch_tree(opened.message)
    if opened.message.bank != bank:
        raise DigestMismatch("the gateway shows another bank's batch", basis="batch.bank")
    if not any(key.holder == opened.message.issued_by for key in opened.signers):
        raise SignatureInvalid("the batch is not sealed by the one who issued it")
    return opened.message


def _loan(bank: str, rows: list[tuple[lending_pb2.LendingOutcome, pb.OutcomeStatus, bool]]) -> Loan:
    rows.sort(key=lambda row: (row[0].event_date, row[0].stage, row[0].outcome_id))
    last, status, _ = rows[-1]
    disbursed = [
        outcome
        for outcome, standing, _ in rows
        if outcome.stage == lending_pb2.STAGE_DISBURSED and standing.state == lending_pb2.REPORT_STATE_COUNTED
    ]
    relied = last.loan.reliance
    return Loan(
        bank=bank,
        loan=last.loan.reference,
        taxpayer_id=last.taxpayer_id,
        product=last.loan.product,
        stage=lending_pb2.Stage.Name(last.stage).removeprefix("STAGE_"),
        event_date=last.event_date,
        granted_on=disbursed[0].event_date if disbursed else "",
        granted=sum(outcome.amount for outcome in disbursed),
        currency=last.loan.currency,
        edition=relied.manifest_digest.hex(),
        grade=_grade(relied.grade),
        evaluation_year=relied.evaluation_year,
        recalled=status.recalled,
        true_grade=_grade(status.true_grade),
        in_question=any(standing.state == lending_pb2.REPORT_STATE_HELD for _, standing, _ in rows),
        verified=all(verified for _, _, verified in rows),
    )


def _grade(number: int) -> str:
    return records_pb2.Grade.Name(number).removeprefix("GRADE_") if number else ""
