"""Between a bank's own machines, by files alone: editions one way, receipts onward, answers back.

    handover DIR             DIR/outgoing/<delivery>/, then <delivery>.complete, as in the gateway's folder channel
    land --from DIR          a copy of that folder
    confirm --receipts DIR   a copy of the landing machine's spool/outbox/
    land --answers DIR       a copy of the confirming machine's evidence/

Each machine only reads what arrives for it: the transfer may copy again, break off, or reorder. What is not whole yet
is left for the next run. Editions and answers are verified before they are taken; receipts by the gateway.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from adapters.bank.chain import advance
from adapters.bank.evidence import Evidence
from adapters.bank.folder import Folder, FolderOffer
from adapters.bank.package import Trust, VerifiedPackage, verify_package
from adapters.bank.receipts import RECEIVED, Receipts, in_order, read_envelope, split_name, stage_word
from adapters.bank.settings import BankSettings
from adapters.bank.spool import MAX_FILE_BYTES, Spool, SpooledEdition
from adapters.party.home import Home
from audit.checkpoint import TlogProof
from audit.envelope import digest, open_sealed, parse_strict
from xinyi import files
from xinyi.errors import DigestMismatch, EncodingInvalid, ExchangeError, Unknown
from xinyi.processes import Crew
from xinyi.v1 import envelope_pb2, exchange_pb2

log = structlog.get_logger()

#: In an edition's folder on the machine that fetched it: it was handed over.
MARK = "handed-over"

#: Why a delivery in the tray may be one that is still being copied, or whose predecessor is.
_ON_ITS_WAY = {"folder.missing", "folder.digest", "folder.list", "spool.missing", "edition.gap"}

_RECEIPT = re.compile(r"[0-9a-f]{64}\.(received|accepted|partial|rejected|applied)\.dsse")
#: Stage → those of which one goes before it.
_BEFORE = {
    "accepted": ("received",),
    "partial": ("received",),
    "rejected": ("received",),
    "applied": ("accepted", "partial"),
}


# From the machine that fetches


def hand_over(home: Home, tray: Path, *, again: bool = False) -> list[str]:
    """Copies every ready edition that was not handed over before; returns their delivery ids.

    Args:
        again: also those that were, for a transfer that lost one.
    """
    spool = Spool(BankSettings.of(home).spool)
    given = []
    for edition in spool.editions("ready"):
        mark = edition.path / MARK
        if (mark.exists() and not again) or not (edition.path / "chunks").exists():
            continue  # a purged edition has nothing left to hand over
        with spool.lock(edition.delivery_id):
            _copy(edition, tray / "outgoing")
            files.write_atomically(mark, b"")
        given.append(edition.delivery_id)
        log.info("edition.handed_over", delivery=edition.delivery_id)
    return given


def _copy(edition: SpooledEdition, outgoing: Path) -> None:
    """Whole at once on a file system; whole by its list of digests for a transfer."""
    name = edition.delivery_id
    complete = outgoing / f"{name}.complete"
    part, final = outgoing / f"{name}.part", outgoing / name
    complete.unlink(missing_ok=True)
    for stale in (part, final):
        shutil.rmtree(stale, ignore_errors=True)
    digests = []
    for path in _contents(edition):
        copy = part / path.relative_to(edition.path)
        files.make_directory(copy.parent)
        data = path.read_bytes()
        files.create(copy, data)
        digests.append(f"{hashlib.sha256(data).hexdigest()}  {name}/{path.relative_to(edition.path)}\n")
    part.rename(final)
    files.write_atomically(complete, "".join(digests).encode())


def _contents(edition: SpooledEdition) -> Iterator[Path]:
    yield from (edition.path / f"{name}.dsse" for name in ("delivery", "manifest", "approval"))
    yield edition.path / "blinding.key"
    yield edition.receipts / f"{stage_word(RECEIVED)}.dsse"
    yield from sorted((edition.path / "chunks").glob("*.chunk"))


# To the machine that lands


@dataclass
class Arrived:
    #: Delivery → what of it is still missing, or not as its list says.
    on_their_way: dict[str, str] = field(default_factory=dict)
    #: The first that is not what the bureau sealed; to be raised when all else is done.
    failure: ExchangeError | None = None


class Arrivals:
    """Takes editions out of a tray into the spool: documents and every chunk verified, as with `fetch`.

    Args:
        crew: who verifies the chunks of large editions; this process where None.
    """

    def __init__(self, home: Home, crew: Crew | None = None) -> None:
        settings = BankSettings.of(home)
        self._trust = Trust.of(
            home.keyring(),
            recipient=home.party,
            gateway=home.settings.gateway.party,
            origins=settings.origins,
        )
        self._spool = Spool(settings.spool, crew)
        self._receipts = Receipts(settings.spool, ())  # signs nothing
        self._evidence = Evidence(settings.evidence)

    def take(self, tray: Path) -> Arrived:
        arrived = Arrived()
        for offer in Folder(tray).offers():
            if self._spool.find(offer.edition.delivery_id) is None:
                with _noting(arrived, offer.edition.delivery_id):
                    self._take(offer, verify_package(offer.package(), self._trust))
        return arrived

    def _take(self, offer: FolderOffer, package: VerifiedPackage) -> None:
        """No look at the expiry: the machine that fetched it took it in time, and has signed so."""
        with self._spool.lock(package.delivery_id):
            received = _received(offer.edition, package)
            advance(self._spool, package.product, self._trust)
            intake = self._spool.open_intake(package)
            files.make_directory(intake.edition.receipts)
            files.write_atomically(intake.edition.receipts / f"{stage_word(RECEIVED)}.dsse", received)
            for number, data in offer.chunks(package, intake.next_chunk):
                intake.put(number, data)
            intake.settle()
            self._evidence.keep_package(package)
            self._receipts.post(self._spool.finish(intake))


@contextmanager
def _noting(arrived: Arrived, delivery_id: str) -> Iterator[None]:
    """One delivery's trouble does not keep the others."""
    try:
        yield
    except ExchangeError as error:
        if error.basis in _ON_ITS_WAY:
            arrived.on_their_way[delivery_id] = error.explanation
        elif error.basis == "edition.replayed":
            log.info("handover.older", delivery=delivery_id)  # a newer one is here: nothing to do
        else:
            log.error("handover.refused", delivery=delivery_id, code=error.code, basis=error.basis)
            arrived.failure = arrived.failure or error


def _received(edition: SpooledEdition, package: VerifiedPackage) -> bytes:
    """What the fetching machine signed; the landing machine's receipts come after it."""
    path = edition.receipts / f"{stage_word(RECEIVED)}.dsse"
    if not path.exists():
        raise Unknown("the receipt of the machine that fetched it is missing", basis="spool.missing")
    sealed = read_envelope(path)
    receipt = parse_strict(sealed.payload, exchange_pb2.DeliveryReceipt)
    if receipt.stage != RECEIVED or receipt.delivery_digest != package.delivery.digest:
        raise DigestMismatch("the receipt beside it is of another delivery", basis="handover.receipt")
    return sealed.SerializeToString(deterministic=True)


# To the machine that confirms, and back


def take_receipts(home: Home, tray: Path) -> None:
    """Copies what was signed elsewhere into the outbox, once each and in the order of the stages."""
    if not tray.is_dir():
        raise FileNotFoundError(2, "there is no such folder of receipts", str(tray))
    receipts = Receipts(BankSettings.of(home).spool, ())
    for path in in_order(p for p in tray.glob("*.dsse") if _RECEIPT.fullmatch(p.name)):
        delivery_id, stage = split_name(path)
        before = [f"{delivery_id}.{word}.dsse" for word in _BEFORE.get(stage, ())]
        if receipts.holds(path.name) or (before and not any(map(receipts.holds, before))):
            continue
        sealed = _whole(path)
        if sealed is not None:
            files.write_atomically(receipts.outbox / path.name, sealed.SerializeToString(deterministic=True))


def take_answers(home: Home, tray: Path) -> int:
    """Acknowledgements and log proofs of what was signed here, verified; returns how many receipts they answer.

    Raises VerificationError where an acknowledgement is not the gateway's, or of another document.
    """
    settings = BankSettings.of(home)
    evidence, receipts = Evidence(settings.evidence), Receipts(settings.spool, ())
    answered = 0
    for path in receipts.waiting():
        delivery_id, stage = split_name(path)
        sealed = _whole(tray / delivery_id / f"{stage}.acknowledgement.dsse")
        if sealed is None:
            continue
        receipt = read_envelope(path)
        opened = open_sealed(sealed, exchange_pb2.Acknowledgement, home.gateway_keyring())
        if opened.message.document_digest != digest(receipt):
            raise DigestMismatch(
                "the acknowledgement is of another receipt", basis="handover.acknowledgement"
            )
        evidence.keep_document(delivery_id, stage, receipt)
        evidence.keep_document(delivery_id, f"{stage}.acknowledgement", sealed)
        receipts.mark_sent(path)
        answered += 1
    for delivery_id, stage, path in evidence.unproven():
        proof = _proof(tray / delivery_id / f"{stage}.tlog-proof")
        if proof is not None:
            acknowledgement = parse_strict(read_envelope(path).payload, exchange_pb2.Acknowledgement)
            proof.verify(acknowledgement.leaf, home.log_key())
            evidence.keep(delivery_id, f"{stage}.tlog-proof", proof.encode())
    return answered


def _whole(path: Path) -> envelope_pb2.Envelope | None:
    """The sealed document; None where it is not there, or still being copied."""
    try:
        sealed = read_envelope(path)
    except (FileNotFoundError, EncodingInvalid):
        return None
    return sealed if sealed.signatures else None


def _proof(path: Path) -> TlogProof | None:
    try:
        return TlogProof.decode(files.read_foreign(path, MAX_FILE_BYTES))
    except (FileNotFoundError, EncodingInvalid):
        return None
