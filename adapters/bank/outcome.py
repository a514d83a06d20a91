"""What became of an edition here: its receipts signed, its documents kept, its place in the spool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from adapters.bank.evidence import Evidence
from adapters.bank.package import VerifiedPackage
from adapters.bank.receipts import ACCEPTED, APPLIED, PARTIAL, REJECTED, Receipts
from adapters.bank.rules import Tally
from adapters.bank.spool import Spool, SpooledEdition
from xinyi.errors import Refused
from xinyi.v1 import edition_pb2

log = structlog.get_logger()


@dataclass(frozen=True)
class Result:
    delivery_id: str
    product: str
    sequence: int
    #: "full", "delta" or "correction".
    kind: str
    #: "accepted", "partial" or "rejected".
    stage: str
    #: Of the edition's own records.
    accepted: int
    rejected: int
    root: bytes
    #: True where a CORRECTION took rows back before its turn.
    recall: bool = False


class Outcomes:
    def __init__(self, spool: Spool, receipts: Receipts, evidence: Evidence) -> None:
        self._spool = spool
        self._receipts = receipts
        self._evidence = evidence

    def applied(
        self, edition: SpooledEdition, package: VerifiedPackage, tally: Tally, *, recall: bool = False
    ) -> Result:
        """It is visible. Signed once: what was signed before is what stands."""
        self._receipts.give(edition, package, PARTIAL if tally.rejected else ACCEPTED, tally)
        self._receipts.give(edition, package, APPLIED, tally)
        self._evidence.keep_package(package)
        self._receipts.post(edition)
        self._spool.mark_landed(edition)
        return _result(package, tally, "partial" if tally.rejected else "accepted", recall=recall)

    def rejected(self, edition: SpooledEdition, package: VerifiedPackage, tally: Tally) -> Result:
        """The bank's own rules refuse it as a whole."""
        total = tally.accepted + tally.rejected
        refused = replace(tally, accepted=0, rejected=total)
        self._receipts.give(edition, package, REJECTED, refused)
        self._evidence.keep_package(package)
        self._receipts.post(edition)
        reason = Refused(f"{tally.rejected} of {total} records break the bank's rules", basis="bank.rules")
        self._spool.refuse(edition, reason)
        log.warning("edition.rejected", delivery=package.delivery_id, rejected=tally.rejected)
        return _result(package, refused, "rejected")


def kind_word(kind: edition_pb2.EditionKind) -> str:
    return edition_pb2.EditionKind.Name(kind).removeprefix("EDITION_KIND_").lower()


def _result(package: VerifiedPackage, tally: Tally, stage: str, *, recall: bool = False) -> Result:
    manifest = package.manifest.message
    return Result(
        package.delivery_id,
        package.product,
        manifest.sequence,
        kind_word(manifest.kind),
        stage,
        tally.accepted,
        tally.rejected,
        manifest.root,
        recall,
    )
