"""Queries by which a bank's rows are judged: those that meet, what acts made of them, and what a judgement came to.

A judgement's own changes are looked at behind those of all acts. Never commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union,
    union_all,
)

from gateway.store.tables import (
    outcome_acts,
    outcome_batches,
    outcome_changes,
    outcome_sums,
    outcomes,
)
from xinyi.v1.lending_pb2 import (
    REPORT_STATE_CONFLICT,
    REPORT_STATE_CORRECTED,
    REPORT_STATE_COUNTED,
    REPORT_STATE_REFUSED,
    REPORT_STATE_REPEATED,
    STAGE_DISBURSED,
)

#: Values in one IN.
MOST_VALUES = 500
#: Rules whose rows have an index of their own; SQLite uses it where the rule stands in the query itself.
_EDITION: ColumnElement[str] = literal_column("'outcome.edition'")
_RECONCILE: ColumnElement[str] = literal_column("'outcome.reconcile'")
_o, _c, _a = outcomes.c, outcome_changes.c, outcome_acts.c
#: Rows that do not stand for their id.
_COPIES = (REPORT_STATE_REPEATED, REPORT_STATE_CONFLICT)


def identity(at_ms: int) -> bytes:
    """How the identities of judgements begin that were begun at a moment: earlier ones sort before it."""
    return at_ms.to_bytes(8, "big")


def is_named(conn: Connection, judgement: bytes) -> bool:
    """Whether an act has made it real."""
    return conn.execute(select(_a.sequence).where(_a.judgement == judgement)).first() is not None


def left(conn: Connection, before_ms: int) -> list[bytes]:
    """Judgements that were begun before a moment, and that no act names."""
    parts = [
        select(table.c.judgement)
        .where(table.c.judgement < identity(before_ms))
        .where(~select(_a.sequence).where(_a.judgement == table.c.judgement).exists())
        for table in (outcome_changes, outcome_sums)
    ]
    return list(conn.execute(union(*parts)).scalars())


def drop_changes(conn: Connection, judgement: bytes, most: int) -> bool:
    """Drops so many changes of a judgement that is not real; with the last of them its sums. Whether more are left."""
    some = select(_c.document, _c.place).where(_c.judgement == judgement).limit(most)
    gone = delete(outcome_changes).where(_c.judgement == judgement, tuple_(_c.document, _c.place).in_(some))
    if conn.execute(gone).rowcount == most:
        return True
    conn.execute(delete(outcome_sums).where(outcome_sums.c.judgement == judgement))
    return False


# Rows and how they stand


def _real(bank: str, document: bytes) -> ColumnElement[bool]:
    """Rows of the bank's batches, and of one that is being judged."""
    batches = select(outcome_batches.c.document).where(outcome_batches.c.bank == bank)
    return and_(_o.bank == bank, or_(_o.document.in_(batches), _o.document == document))


def _told(judgement: bytes) -> Select[Any]:
    """Changes by acts in their order, those of a judgement that is being made behind them."""
    columns = _c.document, _c.place, _c.state, _c.rule
    return (
        select(*columns)
        .join(outcome_acts, _a.judgement == _c.judgement, isouter=True)
        .where(or_(_a.sequence.is_not(None), _c.judgement == judgement))
        .order_by(_a.sequence.is_(None), _a.sequence)
    )


def read_rows(
    conn: Connection, bank: str, document: bytes, judgement: bytes, where: ColumnElement[bool]
) -> tuple[Sequence[Any], Sequence[Any]]:
    """Rows, and what changed them in order: (document, place, state, rule).

    Args:
        document: of the batch that is being judged, b"" where none is; its rows count as well.
        judgement: the one being made.
    """
    those = and_(_real(bank, document), where)
    found = conn.execute(select(outcomes).where(those)).all()
    if not found:
        return [], []
    changed = _told(judgement).join(outcomes, and_(_o.document == _c.document, _o.place == _c.place)).where(those)
    return found, conn.execute(changed).all()


def by_loan(loans: Collection[str]) -> ColumnElement[bool]:
    return _o.loan.in_(loans)


def by_id(ids: Collection[str]) -> ColumnElement[bool]:
    return _o.outcome_id.in_(ids)


def by_corrects(ids: Collection[str]) -> ColumnElement[bool]:
    return _o.corrects.in_(ids)


def _waiting(bank: str, document: bytes, judgement: bytes) -> ColumnElement[bool]:
    """Rows that were held for an edition when they came, and that nothing has settled since."""
    settled = (
        select(_c.place)
        .join(outcome_acts, _a.judgement == _c.judgement, isouter=True)
        .where(_c.document == _o.document, _c.place == _o.place)
        .where(or_(_a.sequence.is_not(None), _c.judgement == judgement))
        # What a correction takes the place of waits still: it may be needed again.
        .where(_c.state != REPORT_STATE_CORRECTED, _c.rule != _EDITION)
    )
    return and_(_real(bank, document), _o.rule == _EDITION, ~settled.exists())


def editions_waited_for(conn: Connection, bank: str, document: bytes, judgement: bytes) -> list[bytes]:
    """Manifest digests, each once."""
    waiting = _waiting(bank, document, judgement)
    return list(conn.execute(select(_o.manifest_digest).where(waiting).distinct()).scalars())


def rows_waiting(
    conn: Connection, bank: str, document: bytes, judgement: bytes, editions: Collection[bytes]
) -> Iterator[Sequence[Any]]:
    """Rows that wait for one of these editions, in the order of their chunks. In pages."""
    some = list(editions)
    for start in range(0, len(some), MOST_VALUES):
        query = (
            select(outcomes)
            .where(_waiting(bank, document, judgement), _o.manifest_digest.in_(some[start : start + MOST_VALUES]))
            .order_by(_o.document, _o.place)
        )
        yield from conn.execute(query.execution_options(yield_per=MOST_VALUES)).partitions()


def loans_of(conn: Connection, keys: Collection[tuple[bytes, int]]) -> Iterator[str]:
    """Of rows, by batch and place."""
    some = list(keys)
    for start in range(0, len(some), MOST_VALUES):
        query = select(_o.loan).where(tuple_(_o.document, _o.place).in_(some[start : start + MOST_VALUES]))
        yield from conn.execute(query).scalars()


def has_corrections(conn: Connection, bank: str, document: bytes) -> bool:
    query = select(_o.place).where(_real(bank, document), _o.corrects.is_not(None)).limit(1)
    return conn.execute(query).first() is not None


def copies(
    conn: Connection, bank: str, document: bytes, places: tuple[int, int]
) -> Sequence[Any]:
    """(place, content, batch and content of the row that stands) of rows [first, end) whose ids were sent before."""
    old = outcomes.alias()
    batches = select(outcome_batches.c.document).where(outcome_batches.c.bank == bank)
    copied = (
        select(_c.place)
        .join(outcome_acts, _a.judgement == _c.judgement)
        .where(_c.document == old.c.document, _c.place == old.c.place, _c.state.in_(_COPIES))
    )
    query = (
        select(_o.place, _o.content, old.c.document, old.c.content)
        .join(old, and_(old.c.outcome_id == _o.outcome_id, old.c.bank == bank))
        .where(_o.document == document, _o.place >= places[0], _o.place < places[1])
        .where(_o.state != REPORT_STATE_REFUSED, old.c.state != REPORT_STATE_REFUSED)
        .where(old.c.document.in_(batches), ~copied.exists())
    )
    return conn.execute(query).all()


def loans_to_judge(
    conn: Connection,
    bank: str,
    document: bytes,
    judgement: bytes,
    possible: Collection[int],
    closed: int,
    *,
    earlier: bool,
) -> Iterator[Sequence[str]]:
    """Loans of a batch that do not stand as their rows do by themselves, or may not. In pages.

    What has corrections; an event that cannot follow on the one before it, where all the loan's events came in this
    batch; with `earlier`, also what the bank sent rows of before.

    Args:
        possible: 16 × stage before + stage of an event.
        closed: stands for the stage of an event behind which nothing is owed.
    """
    own = and_(_o.document == document, _o.state != REPORT_STATE_REFUSED)
    stage = case((_o.closes == 1, closed), else_=_o.stage)
    in_order = func.lag(stage).over(partition_by=_o.loan, order_by=(_o.event_date, _o.stage, _o.outcome_id))
    steps = (
        select(_o.loan, (16 * in_order + stage).label("step"))
        .where(_o.document == document, _o.state == REPORT_STATE_COUNTED)
        .subquery()
    )
    impossible = select(steps.c.loan).where(steps.c.step.not_in(possible))
    parts = [impossible, select(_o.loan).where(own, _o.corrects.is_not(None))]
    if earlier:
        old = outcomes.alias()
        batches = select(outcome_batches.c.document).where(outcome_batches.c.bank == bank)
        real = and_(old.c.bank == bank, old.c.document.in_(batches))
        parts.append(select(_o.loan).join(old, and_(old.c.loan == _o.loan, real)).where(own))
        parts.append(select(_o.loan).join(old, and_(old.c.corrects == _o.outcome_id, real)).where(own))
        row = and_(_c.document == _o.document, _c.place == _o.place)
        parts.append(select(_o.loan).join(outcome_changes, row).where(own, _c.judgement == judgement))
    query = union(*parts).execution_options(yield_per=MOST_VALUES)
    yield from conn.execute(query).scalars().partitions()


# What a judgement came to


def counts(conn: Connection, document: bytes, judgement: bytes) -> dict[int, int]:
    """ReportState → rows of a batch, as a judgement leaves them."""
    found: dict[int, int] = dict(
        conn.execute(select(_o.state, func.count()).where(_o.document == document).group_by(_o.state)).all()
    )
    changed = (
        select(_o.state, _c.state, func.count())
        .join(outcomes, and_(_o.document == _c.document, _o.place == _c.place))
        .where(_c.judgement == judgement, _c.document == document)
        .group_by(_o.state, _c.state)
    )
    for before, after, count in conn.execute(changed):
        found[before] -= count
        found[after] = found.get(after, 0) + count
    return found


def rules(conn: Connection, document: bytes, judgement: bytes) -> dict[str, int]:
    """Rule → rows of a batch that it holds, refuses or finds here already."""
    found: dict[str, int] = dict(
        conn.execute(
            select(_o.rule, func.count()).where(_o.document == document, _o.rule != "").group_by(_o.rule)
        ).all()
    )
    changed = (
        select(_o.rule, _c.rule, func.count())
        .join(outcomes, and_(_o.document == _c.document, _o.place == _c.place))
        .where(_c.judgement == judgement, _c.document == document)
        .group_by(_o.rule, _c.rule)
    )
    for before, after, count in conn.execute(changed):
        if before:
            found[before] -= count
        if after:
            found[after] = found.get(after, 0) + count
    return {rule: count for rule, count in sorted(found.items()) if count}


def findings(
    conn: Connection, document: bytes, judgement: bytes, most: int
) -> list[tuple[str, int, str, bytes | None]]:
    """(outcome id, state, rule, first) of rows of a batch that are not counted, and of all others that a judgement
    changed; ascending by id, the first ones.
    """
    same = and_(_o.document == _c.document, _o.place == _c.place)
    change = select(_c.place).where(_c.judgement == judgement, same)
    own = (
        select(_o.outcome_id, _o.state, _o.rule)
        .where(_o.document == document, _o.state != REPORT_STATE_COUNTED, ~change.exists())
        .order_by(_o.place)
        .limit(most)
    )
    changed = (
        select(_o.outcome_id, _c.state, _c.rule, _c.first)
        .join(outcomes, same)
        .where(_c.judgement == judgement, or_(_c.document != document, _c.state != REPORT_STATE_COUNTED))
        .order_by(_o.outcome_id)
        .limit(most)
    )
    found: list[tuple[str, int, str, bytes | None]]
    found = [(name, state, rule, None) for name, state, rule in conn.execute(own)]
    found += [(name, state, rule, batch) for name, state, rule, batch in conn.execute(changed)]
    return sorted(found, key=lambda row: (row[0], row[1], row[3] or b""))[:most]


def sums(conn: Connection, document: bytes, judgement: bytes) -> list[tuple[str, str, int, int, int]]:
    """(month, currency, grade, guarantee, fen) that a judgement adds to what the bank's counted rows disbursed.

    Args: document — the batch that is being judged, b"" where none is.
    """
    month = func.substr(_o.event_date, 1, 7).label("month")
    cell = month, _o.currency, _o.grade, _o.guarantee
    own = select(*cell, _o.amount.label("granted")).where(
        _o.document == document, _o.state == REPORT_STATE_COUNTED, _o.stage == STAGE_DISBURSED, _o.voids == 0
    )
    before = outcome_changes.alias()
    last = (
        select(before.c.state)
        .join(outcome_acts, _a.judgement == before.c.judgement)
        .where(before.c.document == _c.document, before.c.place == _c.place)
        .order_by(_a.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )
    counts, counted = _c.state == REPORT_STATE_COUNTED, func.coalesce(last, _o.state) == REPORT_STATE_COUNTED
    more = case((and_(counts, ~counted), _o.amount), (and_(~counts, counted), -_o.amount), else_=0)
    changed = (
        select(*cell, more.label("granted"))
        .join(outcomes, and_(_o.document == _c.document, _o.place == _c.place))
        .where(_c.judgement == judgement, _o.stage == STAGE_DISBURSED, _o.voids == 0)
    )
    both = union_all(own, changed).subquery().c
    query = select(both.month, both.currency, both.grade, both.guarantee, func.sum(both.granted)).group_by(
        both.month, both.currency, both.grade, both.guarantee
    )
    return [(month, currency, *cell, int(fen)) for month, currency, *cell, fen in conn.execute(query)]


def granted(
    conn: Connection, bank: str, months: Collection[str], currency: str, judgement: bytes
) -> list[tuple[int, int, int]]:
    """(grade, guarantee, fen) that the bank's counted rows disbursed in these months, as a judgement leaves them."""
    s = outcome_sums.c
    real = or_(s.judgement.in_(select(_a.judgement).where(_a.bank == bank)), s.judgement == judgement)
    query = (
        select(s.grade, s.guarantee, func.sum(s.granted))
        .where(real, s.month.in_(months), s.currency == currency)
        .group_by(s.grade, s.guarantee)
    )
    return [(grade, guarantee, int(fen)) for grade, guarantee, fen in conn.execute(query)]


def grants(
    conn: Connection, bank: str, document: bytes, months: Collection[str], currency: str
) -> Iterator[Sequence[Any]]:
    """Rows that disbursed something in these months and stand by themselves or may: by date, then id. In pages."""
    month = func.substr(_o.event_date, 1, 7)
    query = (
        select(_o.document, _o.place, _o.event_date, _o.amount, _o.grade, _o.guarantee, _o.state, _o.rule)
        .where(_real(bank, document), _o.stage == STAGE_DISBURSED, _o.voids == 0)
        .where(_o.currency == currency, month.in_(months), _o.state != REPORT_STATE_REFUSED)
        .order_by(_o.event_date, _o.outcome_id)
    )
    yield from conn.execute(query.execution_options(yield_per=MOST_VALUES)).partitions()


def verdicts(
    conn: Connection, keys: Collection[tuple[bytes, int]], judgement: bytes
) -> dict[tuple[bytes, int], tuple[int, str]]:
    """(document, place) → (state, rule) of rows that acts, or a judgement, have changed."""
    found: dict[tuple[bytes, int], tuple[int, str]] = {}
    some = list(keys)
    for start in range(0, len(some), MOST_VALUES):
        changed = _told(judgement).where(tuple_(_c.document, _c.place).in_(some[start : start + MOST_VALUES]))
        found.update({(batch, place): (state, rule) for batch, place, state, rule in conn.execute(changed)})
    return found


def waits_on_table(conn: Connection, bank: str) -> bool:
    """Whether a row is held because a table says less."""
    later, later_act = outcome_changes.alias(), outcome_acts.alias()
    overtaken = (
        select(later.c.place)
        .join(later_act, later_act.c.judgement == later.c.judgement)
        .where(later.c.document == _c.document, later.c.place == _c.place, later_act.c.sequence > _a.sequence)
    )
    query = (
        select(_c.place)
        .join(outcome_acts, and_(_a.judgement == _c.judgement, _a.bank == bank))
        .where(_c.rule == _RECONCILE, ~overtaken.exists())
        .limit(1)
    )
    return conn.execute(query).first() is not None
