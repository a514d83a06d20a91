"""`catch-up`: from whatever edition spool and target hold to the newest, in one go. A crash anywhere: run it again.

After a backup was restored the two may differ. The older one decides where to go on: what the target has lost lands
again out of the spool, what the spool has lost is asked for again and found to be in the target already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from adapters.bank.chain import Link, read_link
from adapters.bank.fetch import TOO_OFTEN, refused_before
from adapters.bank.landing import Landing
from adapters.bank.outcome import Result
from adapters.bank.package import Held
from adapters.bank.spool import Spool
from xinyi.errors import ExchangeError

log = structlog.get_logger()


@dataclass(frozen=True)
class Caught:
    """What became of one product."""

    product: str
    #: Editions that target and spool held before; 0 for none.
    database: int
    spool: int
    #: Edition that the target shows now.
    level: int
    editions: int
    #: Of these editions.
    records: int
    recalls: int

    @property
    def moved(self) -> bool:
        return self.editions > 0 or self.recalls > 0


def catch_up(
    spool: Spool, landing: Landing, fetch: Callable[[], object], products: Iterable[str]
) -> tuple[list[Caught], list[Result]]:
    """
    Args:
        fetch: takes into the spool what is newer than what it holds.

    Raises as `fetch` and `land` do, and Conflict where an edition that was refused here stands in the way. What was
    fetched before, now or in an earlier run, has landed all the same; then a poll too many is no failure.
    """
    wanted = list(products)
    before = {product: (landing.shown(product), spool.held(product)) for product in wanted}
    for product, (database, own) in before.items():
        if _sequence(database) != _sequence(own):
            log.warning("catch_up.differs", product=product, database=_sequence(database), spool=_sequence(own))
    results = _fetch_and_land(landing, fetch, wanted)
    behind = [product for product in wanted if _is_behind(landing.shown(product), spool.held(product))]
    refused = {product: link for product in behind if (link := _refused(spool, product, landing.shown(product)))}
    behind = [product for product in behind if product not in refused]
    if behind:
        # The spool lacks records between the two: they are asked for from where the target stands.
        for product in behind:
            log.warning("catch_up.back", product=product, database=_sequence(landing.shown(product)))
            spool.rewind(product, landing.shown(product))
        results += _fetch_and_land(landing, fetch, wanted)
    for link in refused.values():
        raise refused_before(link.edition, link.manifest)
    return [_caught(product, *before[product], landing, results) for product in wanted], results


def _fetch_and_land(landing: Landing, fetch: Callable[[], object], products: list[str]) -> list[Result]:
    try:
        fetch()
    except ExchangeError as error:
        results = landing.land_all(products)  # a recall that came before must not wait for a right to more
        if results and error.basis == TOO_OFTEN:
            log.warning("catch_up.too_often")  # what there was has landed
            return results
        raise
    return landing.land_all(products)


def _refused(spool: Spool, product: str, database: Held | None) -> Link | None:
    """The edition that follows on what the target shows, where it was refused here."""
    follows = database.manifest_digest if database is not None else b""
    for edition in spool.editions("refused"):
        link = read_link(edition)
        if (link.manifest.product, link.manifest.predecessor) == (product, follows):
            return link
    return None


def _is_behind(database: Held | None, own: Held | None) -> bool:
    return own is not None and _sequence(database) < own.sequence


def _sequence(edition: Held | None) -> int:
    return edition.sequence if edition is not None else 0


def _caught(
    product: str, database: Held | None, own: Held | None, landing: Landing, results: list[Result]
) -> Caught:
    done = [result for result in results if result.product == product and result.stage != "rejected"]
    landed = [result for result in done if not result.recall]
    return Caught(
        product=product,
        database=_sequence(database),
        spool=_sequence(own),
        level=_sequence(landing.shown(product)),
        editions=len(landed),
        records=sum(result.accepted + result.rejected for result in landed),
        recalls=len(done) - len(landed),
    )
