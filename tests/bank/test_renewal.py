"""A delivery that expired is offered anew: what a bank has of it, it keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.bank.fetch import Receiver
from adapters.bank.package import verify_package
from adapters.bank.receipts import RECEIVED
from audit import envelope
from gateway.exchange import wall_clock
from tests.bank.offers import DAY_MS, Offers
from tests.world import SealedEdition
from xinyi.errors import Conflict, Invalid
from xinyi.v1 import exchange_pb2

Package = exchange_pb2.DeliveryPackage


@pytest.fixture
def edition(offers: Offers) -> SealedEdition:
    return offers.edition(2500)


def taking(offers: Offers, edition: SealedEdition, upto: int) -> Callable[[Package], None]:
    """Receives an offer, with a line that breaks before chunk `upto`."""

    def take(package: Package) -> None:
        Receiver(offers.bank).receive(
            package, lambda _, start: list(enumerate(edition.chunks[:upto]))[start:]
        )

    return take


def yesterdays(offers: Offers, edition: SealedEdition) -> Package:
    """Offered 31 days ago, to be taken until yesterday."""
    now = wall_clock()
    return offers.package(edition, offered_at_ms=now - 31 * DAY_MS, expires_at_ms=now - DAY_MS)


def begin(offers: Offers, edition: SealedEdition, package: Package) -> None:
    """Two chunks under this offer, as they were taken in its time."""
    receiver = Receiver(offers.bank)
    intake = receiver.spool.open_intake(verify_package(package, receiver.trust))
    for number in range(2):
        intake.put(number, edition.chunks[number])


def test_what_fails_beside_a_chunk_costs_no_chunk(offers: Offers, edition: SealedEdition) -> None:
    """A database that refuses a row on resumption: the chunks hold, stay, and the failure is told as it is."""
    package = offers.package(edition)
    begin(offers, edition, package)

    def refuse(_: object) -> None:
        raise Invalid("the database takes no such letters", basis="landing.encoding")

    receiver = Receiver(offers.bank)
    verified = verify_package(package, receiver.trust)
    with pytest.raises(Invalid, match="no such letters"):
        receiver.spool.open_intake(verified, also=refuse)
    assert receiver.spool.open_intake(verified).next_chunk == 2


def test_a_begun_transfer_goes_on_under_the_new_offer(offers: Offers, edition: SealedEdition) -> None:
    """The chunks that came under the expired one are not sent again; the receipt names the new one."""
    old, new = yesterdays(offers, edition), offers.package(edition)
    begin(offers, edition, old)
    with pytest.raises(Conflict) as refused:
        taking(offers, edition, 3)(old)
    assert refused.value.basis == "delivery.expired"

    asked: list[int] = []

    def chunks(_: object, start: int) -> list[tuple[int, bytes]]:
        asked.append(start)
        return list(enumerate(edition.chunks))[start:]

    receiver = Receiver(offers.bank)
    fetched = receiver.receive(new, chunks)
    assert asked == [2]
    assert _named(receiver, fetched.delivery_id) == envelope.digest(new.delivery)


def test_what_was_taken_in_time_keeps_the_offer_it_was_taken_under(
    offers: Offers, edition: SealedEdition
) -> None:
    """The gateway had not heard of it and offers anew: the bank answers with the receipt it gave."""
    now = wall_clock()
    old = offers.package(edition, expires_at_ms=now + 1000)
    taking(offers, edition, 3)(old)
    new = offers.package(edition, offered_at_ms=now + 2000)
    receiver = Receiver(offers.bank)
    fetched = receiver.receive(new, lambda _, start: [])
    assert not fetched.new
    assert _named(receiver, fetched.delivery_id) == envelope.digest(old.delivery)
    kept = offers.bank.path / "evidence" / fetched.delivery_id / "delivery.dsse"
    assert kept.read_bytes() == old.delivery.SerializeToString(deterministic=True)


@pytest.mark.parametrize("begun", [True, False])
def test_another_document_before_the_first_expired_is_a_conflict(
    offers: Offers, edition: SealedEdition, begun: bool
) -> None:
    """One delivery, two documents that hold at one time: that is no renewal."""
    first = offers.package(edition)
    if begun:
        begin(offers, edition, first)
    else:
        taking(offers, edition, 3)(first)
    with pytest.raises(Conflict) as refused:
        taking(offers, edition, 3)(offers.package(edition, offered_at_ms=wall_clock() + 2000))
    assert refused.value.basis == "delivery.changed"


def _named(receiver: Receiver, delivery_id: str) -> bytes:
    edition = receiver.spool.find(delivery_id)
    assert edition is not None
    receipt = receiver.receipts.find(edition, RECEIVED)
    assert receipt is not None
    return exchange_pb2.DeliveryReceipt.FromString(receipt.payload).delivery_digest
