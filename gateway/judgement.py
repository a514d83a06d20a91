"""What becomes of a bank's rows when a batch comes, or an answer: verdicts over all that it sent, staged beforehand.

    copies → editions that have come → loans, page by page → reconciliation with the bank's tables

Everything a judgement writes stands under its identity in small transactions, and is nothing until an act of the bank
names it: the door does that, where no other act came meanwhile. A crash leaves rows behind that no act names: nobody
reads them.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from audit.bulk import insert_rows
from audit.records import CHUNK_RECORDS
from gateway.reliances import Editions, Relied, find_fault
from gateway.rules import outcomes as rules
from gateway.rules.outcomes import Event, Key, Verdict
from gateway.rules.reporting import terms_of
from gateway.store import judgements, lending, tables
from gateway.store import limits as table_limits
from gateway.store import outcomes as store
from gateway.store.db import Database
from xinyi.lending import MAX_NAMED
from xinyi.margins import ALL, TOTAL, value_of
from xinyi.v1 import envelope_pb2, lending_pb2, lending_service_pb2, records_pb2
from xinyi.v1.lending_pb2 import (
    REPORT_STATE_CONFLICT,
    REPORT_STATE_HELD,
    REPORT_STATE_REPEATED,
)

#: Rows whose copies are looked for, and written, at a time: other writers never wait long.
PAGE = 16 * CHUNK_RECORDS


@dataclass(frozen=True)
class Judgement:
    identity: bytes
    #: Place of the bank's act upon which it was made: true while no other act has come.
    upon: int
    #: ReportState → rows of the batch.
    counts: Mapping[int, int]
    #: Rule → rows of the batch.
    rules: Mapping[str, int]
    findings: Sequence[lending_pb2.OutcomeFinding]


@dataclass(frozen=True)
class Limits:
    """What a counted table says was granted, in fen by (dimension, value)."""

    year: int
    month: int
    months: int
    currency: str
    granted: Mapping[tuple[str, str], int]

    @property
    def place(self) -> tuple[int, int, int, str]:
        """Where one table of a bank counts."""
        return self.year, self.month, self.months, self.currency

    @property
    def month_names(self) -> set[str]:
        return {f"{self.year}-{self.month + n:02d}" for n in range(self.months)}


@dataclass
class Judge:
    """One judgement. Blocks: run it in a thread.

    Args:
        begun_at_ms: stands in its identity, so that one that was left can be told from one that is being made.
        document: the batch whose rows are staged; b"" for an answer.
        rows: of the batch.
        confirmed: rows that a person of the bank says are right.
        table: one that counts from now on, in the place of another.
    """

    database: Database
    bank: str
    begun_at_ms: int
    document: bytes = b""
    rows: int = 0
    confirmed: frozenset[Key] = frozenset()
    table: Limits | None = None

    def __post_init__(self) -> None:
        self.identity = judgements.identity(self.begun_at_ms) + os.urandom(8)
        #: Rows whose question by themselves has become another one, or none.
        self._own: dict[Key, str] = dict.fromkeys(self.confirmed, "")

    def run(self) -> Judgement:
        with self.database.reading() as conn:
            upon = store.last_act(conn, self.bank)
            self._correcting = judgements.has_corrections(conn, self.bank, self.document)
        if upon and self.document:
            self._find_copies()
        self._judge(self._loans_of_confirmed() | self._recheck_editions())
        if self.document:
            # Of its own connection: what is written meanwhile is not looked for.
            with self.database.reading() as conn:
                for page in judgements.loans_to_judge(
                    conn, self.bank, self.document, self.identity, rules.POSSIBLE, rules.CLOSED, earlier=bool(upon)
                ):
                    self._judge(page)
        self._write_sums()
        if self._reconcile():
            self._write_sums()
        with self.database.reading() as conn:
            return Judgement(
                self.identity,
                upon,
                judgements.counts(conn, self.document, self.identity) if self.document else {},
                judgements.rules(conn, self.document, self.identity) if self.document else {},
                self._findings(conn) if self.document else [],
            )

    def _findings(self, conn: Connection) -> list[lending_pb2.OutcomeFinding]:
        found = judgements.findings(conn, self.document, self.identity, MAX_NAMED)
        return [_finding(*one) for one in found]

    def drop(self) -> None:
        """What an act has made real stays. Only once the door is done with it."""
        with self.database.reading() as conn:
            named = judgements.is_named(conn, self.identity)
        if not named:
            drop_judgement(self.database, self.identity)

    # ── copies ─────────────────────────────────────────────────────────────────────────────────────────

    def _find_copies(self) -> None:
        """Rows whose ids are here already: what stands for an id is the row that came first."""
        for start in range(0, self.rows, PAGE):
            with self.database.reading() as conn:
                found = judgements.copies(conn, self.bank, self.document, (start, start + PAGE))
            changes = {
                (self.document, place): (
                    (REPORT_STATE_REPEATED, rules.REPEATED)
                    if content == standing
                    else (REPORT_STATE_CONFLICT, rules.CONFLICT)
                )
                for place, content, _, standing in found
            }
            self._change(changes, {(self.document, place): first for place, _, first, _ in found})

    # ── what has been cleared up ───────────────────────────────────────────────────────────────────────

    def _loans_of_confirmed(self) -> set[str]:
        with self.database.reading() as conn:
            return set(judgements.loans_of(conn, self.confirmed))

    def _recheck_editions(self) -> set[str]:
        """Rows that waited for an edition: what is in question now. Their loans are judged anew."""
        editions, loans = Editions(), set()
        terms: dict[bytes, lending_service_pb2.ReportingTerms] = {}
        with self.database.reading() as conn:
            waited = judgements.editions_waited_for(conn, self.bank, self.document, self.identity)
            come = [digest for digest in waited if editions.find(conn, digest) is not None]
            for page in judgements.rows_waiting(conn, self.bank, self.document, self.identity, come):
                with self.database.reading() as other:
                    for row, outcome in _outcomes(other, page):
                        relied = Relied.of(outcome)
                        assert relied is not None  # or it would not wait
                        if row.document not in terms:
                            terms[row.document] = _terms(other, row.document)
                        fault = find_fault(
                            other, editions, relied, outcome.loan.reliance.commitment, outcome.event_date
                        )
                        own = fault or rules.find_implausible(outcome, terms[row.document])
                        self._own[row.document, row.place] = own
                        loans.add(row.loan)
        return loans

    # ── loans ──────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, loans: Iterable[str]) -> None:
        """All rows of these loans, and of those that corrections tie to them."""
        todo = list(loans)
        for start in range(0, len(todo), judgements.MOST_VALUES):
            self._judge_page(set(todo[start : start + judgements.MOST_VALUES]))

    def _judge_page(self, loans: set[str]) -> None:
        with self.database.reading() as conn:
            found, changes = self._tied(conn, loans)
        told = _by_row(changes)
        events, before = [], {}
        for row in found:
            key = row.document, row.place
            verdicts = told.get(key, ())
            if _is_copy(row, verdicts):
                continue
            own = self._own[key] if key in self._own else rules.own_rule(row.rule, verdicts)
            before[key] = verdicts[-1] if verdicts else (row.state, row.rule)
            events.append(
                Event(
                    key, row.outcome_id, row.loan, row.stage, row.event_date, bool(row.closes), row.corrects,
                    bool(row.voids), own,
                )
            )  # fmt: skip
        after = rules.judge(events)
        self._change(
            {
                key: verdict
                for key, verdict in after.items()
                # What a table leaves no room for is looked at again below.
                if verdict != before[key] and (verdict, before[key]) != (rules.COUNTED, _NO_ROOM)
            }
        )

    def _tied(self, conn: Connection, loans: set[str]) -> tuple[list[Any], list[Any]]:
        """Rows of loans, of those that they correct or that correct them, and so on; and what changed them."""
        found: dict[Key, Any] = {}
        changes: list[Any] = []
        seen: set[str] = set()
        while loans:
            seen |= loans
            for some in _pages(loans):
                rows, changed = judgements.read_rows(
                    conn, self.bank, self.document, self.identity, judgements.by_loan(some)
                )
                found.update(((row.document, row.place), row) for row in rows)
                changes += changed
            loans = set()
            if self._correcting:
                named = {row.corrects for row in found.values() if row.corrects}
                ids = {row.outcome_id for row in found.values()}
                ways = [(judgements.by_id, named - ids), (judgements.by_corrects, ids)]
                for way, values in ways:
                    for some in _pages(values):
                        rows, _ = judgements.read_rows(
                            conn, self.bank, self.document, self.identity, way(some)
                        )
                        loans |= {row.loan for row in rows} - seen
        return list(found.values()), changes

    # ── the bank's tables ──────────────────────────────────────────────────────────────────────────────

    def _reconcile(self) -> bool:
        """Rows beyond what the bank's counted tables say, by date, are in question. Whether anything changed."""
        with self.database.reading() as conn:
            again = judgements.waits_on_table(conn, self.bank)
            by_currency: dict[str, list[tuple[set[str], rules.Room]]] = defaultdict(list)
            full: set[str] = set()
            for table in self._counted_tables(conn):
                months = table.month_names
                by_currency[table.currency].append((months, rules.Room(table.granted)))
                granted = judgements.granted(conn, self.bank, months, table.currency, self.identity)
                if again or _overflows(table.granted, granted):
                    full.add(table.currency)
        changed = [self._fit(currency, by_currency[currency]) for currency in sorted(full)]
        return any(changed)

    def _counted_tables(self, conn: Connection) -> list[Limits]:
        """As they are once the act is real."""
        found = [
            Limits(t["year"], t["month"], t["months"], t["currency"], table_limits.limits(conn, t["document"]))
            for t in table_limits.counted_tables(conn, self.bank)
        ]
        if self.table is None:
            return found
        return [other for other in found if other.place != self.table.place] + [self.table]

    def _fit(self, currency: str, rooms: list[tuple[set[str], rules.Room]]) -> bool:
        months, changed = set().union(*(months for months, _ in rooms)), False
        with self.database.reading() as conn:
            for page in judgements.grants(conn, self.bank, self.document, months, currency):
                with self.database.reading() as other:
                    told = judgements.verdicts(other, [(row.document, row.place) for row in page], self.identity)
                changes: dict[Key, Verdict] = {}
                for row in page:
                    key = row.document, row.place
                    before = told.get(key, (row.state, row.rule))
                    if before not in (rules.COUNTED, _NO_ROOM):
                        continue
                    cells = _cells(row.grade, row.guarantee)
                    meant = [room for months, room in rooms if row.event_date[:7] in months]
                    verdict = rules.COUNTED if all(room.has(row.amount, cells) for room in meant) else _NO_ROOM
                    if verdict == rules.COUNTED:
                        for room in meant:
                            room.fill(row.amount, cells)
                    if verdict != before:
                        changes[key] = verdict
                self._change(changes)
                changed = changed or bool(changes)
        return changed

    # ── writing ────────────────────────────────────────────────────────────────────────────────────────

    def _change(self, changes: Mapping[Key, Verdict], firsts: Mapping[Key, bytes] | None = None) -> None:
        rows = [
            {
                "judgement": self.identity,
                "document": key[0],
                "place": key[1],
                "state": verdict[0],
                "rule": verdict[1],
                "first": firsts[key] if firsts else None,
            }
            for key, verdict in changes.items()
        ]
        if rows:
            with self.database.writing() as conn:
                insert_rows(conn, tables.outcome_changes, rows, "replace")

    def _write_sums(self) -> None:
        with self.database.reading() as conn:
            sums = judgements.sums(conn, self.document, self.identity)
        names = ("month", "currency", "grade", "guarantee", "granted")
        rows = [{"judgement": self.identity} | dict(zip(names, row, strict=True)) for row in sums]
        if rows:
            with self.database.writing() as conn:
                insert_rows(conn, tables.outcome_sums, rows, "replace")


def drop_judgement(database: Database, identity: bytes) -> None:
    """One that no act names, nor will. Page by page: other writers never wait long."""
    more = True
    while more:
        with database.writing() as conn:
            more = judgements.drop_changes(conn, identity, PAGE)


_NO_ROOM: Verdict = (REPORT_STATE_HELD, rules.RECONCILE)


def _pages(values: Collection[str]) -> Iterable[list[str]]:
    some = list(values)
    return (some[start : start + judgements.MOST_VALUES] for start in range(0, len(some), judgements.MOST_VALUES))


def _by_row(changes: Iterable[Any]) -> dict[Key, list[Verdict]]:
    """Row → its verdicts in order."""
    found: dict[Key, list[Verdict]] = defaultdict(list)
    for change in changes:
        found[change.document, change.place].append((change.state, change.rule))
    return found


def _is_copy(row: Any, verdicts: Sequence[Verdict]) -> bool:
    """Whether another row stands for its id, or none."""
    state = verdicts[-1][0] if verdicts else row.state
    return state not in rules.STANDING


def _outcomes(conn: Connection, page: Sequence[Any]) -> Iterator[tuple[Any, lending_pb2.LendingOutcome]]:
    """Rows of a page with their content, in the order of their chunks: each chunk is read once for the page."""
    for (document, number), of_chunk in groupby(page, lambda row: (row.document, row.place // CHUNK_RECORDS)):
        data = store.find_chunk(conn, document, number)
        assert data is not None  # staged before its rows were judged
        records = records_pb2.Chunk.FromString(data).records
        for row in of_chunk:
            yield row, lending_pb2.LendingOutcome.FromString(records[row.place % CHUNK_RECORDS].record)


def _terms(conn: Connection, document: bytes) -> lending_service_pb2.ReportingTerms:
    """What the agreement of a batch wants."""
    batch, intake = store.find_batch(conn, document), store.find_intake(conn, document)
    if batch is None:
        assert intake is not None  # its rows are here
        sealed = envelope_pb2.Envelope.FromString(intake["envelope"])
        agreement = lending_pb2.OutcomeBatch.FromString(sealed.payload).agreement_id
    else:
        agreement = batch["agreement_id"]
    row = lending.find_terms(conn, agreement)
    assert row is not None  # checked when the batch began, and never taken away
    return terms_of(row)


def _cells(grade: int, guarantee: int) -> list[tuple[str, str]]:
    loan = lending_pb2.Loan(guarantee=guarantee)  # type: ignore[arg-type]
    if grade:
        loan.reliance.grade = grade  # type: ignore[assignment]
    row = lending_pb2.LoanRow(loan=loan)
    named = [(dimension, value_of(dimension)(row)) for dimension in ("grade", "guarantee")]
    return [(TOTAL, ALL), *named]


def _overflows(limits: Mapping[tuple[str, str], int], granted: Iterable[tuple[int, int, int]]) -> bool:
    room = rules.Room(limits)
    sums: Counter[tuple[str, str]] = Counter()
    for grade, guarantee, fen in granted:
        sums.update(dict.fromkeys(_cells(grade, guarantee), fen))
    return not all(room.has(fen, [cell]) for cell, fen in sums.items())


def _finding(outcome_id: str, state: int, rule: str, first: bytes | None) -> lending_pb2.OutcomeFinding:
    return lending_pb2.OutcomeFinding(
        outcome_id=outcome_id, state=state, question=rules.question(rule), first=first or b""  # type: ignore[arg-type]
    )
