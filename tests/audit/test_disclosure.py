"""What a party held at a moment, against a bank that is played move by move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint
from audit.disclosure.history import Disclosure, History, Logged, Receipt, Statement, news_of
from audit.envelope import Opened
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, log_pb2, records_pb2

M = TypeVar("M", bound=Message)

BANK, FEED = "test-city/bank-1", ("test-city/tax-bureau", "grade-all")
FULL, DELTA, CORRECTION = (
    edition_pb2.EDITION_KIND_FULL,
    edition_pb2.EDITION_KIND_DELTA,
    edition_pb2.EDITION_KIND_CORRECTION,
)
LOGGED = Logged(0, log_pb2.LogEntry())
HEAD = Checkpoint("log", 1, bytes(32), b"")

#: Kind, and what it says of the subject: a grade, gone (""), or nothing (None).
Edition = tuple[int, int | str | None]


def record(grade: int) -> records_pb2.GradeRecord:
    return records_pb2.GradeRecord(taxpayer_id="X", grade=records_pb2.Grade.ValueType(grade))


def opened(message: M, name: int) -> Opened[M]:
    return Opened(message, name.to_bytes(32, "big"), (), envelope_pb2.Envelope())


def told(editions: list[Edition]) -> list[Statement]:
    statements: list[Statement] = []
    before: records_pb2.GradeRecord | None = None
    for sequence, (kind, says) in enumerate(editions, 1):
        after = record(says) if isinstance(says, int) else None if says == "" or kind == FULL else before
        news = news_of(before, after, same=after == before if kind == FULL else says is None)
        manifest = edition_pb2.Manifest(origin=FEED[0], product=FEED[1], sequence=sequence, kind=kind)  # type: ignore[arg-type]
        approval = opened(edition_pb2.Approval(), sequence)
        statements.append(
            Statement(opened(manifest, sequence), approval, b"k", after, news, LOGGED, LOGGED)
        )
        before = after
    return statements


def applied(statement: Statement, at_ms: int) -> Disclosure:
    delivery = opened(exchange_pb2.Delivery(recipient=BANK), at_ms)
    stage = exchange_pb2.RECEIPT_STAGE_APPLIED
    receipt = opened(exchange_pb2.DeliveryReceipt(stage=stage, signed_at_ms=at_ms), at_ms)
    return Disclosure(statement, delivery, LOGGED, (Receipt(receipt, LOGGED),))


@dataclass
class Bank:
    """Takes editions as a bank does: in order, a CORRECTION also ahead of those between."""

    statements: list[Statement]
    editions: list[Edition]
    held: int = 0
    grade: int | None = None
    ahead: dict[int, int | str | None] = field(default_factory=dict)

    def may_take(self, sequence: int) -> bool:
        kind = self.editions[sequence - 1][0]
        if sequence in self.ahead or sequence <= self.held:
            return False
        return kind == FULL or sequence == self.held + 1 != 1 or (kind == CORRECTION and self.held > 0)

    def take(self, sequence: int) -> None:
        kind, says = self.editions[sequence - 1]
        if kind == CORRECTION and sequence != self.held + 1:
            self.ahead[sequence] = says
            return
        self.held = sequence
        while self.held + 1 in self.ahead:
            self.held += 1
        for past in [n for n in self.ahead if n <= self.held]:
            del self.ahead[past]

    def holds(self) -> int | None:
        state = self.statements[self.held - 1].record
        grade = state.grade if state is not None else None
        for sequence in sorted(self.ahead):
            says = self.ahead[sequence]
            grade = grade if says is None else None if says == "" else int(says)  # type: ignore[assignment]
        return grade


_SAYS = st.one_of(st.none(), st.just(""), st.sampled_from([1, 2, 4]))
_EDITIONS = st.lists(st.tuples(st.sampled_from([FULL, DELTA, DELTA, CORRECTION]), _SAYS), max_size=9)


@settings(deadline=None, max_examples=300)
@given(rest=_EDITIONS, first=_SAYS, data=st.data())
def test_what_was_known_is_what_a_bank_held(rest: list[Edition], first: int | str | None, data: st.DataObject) -> None:
    """After every move of a bank that skips, waits and takes corrections ahead."""
    editions: list[Edition] = [(FULL, first), *rest]
    statements = told(editions)
    bank = Bank(statements, editions)
    disclosures: list[Disclosure] = []
    for moment in range(1, 12):
        possible = [n for n in range(1, len(editions) + 1) if bank.may_take(n)]
        if not possible:
            break
        sequence = data.draw(st.sampled_from(possible))
        bank.take(sequence)
        disclosures.append(applied(statements[sequence - 1], moment))
        history = History("X", tuple(statements), tuple(disclosures), (), HEAD)
        known = history.known_to(BANK, FEED, moment)
        assert known is not None
        assert known.statement.sequence == bank.held
        if not known.uncertain:
            grade = known.record.grade if known.record is not None else None
            assert grade == bank.holds()
        assert history.known_to(BANK, FEED, 0) is None
    before = History("X", tuple(statements), (), (), HEAD)
    assert before.known_to(BANK, FEED, 99) is None
