"""`land`: ready editions into the database or a file. No network.

    documents verified → staged beside the visible edition → root recomputed from what was staged
    → made visible → ACCEPTED or PARTIAL, then APPLIED signed → landed/

A crash anywhere: run it again. Before the swap it stages anew; after it, it recomputes the root from the
landed rows and goes on. Receipts are signed once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import structlog
from google.protobuf.message import DecodeError

from adapters.bank.evidence import Evidence
from adapters.bank.package import Held, Trust, VerifiedPackage, check_succession, verify_package
from adapters.bank.receipts import ACCEPTED, APPLIED, PARTIAL, REJECTED, Receipts
from adapters.bank.rules import BankRules, Tally
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.party.home import Home
from adapters.tables.columns import Projection
from adapters.tables.target import Landed, Target
from audit.records import CHUNK_RECORDS, ChunkVerifier, chunk_bytes
from xinyi.errors import DigestMismatch, EncodingInvalid, ExchangeError, Refused, VerificationError
from xinyi.v1 import records_pb2

log = structlog.get_logger()

PROJECTION = Projection(records_pb2.GradeRecord)


@dataclass(frozen=True)
class Result:
    delivery_id: str
    product: str
    sequence: int
    #: "accepted", "partial" or "rejected".
    stage: str
    accepted: int
    rejected: int
    root: bytes


class Landing:
    """One run of `land`.

    Args:
        open_target: the target of a product; closed after each edition.
    """

    def __init__(self, home: Home, open_target: Callable[[str], Target]) -> None:
        settings = BankSettings.of(home)
        self._trust = Trust.of(
            home.keyring(),
            recipient=home.party,
            gateway=home.settings.gateway.party,
            origins=settings.origins,
        )
        self._rules = BankRules(settings.rules)
        self._spool = Spool(settings.spool)
        self._receipts = Receipts(settings.spool, home.signer())
        self._evidence = Evidence(settings.evidence)
        self._open_target = open_target

    def land_all(self, products: Iterable[str] = ()) -> list[Result]:
        """Every ready edition, the oldest first.

        One that does not hold is put aside, and the first such failure is raised at the end.
        """
        wanted = frozenset(products)
        failures: list[ExchangeError] = []
        packages: list[tuple[SpooledEdition, VerifiedPackage]] = []
        results: list[Result] = []
        for edition in self._spool.editions("ready"):
            with self._putting_aside(edition, None, failures):
                packages.append((edition, verify_package(edition.package(), self._trust)))
        for edition, package in sorted(packages, key=lambda pair: pair[1].manifest.message.sequence):
            if not wanted or package.product in wanted:
                with self._putting_aside(edition, package, failures):
                    results.append(self._land(edition, package))
        if failures:
            raise failures[0]
        return results

    @contextmanager
    def _putting_aside(
        self, edition: SpooledEdition, package: VerifiedPackage | None, failures: list[ExchangeError]
    ) -> Iterator[None]:
        """An edition that is itself at fault goes to refused/; trouble of this machine is raised as it is."""
        try:
            yield
        except ExchangeError as error:
            at_fault = isinstance(error, VerificationError) and not error.basis.startswith("landing.")
            if not at_fault and not error.basis.startswith("edition."):
                raise
            log.error("landing.refused", delivery=edition.delivery_id, code=error.code, basis=error.basis)
            with self._spool.lock(edition.delivery_id):
                self._spool.refuse(edition, error)
            if package is not None and at_fault:
                self._spool.release(package)
            failures.append(error)

    def _land(self, edition: SpooledEdition, package: VerifiedPackage) -> Result:
        target = self._open_target(package.product)
        try:
            with self._spool.lock(edition.delivery_id):
                return self._land_into(target, edition, package)
        finally:
            target.close()

    def _land_into(self, target: Target, edition: SpooledEdition, package: VerifiedPackage) -> Result:
        # `fetch` may have died after its rename: what is ready is held.
        self._spool.hold(package)
        shown = target.landed(package.product)
        if shown is not None and shown.delivery_id == package.delivery_id:
            target.reopen(shown)
            tally = self._recompute(target, edition, package)
        else:
            check_succession(package, _held(shown))
            self._stage(target, edition, package)
            tally = self._recompute(target, edition, package)
            if self._rules.too_many(tally):
                target.discard()
                return self._reject(edition, package, tally)
            target.publish(_landed(package, tally))
        self._confirm(edition, package, tally)
        target.discard()
        log.info(
            "edition.landed", delivery=package.delivery_id, accepted=tally.accepted, rejected=tally.rejected
        )
        return _result(package, tally, "partial" if tally.rejected else "accepted")

    def _stage(self, target: Target, edition: SpooledEdition, package: VerifiedPackage) -> None:
        """Rows from the spool's bytes, unverified as yet: `_recompute` looks at what came of them."""
        target.stage(package.manifest.message.sequence)
        position = 0
        for number in range(package.chunk_count):
            salted, records = _parse(edition.chunk(number))
            target.write(
                list(
                    zip(
                        range(position, position + len(records)),
                        self._rules.verdicts(records),
                        *PROJECTION.values(records),
                        [s.salt for s in salted],
                        [s.record for s in salted],
                        strict=True,
                    )
                )
            )
            position += len(records)
        target.written()

    def _recompute(self, target: Target, edition: SpooledEdition, package: VerifiedPackage) -> Tally:
        """The root from what lies in the target, and every visible row against its record's bytes.

        Raises VerificationError.
        """
        verifier = ChunkVerifier(package.manifest.message, package.blinding_key)
        rows, sealed = target.rows(), target.sealed()
        tally = Tally()
        for number in range(package.chunk_count):
            data = edition.chunk(number) if sealed is None else chunk_bytes(islice(sealed, CHUNK_RECORDS))
            try:
                chunk = verifier.take(number, data)
            except VerificationError as error:
                raise type(error)(error.explanation, basis="chunk") from error
            records = [salted.record for salted in chunk.records.records]
            verdicts = self._rules.verdicts(records)
            expected = [
                row for row, rule in zip(PROJECTION.rows(records), verdicts, strict=True) if rule is None
            ]
            if list(islice(rows, len(expected))) != expected:
                raise DigestMismatch(
                    f"rows landed from chunk {number} are not its records", basis="landing.rows"
                )
            tally.add(chunk.blinded_keys, verdicts)
        if next(rows, None) is not None:
            raise DigestMismatch("there are more landed rows than records", basis="landing.rows")
        return tally

    def _confirm(self, edition: SpooledEdition, package: VerifiedPackage, tally: Tally) -> None:
        self._receipts.give(edition, package, PARTIAL if tally.rejected else ACCEPTED, tally)
        self._receipts.give(edition, package, APPLIED, tally)
        self._evidence.keep_package(package)
        self._receipts.post(edition)
        self._spool.mark_landed(edition)

    def _reject(self, edition: SpooledEdition, package: VerifiedPackage, tally: Tally) -> Result:
        total = tally.accepted + tally.rejected
        refused = replace(tally, accepted=0, rejected=total)
        self._receipts.give(edition, package, REJECTED, refused)
        self._evidence.keep_package(package)
        self._receipts.post(edition)
        reason = Refused(f"{tally.rejected} of {total} records break the bank's rules", basis="bank.rules")
        self._spool.refuse(edition, reason)
        log.warning("edition.rejected", delivery=package.delivery_id, rejected=tally.rejected)
        return _result(package, refused, "rejected")


def _parse(data: bytes) -> tuple[Sequence[records_pb2.SaltedRecord], list[records_pb2.GradeRecord]]:
    try:
        raw, typed = records_pb2.Chunk.FromString(data), records_pb2.GradeChunk.FromString(data)
    except DecodeError as error:
        raise EncodingInvalid("a spooled chunk cannot be parsed", basis="chunk") from error
    return raw.records, [salted.record for salted in typed.records]


def _held(shown: Landed | None) -> Held | None:
    return (
        Held(shown.origin, shown.sequence, bytes.fromhex(shown.manifest_digest))
        if shown is not None
        else None
    )


def _landed(package: VerifiedPackage, tally: Tally) -> Landed:
    manifest = package.manifest.message
    return Landed(
        product=package.product,
        origin=manifest.origin,
        delivery_id=package.delivery_id,
        manifest_digest=package.manifest.digest.hex(),
        sequence=manifest.sequence,
        relation="",
        accepted=tally.accepted,
        rejected=tally.rejected,
        root=manifest.root.hex(),
        landed_at_ms=time.time_ns() // 1_000_000,
    )


def _result(package: VerifiedPackage, tally: Tally, stage: str) -> Result:
    manifest = package.manifest.message
    return Result(
        package.delivery_id,
        package.product,
        manifest.sequence,
        stage,
        tally.accepted,
        tally.rejected,
        manifest.root,
    )
