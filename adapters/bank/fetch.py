"""`fetch`: what the gateway offers, over the network or from a folder, into the spool. Needs no database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from adapters.bank.chain import advance
from adapters.bank.evidence import Evidence, note_head
from adapters.bank.package import (
    Trust,
    VerifiedPackage,
    check_clock,
    check_not_expired,
    check_takeable,
    verify_package,
)
from adapters.bank.receipts import RECEIVED, Receipts, now_ms
from adapters.bank.rules import Tally
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Intake, Spool, SpooledEdition, check_same_delivery
from adapters.party.home import Home
from audit.chunk_stream import Examine, SealedChunk
from audit.records import examine_chunk
from xinyi.errors import Conflict, ExchangeError, TooManyRequests, Unavailable
from xinyi.processes import Crew
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2

if TYPE_CHECKING:
    from adapters.bank.client import BankClient
    from adapters.bank.folder import Folder, FolderOffer

log = structlog.get_logger()

T = TypeVar("T")
R = TypeVar("R")

#: The gateway's answer to a poll that finds nothing, where such polls come too often.
TOO_OFTEN = "poll.too_often"

#: Chunks of a verified package from a chunk on: (number, bytes).
ChunkSource = Callable[[VerifiedPackage, int], Iterable[tuple[int, bytes]]]


@dataclass(frozen=True)
class Fetched:
    delivery_id: str
    product: str
    sequence: int
    records: int
    #: False where it was complete before.
    new: bool


class Receiver:
    """The one way into the spool, whatever the channel: documents, then chunk by chunk, then the receipt."""

    def __init__(self, home: Home, crew: Crew | None = None) -> None:
        """Args: crew — who verifies the chunks of large editions; this process where None."""
        settings = BankSettings.of(home)
        self.trust = Trust.of(
            home.keyring(),
            recipient=home.party,
            gateway=home.settings.gateway.party,
            origins=settings.origins,
        )
        self.spool = Spool(settings.spool, crew)
        self.receipts = Receipts(settings.spool, home.signers())
        self.evidence = Evidence(settings.evidence)

    def known(self, package: VerifiedPackage) -> SpooledEdition | None:
        """The edition where it is complete here already; heals what a crash after its rename left undone.

        Call under the delivery's lock. One that was offered anew meanwhile keeps the Delivery it was taken
        under: that is what its receipts name.

        Raises Conflict where it was refused, or came with another document.
        """
        edition = self.spool.find(package.delivery_id)
        if edition is None:
            return None
        if edition.path.parent.name == "refused":
            raise refused_before(edition, package.manifest.message)
        renewed = check_same_delivery(edition, package)
        self.spool.hold(package)
        if not renewed:
            self.evidence.keep_package(package)
        self.receipts.post(edition)
        return edition

    def begin(
        self,
        package: VerifiedPackage,
        examine: Examine[Any] = examine_chunk,
        also: Callable[[SealedChunk[Any]], None] = lambda chunk: None,
    ) -> Intake[Any]:
        """Opens or resumes the intake of what is not here yet. Call under the delivery's lock.

        Args: as `Spool.open_intake`.

        Raises Conflict where it is expired, or older than what is held (which is said first: nobody needs it
        offered anew); else as `Spool.open_intake`.
        """
        advance(self.spool, package.product, self.trust)
        check_takeable(package, self.spool.held(package.product))
        check_clock(package.delivery.message, now_ms())
        check_not_expired(package, now_ms())
        return self.spool.open_intake(package, examine, also)

    def finish(self, intake: Intake[Any]) -> SpooledEdition:
        """Signs RECEIVED and makes the edition ready. Call under the delivery's lock."""
        if not intake.complete:
            raise Unavailable("the transfer ended before its last chunk", basis="chunks.incomplete")
        manifest = intake.package.manifest.message
        # Signed before the rename: a ready edition always has its receipt.
        self.receipts.give(intake.edition, intake.package, RECEIVED, Tally(accepted=manifest.record_count))
        self.evidence.keep_package(intake.package)
        edition = self.spool.finish(intake)
        self.receipts.post(edition)
        return edition

    def fill(self, intake: Intake[Any], chunks: ChunkSource) -> None:
        """Takes the chunks that are missing. Raises as `Intake.put`, and what the source raises."""
        try:
            for number, data in chunks(intake.package, intake.next_chunk):
                intake.put(number, data)
        finally:
            # Also where the line broke: what came whole is kept, and a lie is told before the break.
            intake.settle()

    def receive(
        self,
        offered: exchange_pb2.DeliveryPackage,
        chunks: ChunkSource,
        signed: Iterable[envelope_pb2.Envelope] = (),
    ) -> Fetched:
        """Args: signed — see `Receipts.recover`."""
        package = verify_package(offered, self.trust)
        with self.spool.lock(package.delivery_id):
            known = self.known(package)
            if known is None:
                intake = self.begin(package)
                self.receipts.recover(intake.edition, package, signed)
                self.fill(intake, chunks)
                self.finish(intake)
        manifest = package.manifest.message
        log.info(
            "edition.received",
            delivery=package.delivery_id,
            product=package.product,
            sequence=manifest.sequence,
            new=known is None,
        )
        return Fetched(
            package.delivery_id, package.product, manifest.sequence, manifest.record_count, known is None
        )


def refused_before(edition: SpooledEdition, manifest: edition_pb2.Manifest) -> Conflict:
    """To be raised where an edition in refused/ is wanted."""
    return Conflict(
        f"edition {manifest.sequence} of {manifest.product} was refused here before: see {edition.path}/reason.json; "
        "where the bank's own rules did it, put them right and run xinyi-bank reconsider",
        basis="delivery.refused",
    )


def fetch_from_gateway(receiver: Receiver, client: BankClient, products: Iterable[str]) -> list[Fetched]:
    """Asks for each product until nothing is newer. One failure does not keep the others; the first is raised last.

    After a failure what came before it is in the spool: the next run goes on there.
    """

    def pull(product: str) -> list[Fetched]:
        return [receiver.receive(package, client.chunks) for package in offers(receiver, client, product)]

    return list(chain.from_iterable(each(pull, products)))


def offers(receiver: Receiver, client: BankClient, product: str) -> Iterator[exchange_pb2.DeliveryPackage]:
    """What the gateway offers, one edition behind the other, until nothing is newer than what is held.

    Whoever takes them out receives each before the next. A recall that is held already may be offered again, as
    long as its receipts have not gone: that ends it, too. So does a poll that is refused as one too many behind an
    edition: nothing is newer.
    """
    seen: set[bytes] = set()
    while True:
        # What is here is not asked for: the gateway would take it for lost, and seal it anew.
        advance(receiver.spool, product, receiver.trust)
        held = receiver.spool.held(product)
        try:
            answer = client.ask(product, held.manifest_digest if held else b"")
        except TooManyRequests as error:
            if not seen or error.basis != TOO_OFTEN:
                raise
            return
        package = answer.package
        if answer.unchanged or package.manifest.payload in seen:
            return
        log.info("fetch.offered", product=product, remaining=answer.remaining)
        yield package
        seen.add(package.manifest.payload)


def fetch_from_folder(receiver: Receiver, folder: Folder, home: Home) -> list[Fetched]:
    """Takes every complete delivery that lies in the folder and is not here yet, the oldest first.

    What is older than the edition held lies there until the gateway removes it: nothing to do.
    """

    def take(offer: FolderOffer) -> Fetched | None:
        try:
            fetched = receiver.receive(offer.package(), offer.chunks, offer.signed())
        except Conflict as error:
            if error.basis != "edition.replayed":
                raise
            log.info("fetch.older", delivery=offer.edition.delivery_id)
            return None
        evidence = offer.evidence()
        if evidence is not None:
            note_head(home, evidence)
        return fetched

    return each(take, (o for o in folder.offers() if receiver.spool.find(o.edition.delivery_id) is None))


def each(take: Callable[[T], R | None], things: Iterable[T]) -> list[R]:
    """What came of all things that something came of. The first failure is raised when all are through; one by a
    limit of requests last."""
    fetched: list[R] = []
    failure: ExchangeError | None = None
    for thing in things:
        try:
            result = take(thing)
        except ExchangeError as error:
            log.warning("fetch.failed", code=error.code, basis=error.basis)
            # That one product was asked for too often is the least that a scheduler must know.
            failure = error if failure is None or isinstance(failure, TooManyRequests) else failure
        else:
            if result is not None:
                fetched.append(result)
    if failure is not None:
        raise failure
    return fetched
