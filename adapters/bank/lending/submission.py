"""A batch on its way: begun, its chunks sent from where an earlier attempt broke off, committed, receipted.

Whatever is asked again is asked with the same sealed bytes, so nothing can happen twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from adapters.bank.client import BankClient
from adapters.bank.lending.batch import KeptBatch
from adapters.bank.lending.client import is_final
from audit.envelope import Opened, open_sealed
from audit.keys import Keyring
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import DigestMismatch, EncodingInvalid, Refused
from xinyi.v1 import envelope_pb2, exchange_pb2, lending_pb2
from xinyi.v1 import lending_service_pb2 as pb

if TYPE_CHECKING:
    from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

#: Seconds for a stream of chunks besides those its outcomes take, and for judging them.
_STREAM_DEADLINE_S = 120.0
_OUTCOMES_PER_S = 1_000
#: For a list of all that the bank ever reported.
_LISTING_DEADLINE_S = 3600.0


def send(client: BankClient, kept: KeptBatch, sent: Callable[[int], object] = lambda chunks: None) -> None:
    """Until the receipt is kept.

    Raises the gateway's refusal, and keeps it where it is final; Unavailable: run it again.

    Args: sent — is told how many chunks the gateway was sent.
    """
    try:
        answer, receipt = _send(client, kept, sent)
    except Refused as error:
        if error.sealed:
            client.gateway.refusal(error)  # what is kept as evidence must be the gateway's own
            if is_final(error):
                kept.refuse(error.sealed)
        raise
    acknowledgement = client.gateway.accept(answer, kept.sealed)
    opened = open_receipt(receipt, kept, client.home.gateway_keyring())
    # A crash before this line: the next attempt gets the stored answer.
    kept.answered(acknowledgement.envelope, opened.envelope)


def _send(
    client: BankClient, kept: KeptBatch, sent: Callable[[int], object]
) -> tuple[exchange_pb2.Answer, envelope_pb2.Envelope]:
    stub = _stub(client)
    wrap = client.gateway.wrap
    deadline = _STREAM_DEADLINE_S + kept.message.count / _OUTCOMES_PER_S
    with errors_restored():
        begun = stub.BeginOutcomes(pb.BeginOutcomesRequest(call=wrap(kept.sealed)), timeout=UNARY_DEADLINE_S)
        if begun.HasField("answer"):
            return begun.answer, begun.receipt
        if begun.next_chunk < len(kept.message.chunk_roots):
            stub.PutOutcomes(_requests(kept, begun.next_chunk, sent), timeout=deadline)
        done = stub.CommitOutcomes(pb.CommitOutcomesRequest(call=wrap(kept.sealed)), timeout=deadline)
    return done.answer, done.receipt


def _requests(kept: KeptBatch, start: int, sent: Callable[[int], object]) -> Iterator[pb.PutOutcomesRequest]:
    for number, data in kept.chunks(start):
        yield pb.PutOutcomesRequest(batch=kept.digest if number == start else b"", number=number, data=data)
        sent(number + 1)


def open_receipt(
    sealed: envelope_pb2.Envelope, kept: KeptBatch, gateway: Keyring
) -> Opened[lending_pb2.OutcomeReceipt]:
    """1. sealed by the gateway, 2. about this batch, 3. every row of it has become something.

    Raises SignatureInvalid, EncodingInvalid, DigestMismatch.
    """
    # 1
    opened = open_sealed(sealed, lending_pb2.OutcomeReceipt, gateway)
    receipt = opened.message
    # 2
    if receipt.batch != kept.digest:
        raise DigestMismatch("the gateway gave the receipt of another batch")
    # 3
    told = receipt.counted + receipt.held + receipt.repeated + receipt.conflicts + receipt.refused
    if told != kept.message.count:
        raise EncodingInvalid(f"the receipt speaks of {told:,} outcomes, the batch holds {kept.message.count:,}")
    return opened


def list_outcomes(client: BankClient, state: int, as_of: str) -> Iterator[pb.OutcomeStatus]:
    """The bank's own rows as they stood at the end of a day.

    Args: state — ReportState, 0 for all; as_of — ISO date, in China; empty for now.
    """
    request = pb.ListOutcomesRequest(state=state, as_of=as_of)  # type: ignore[arg-type]
    with errors_restored():
        for page in _stub(client).ListOutcomes(request, timeout=_LISTING_DEADLINE_S):
            yield from page.outcomes


def _stub(client: BankClient) -> LendingServiceStub:
    from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

    return LendingServiceStub(client.gateway.channel)  # type: ignore[no-untyped-call]
