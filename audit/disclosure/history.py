"""The verified history of one subject: what each edition says, who was told, what they knew on a day.

Two axes of time: *valid* is when a decision applies (dates in the record), *known* is from when on a party had it
(the signed time of its APPLIED receipt). Only verification makes these objects (audit.disclosure.account).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from audit.checkpoint import Checkpoint
from audit.envelope import Opened
from xinyi.v1 import edition_pb2, exchange_pb2, lending_pb2, log_pb2, objection_pb2, records_pb2

#: Origin and product: editions of one feed follow each other.
Feed = tuple[str, str]

#: What no account of a gateway proves, and an export does.
EXPORT_PROVES = (
    "that the gateway shows every delivery: an export of the whole log does (xinyi-audit export, then --export)",
    "when a pinned key ended: an export shows that as well",
)
NOT_PROVEN = (
    *EXPORT_PROVES,
    "that every single loan which banks reported about the subject is shown: the log holds batches, not their rows",
    "that a grade was rightly decided, or that a party's clock was right when it signed",
)


class News(StrEnum):
    """What an edition says of the subject, against the edition before it."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    GONE = "gone"
    ABSENT = "absent"


def news_of(
    before: records_pb2.GradeRecord | None, now: records_pb2.GradeRecord | None, *, same: bool
) -> News:
    """Args: same — whether it is the record that stood before."""
    if now is None:
        return News.ABSENT if before is None else News.GONE
    if before is None:
        return News.NEW
    return News.UNCHANGED if same else News.CHANGED


#: Outcome id → what became of the row.
Findings = Mapping[str, lending_pb2.OutcomeFinding]


@dataclass(frozen=True)
class Logged:
    """An entry that stands in the log, and where."""

    index: int
    entry: log_pb2.LogEntry


@dataclass(frozen=True)
class Statement:
    """One published edition, and what it says of the subject."""

    manifest: Opened[edition_pb2.Manifest]
    approval: Opened[edition_pb2.Approval]
    #: The subject's, under this edition's key.
    blinded_key: bytes
    #: In force after this edition; None where the subject is not among the records.
    record: records_pb2.GradeRecord | None
    news: News
    received: Logged
    published: Logged
    stopped: Logged | None = None

    @property
    def feed(self) -> Feed:
        return self.manifest.message.origin, self.manifest.message.product

    @property
    def sequence(self) -> int:
        return self.manifest.message.sequence

    @property
    def is_correction(self) -> bool:
        return self.manifest.message.kind == edition_pb2.EDITION_KIND_CORRECTION

    @property
    def is_full(self) -> bool:
        return self.manifest.message.kind == edition_pb2.EDITION_KIND_FULL


@dataclass(frozen=True)
class Receipt:
    document: Opened[exchange_pb2.DeliveryReceipt]
    logged: Logged

    @property
    def stage(self) -> exchange_pb2.ReceiptStage:
        return self.document.message.stage

    @property
    def signed_at_ms(self) -> int:
        return self.document.message.signed_at_ms


@dataclass(frozen=True)
class Disclosure:
    """One Delivery of one edition to one party, and what that party said to it."""

    statement: Statement
    delivery: Opened[exchange_pb2.Delivery]
    offered: Logged
    receipts: tuple[Receipt, ...]

    @property
    def recipient(self) -> str:
        return self.delivery.message.recipient

    def first(self, *stages: exchange_pb2.ReceiptStage) -> Receipt | None:
        """The receipt of one of these stages that was signed first."""
        found = [receipt for receipt in self.receipts if receipt.stage in stages]
        return min(found, key=lambda receipt: receipt.signed_at_ms, default=None)

    @property
    def applied(self) -> Receipt | None:
        return self.first(exchange_pb2.RECEIPT_STAGE_APPLIED)

    @property
    def refused_under(self) -> tuple[str, ...]:
        """Rules of the recipient's own under which it did not take the subject's record; it names at most 10,000."""
        return tuple(
            sorted(
                {
                    issue.rule
                    for receipt in self.receipts
                    for issue in receipt.document.message.issues
                    if issue.blinded_key == self.statement.blinded_key
                }
            )
        )

    @property
    def mark(self) -> exchange_pb2.DisputeMark | None:
        """The mark of an open objection to the subject's record that went with the delivery."""
        key = self.statement.blinded_key
        return next((m for m in self.delivery.message.disputes if m.blinded_key == key), None)


@dataclass(frozen=True)
class Contest:
    """An objection to what an edition says of the subject, and what became of it."""

    statement: Statement
    objection: Opened[objection_pb2.Objection]
    filed: Logged
    decision: Opened[objection_pb2.ObjectionDecision] | None = None
    decided: Logged | None = None
    correction: Statement | None = None


@dataclass(frozen=True)
class Reported:
    """Single loans of the subject that a bank reported in one batch, with the subject's authorisation."""

    batch: Opened[lending_pb2.OutcomeBatch]
    recorded: Logged
    outcomes: tuple[lending_pb2.LendingOutcome, ...]
    #: By outcome id: the gateway's word.
    findings: Findings

    @property
    def receipt(self) -> bytes:
        """Digest of the gateway's receipt for the batch, as the log names it. It tells of other borrowers' rows."""
        return self.recorded.entry.documents[1]

    def finding(self, outcome_id: str) -> lending_pb2.OutcomeFinding | None:
        """What became of a row of the batch; None where it is counted."""
        return self.findings.get(outcome_id)


@dataclass(frozen=True)
class Known:
    """What a party held of the subject at a moment."""

    #: The newest edition it had come to.
    disclosure: Disclosure
    receipt: Receipt
    #: What it held of the subject; None where nothing.
    record: records_pb2.GradeRecord | None
    #: A correction that had reached it before the editions between, and took the record back.
    recall: Disclosure | None = None
    #: Whether such a correction may have named the subject as gone: editions alone do not tell.
    uncertain: bool = False
    #: Its own rules under which it did not take the record.
    refused_under: tuple[str, ...] = ()

    @property
    def statement(self) -> Statement:
        return self.disclosure.statement


@dataclass(frozen=True)
class History:
    #: Whom it is about; empty where editions alone were asked for.
    identifier: str
    #: By feed, then sequence.
    statements: tuple[Statement, ...]
    disclosures: tuple[Disclosure, ...]
    contests: tuple[Contest, ...]
    head: Checkpoint
    #: The one party whose deliveries were asked for; empty for all.
    recipient: str = ""
    #: Whether it was read from a whole log that was verified, and not from a gateway's account.
    exported: bool = False
    reported: tuple[Reported, ...] = ()
    _by_recipient: dict[tuple[str, Feed], list[Disclosure]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for disclosure in self.disclosures:
            place = disclosure.recipient, disclosure.statement.feed
            self._by_recipient.setdefault(place, []).append(disclosure)

    @property
    def not_proven(self) -> tuple[str, ...]:
        return tuple(said for said in NOT_PROVEN if not self.exported or said not in EXPORT_PROVES)

    @property
    def feeds(self) -> list[Feed]:
        return [feed for feed, _ in groupby(self.statements, lambda s: s.feed)]

    @property
    def recipients(self) -> list[str]:
        return sorted({recipient for recipient, _ in self._by_recipient})

    def editions(self, feed: Feed) -> list[Statement]:
        return [statement for statement in self.statements if statement.feed == feed]

    def true_today(self, feed: Feed) -> Statement | None:
        """The newest edition that was not stopped, corrections included."""
        live = [statement for statement in self.editions(feed) if statement.stopped is None]
        return live[-1] if live else None

    def known_to(self, recipient: str, feed: Feed, until_ms: int) -> Known | None:
        """What a party had applied by a moment, by its own signed times; None where nothing yet.

        1. A FULL stands for itself, any other edition for the one before it and itself. 2. A correction that came
        before the editions between takes back the records it names at once. 3. A record that the party's own rules
        refused is not held.
        """
        # 1
        held: dict[int, tuple[Disclosure, Receipt]] = {}
        for disclosure in self._by_recipient.get((recipient, feed), []):
            receipt = disclosure.applied
            if receipt is not None and receipt.signed_at_ms <= until_ms:
                known = held.get(disclosure.statement.sequence)
                if known is None or receipt.signed_at_ms < known[1].signed_at_ms:
                    held[disclosure.statement.sequence] = (disclosure, receipt)
        newest = max(_reached({n: d.statement.is_full for n, (d, _) in held.items()}), default=0)
        if not newest:
            return None
        disclosure, receipt = held[newest]
        record, recall, uncertain = disclosure.statement.record, None, False
        # 2
        for sequence in sorted(n for n in held if n > newest):
            later = held[sequence][0]
            if later.statement.news in (News.CHANGED, News.NEW, News.GONE):
                record, recall, uncertain = later.statement.record, later, False
            elif later.statement.record is None and record is not None:
                uncertain = True
        # 3
        last = self._told_by(recipient, feed, recall or disclosure)
        refused = last.refused_under if last is not None else ()
        return Known(
            disclosure, receipt, None if refused else record, recall, uncertain, refused
        )

    def _told_by(self, recipient: str, feed: Feed, upto: Disclosure) -> Disclosure | None:
        """The delivery that brought the record which stands after `upto`."""
        bringing = [
            d
            for d in self._by_recipient[recipient, feed]
            if d.applied is not None
            and d.statement.sequence <= upto.statement.sequence
            and (d.statement.is_full or d.statement.news in (News.NEW, News.CHANGED))
        ]
        return max(bringing, key=lambda d: d.statement.sequence, default=None)

    def holdings(self, until_ms: int) -> Iterator[tuple[str, Feed, Known]]:
        """What each party held at a moment."""
        for recipient, feed in sorted(self._by_recipient):
            if (known := self.known_to(recipient, feed, until_ms)) is not None:
                yield recipient, feed, known

    def find(self, manifest_digest: bytes) -> Statement | None:
        return next((s for s in self.statements if s.manifest.digest == manifest_digest), None)


def _reached(applied: dict[int, bool]) -> Iterator[int]:
    """Sequences a party came to: each FULL, and what followed it without a gap.

    Args: applied — sequence → whether it is a FULL.
    """
    for sequence in sorted(applied):
        if applied[sequence] or _follows(sequence, applied):
            yield sequence


def _follows(sequence: int, applied: dict[int, bool]) -> bool:
    while sequence in applied:
        if applied[sequence]:
            return True
        sequence -= 1
    return False
