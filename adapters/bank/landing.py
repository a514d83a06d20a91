"""`land`: ready editions into the database or a file, each product's one behind the other. No network.

    documents verified → chunks verified and staged beside what is visible → the state's root → rows read back and
    compared → made visible → ACCEPTED or PARTIAL, then APPLIED signed → landed/

A CORRECTION whose turn has not come takes back the rows it names at once, and lands in its turn like any other.

A crash anywhere: run it again. Before the swap it stages anew; after it, it verifies the chunks again,
compares the landed rows with them and goes on. Receipts are signed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog

from adapters.bank.chain import Chain, Link, read_link
from adapters.bank.evidence import Evidence
from adapters.bank.outcome import Outcomes, Result
from adapters.bank.package import Held, Trust, VerifiedPackage, check_clock, verify_package
from adapters.bank.product_landing import Means, ProductLanding, examine, held
from adapters.bank.receipts import Receipts, now_ms
from adapters.bank.rows import ExaminedRows
from adapters.bank.rules import BankRules
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.bank.state import State
from adapters.party.home import Home
from adapters.tables.target import Target
from audit.chunk_stream import Examine
from xinyi.errors import ExchangeError, VerificationError
from xinyi.processes import Crew

log = structlog.get_logger()


class Landing:
    """One run of `land`.

    Args:
        open_target: the target of a product; closed when its editions are through.
        crew: who verifies the chunks of large editions; this process where None.
    """

    def __init__(
        self, home: Home, open_target: Callable[[str], Target], crew: Crew | None = None
    ) -> None:
        settings = BankSettings.of(home)
        self.spool = Spool(settings.spool)
        receipts = Receipts(settings.spool, home.signers())
        self._means = Means(
            Trust.of(
                home.keyring(),
                recipient=home.party,
                gateway=home.settings.gateway.party,
                origins=settings.origins,
            ),
            BankRules(settings.rules),
            self.spool,
            receipts,
            Outcomes(self.spool, receipts, Evidence(settings.evidence)),
            crew,
        )
        self._open_target = open_target
        #: Editions that wait for the ones before them.
        self.waiting = 0

    @property
    def examine(self) -> Examine[ExaminedRows]:
        return examine(self._means.rules)

    @contextmanager
    def product(self, product: str) -> Iterator[ProductLanding]:
        with self._opened(product) as target, State(self.spool.path / "state", product) as state:
            yield ProductLanding(product, self._means, target, state)

    @contextmanager
    def _opened(self, product: str) -> Iterator[Target]:
        target = self._open_target(product)
        try:
            yield target
        finally:
            target.close()

    def shown(self, product: str) -> Held | None:
        """The edition that the target shows."""
        with self._opened(product) as target:
            return held(target.landed(product))

    def land_all(self, products: Iterable[str] = ()) -> list[Result]:
        """Every ready edition that can follow, the oldest first; corrections take back before all else.

        One that does not hold is put aside, and the first such failure is raised at the end.

        Args: products — where the target may have lost what has landed, too, and gets it again.
        """
        self.waiting = 0
        wanted, results = set(products), list[Result]()
        failures: list[ExchangeError] = []
        for edition in self.spool.editions("ready"):
            try:
                wanted.add(read_link(edition).manifest.product)
            except ExchangeError as error:
                failures.append(self._put_aside(edition, None, error))
        for product in sorted(wanted):
            with self.product(product) as work:
                for links, land in (
                    (work.begun, work.land),
                    (work.early, work.recall),
                    (work.due, work.land),
                    (work.untold, work.recall),
                ):
                    for link in links():
                        self._land(link, land, results, failures)
        if failures:
            raise failures[0]
        return results

    def _land(
        self,
        link: Link,
        land: Callable[[SpooledEdition, VerifiedPackage], Result],
        results: list[Result],
        failures: list[ExchangeError],
    ) -> None:
        edition, package = link.edition, None
        try:
            with self.spool.lock(edition.delivery_id):
                package = verify_package(edition.package(), self._means.trust)
                if not link.landed:  # before it shows: it could not be signed for
                    check_clock(package.delivery.message, now_ms())
                # `fetch` may have died after its rename: what is ready is held.
                self.spool.hold(package)
                results.append(land(edition, package))
        except ExchangeError as error:
            if error.basis == "edition.gap":
                self.waiting += not link.landed
            else:
                failures.append(self._put_aside(edition, package, error))

    def _put_aside(
        self, edition: SpooledEdition, package: VerifiedPackage | None, error: ExchangeError
    ) -> ExchangeError:
        """An edition that is itself at fault goes to refused/; trouble of this machine is raised as it is."""
        at_fault = isinstance(error, VerificationError) and not error.basis.startswith("landing.")
        if not at_fault and not error.basis.startswith("edition."):
            raise error
        log.error("landing.refused", delivery=edition.delivery_id, code=error.code, basis=error.basis)
        if package is not None and at_fault:
            self._go_back(package)
        with self.spool.lock(edition.delivery_id):
            self.spool.refuse(edition, error)
        return error

    def _go_back(self, package: VerifiedPackage) -> None:
        """Where what is held came from a refused edition: its predecessor, as its manifest names it, is held again."""
        manifest, held = package.manifest.message, self.spool.held(package.product)
        chain = Chain(self.spool, package.product)
        if held is None or not chain.builds_on(package.manifest.digest, held.manifest_digest):
            return
        before = Held(manifest.origin, manifest.sequence - 1, manifest.predecessor)
        self.spool.rewind(package.product, before if manifest.sequence > 1 else None)
