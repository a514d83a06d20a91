"""Publishing a table: which edition it becomes, and that it becomes one only once.

1. an edition that was sealed before and has not arrived goes first  2. the same file for the same period is
not published twice  3. the new edition follows the newest one that the gateway shows  4. build, 5. submit.

The first edition of a calendar year is a FULL: it blinds and salts anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from adapters.bureau import submission
from adapters.bureau.building import CORRECTION, FULL, Place, build
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.standing import contradictions, open_manifest
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from adapters.tables.reading import Table
from xinyi.errors import Conflict, Invalid, Unknown, VerificationError
from xinyi.fields import check_sentence
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
    kind: edition_pb2.EditionKind = FULL,
    corrects: bytes = b"",
    reason: str = "",
    without_comparison: bool = False,
    crew: Crew | None = None,
    sealed: Callable[[Edition], None] = lambda edition: None,
) -> Published:
    """Args:
    progress: called with what is counted ("rows" or "chunks") and how many are done.
    sealed: called with a new edition before it is sent.
    corrects: manifest digest of the edition that a CORRECTION corrects.
    reason: of a CORRECTION, what was wrong; names no taxpayer.
    without_comparison: publish a FULL that blinds anew although this home has lost the predecessor.
    crew: who works on large tables; this process where None.

    Raises Conflict where another edition has to be dealt with first.
    """
    if reason:
        # The whole manifest is checked in the end; a large file need not be read for this.
        check_sentence(reason, "manifest.reason")
    if not table.certain:
        raise Invalid(
            f"{table.name} looks like {table.encoding}, which its bytes cannot prove: "
            f"state it with --encoding {table.encoding}, or in the profile",
            basis="source.encoding",
        )
    if kind == FULL and table.profile.tells_changes:
        raise Invalid(
            f"profile {table.profile.name} is of a file of changes: whoever it does not name would be gone",
            basis="profile.change",
        )
    asked = Place(product, period, kind, reason=reason)
    editions = Editions(home.state)
    own = [edition for edition in editions.all() if edition.manifest.product == product]
    # 1
    for edition in own:
        if edition.acknowledgement is None:
            if not _is_of(edition.manifest, table, asked, corrects):
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
        if _is_of(manifest := open_manifest(status, home).message, table, asked, corrects):
            known = editions.find(status.manifest_digest)
            if known is not None:
                return Published(known, "already", resumed=False)
            raise Conflict(
                f"{manifest.issued_by} has published this file for this period already",
                basis="edition.repeated",
            )
    # 3
    place = _place(home, editions, own, statuses, live, asked, without_comparison=without_comparison)
    if kind == CORRECTION:
        place = replace(place, corrects=_find_corrected(editions, live, corrects))
    # 4
    edition = build(editions, table, place, home.signers(), lambda rows: progress("rows", rows), crew)
    sealed(edition)
    # 5
    return Published(
        edition, submission.submit(client, edition, lambda n: progress("chunks", n)), resumed=False
    )


def drop_unsubmitted(home: Home, edition: Edition) -> None:
    """Forgets a sealed edition that never reached the gateway. Raises Conflict where it did."""
    if edition.acknowledgement is not None:
        raise Conflict("the gateway has this edition: cancel it there", basis="edition.state")
    shutil.rmtree(edition.path)


def newest_published(client: GatewayClient, product: str) -> Edition:
    """This home's copy of the newest published edition. Raises Unknown, Conflict."""
    statuses = submission.list_editions(client, product)
    published = [status for status in statuses if status.product == product and status.state == "PUBLISHED"]
    if not published:
        raise Unknown(f"no edition of {product} is published", basis="edition.unknown")
    copy = Editions(client.home.state).find(published[-1].manifest_digest)
    if copy is None:
        raise Conflict(
            f"this home has no copy of edition {published[-1].manifest_digest.hex()[:16]}: ask from the home that "
            "published it",
            basis="edition.predecessor",
        )
    return copy


def _is_of(manifest: edition_pb2.Manifest, table: Table, asked: Place, corrects: bytes) -> bool:
    source = manifest.source
    return (
        source.sha256 == table.sha256
        and source.profile_sha256 == table.profile.sha256
        and (manifest.period, manifest.kind, manifest.corrects) == (asked.period, asked.kind, corrects)
    )


def _place(
    home: Home,
    editions: Editions,
    own: Sequence[Edition],
    statuses: Sequence[pb.EditionStatus],
    live: Sequence[pb.EditionStatus],
    place: Place,
    *,
    without_comparison: bool,
) -> Place:
    """After the newest edition that the gateway shows, provided it hides none."""
    hidden = contradictions(statuses, [e.digest for e in own if e.acknowledgement is not None])
    if hidden:
        raise VerificationError(
            f"the gateway acknowledged edition {hidden[0][:16]} and does not show it any more",
            basis="edition.hidden",
        )
    if not live:
        if place.kind != FULL:
            raise Conflict("the first edition of a product is a FULL", basis="edition.year")
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
    if newest.state == "STOPPED" and place.kind != FULL:
        raise Conflict(
            f"edition {newest.manifest_digest.hex()[:16]} was stopped: nothing builds on it, publish a FULL",
            basis="edition.after_stop",
        )
    place = replace(
        place,
        sequence=manifest.sequence + 1,
        predecessor=newest.manifest_digest,
        previous=_previous(editions, newest.manifest_digest, may_be_lost=place.kind == FULL and without_comparison),
    )
    _check_place(place, manifest.period, editions, without_comparison=without_comparison)
    return place


def _previous(editions: Editions, digest: bytes, *, may_be_lost: bool) -> Edition | None:
    """This home's copy of the preceding edition, with those it builds on.

    None where it lacks it; or one of those, where that may be. Else their lack is told when they are read.
    """
    found = editions.find(digest)
    if found is not None and may_be_lost:
        try:
            editions.chain(found)
        except Conflict:
            return None
    return found


def _find_corrected(editions: Editions, live: Sequence[pb.EditionStatus], corrects: bytes) -> Edition:
    """The copy of the edition that is corrected. Raises Conflict where it was never published, or there is none."""
    states = {status.manifest_digest: status.state for status in live}
    if states.get(corrects) not in ("PUBLISHED", "SUPERSEDED", "STOPPED"):
        raise Conflict(
            f"edition {corrects.hex()[:16]} of this product was not published: nobody was told anything to correct",
            basis="manifest.corrects",
        )
    corrected = editions.find(corrects)
    if corrected is None:
        raise Conflict(
            f"this home has no copy of edition {corrects.hex()[:16]}, so it cannot be told who stood in it: copy its "
            f"folder from the home that published it to {editions.path}",
            basis="manifest.corrects",
        )
    return corrected


def _check_place(
    place: Place, before: edition_pb2.Period, editions: Editions, *, without_comparison: bool
) -> None:
    """Raises Conflict where an edition of this kind cannot follow there.

    Args: before — the preceding edition's.
    """
    same_year = before.year == place.period.year
    if place.kind != FULL and not same_year:
        raise Conflict(
            f"the first edition of {place.period.year} is a FULL, which blinds and salts anew: publish the whole file",
            basis="edition.year",
        )
    if place.previous is None and (place.kind != FULL or not without_comparison):
        raise Conflict(
            f"this home has no copy of the preceding edition {place.predecessor.hex()[:16]}: nothing can be compared, "
            "and neither its blinding key nor its salts are known; the gateway does not hand them back. Copy "
            f"state/editions from a backup, or its folder from the home that published it, to {editions.path}. Where "
            "it is lost for good, publish the whole file --without-comparison: a FULL that blinds anew, upon which the "
            "year goes on. What was published before can then not be corrected from this home",
            basis="edition.predecessor",
        )
