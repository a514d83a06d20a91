"""`land`: ready editions into the database or a file. No network.

    documents verified → chunks verified and staged beside the visible edition → staged rows read back and
    compared → made visible → ACCEPTED or PARTIAL, then APPLIED signed → landed/

A crash anywhere: run it again. Before the swap it stages anew; after it, it verifies the chunks again,
compares the landed rows with them and goes on. Receipts are signed once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import structlog

from adapters.bank.evidence import Evidence
from adapters.bank.package import Held, Trust, VerifiedPackage, check_succession, verify_package
from adapters.bank.receipts import ACCEPTED, APPLIED, PARTIAL, REJECTED, Receipts
from adapters.bank.rows import ExaminedRows, examine_rows
from adapters.bank.rules import BankRules, Tally
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.party.home import Home
from adapters.tables.target import Landed, Row, Shown, Target
from audit.chunk_stream import ChunkStream, Examine, SealedChunk
from xinyi.errors import DigestMismatch, ExchangeError, Refused, VerificationError
from xinyi.processes import Crew

log = structlog.get_logger()


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
        crew: who verifies the chunks of large editions; this process where None.
    """

    def __init__(
        self, home: Home, open_target: Callable[[str], Target], crew: Crew | None = None
    ) -> None:
        settings = BankSettings.of(home)
        self._trust = Trust.of(
            home.keyring(),
            recipient=home.party,
            gateway=home.settings.gateway.party,
            origins=settings.origins,
        )
        self._rules = BankRules(settings.rules)
        self._spool = Spool(settings.spool)
        self._receipts = Receipts(settings.spool, home.signers())
        self._evidence = Evidence(settings.evidence)
        self._open_target = open_target
        self._crew = crew

    def land_all(self) -> list[Result]:
        """Every ready edition, the oldest first.

        One that does not hold is put aside, and the first such failure is raised at the end.
        """
        failures: list[ExchangeError] = []
        packages: list[tuple[SpooledEdition, VerifiedPackage]] = []
        results: list[Result] = []
        for edition in self._spool.editions("ready"):
            with self._putting_aside(edition, None, failures):
                packages.append((edition, verify_package(edition.package(), self._trust)))
        for edition, package in sorted(packages, key=lambda pair: pair[1].manifest.message.sequence):
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
        with self.target(package) as target, self._spool.lock(edition.delivery_id):
            # `fetch` may have died after its rename: what is ready is held.
            self._spool.hold(package)
            shown = target.landed(package.product)
            again = shown is not None and shown.delivery_id == package.delivery_id
            if shown is not None and again:
                target.reopen(shown)
            staging = Staging(target) if again else self.begin(target, package)
            stream = ChunkStream(
                package.manifest.message, package.blinding_key, self.examine, staging.take, self._crew
            )
            for number in range(package.chunk_count):
                stream.put(number, edition.chunk(number))
            stream.drain()
            return self.finish(edition, package, target, staging)

    @property
    def examine(self) -> Examine[ExaminedRows]:
        return partial(examine_rows, rules=self._rules)

    @contextmanager
    def target(self, package: VerifiedPackage) -> Iterator[Target]:
        target = self._open_target(package.product)
        try:
            yield target
        finally:
            target.close()

    def begin(self, target: Target, package: VerifiedPackage) -> Staging:
        """An edition beside the visible one. Raises where it cannot follow that (check_succession)."""
        check_succession(package, _held(target.landed(package.product)))
        target.stage(package.manifest.message.sequence)
        return Staging(target, target.write)

    def finish(
        self, edition: SpooledEdition, package: VerifiedPackage, target: Target, staging: Staging
    ) -> Result:
        """Compares, makes visible, signs. Call under the delivery's lock, when every chunk was taken."""
        staging.compare()
        tally = staging.tally
        if staging.new:
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


class Staging:
    """Verified rows on their way into a target, and what is known of them when they are read back.

    Args: write — takes them; None where they lie in the target already.
    """

    def __init__(self, target: Target, write: Callable[[Sequence[Row]], None] | None = None) -> None:
        self.tally = Tally()
        self.new = write is not None
        self._target = target
        self._write = write
        #: Of each chunk: rows shown, and their digest.
        self._shown: list[tuple[int, int]] = []

    def take(self, chunk: SealedChunk[ExaminedRows]) -> None:
        """The next chunk, which holds: nothing becomes visible before all of them do."""
        rows = chunk.examined.landed(chunk.number)
        if self._write is not None:
            self._write(rows)
        refused = chunk.examined.refused
        self.tally.add(len(rows), (refused[place] for place in sorted(refused)))
        visible = [shown for _, rule, shown in rows if rule is None]
        self._shown.append((len(visible), _digest(visible)))

    def compare(self) -> None:
        """Reads the target's rows back: they are, field by field, those of the records under the sealed root.

        Raises DigestMismatch.
        """
        self._target.written()
        rows = self._target.rows()
        for number, (count, digest) in enumerate(self._shown):
            if _digest(list(islice(rows, count))) != digest:
                raise DigestMismatch(
                    f"rows landed from chunk {number} are not its records", basis="landing.rows"
                )
        if next(rows, None) is not None:
            raise DigestMismatch("there are more landed rows than records", basis="landing.rows")


def _digest(rows: list[Shown]) -> int:
    """Of the rows of one chunk, in this process alone. Keyed by the interpreter's secret: what is compared is
    what a database made of our own rows, and a chance of 2^-61 that it changed them unseen."""
    return hash(tuple(rows))


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
