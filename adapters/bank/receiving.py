"""`receive`: fetch and land in one go, on one machine. Every record is verified once, while its row is written.

The same spool, receipts and table as with the two commands: after a crash anywhere, `receive`, or `fetch` and
`land`, go on with what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver, each
from adapters.bank.landing import Landing, Result
from adapters.bank.package import VerifiedPackage, verify_package


def receive_from_gateway(
    receiver: Receiver, landing: Landing, client: BankClient, products: Iterable[str]
) -> list[Result]:
    """Asks for each product once, and lands what an earlier run left ready.

    One failure does not keep the others; the first is raised last. Raises as `fetch` and `land` do.
    """

    def pull(product: str) -> list[Result]:
        held = receiver.spool.held(product)
        offered = client.pull(product, held.manifest_digest if held else b"")
        return _receive(receiver, landing, client, verify_package(offered, receiver.trust)) if offered else []

    works: list[Callable[[], list[Result]]] = [landing.land_all, *(partial(pull, product) for product in products)]
    return list(chain.from_iterable(each(lambda work: work(), works)))


def _receive(
    receiver: Receiver, landing: Landing, client: BankClient, package: VerifiedPackage
) -> list[Result]:
    """Nothing where the edition was complete here before: then it has landed, or is put aside."""
    with landing.target(package) as target, receiver.spool.lock(package.delivery_id):
        if receiver.known(package) is not None:
            return []
        staging = landing.begin(target, package)
        intake = receiver.begin(package, landing.examine, staging.take)
        receiver.fill(intake, client.chunks)
        edition = receiver.finish(intake)
        return [landing.finish(edition, package, target, staging)]
