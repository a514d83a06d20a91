"""`receive`: fetch and land in one go, on one machine. Every record is verified once, while its row is written.

The same spool, receipts and table as with the two commands: after a crash anywhere, `receive`, or `fetch` and
`land`, go on with what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

from adapters.bank.chain import FULL
from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver, each, offers
from adapters.bank.landing import Landing
from adapters.bank.outcome import Result
from adapters.bank.package import VerifiedPackage, verify_package


def receive_from_gateway(
    receiver: Receiver, landing: Landing, client: BankClient, products: Iterable[str]
) -> list[Result]:
    """Asks for each product until nothing is newer, and lands what an earlier run left ready.

    A FULL is verified once, while its rows are written; what changes it is small, and goes by the spool.

    One failure does not keep the others; the first is raised last. Raises as `fetch` and `land` do.
    """

    def pull(product: str) -> list[Result]:
        results: list[Result] = []
        for offered in offers(receiver, client, product):
            package = verify_package(offered, receiver.trust)
            if package.manifest.message.kind == FULL:
                results += _receive(receiver, landing, client, package)
            else:
                receiver.receive(offered, client.chunks)
        return results + landing.land_all()

    works: list[Callable[[], list[Result]]] = [landing.land_all, *(partial(pull, product) for product in products)]
    return list(chain.from_iterable(each(lambda work: work(), works)))


def _receive(
    receiver: Receiver, landing: Landing, client: BankClient, package: VerifiedPackage
) -> list[Result]:
    """Nothing where the edition was complete here before: then it has landed, or is put aside."""
    with landing.product(package.product) as work, receiver.spool.lock(package.delivery_id):
        if receiver.known(package) is not None:
            return []
        staging = work.begin(package)
        intake = receiver.begin(package, landing.examine, staging.take)
        receiver.fill(intake, client.chunks)
        edition = receiver.finish(intake)
        return [work.finish(edition, package, staging)]
