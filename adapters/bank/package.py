"""What a gateway offers, verified: an edition is touched only after its three documents hold together.

Pure: bytes and pinned keys in, a verified package out. Knows nothing of files, databases or the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import Message

from audit import records
from audit.envelope import Opened, open_sealed
from audit.keys import Keyring, is_person
from xinyi import checks
from xinyi.errors import Conflict, DigestMismatch, SignatureInvalid, Unavailable, VerificationError
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, party_pb2

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Trust:
    """Whose word counts for what at this bank."""

    recipient: str
    gateway_keys: Keyring
    #: Never holds a key of the gateway or of the bank: neither can mint an edition.
    bureau_keys: Keyring

    @classmethod
    def of(
        cls,
        pinned: Iterable[party_pb2.PublicKey],
        *,
        recipient: str,
        gateway: str,
        origins: Iterable[str] = (),
    ) -> Trust:
        """Args:
        origins: bureaus whose editions are taken; empty for every pinned party but those two.
        """
        documents = [key for key in pinned if key.purpose == party_pb2.KEY_PURPOSE_DOCUMENT]
        wanted = frozenset(origins) or frozenset(key.party for key in documents)
        return cls(
            recipient,
            Keyring(key for key in documents if key.party == gateway),
            Keyring(key for key in documents if key.party in wanted - {gateway, recipient}),
        )


@dataclass(frozen=True)
class VerifiedPackage:
    delivery: Opened[exchange_pb2.Delivery]
    manifest: Opened[edition_pb2.Manifest]
    approval: Opened[edition_pb2.Approval]
    blinding_key: bytes

    @property
    def delivery_id(self) -> str:
        return self.delivery.message.delivery_id

    @property
    def product(self) -> str:
        return self.manifest.message.product

    @property
    def chunk_count(self) -> int:
        return len(self.manifest.message.chunk_roots)


@dataclass(frozen=True)
class Held:
    """The newest edition of a product that a bank holds."""

    origin: str
    sequence: int
    manifest_digest: bytes


def verify_package(package: exchange_pb2.DeliveryPackage, trust: Trust) -> VerifiedPackage:
    """Verifies everything about a delivery but its age, its place in the sequence and its chunks.

    1. the delivery is sealed by a pinned key of the gateway,
    2. the manifest is sealed by a pinned key of its issuer, who belongs to its origin,
    3. the approval is sealed by a pinned key of a person of the same origin who did not seal the manifest,
       and names this manifest,
    4. the delivery is for us and binds exactly this manifest and this approval,
    5. product and period of the delivery are the manifest's, and only a CORRECTION is a recall,
    6. count, chunk roots and root of the manifest agree, and the blinding key is the one it commits to.

    Left to the caller: `check_not_expired` (once, before it is taken), `check_succession`, every chunk.

    Raises:
        VerificationError: with the document or rule that does not hold as its basis.
        Invalid: a document breaks a rule of the contract.
    """
    # 1
    delivery = _open("delivery", package.delivery, exchange_pb2.Delivery, trust.gateway_keys)
    # 2
    manifest = _open("manifest", package.manifest, edition_pb2.Manifest, trust.bureau_keys)
    _check_signer("manifest", manifest, manifest.message.issued_by, manifest.message.origin)
    checks.check_manifest(manifest.message)
    # 3
    approval = _open("approval", package.approval, edition_pb2.Approval, trust.bureau_keys)
    _check_approval(approval, manifest)
    # 4
    _check_binding(delivery, manifest, approval, trust.recipient)
    # 5
    if delivery.message.product != manifest.message.product:
        raise VerificationError(
            "the delivery names another product than the manifest", basis="delivery.product"
        )
    if delivery.message.period != manifest.message.period:
        raise VerificationError(
            "the delivery names another period than the manifest", basis="delivery.period"
        )
    if (
        delivery.message.ground == exchange_pb2.DELIVERY_GROUND_RECALL
        and manifest.message.kind != edition_pb2.EDITION_KIND_CORRECTION
    ):
        raise VerificationError("only a CORRECTION is delivered as a recall", basis="delivery.ground")
    # 6
    records.check_manifest_tree(manifest.message)
    records.check_blinding_key(package.blinding_key, manifest.message)
    return VerifiedPackage(delivery, manifest, approval, package.blinding_key)


def check_not_expired(package: VerifiedPackage, now_ms: int) -> None:
    """Raises Conflict: after its expiry a delivery must not be taken as new."""
    if now_ms > package.delivery.message.expires_at_ms:
        raise Conflict("the delivery has expired; the gateway must offer it anew", basis="delivery.expired")


def check_clock(delivery: exchange_pb2.Delivery, now_ms: int) -> None:
    """Raises Unavailable where this machine's clock contradicts the Delivery that it is about to confirm."""
    if now_ms < delivery.offered_at_ms - checks.CLOCKS_MS:
        now, offered = (datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in (now_ms, delivery.offered_at_ms))
        raise Unavailable(
            f"this machine's clock says {now}, before the delivery's time, {offered}: nothing is signed by it; "
            "set the clock, then run this again",
            basis="clock",
        )


def check_succession(package: VerifiedPackage, held: Held | None) -> None:
    """Raises where this edition cannot follow the one that is held.

    A FULL may skip editions (it replaces everything); a DELTA or CORRECTION follows exactly the one before it.

    Raises:
        Conflict: replayed, that is not newer than the one held; or a gap, where those between are missing.
        VerificationError: another origin, or another history than the one held.
    """
    manifest = package.manifest.message
    full = manifest.kind == edition_pb2.EDITION_KIND_FULL
    if held is None:
        if not full:
            raise Conflict(_gap(manifest, "no edition is held"), basis="edition.gap")
        return
    if manifest.origin != held.origin:
        raise VerificationError(
            f"{manifest.product} comes from {held.origin}, this edition from {manifest.origin}",
            basis="edition.origin",
        )
    if package.manifest.digest == held.manifest_digest or manifest.sequence < held.sequence:
        raise Conflict(
            f"edition {manifest.sequence} of {manifest.product} is replayed: edition {held.sequence} is held",
            basis="edition.replayed",
        )
    if manifest.sequence == held.sequence or (
        manifest.sequence == held.sequence + 1 and manifest.predecessor != held.manifest_digest
    ):
        raise VerificationError(
            f"edition {manifest.sequence} of {manifest.product} has another history than edition "
            f"{held.sequence}, which is held",
            basis="edition.predecessor",
        )
    if not full and manifest.sequence > held.sequence + 1:
        raise Conflict(_gap(manifest, f"edition {held.sequence} is held"), basis="edition.gap")


def check_takeable(package: VerifiedPackage, held: Held | None) -> None:
    """As `check_succession`; but a CORRECTION is taken whatever edition is held: it recalls what was told before."""
    try:
        check_succession(package, held)
    except Conflict:
        if package.manifest.message.kind != edition_pb2.EDITION_KIND_CORRECTION:
            raise


def _gap(manifest: edition_pb2.Manifest, held: str) -> str:
    return (
        f"edition {manifest.sequence} of {manifest.product} says what changed since edition "
        f"{manifest.sequence - 1}, and {held}: run xinyi-bank catch-up"
    )


def _open(name: str, sealed: envelope_pb2.Envelope, kind: type[M], keys: Keyring) -> Opened[M]:
    try:
        return open_sealed(sealed, kind, keys)
    except VerificationError as error:
        raise type(error)(f"{name}: {error.explanation}", basis=f"{name}.seal") from error


def _check_signer(name: str, opened: Opened[M], holder: str, origin: str) -> None:
    if not any(key.holder == holder and key.party == origin for key in opened.signers):
        raise SignatureInvalid(
            f"the {name} is not sealed by whom it names, of {origin}", basis=f"{name}.signer"
        )


def _check_approval(approval: Opened[edition_pb2.Approval], manifest: Opened[edition_pb2.Manifest]) -> None:
    message = approval.message
    checks.check_approval(message)
    if message.manifest_digest != manifest.digest:
        raise DigestMismatch("the approval names another manifest", basis="approval.manifest")
    if message.origin != manifest.message.origin:
        raise VerificationError(
            "the approval is of another bureau than the manifest", basis="approval.origin"
        )
    _check_signer("approval", approval, message.approved_by, message.origin)
    if not is_person(message.approved_by):
        raise VerificationError("the approval is not a person's", basis="approval.person")
    if message.approved_by in {manifest.message.issued_by, *(key.holder for key in manifest.signers)}:
        raise VerificationError("the edition is approved by its own publisher", basis="approval.same_person")


def _check_binding(
    delivery: Opened[exchange_pb2.Delivery],
    manifest: Opened[edition_pb2.Manifest],
    approval: Opened[edition_pb2.Approval],
    recipient: str,
) -> None:
    message = delivery.message
    if message.recipient != recipient:
        raise VerificationError("the delivery is for another recipient", basis="delivery.recipient")
    if message.manifest_digest != manifest.digest:
        raise DigestMismatch("the delivery is of another manifest", basis="delivery.manifest")
    if message.approval_digest != approval.digest:
        raise DigestMismatch("the delivery names another approval", basis="delivery.approval")
    checks.check_delivery(message)
