"""What becomes of single loans that a bank reports: rules of a row alone, and of a loan's events together. Pure.

A row by itself is COUNTED, HELD with a question, or REFUSED. Together, every verdict depends on the set of the rows
that a bank has sent, never on the order in which they came:

1. A row that names another in `corrects` takes its place, once it holds by itself. Of several that name the same one
   the first by id does; the others are in question. What names nothing that is known waits for it.
2. What is left of a loan is read by event date, then stage, then id. An event that cannot follow on those before it is
   in question and changes nothing.

    APPLIED ─▶ PRE_CREDIT ─▶ CREDIT_APPROVED ─▶ CONTRACTED ─▶ DISBURSED ⇄ REPAID, OVERDUE, NPL ─▶ WRITTEN_OFF
         └──────────┴─▶ REJECTED    (CANCELLED until it is disbursed)      └─▶ REPAID to a balance of 0

Stages may be left out, since a bank need not report all of them; nothing follows on a last one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from gateway.rules.reporting import terms_of
from xinyi.errors import Conflict, Contradiction, Invalid, NotEntitled
from xinyi.lending import check_authorisation
from xinyi.v1 import lending_pb2, lending_service_pb2
from xinyi.v1.lending_pb2 import (
    REPORT_STATE_CORRECTED,
    REPORT_STATE_COUNTED,
    REPORT_STATE_HELD,
)

#: (batch, place in it)
Key = tuple[bytes, int]
#: ReportState and rule; the rule is empty where nothing is asked.
Verdict = tuple[int, str]

COUNTED: Verdict = (REPORT_STATE_COUNTED, "")
CORRECTED: Verdict = (REPORT_STATE_CORRECTED, "")
AUTHORISATION, EVENT_DATE = "outcome.authorisation", "outcome.event_date"
EDITION, RELIANCE, BEFORE = "outcome.edition", "outcome.reliance", "outcome.before_edition"
PLAUSIBLE, CURRENCY = "outcome.plausible_amount", "outcome.currency"
CORRECTS, TRANSITION, RECONCILE = "outcome.corrects", "outcome.transition", "outcome.reconcile"
REPEATED, CONFLICT = "outcome.repeated", "outcome.conflict"

#: rule → basis, text, whether a person of the bank may confirm it.
_QUESTIONS: dict[str, tuple[str, str, bool]] = {
    AUTHORISATION: (
        "征信业管理条例 art. 29 ¶2",
        (
            "no authorisation of the borrower that is valid on the day of the report: nothing of it was kept; send it "
            "again with one"
        ),
        False,
    ),
    EVENT_DATE: (
        EVENT_DATE,
        "the event lies after the day of the report: nothing of it was kept; send it again once it happened",
        False,
    ),
    EDITION: (
        EDITION,
        "no edition with that digest was published: which one did the bank rely on?",
        False,
    ),
    RELIANCE: (
        RELIANCE,
        "the edition holds no such record, or tells another grade or year: correct the row",
        False,
    ),
    BEFORE: (
        BEFORE,
        "the event lies before the day on which the edition was published: correct the row",
        False,
    ),
    PLAUSIBLE: (
        PLAUSIBLE,
        (
            "the amount lies outside what the agreement calls plausible; a field in 万元 where fen are wanted "
            "looks like this: confirm it or correct the row"
        ),
        True,
    ),
    CURRENCY: (CURRENCY, "another currency than the agreement's: confirm it or correct the row", True),
    CORRECTS: (
        CORRECTS,
        (
            "what it corrects is not known here, or was replaced by another row already: send that, or name the "
            "one that stands"
        ),
        False,
    ),
    TRANSITION: (
        TRANSITION,
        "the event cannot follow on the loan's other events, by their dates and stages: correct or void one of them",
        False,
    ),
    RECONCILE: (
        RECONCILE,
        "with it more is granted than the bank's table of the period says: correct the row or the table",
        False,
    ),
    REPEATED: (REPEATED, "it is here already, with the same content", False),
    CONFLICT: (
        CONFLICT,
        (
            "its id is here already with other content, which stands: send the change under a new id that names it in "
            "corrects"
        ),
        False,
    ),
}  # fmt: skip

#: Rules that look at other rows: what is held by one of these was in order by itself.
TOGETHER = frozenset({CORRECTS, TRANSITION, RECONCILE})
CONFIRMABLE = frozenset(rule for rule, (_, _, may) in _QUESTIONS.items() if may)
#: Rows that stand for their id.
STANDING = frozenset({REPORT_STATE_COUNTED, REPORT_STATE_HELD, REPORT_STATE_CORRECTED})


def question(rule: str) -> lending_pb2.Question | None:
    """What is asked by a rule; None where nothing is."""
    if not rule:
        return None
    basis, text, may = _QUESTIONS[rule]
    return lending_pb2.Question(rule=rule, basis=basis, text=text, may_be_confirmed=may)


# Batches


def check_place(batch: lending_pb2.OutcomeBatch, other: Mapping[str, Any] | None) -> None:
    """Args: other — the bank's batch of this number, where there is one. Raises Contradiction."""
    if other is not None:
        raise Contradiction(f"number {batch.number} is here with another batch", basis="batch.number")


def check_terms(row: Mapping[str, Any] | None) -> lending_service_pb2.ReportingTerms:
    """The agreement's reporting terms. Raises NotEntitled where it takes no single loans."""
    terms = terms_of(row) if row is not None else None
    if terms is None or not terms.outcomes:
        raise NotEntitled(
            "the agreement does not say that single loans are reported under it", basis="agreement.outcomes"
        )
    return terms


# A row by itself


def find_refusal(outcome: lending_pb2.LendingOutcome, day: date) -> str:
    """The rule by which nothing of a row is kept; empty where none is broken.

    Args: day — of the batch's issue, in China.
    """
    try:
        check_authorisation(outcome.authorisation, day)
    except Invalid:
        return AUTHORISATION
    return EVENT_DATE if outcome.event_date > day.isoformat() else ""


def find_implausible(outcome: lending_pb2.LendingOutcome, terms: lending_service_pb2.ReportingTerms) -> str:
    """The rule by which an amount is asked about; empty where none is.

    What is disbursed lies between the agreement's bounds; what else is told, a part payment for instance, may be less.
    """
    if outcome.voids:
        return ""
    if terms.currency and outcome.loan.currency != terms.currency:
        return CURRENCY
    if outcome.stage == lending_pb2.STAGE_DISBURSED and outcome.amount < terms.least_plausible:
        return PLAUSIBLE
    largest = max(outcome.amount, outcome.credit_line, outcome.balance)
    return PLAUSIBLE if terms.most_plausible and largest > terms.most_plausible else ""


def closes(outcome: lending_pb2.LendingOutcome) -> bool:
    """Whether nothing is owed behind the event."""
    repaid = outcome.stage == lending_pb2.STAGE_REPAID
    return repaid and outcome.HasField("balance") and outcome.balance == 0


# Rows together


class Event(NamedTuple):
    """A row as the others of its bank meet it."""

    key: Key
    outcome_id: str
    loan: str
    stage: int
    event_date: str
    #: Nothing is owed behind it.
    closes: bool
    corrects: str | None
    voids: bool
    #: By which rule it is in question by itself; empty where it is not, or not any more.
    own: str


_FINAL = 12
_BEGUN = (lending_pb2.STAGE_APPLIED, lending_pb2.STAGE_PRE_CREDIT, lending_pb2.STAGE_CREDIT_APPROVED)
_SERVED = (lending_pb2.STAGE_REPAID, lending_pb2.STAGE_OVERDUE, lending_pb2.STAGE_NPL)
_PAID_OUT = frozenset({lending_pb2.STAGE_DISBURSED, *_SERVED, lending_pb2.STAGE_WRITTEN_OFF})
#: stage → stages that may come next; 0 stands before the first event.
NEXT: dict[int, frozenset[int]] = {
    0: frozenset(lending_pb2.Stage.values()),
    lending_pb2.STAGE_APPLIED: _PAID_OUT
    | {*_BEGUN[1:], lending_pb2.STAGE_REJECTED, lending_pb2.STAGE_CONTRACTED, lending_pb2.STAGE_CANCELLED},
    lending_pb2.STAGE_PRE_CREDIT: _PAID_OUT
    | {*_BEGUN[2:], lending_pb2.STAGE_REJECTED, lending_pb2.STAGE_CONTRACTED, lending_pb2.STAGE_CANCELLED},
    lending_pb2.STAGE_CREDIT_APPROVED: _PAID_OUT
    | {lending_pb2.STAGE_CONTRACTED, lending_pb2.STAGE_CANCELLED},
    lending_pb2.STAGE_CONTRACTED: _PAID_OUT | {lending_pb2.STAGE_CANCELLED},
    lending_pb2.STAGE_DISBURSED: _PAID_OUT,
    lending_pb2.STAGE_REPAID: _PAID_OUT,
    lending_pb2.STAGE_OVERDUE: _PAID_OUT - {lending_pb2.STAGE_DISBURSED},
    lending_pb2.STAGE_NPL: _PAID_OUT - {lending_pb2.STAGE_DISBURSED},
    # Nothing comes behind these.
    lending_pb2.STAGE_REJECTED: frozenset(),
    lending_pb2.STAGE_CANCELLED: frozenset(),
    lending_pb2.STAGE_WRITTEN_OFF: frozenset(),
    _FINAL: frozenset(),
}


#: 16 × what stands before + what comes, of everything that is possible: how a database asks for the rest. A last
#: repayment comes as any repayment does.
POSSIBLE = frozenset(
    16 * before + code
    for before, stages in NEXT.items()
    for stage in stages
    for code in ((stage, _FINAL) if stage == lending_pb2.STAGE_REPAID else (stage,))
)
CLOSED = _FINAL


def judge(events: Collection[Event]) -> dict[Key, Verdict]:
    """What becomes of each of these rows, among which are all rows of their loans, and those that they correct or
    that correct them, and so on.
    """
    found, standing = _corrected(events)
    loans: dict[str, list[Event]] = {}
    for event in standing:
        loans.setdefault(event.loan, []).append(event)
    for of_loan in loans.values():
        found.update(_in_order(of_loan))
    return found


def _in_order(events: list[Event]) -> Iterator[tuple[Key, Verdict]]:
    if len(events) == 1:
        yield events[0].key, COUNTED
        return
    before = 0
    for event in sorted(events, key=lambda e: (e.event_date, e.stage, e.outcome_id)):
        if event.stage in NEXT[before]:
            before = _FINAL if event.closes else event.stage
            yield event.key, COUNTED
        else:
            yield event.key, (REPORT_STATE_HELD, TRANSITION)


def _corrected(events: Collection[Event]) -> tuple[dict[Key, Verdict], list[Event]]:
    """Verdicts of rows that are in question by themselves, or by what they correct; and the others."""
    naming: dict[str, list[Event]] = {}
    for event in events:
        if event.corrects:
            naming.setdefault(event.corrects, []).append(event)
    if not naming:
        found: dict[Key, Verdict] = {e.key: (REPORT_STATE_HELD, e.own) for e in events if e.own}
        return found, [e for e in events if not e.own]
    return _Corrections(events, naming).settle()


@dataclass
class _Corrections:
    """Rows and those that name them form trees; of each the last row that holds takes the place of all before it."""

    events: Collection[Event]
    naming: Mapping[str, list[Event]]

    def __post_init__(self) -> None:
        self._known = {event.outcome_id for event in self.events}
        self._found: dict[Key, Verdict] = {}
        self._standing: list[Event] = []
        self._ends: dict[str, Event | None] = {}

    def settle(self) -> tuple[dict[Key, Verdict], list[Event]]:
        for event in self.events:
            if not event.corrects or event.corrects not in self._known:
                self._walk(event, waits=bool(event.corrects))
        for event in self.events:
            if event.outcome_id not in self._ends:  # they name each other in a ring
                self._found[event.key] = (REPORT_STATE_HELD, event.own or CORRECTS)
        return self._found, self._standing

    def _named_by(self, event: Event) -> list[Event]:
        return sorted(self.naming.get(event.outcome_id, ()), key=lambda e: e.outcome_id)

    def _walk(self, root: Event, *, waits: bool) -> None:
        """Args: waits — for what the root names, or the place that it names is taken."""
        self._find_ends(root)
        todo = [(root, waits)]
        while todo:
            event, blocked = todo.pop()
            end = self._ends[event.outcome_id]
            if end is None:
                self._found[event.key] = (REPORT_STATE_HELD, event.own)
                todo += [(other, blocked) for other in self._named_by(event)]
                continue
            at = event
            while at is not end:
                self._found[at.key] = CORRECTED
                others = self._named_by(at)
                chosen = next(o for o in others if self._ends[o.outcome_id] is not None)
                todo += [(other, True) for other in others if other is not chosen]
                at = chosen
            todo += [(other, False) for other in self._named_by(end)]
            if end.voids:
                # It is in order, and nothing that could be counted.
                self._found[end.key] = CORRECTED if not blocked or end is not event else (REPORT_STATE_HELD, CORRECTS)
            elif blocked:
                self._found[end.key] = (REPORT_STATE_HELD, CORRECTS)
            else:
                self._standing.append(end)

    def _find_ends(self, root: Event) -> None:
        """For every row below: the one that takes its place, itself where none does; None where none holds."""
        order, todo = [], [root]
        while todo:
            event = todo.pop()
            order.append(event)
            todo += self.naming.get(event.outcome_id, ())
        for event in reversed(order):
            ends = (self._ends[other.outcome_id] for other in self._named_by(event))
            end = next((found for found in ends if found is not None), None)
            self._ends[event.outcome_id] = end or (event if not event.own else None)


# Reconciliation


class Room:
    """What a bank's counted table of a period says was granted, as far as single loans have not filled it.

    Args:
        limits: (dimension, value) → fen; a cell that is not told holds 0.
    """

    def __init__(self, limits: Mapping[tuple[str, str], int]) -> None:
        self._left = dict(limits)
        self._told = {dimension for dimension, _ in limits}

    def has(self, amount: int, cells: Iterable[tuple[str, str]]) -> bool:
        """Whether a grant fits into each of its cells, "total" among them."""
        return all(self._left.get(cell, 0) >= amount for cell in cells if cell[0] in self._told)

    def fill(self, amount: int, cells: Iterable[tuple[str, str]]) -> None:
        for cell in cells:
            if cell in self._left:
                self._left[cell] -= amount


def own_rule(rule: str, changes: Iterable[Verdict]) -> str:
    """By which rule a row is in question by itself, after what became of it; empty where it is not.

    Args: rule — by which it was when it came.
    """
    for state, changed in changes:
        if state == REPORT_STATE_COUNTED or changed in TOGETHER:
            rule = ""
        elif state == REPORT_STATE_HELD:
            rule = changed
    return rule


# Answers


def check_confirmable(states: Mapping[str, Verdict], named: Iterable[str]) -> None:
    """Raises Conflict unless each of the named outcomes is held by a rule that a person may confirm.

    Args: states — outcome id → how the row of this batch stands.
    """
    for outcome_id in named:
        state, rule = states.get(outcome_id, (0, ""))
        if not state:
            raise Conflict(f"outcome {outcome_id} is not in that batch", basis="lending_answer.outcomes")
        if state != REPORT_STATE_HELD or rule not in CONFIRMABLE:
            word = lending_pb2.ReportState.Name(state).removeprefix("REPORT_STATE_").lower()
            raise Conflict(
                f"outcome {outcome_id} is {word}{f' by {rule}' if rule else ''}: nothing to confirm",
                basis="lending_answer.outcomes",
            )
