"""One record as this bank holds it, proven alone, from the spool's bytes."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.bank.chain import Chain, Link
from adapters.bank.package import Trust, verify_package
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.party.home import Home
from audit import record_proof
from audit.envelope import parse_strict
from audit.record_proof import RecordProof
from audit.verification.policy import Policy
from xinyi import identifiers
from xinyi.errors import Unknown
from xinyi.v1 import records_pb2


@dataclass(frozen=True)
class Proven:
    #: Of the newest edition that says something of the record.
    proof: RecordProof
    sequence: int
    manifest_digest: bytes
    #: The editions behind it that left the record as it is, by their numbers.
    unchanged_by: tuple[int, ...]


def prove_record(home: Home, product: str, identifier: str, *, edition: str = "") -> Proven:
    """A proof that was checked here before it is handed out.

    Args:
        edition: first digits of a manifest's digest, for the record as that edition says it; "" for the record as
            it stands after the newest one held.

    Raises Unknown where no such edition lies here, its records were purged, it holds no such record, or the
    taxpayer has left; VerificationError.
    """
    settings = BankSettings.of(home)
    trust = Trust.of(
        home.keyring(), recipient=home.party, gateway=home.settings.gateway.party, origins=settings.origins
    )
    unchanged: list[int] = []
    for link in _candidates(Spool(settings.spool), product, edition):
        if not link.whole:
            raise Unknown("the records of this edition were purged here", basis="edition.purged")
        try:
            proof = _prove(link, trust, home, identifiers.normalise(identifier))
        except Unknown as error:
            if error.basis != "record.unknown":
                raise
            unchanged.append(link.manifest.sequence)
            continue
        if parse_strict(proof.record, records_pb2.GradeRecord).gone and not edition:
            raise Unknown(
                f"this taxpayer is gone since edition {link.manifest.sequence}; `--edition "
                f"{link.digest.hex()[:16]}` proves that",
                basis="record.gone",
            )
        return Proven(proof, link.manifest.sequence, link.digest, tuple(sorted(unchanged)))
    raise Unknown("no edition held here has a record of this identifier", basis="record.unknown")


def _candidates(spool: Spool, product: str, edition: str) -> list[Link]:
    """The edition that is asked for; or the newest one held and those it came from, back to a FULL."""
    chain, held = Chain(spool, product), spool.held(product)
    links = [link for link in chain if link.digest.hex().startswith(edition.lower())]
    if not links:
        raise Unknown(f"no such edition of {product} lies in the spool", basis="edition.unknown")
    if edition:
        return links[-1:]
    newest = chain.find(held.manifest_digest) if held is not None else None
    return list(chain.back((newest or links[-1]).digest))


def _prove(link: Link, trust: Trust, home: Home, identifier: str) -> RecordProof:
    package = verify_package(link.edition.package(), trust)
    chunks = (link.edition.chunk(number) for number in range(package.chunk_count))
    proof = record_proof.make(
        package.manifest.envelope, package.approval.envelope, package.blinding_key, chunks, identifier
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
