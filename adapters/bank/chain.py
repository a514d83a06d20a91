"""How the editions of one product in the spool follow each other, as their manifests say. Nothing here is verified.

Whoever reads a chunk by it verifies the documents and the chunk first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from adapters.bank.package import Trust, verify_package
from adapters.bank.spool import Spool, SpooledEdition
from audit import envelope
from audit.envelope import parse_strict
from xinyi.errors import Unknown, VerificationError
from xinyi.v1 import edition_pb2

log = structlog.get_logger()

FULL = edition_pb2.EDITION_KIND_FULL
CORRECTION = edition_pb2.EDITION_KIND_CORRECTION


@dataclass(frozen=True)
class Link:
    edition: SpooledEdition
    digest: bytes
    manifest: edition_pb2.Manifest

    @property
    def landed(self) -> bool:
        return self.edition.path.parent.name == "landed"

    @property
    def whole(self) -> bool:
        """Whether its records were not purged."""
        return self.manifest.record_count == 0 or (self.edition.path / "chunks").exists()

    @property
    def full(self) -> bool:
        return self.manifest.kind == FULL


class Chain:
    """The ready and landed editions of a product."""

    def __init__(self, spool: Spool, product: str) -> None:
        self._links: dict[bytes, Link] = {}
        for state in ("landed", "ready"):
            for edition in spool.editions(state):
                try:
                    link = read_link(edition)
                except (VerificationError, Unknown) as error:
                    log.warning("spool.unreadable", delivery=edition.delivery_id, basis=error.basis)
                    continue
                if link.manifest.product == product:
                    self._links[link.digest] = link

    def __iter__(self) -> Iterator[Link]:
        """In the order of the editions."""
        return iter(sorted(self._links.values(), key=lambda link: link.manifest.sequence))

    def find(self, digest: bytes) -> Link | None:
        return self._links.get(digest)

    def back(self, digest: bytes) -> Iterator[Link]:
        """An edition, and those before it as far as they are here, up to the FULL they build on."""
        link = self._links.get(digest)
        while link is not None:
            yield link
            link = None if link.full else self._links.get(link.manifest.predecessor)

    def path(self, known: bytes, wanted: bytes) -> list[Link]:
        """What takes a state from one edition to another, in order: what lies between, or a FULL and what follows.

        Raises Unknown where the records for it are not here.
        """
        path: list[Link] = []
        for link in self.back(wanted):
            if link.digest == known:
                return path[::-1]
            if not link.whole:
                break
            path.append(link)
            if link.full or link.manifest.predecessor == known:
                return path[::-1]
        raise Unknown(
            f"the records that edition {wanted.hex()[:16]}… builds on are not in the spool: run xinyi-bank catch-up",
            basis="state.lost",
        )

    def builds_on(self, digest: bytes, later: bytes) -> bool:
        """Whether a later edition came from this one by changes alone."""
        return any(link.digest == digest for link in self.back(later))


def advance(spool: Spool, product: str, trust: Trust) -> None:
    """Holds what follows the edition that is held and is here already: a CORRECTION that came before its turn."""
    while (held := spool.held(product)) is not None:
        following = [link for link in Chain(spool, product) if link.manifest.predecessor == held.manifest_digest]
        for link in following:
            spool.hold(verify_package(link.edition.package(), trust))
        if spool.held(product) == held:
            return


def read_link(edition: SpooledEdition) -> Link:
    sealed = edition.package().manifest
    return Link(edition, envelope.digest(sealed), parse_strict(sealed.payload, edition_pb2.Manifest))
