"""Receipts: signed once, kept beside the edition, copied to the outbox until the gateway has answered.

A crash after signing finds the signed receipt and sends that; a second one would be another document.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from adapters.bank.package import VerifiedPackage, check_clock
from adapters.bank.rules import Tally
from adapters.bank.spool import MAX_FILE_BYTES, Spool, SpooledEdition
from audit.envelope import open_sealed, parse_strict, seal
from audit.keys import Keyring, Signer
from xinyi import files
from xinyi.errors import VerificationError
from xinyi.v1 import envelope_pb2, exchange_pb2

_STAGE = "RECEIPT_STAGE_"
RECEIVED = exchange_pb2.RECEIPT_STAGE_RECEIVED
ACCEPTED = exchange_pb2.RECEIPT_STAGE_ACCEPTED
PARTIAL = exchange_pb2.RECEIPT_STAGE_PARTIAL
REJECTED = exchange_pb2.RECEIPT_STAGE_REJECTED
APPLIED = exchange_pb2.RECEIPT_STAGE_APPLIED


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def stage_word(stage: exchange_pb2.ReceiptStage) -> str:
    return exchange_pb2.ReceiptStage.Name(stage).removeprefix(_STAGE).lower()


def stage_of(word: str) -> exchange_pb2.ReceiptStage:
    return exchange_pb2.ReceiptStage.Value(_STAGE + word.upper())  # type: ignore[return-value]


class Receipts:
    """
    outbox/<delivery>.<stage>.dsse     to be sent
    sent/<delivery>.<stage>.dsse       answered by the gateway
    """

    def __init__(self, spool: Path, signers: Sequence[Signer]) -> None:
        self.outbox = spool / "outbox"
        self.sent = spool / "sent"
        self._signers = signers
        for directory in (self.outbox, self.sent):
            files.make_directory(directory)

    def give(
        self,
        edition: SpooledEdition,
        package: VerifiedPackage,
        stage: exchange_pb2.ReceiptStage,
        tally: Tally,
    ) -> envelope_pb2.Envelope:
        """The receipt of this stage: the one signed before, or a new one, kept beside the edition.

        The root in it is the sealed one: the caller has just recomputed it.

        Call under the delivery's lock; `post` puts it into the outbox. Raises Unavailable where the clock
        contradicts the Delivery.
        """
        path = edition.receipts / f"{stage_word(stage)}.dsse"
        if path.exists():
            return read_envelope(path)
        check_clock(package.delivery.message, now_ms())
        detailed = stage in (PARTIAL, REJECTED)
        receipt = exchange_pb2.DeliveryReceipt(
            delivery_id=package.delivery_id,
            delivery_digest=package.delivery.digest,
            manifest_digest=package.manifest.digest,
            stage=stage,
            root=package.manifest.message.root if stage != REJECTED else b"",
            accepted=tally.accepted,
            rejected=tally.rejected,
            issues=tally.issues if detailed else (),
            rules=tally.rule_counts() if detailed else (),
            signed_by=self._signers[0].key.holder,
            signed_at_ms=now_ms(),
        )
        sealed = seal(receipt, *self._signers)
        files.make_directory(edition.receipts)
        files.write_atomically(path, sealed.SerializeToString(deterministic=True))
        return sealed

    def recover(
        self, edition: SpooledEdition, package: VerifiedPackage, found: Iterable[envelope_pb2.Envelope]
    ) -> None:
        """Of one Delivery there is one receipt of a stage: what was signed here before stands, where the spool was
        restored from a backup and has lost it. Call under the delivery's lock.

        Args: found — may be anybody's.
        """
        own = Keyring([signer.key for signer in self._signers])
        for sealed in found:
            try:
                receipt = open_sealed(sealed, exchange_pb2.DeliveryReceipt, own).message
            except VerificationError:
                continue
            path = edition.receipts / f"{stage_word(receipt.stage)}.dsse"
            if receipt.delivery_digest == package.delivery.digest and not path.exists():
                files.make_directory(edition.receipts)
                files.write_atomically(path, sealed.SerializeToString(deterministic=True))

    def sign_anew(self, edition: SpooledEdition, path: Path) -> envelope_pb2.Envelope | None:
        """The same receipt under today's time, kept and posted in the place of one that the gateway refused for its
        time: of that one the log keeps nothing but the refusal. None where it was signed on another machine.

        Call under the delivery's lock. Raises Unavailable where the clock contradicts the Delivery.

        Args: path — in the outbox.
        """
        kept = edition.receipts / f"{split_name(path)[1]}.dsse"
        refused = read_envelope(path)
        receipt = parse_strict(refused.payload, exchange_pb2.DeliveryReceipt)
        if not kept.exists() or receipt.signed_by != self._signers[0].key.holder:
            return None
        check_clock(parse_strict(edition.package().delivery.payload, exchange_pb2.Delivery), now_ms())
        receipt.signed_at_ms = now_ms()
        sealed = seal(receipt, *self._signers)
        # A crash between the two leaves the refused one in the outbox: it is refused again, and this done again.
        for place in (kept, path):
            files.write_atomically(place, sealed.SerializeToString(deterministic=True))
        return sealed

    def post(self, edition: SpooledEdition) -> None:
        """Puts into the outbox what was signed for this edition and not sent yet. Safe to repeat."""
        for path in in_order(edition.receipts.glob("*.dsse")):
            name = f"{edition.delivery_id}.{path.name}"
            if not self.holds(name):
                files.write_atomically(self.outbox / name, path.read_bytes())

    def holds(self, name: str) -> bool:
        """Whether the receipt of this file name waits here or was answered."""
        return (self.sent / name).exists() or (self.outbox / name).exists()

    def find(self, edition: SpooledEdition, stage: exchange_pb2.ReceiptStage) -> envelope_pb2.Envelope | None:
        path = edition.receipts / f"{stage_word(stage)}.dsse"
        return read_envelope(path) if path.exists() else None

    def waiting(self) -> list[Path]:
        """What the gateway has not answered yet: per delivery in the order of the stages."""
        return in_order(self.outbox.glob("*.dsse"))

    def mark_sent(self, path: Path) -> None:
        path.replace(self.sent / path.name)
        files.sync(self.sent)
        files.sync(self.outbox)


def repost(spool: Spool, receipts: Receipts) -> None:
    """After a crash between signing and posting."""
    for state in ("ready", "landed", "refused"):
        for edition in spool.editions(state):
            receipts.post(edition)


def read_envelope(path: Path) -> envelope_pb2.Envelope:
    """Also of a file that another machine left. Raises EncodingInvalid, OSError."""
    return parse_strict(files.read_foreign(path, MAX_FILE_BYTES), envelope_pb2.Envelope)


def split_name(path: Path) -> tuple[str, str]:
    """outbox/<delivery>.<stage>.dsse → (delivery id, stage word)."""
    delivery_id, stage = path.name.removesuffix(".dsse").split(".")
    return delivery_id, stage


def in_order(paths: Iterable[Path]) -> list[Path]:
    """By delivery, then in the order of the stages."""

    def key(path: Path) -> tuple[str, int]:
        *delivery, stage = path.name.removesuffix(".dsse").split(".")
        return "".join(delivery), stage_of(stage)

    return sorted(paths, key=key)
