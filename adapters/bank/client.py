"""BankClient: what a bank says to its gateway, as an SDK. The commands are thin over it.

with BankClient(Home.open(path)) as client:
    package = client.pull("grade-a", last_held=b"")
    for number, data in client.chunks(verify_package(package, trust), 0): ...
    acknowledgement = client.submit(receipt)
    proof = client.prove(acknowledgement.message.leaf, wait_s=30)
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol

from adapters.bank.package import VerifiedPackage
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from adapters.party.proving import prove
from audit.checkpoint import TlogProof
from audit.envelope import Opened, open_sealed
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import ExchangeError
from xinyi.notices import check_change_notice
from xinyi.v1 import (
    envelope_pb2,
    exchange_pb2,
    feed_service_pb2,
    feed_service_pb2_grpc,
    notice_pb2,
    notice_service_pb2,
    notice_service_pb2_grpc,
)

#: A slow line still carries this many records a second.
_RECORDS_PER_S = 500
_RETRY_AFTER_S = 300


class Watching(Protocol):
    """A stream that is read until it ends or is cancelled, from whichever thread."""

    def __iter__(self) -> Iterator[feed_service_pb2.WatchResponse]: ...

    def cancel(self) -> object: ...


class BankClient:
    """Use as a context manager. Raises what the gateway raised, VerificationError, or Unavailable."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.gateway = GatewayClient(home)
        #: When to ask again, as the gateway said last.
        self.retry_after_s = _RETRY_AFTER_S

    def __enter__(self) -> BankClient:
        self.gateway.__enter__()
        self._feed = feed_service_pb2_grpc.FeedServiceStub(self.gateway.channel)  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gateway.__exit__(kind, error, trace)

    def pull(self, product: str, last_held: bytes) -> exchange_pb2.DeliveryPackage | None:
        """What comes next behind the edition held; None where nothing is newer. The package is not verified yet.

        Args:
            last_held: document digest of the newest manifest held; empty for none.
        """
        response = self.ask(product, last_held)
        return None if response.unchanged else response.package

    def ask(self, product: str, last_held: bytes) -> feed_service_pb2.PullResponse:
        """The same with what else the gateway says: how many follow, when to ask again."""
        request = exchange_pb2.PullRequest(
            recipient=self.home.party,
            product=product,
            last_held=last_held,
            requested_at_ms=time.time_ns() // 1_000_000,
            nonce=secrets.token_bytes(16),
        )
        call = self.gateway.call(request)
        with errors_restored():
            response: feed_service_pb2.PullResponse = self._feed.Pull(
                feed_service_pb2.PullCall(call=call), timeout=UNARY_DEADLINE_S
            )
        self.gateway.advance(response.evidence, call.document)
        self.retry_after_s = response.retry_after_s or self.retry_after_s
        return response

    def watch(self, products: Iterable[str]) -> Watching:
        """Opens a stream of what there is to pull. It raises as `errors_restored` does while it is read."""
        request = exchange_pb2.WatchRequest(
            recipient=self.home.party,
            products=sorted(set(products)),
            requested_at_ms=time.time_ns() // 1_000_000,
            nonce=secrets.token_bytes(16),
        )
        watching: Watching = self._feed.Watch(feed_service_pb2.WatchCall(call=self.gateway.call(request)))
        return watching

    def notices(self) -> list[Opened[notice_pb2.ChangeNotice]]:
        """What changes when, as the gateway announces it, by effective date.

        Raises SignatureInvalid, EncodingInvalid or Invalid where one is not the gateway's or says nothing whole.
        """
        keys = self.home.gateway_keyring()
        stub = notice_service_pb2_grpc.NoticeServiceStub(self.gateway.channel)  # type: ignore[no-untyped-call]
        with errors_restored():
            response = stub.ListNotices(notice_service_pb2.ListNoticesRequest(), timeout=UNARY_DEADLINE_S)
        opened = [open_sealed(sealed, notice_pb2.ChangeNotice, keys) for sealed in response.notices]
        for notice in opened:
            check_change_notice(notice.message)
        return sorted(opened, key=lambda notice: (notice.message.effective_on, notice.message.number))

    def chunks(self, package: VerifiedPackage, from_chunk: int) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) from a chunk on, not verified. A broken stream raises Unavailable: resume there."""
        request = feed_service_pb2.FetchChunksRequest(delivery_id=package.delivery_id, from_chunk=from_chunk)
        deadline = UNARY_DEADLINE_S + package.manifest.message.record_count / _RECORDS_PER_S
        if from_chunk == package.chunk_count:
            return
        with errors_restored():
            for response in self._feed.FetchChunks(request, timeout=deadline):
                yield response.number, response.data

    def submit(self, receipt: envelope_pb2.Envelope) -> Opened[exchange_pb2.Acknowledgement]:
        """Hands in a sealed receipt; the same receipt again gets the same acknowledgement."""
        call = self.gateway.wrap(receipt)
        try:
            with errors_restored():
                response = self._feed.SubmitReceipt(
                    feed_service_pb2.SubmitReceiptRequest(call=call), timeout=UNARY_DEADLINE_S
                )
        except ExchangeError as error:
            self.gateway.refusal(error)  # what is kept as evidence must be the gateway's own
            raise
        return self.gateway.accept(response.answer, receipt)

    def prove(self, leaf: bytes, *, wait_s: float) -> TlogProof | None:
        """Inclusion of a log leaf in a head that extends ours; None where it is not published in time."""
        return prove(self.gateway, leaf, wait_s=wait_s)
