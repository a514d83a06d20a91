"""What a bank says to its gateway about what it lent. Answers are verified here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from adapters.bank.client import BankClient
from audit.checkpoint import TlogProof
from audit.envelope import Opened, digest, open_sealed
from audit.keys import Keyring
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import Contradiction, DigestMismatch, EncodingInvalid, ExchangeError, Invalid, Refused
from xinyi.v1 import envelope_pb2, exchange_pb2, lending_pb2
from xinyi.v1 import lending_service_pb2 as pb

if TYPE_CHECKING:
    from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

COUNTED, HELD = lending_pb2.REPORT_STATE_COUNTED, lending_pb2.REPORT_STATE_HELD


@dataclass(frozen=True)
class Answered:
    """The gateway's answer to a table, both documents verified."""

    acknowledgement: Opened[exchange_pb2.Acknowledgement]
    receipt: Opened[lending_pb2.TableReceipt]


class Way(Protocol):
    """The network or a folder."""

    def submit_table(self, sealed: envelope_pb2.Envelope) -> Answered | None:
        """None where the answer has not come yet (a folder). Raises the gateway's refusal."""
        ...

    def prove(self, leaf: bytes, *, wait_s: float) -> TlogProof | None: ...


class LendingClient:
    """Over an open BankClient. Raises what the gateway raised, VerificationError, or Unavailable."""

    def __init__(self, client: BankClient) -> None:
        self._client = client
        self._gateway = client.gateway
        self.home = client.home

    def terms(self) -> list[pb.ReportingTerms]:
        """What the agreements in force want reported."""
        with errors_restored():
            response = self._stub().GetReportingTerms(pb.GetReportingTermsRequest(), timeout=UNARY_DEADLINE_S)
        return list(response.terms)

    def submit_table(self, sealed: envelope_pb2.Envelope) -> Answered:
        """The same table again gets the same answer."""
        call = self._gateway.wrap(sealed)
        try:
            with errors_restored():
                response = self._stub().SubmitTable(pb.SubmitTableRequest(call=call), timeout=UNARY_DEADLINE_S)
        except ExchangeError as error:
            self._gateway.refusal(error)  # what is kept as evidence must be the gateway's own
            raise
        acknowledgement = self._gateway.accept(response.answer, sealed)
        receipt = open_receipt(response.receipt, digest(sealed), self.home.gateway_keyring())
        return Answered(acknowledgement, receipt)

    def prove(self, leaf: bytes, *, wait_s: float) -> TlogProof | None:
        return self._client.prove(leaf, wait_s=wait_s)

    def reports(
        self, period: lending_pb2.LendingPeriod | None = None, as_of: str = "", document: bytes = b""
    ) -> pb.ListReportsResponse:
        """Own tables and batches as they stood at the end of a day; the seals are not verified yet.

        Args: as_of — ISO date, in China; empty for now. document — digest of the only one wanted: a batch comes with
            its receipt then.
        """
        request = pb.ListReportsRequest(period=period, as_of=as_of, document=document)
        with errors_restored():
            response: pb.ListReportsResponse = self._stub().ListReports(request, timeout=UNARY_DEADLINE_S)
        return response

    def answer_questions(self, sealed: envelope_pb2.Envelope) -> Opened[exchange_pb2.Acknowledgement]:
        call = self._gateway.wrap(sealed)
        try:
            with errors_restored():
                response = self._stub().AnswerQuestions(pb.AnswerQuestionsRequest(call=call), timeout=UNARY_DEADLINE_S)
        except ExchangeError as error:
            self._gateway.refusal(error)  # what is kept as evidence must be the gateway's own
            raise
        return self._gateway.accept(response.answer, sealed)

    def _stub(self) -> LendingServiceStub:
        from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

        return LendingServiceStub(self._gateway.channel)  # type: ignore[no-untyped-call]


def is_final(refusal: Refused) -> bool:
    """Whether what was sent is what is wrong, whenever it comes. Otherwise something else has to be put right, or to
    come, first (an agreement, a right, another table, chunks that were dropped): the same bytes go out again then."""
    return isinstance(refusal, Invalid | Contradiction) or refusal.basis == "lending.conflict"


def open_receipt(
    sealed: envelope_pb2.Envelope, table: bytes, gateway: Keyring
) -> Opened[lending_pb2.TableReceipt]:
    """1. sealed by the gateway, 2. about this table, 3. it says what became of it: counted, or why not.

    Raises SignatureInvalid, EncodingInvalid, DigestMismatch.
    """
    # 1
    opened = open_sealed(sealed, lending_pb2.TableReceipt, gateway)
    receipt = opened.message
    # 2
    if receipt.table != table:
        raise DigestMismatch("the gateway gave the receipt of another table")
    # 3
    if receipt.state not in (COUNTED, HELD) or (receipt.state == HELD) is not bool(receipt.questions):
        raise EncodingInvalid("the table's receipt neither counts it nor says why not")
    return opened
