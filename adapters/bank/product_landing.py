"""Landing the editions of one product, one behind the other, in its target and its state.

The target is published first, then the state is kept, then receipts are signed. A crash in between leaves the state
one edition behind, or receipts that are not signed: the same edition landed again changes nothing and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import structlog

from adapters.bank.chain import CORRECTION, FULL, Chain, Link
from adapters.bank.outcome import Outcomes, Result
from adapters.bank.package import Held, Trust, VerifiedPackage, check_succession, verify_package
from adapters.bank.receipts import RECEIVED, Receipts, now_ms
from adapters.bank.rows import ExaminedRows, examine_rows
from adapters.bank.rules import BankRules
from adapters.bank.settings import RuleSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.bank.staging import Alter, Staging
from adapters.bank.state import State
from adapters.tables.target import ABSENT, GONE, Landed, Recall, Row, Shown, Target
from audit.chunk_stream import ChunkStream, Examine, SealedChunk
from audit.envelope import parse_strict
from xinyi.errors import ProofInvalid
from xinyi.processes import Crew
from xinyi.v1 import exchange_pb2

log = structlog.get_logger()


@dataclass(frozen=True)
class Means:
    """What a run of landing works with."""

    trust: Trust
    rules: BankRules
    spool: Spool
    receipts: Receipts
    outcomes: Outcomes
    crew: Crew | None


class ProductLanding:
    def __init__(self, product: str, means: Means, target: Target, state: State) -> None:
        self._product = product
        self._means = means
        self._target = target
        self._state = state
        #: Whether the state was made from a FULL in this run.
        self._fresh = False
        #: Corrections that took rows back before their turn → the rows as they shall be shown.
        self._told_early: dict[bytes, dict[str, tuple[str | None, Shown]]] = {}

    def shown(self) -> Landed | None:
        return self._target.landed(self._product)

    def begun(self) -> list[Link]:
        """What a crash left shown, but not signed for."""
        shown = self.shown()
        digest = bytes.fromhex(shown.manifest_digest) if shown is not None else b""
        return [link for link in self._chain() if link.digest == digest and not link.landed]

    def due(self) -> list[Link]:
        """What there is to land, in order: what is ready, and what landed before where the target has lost it."""
        shown = self.shown()
        behind = shown.sequence if shown is not None else 0
        links = list(self._chain())
        lost = [link for link in links if link.landed and link.whole and link.manifest.sequence > behind]
        begin = max((link.manifest.sequence for link in lost if link.full), default=0)
        return [
            link
            for link in links
            if not link.landed or (link in lost and link.manifest.sequence >= begin)
        ]

    def early(self) -> list[Link]:
        """CORRECTIONs whose turn has not come and that have taken nothing back yet, in order."""
        shown = self.shown()
        held = bytes.fromhex(shown.manifest_digest) if shown is not None else b""
        found = [
            link
            for link in self._chain()
            if link.manifest.kind == CORRECTION
            and link.digest != held
            and link.manifest.predecessor != held
            and (not link.landed or (shown is not None and link.manifest.sequence > shown.sequence and link.whole))
        ]
        if any(link.landed for link in found):
            noted = {row.correction for row in self._target.recalled(self._product)}
            found = [link for link in found if not link.landed or link.digest.hex() not in noted]
        return found

    def untold(self) -> list[Link]:
        """CORRECTIONs that landed here, but of which the target tells nothing: it was lost and made anew, or is
        another one. A FULL brings what is right now, not what was taken back."""
        found = [
            link
            for link in self._chain()
            if link.manifest.kind == CORRECTION and link.landed and link.whole and link.manifest.record_count
        ]
        noted = {row.correction for row in self._target.recalled(self._product)} if found else set()
        return [link for link in found if link.digest.hex() not in noted]

    def land(self, edition: SpooledEdition, package: VerifiedPackage) -> Result:
        """Call under the delivery's lock.

        Raises Conflict or VerificationError where it cannot follow what is shown (`check_succession`), what the
        chunks raise, ProofInvalid where the records do not come to the sealed state.
        """
        shown, manifest = self.shown(), package.manifest.message
        if not self._again(shown, package) and shown is not None and manifest.sequence < shown.sequence:
            return self._pass(edition, package, shown)
        if manifest.kind == FULL:
            staging = self.begin(package)
            self._stream(edition, package, staging.take)
            return self.finish(edition, package, staging)
        return self._rightly(partial(self._merge, edition, package, shown))

    def _again(self, shown: Landed | None, package: VerifiedPackage) -> bool:
        return shown is not None and shown.manifest_digest == package.manifest.digest.hex()

    # A FULL replaces what is shown

    def begin(self, package: VerifiedPackage) -> Staging:
        """A FULL beside what is shown. Raises where it cannot follow that (`check_succession`)."""
        shown = self.shown()
        again = self._again(shown, package)
        stated = again and self._state.edition == package.manifest.digest
        if shown is not None and again:
            self._target.reopen(shown)
        else:
            check_succession(package, held(shown))
            self._target.stage(package.manifest.message.sequence)
        if not stated:
            self._state.begin(package)
        return Staging(
            self._target,
            None if stated else self._state,
            write=not again,
            alter=self._corrected(package.manifest.message.sequence),
        )

    def finish(self, edition: SpooledEdition, package: VerifiedPackage, staging: Staging) -> Result:
        """Compares, makes visible, signs. Call under the delivery's lock, when every chunk was taken."""
        self._target.written()
        if staging.state is not None:
            staging.state.check()
        staging.compare()
        if staging.new:
            if self._means.rules.too_many(staging.tally, package.manifest.message.state_count):
                self._state.undo()
                self._target.discard()
                return self._means.outcomes.rejected(edition, package, staging.tally)
            self._target.publish(landed(package, staging.shown), self._disputes(package))
        if staging.state is not None:
            staging.state.keep()
        result = self._means.outcomes.applied(edition, package, staging.tally)
        self._target.discard()
        return result

    # A DELTA or CORRECTION changes it

    def _merge(self, edition: SpooledEdition, package: VerifiedPackage, shown: Landed | None) -> Result:
        manifest = package.manifest.message
        again = self._again(shown, package)
        if not again:
            check_succession(package, held(shown))
        assert shown is not None
        stated = again and self._state.edition == package.manifest.digest
        if not stated:
            self._bring(manifest.predecessor)
            self._state.begin(package)
        staging = Staging(
            self._target, None if stated else self._state, alter=self._corrected(manifest.sequence)
        )
        self._stage(edition, package, staging)
        if staging.state is not None:
            staging.state.check()
        # A correction is never refused as a whole: what it takes back must not be shown.
        if manifest.kind != CORRECTION and self._means.rules.too_many(staging.tally, manifest.state_count):
            self._state.undo()
            self._target.discard()
            return self._means.outcomes.rejected(edition, package, staging.tally)
        removed = self._target.merge(shown)
        staging.compare()
        if manifest.kind == CORRECTION:
            self._target.recall(self._recall(edition, package))
        accepted = shown.accepted - removed + staging.shown
        self._target.publish(
            replace(landed(package, accepted), relation=shown.relation), self._disputes(package)
        )
        if staging.state is not None:
            staging.state.keep()
        result = self._means.outcomes.applied(edition, package, staging.tally)
        self._target.discard()
        return result

    def _stage(self, edition: SpooledEdition, package: VerifiedPackage, staging: Staging) -> None:
        self._target.stage(package.manifest.message.sequence)
        self._stream(edition, package, staging.take)
        self._target.written()

    # An edition that the target has left behind

    def _pass(self, edition: SpooledEdition, package: VerifiedPackage, shown: Landed) -> Result:
        """The spool was restored from a backup, the target was not: what is shown came from this edition, which is
        verified and stated as it was then.

        Raises Conflict where what is shown did not come from it.
        """
        chain, manifest = self._chain(), package.manifest.message
        if not chain.builds_on(package.manifest.digest, bytes.fromhex(shown.manifest_digest)):
            check_succession(package, held(shown))
        if manifest.kind != FULL:
            self._bring(manifest.predecessor)
        self._state.begin(package)
        staging = Staging(None, self._state)
        self._stream(edition, package, staging.take)
        self._state.check()
        self._state.keep()
        log.info("landing.passed", delivery=package.delivery_id, shown=shown.sequence)
        return self._means.outcomes.applied(edition, package, staging.tally)

    # A CORRECTION before its turn

    def recall(self, edition: SpooledEdition, package: VerifiedPackage) -> Result:
        """Takes back what the CORRECTION names in whatever is shown. What is shown stays the edition it is.

        Call under the delivery's lock.
        """
        return self._rightly(partial(self._take_back, edition, package))

    def _take_back(self, edition: SpooledEdition, package: VerifiedPackage) -> Result:
        shown, manifest = self.shown(), package.manifest.message
        # What is shown may be newer: then it has what the correction says, or what became of it.
        older = shown is not None and shown.sequence < manifest.sequence
        alter = self._corrected(manifest.sequence)
        if older and shown is not None:
            self._bring(bytes.fromhex(shown.manifest_digest))
            alter = self._here(alter)
        staging = Staging(self._target, None, alter=alter)
        self._stage(edition, package, staging)
        if older and shown is not None:
            removed = self._target.merge(shown)
            staging.compare()
            accepted = shown.accepted - removed + staging.shown
            self._target.recall(self._recall(edition, package))
            self._target.publish(
                replace(shown, accepted=accepted, rejected=shown.accepted + shown.rejected - accepted), None
            )
        else:
            self._target.recall(self._recall(edition, package))
        result = self._means.outcomes.applied(edition, package, staging.tally, recall=True)
        self._target.discard()
        log.warning("recall.landed", delivery=package.delivery_id, records=manifest.record_count)
        return result

    def _here(self, alter: Alter) -> Alter:
        """Only whoever is among the records gets a corrected row."""

        def within(rows: list[Row]) -> list[Row]:
            rows = alter(rows)
            among = self._state.among([row[0] for _, _, row in rows])
            return [
                (position, why if why == GONE or row[0] in among else ABSENT, row)
                for position, why, row in rows
            ]

        return within

    def _corrected(self, sequence: int) -> Alter:
        """Rows of an edition that a later CORRECTION has taken back already are shown as that one says."""
        told: dict[str, tuple[str | None, Shown]] = {}
        for link in self._chain():
            if link.manifest.kind == CORRECTION and link.landed and link.manifest.sequence > sequence:
                told |= self._rows_of(link)
        if not told:
            return lambda rows: rows
        return lambda rows: [
            (position, *told[row[0]]) if row[0] in told else (position, why, row) for position, why, row in rows
        ]

    def _rows_of(self, link: Link) -> Mapping[str, tuple[str | None, Shown]]:
        """Held in memory: there are few corrections before their turn."""
        if link.digest not in self._told_early:
            rows: dict[str, tuple[str | None, Shown]] = {}

            def note(chunk: SealedChunk[ExaminedRows]) -> None:
                rows.update((row[0], (why, row)) for _, why, row in chunk.examined.landed(chunk.number))

            if link.whole:
                self._stream(link.edition, self._verified(link), note)
            self._told_early[link.digest] = rows
        return self._told_early[link.digest]

    # The state

    def _rightly(self, work: Callable[[], Result]) -> Result:
        """A state that does not come to the sealed root may be a damaged file of ours: it is made anew once before
        anybody is said to have lied."""
        try:
            return work()
        except ProofInvalid as error:
            if self._fresh or not error.basis.startswith("state."):
                raise
            log.warning("state.made_anew", product=self._product, basis=error.basis)
            self._state.forget()
            return work()

    def _bring(self, wanted: bytes) -> None:
        """Takes the state to an edition. Raises Unknown where the spool lacks the records for it."""
        self._state.undo()
        links = [] if self._state.edition == wanted else self._chain().path(self._state.edition, wanted)
        for link in links:
            package = self._verified(link)
            self._fresh = self._fresh or link.full
            self._state.begin(package)
            staging = Staging(None, self._state)
            self._stream(link.edition, package, staging.take, BankRules(RuleSettings()))
            self._state.check()
            self._state.keep()

    def _disputes(self, package: VerifiedPackage) -> dict[str, str]:
        """Identifier → since when it is under objection. A mark of a taxpayer that has left marks nothing."""
        marks = package.delivery.message.disputes
        names = self._state.names(mark.blinded_key for mark in marks)
        return {names[mark.blinded_key]: mark.filed_on for mark in marks if mark.blinded_key in names}

    def _chain(self) -> Chain:
        return Chain(self._means.spool, self._product)

    def _verified(self, link: Link) -> VerifiedPackage:
        return verify_package(link.edition.package(), self._means.trust)

    def _recall(self, edition: SpooledEdition, package: VerifiedPackage) -> Recall:
        manifest = package.manifest.message
        sealed = self._means.receipts.find(edition, RECEIVED)
        received = (
            parse_strict(sealed.payload, exchange_pb2.DeliveryReceipt).signed_at_ms if sealed else now_ms()
        )
        return Recall(
            self._product,
            package.manifest.digest.hex(),
            manifest.corrects.hex(),
            manifest.sequence,
            received,
        )

    def _stream(
        self,
        edition: SpooledEdition,
        package: VerifiedPackage,
        sink: Callable[[SealedChunk[ExaminedRows]], None],
        rules: BankRules | None = None,
    ) -> None:
        stream = ChunkStream(
            package.manifest.message,
            package.blinding_key,
            examine(rules or self._means.rules),
            sink,
            self._means.crew,
        )
        for number in range(package.chunk_count):
            stream.put(number, edition.chunk(number))
        stream.drain()


def examine(rules: BankRules) -> Examine[ExaminedRows]:
    return partial(examine_rows, rules=rules)


def held(shown: Landed | None) -> Held | None:
    return (
        Held(shown.origin, shown.sequence, bytes.fromhex(shown.manifest_digest))
        if shown is not None
        else None
    )


def landed(package: VerifiedPackage, accepted: int) -> Landed:
    """Args: accepted — records that are shown."""
    manifest = package.manifest.message
    return Landed(
        product=package.product,
        origin=manifest.origin,
        delivery_id=package.delivery_id,
        manifest_digest=package.manifest.digest.hex(),
        sequence=manifest.sequence,
        relation="",
        accepted=accepted,
        rejected=manifest.state_count - accepted,
        root=manifest.root.hex(),
        landed_at_ms=time.time_ns() // 1_000_000,
    )
