"""Publishing a table: which edition it becomes, and that it becomes one only once.

1. an edition that was sealed before and has not arrived goes first  2. the same file for the same period is
not published twice  3. the new edition follows the newest one that the gateway shows  4. build, 5. submit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.bureau import submission
from adapters.bureau.building import Place, build
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.standing import contradictions, open_manifest
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from adapters.tables.reading import Table
from xinyi.errors import Conflict, Invalid, VerificationError
from xinyi.processes import Crew
from xinyi.v1 import edition_pb2
from xinyi.v1 import publication_service_pb2 as pb


@dataclass(frozen=True)
class Published:
    edition: Edition
    #: "edition.ready", "edition.held", or "already" where this file had been published before.
    outcome: str
    resumed: bool


def publish(
    home: Home,
    client: GatewayClient,
    table: Table,
    product: str,
    period: edition_pb2.Period,
    progress: Callable[[str, int], None],
    *,
    without_comparison: bool = False,
    crew: Crew | None = None,
) -> Published:
    """Args:
    progress: called with what is counted ("rows" or "chunks") and how many are done.
    without_comparison: publish although this home has no copy of the predecessor.
    crew: who works on large tables; this process where None.

    Raises Conflict where another edition has to be dealt with first.
    """
    if not table.certain:
        raise Invalid(
            f"{table.name} looks like {table.encoding}, which its bytes cannot prove: "
            f"state it with --encoding {table.encoding}, or in the profile",
            basis="source.encoding",
        )
    editions = Editions(home.state)
    own = [edition for edition in editions.all() if edition.manifest.product == product]
    # 1
    for edition in own:
        if edition.acknowledgement is None:
            if not _is_of(edition.manifest, table, period):
                raise Conflict(
                    f"edition {edition.path.name[:16]} was sealed and has not arrived at the gateway: "
                    "publish its file again, or `cancel` it",
                    basis="edition.pending",
                )
            outcome = submission.submit(client, edition, lambda n: progress("chunks", n))
            return Published(edition, outcome, resumed=True)
    statuses = submission.list_editions(client, product)
    live = [status for status in statuses if status.state != "CANCELLED"]
    # 2
    for status in reversed(live):
        if _is_of(manifest := open_manifest(status, home).message, table, period):
            known = editions.find(status.manifest_digest)
            if known is not None:
                return Published(known, "already", resumed=False)
            raise Conflict(
                f"{manifest.issued_by} has published this file for this period already",
                basis="edition.repeated",
            )
    # 3
    place = _place(home, editions, own, statuses, live, Place(product, period))
    if place.predecessor and place.previous is None and not without_comparison:
        raise Conflict(
            f"this home has no copy of the preceding edition {place.predecessor.hex()[:16]}: nothing can be "
            "compared, and every salt would be new. Copy its folder from the home that published it to "
            f"{editions.path}, or publish --without-comparison",
            basis="edition.predecessor",
        )
    # 4
    edition = build(editions, table, place, home.signers(), lambda rows: progress("rows", rows), crew)
    # 5
    return Published(
        edition, submission.submit(client, edition, lambda n: progress("chunks", n)), resumed=False
    )


def drop_unsubmitted(home: Home, edition: Edition) -> None:
    """Forgets a sealed edition that never reached the gateway. Raises Conflict where it did."""
    if edition.acknowledgement is not None:
        raise Conflict("the gateway has this edition: cancel it there", basis="edition.state")
    shutil.rmtree(edition.path)


def _is_of(manifest: edition_pb2.Manifest, table: Table, period: edition_pb2.Period) -> bool:
    source = manifest.source
    return (
        source.sha256 == table.sha256
        and source.profile_sha256 == table.profile.sha256
        and manifest.period == period
    )


def _place(
    home: Home,
    editions: Editions,
    own: Sequence[Edition],
    statuses: Sequence[pb.EditionStatus],
    live: Sequence[pb.EditionStatus],
    place: Place,
) -> Place:
    """After the newest edition that the gateway shows, provided it hides none."""
    hidden = contradictions(statuses, [e.digest for e in own if e.acknowledgement is not None])
    if hidden:
        raise VerificationError(
            f"the gateway acknowledged edition {hidden[0][:16]} and does not show it any more",
            basis="edition.hidden",
        )
    if not live:
        return place
    newest = live[-1]
    if newest.state in ("READY", "HELD"):
        raise Conflict(
            f"edition {newest.manifest_digest.hex()[:16]} is {newest.state}: approve or cancel it first",
            basis="edition.predecessor",
        )
    manifest = open_manifest(newest, home).message
    if (place.period.year, place.period.month) < (manifest.period.year, manifest.period.month):
        raise Conflict(
            f"the newest edition is of {manifest.period.year}-{manifest.period.month:02d}, a later period",
            basis="edition.period",
        )
    return Place(
        place.product,
        place.period,
        sequence=manifest.sequence + 1,
        predecessor=newest.manifest_digest,
        previous=editions.find(newest.manifest_digest),
    )
