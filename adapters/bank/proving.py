"""One record of an edition that this bank holds, proven alone, from the spool's bytes."""

from __future__ import annotations

from adapters.bank.package import Trust, VerifiedPackage, verify_package
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.party.home import Home
from audit import record_proof
from audit.record_proof import RecordProof
from audit.verification.policy import Policy
from xinyi import identifiers
from xinyi.errors import Unknown


def prove_record(home: Home, product: str, identifier: str, *, edition: str = "") -> RecordProof:
    """A proof that was checked here before it is handed out.

    Args:
        edition: first digits of the manifest's digest; "" for the newest edition of the product.

    Raises Unknown where no such edition lies here or it holds no such record, VerificationError.
    """
    settings = BankSettings.of(home)
    trust = Trust.of(
        home.keyring(), recipient=home.party, gateway=home.settings.gateway.party, origins=settings.origins
    )
    spooled, package = _newest(Spool(settings.spool), trust, product, edition)
    if not (spooled.path / "chunks").exists():
        raise Unknown("the records of this edition were purged here", basis="edition.purged")
    chunks = (spooled.chunk(number) for number in range(package.chunk_count))
    proof = record_proof.make(
        package.manifest.envelope,
        package.approval.envelope,
        package.blinding_key,
        chunks,
        identifiers.normalise(identifier),
    )
    proof.verify(
        Policy(
            log_key=home.log_key(),
            gateway=home.settings.gateway.party,
            bureaus=frozenset({package.manifest.message.origin}),
            keys=tuple(home.keyring()),
        )
    )
    return proof


def _newest(spool: Spool, trust: Trust, product: str, edition: str) -> tuple[SpooledEdition, VerifiedPackage]:
    found = [
        (spooled, package)
        for state in ("landed", "ready")
        for spooled in spool.editions(state)
        if (package := verify_package(spooled.package(), trust)).product == product
        and package.manifest.digest.hex().startswith(edition.lower())
    ]
    if not found:
        raise Unknown(f"no such edition of {product} lies in the spool", basis="edition.unknown")
    return max(found, key=lambda pair: pair[1].manifest.message.sequence)
