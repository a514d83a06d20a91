"""A period's statistics: everything counted until a moment, added up, suppressed, sealed; versions and their re-runs.

What a version says depends on its moment alone: whatever is recorded later has a later time, so the same moment gives
the same bytes for ever. Which banks owe a table is the exception: terms have no history, so a re-run takes the banks
that the version itself names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from audit.records import CHUNK_RECORDS, split_chunk
from gateway.exchange import Exchange
from gateway.reception import Reception
from gateway.reliances import Relied, published_at, true_grades
from gateway.rules import reporting
from gateway.rules import statistics as rules
from gateway.rules.true_grades import Moved, by_true_grade
from gateway.store import editions as documents
from gateway.store import statistics as store
from gateway.store import tables
from gateway.store.rows import Row
from xinyi.errors import Conflict, DigestMismatch, Invalid, Unknown
from xinyi.grade_columns import GradeColumns
from xinyi.margins import ALL, NO_GRADE, SUMS, TOTAL, WITHDRAWN, grade_name, is_empty
from xinyi.suppression import CONSENTED, DEFINITIONS, Figures, Sums, content, publish
from xinyi.v1 import edition_pb2, lending_pb2

#: Stage → "grade", "true-grade", "grade-pair" → cells.
Families = dict[str, dict[str, dict[str, Sums]]]
#: Versions to seal, each with the digest of the one before, or nothing.
Drafts = list[tuple[lending_pb2.Statistics, bytes]]
AUDIENCES = (lending_pb2.AUDIENCE_BUREAU, lending_pb2.AUDIENCE_BANKS)


@dataclass(frozen=True)
class Counted:
    """What the database held at a moment."""

    figures: Figures
    tables: tuple[lending_pb2.CountedTable, ...]
    #: Dimension → tables whose total is not zero that do not have it: it is not published.
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Run:
    """What a run found: versions that were made, bureau first; none where nothing is new."""

    counted_until_ms: int
    banks: int
    made: tuple[lending_pb2.Statistics, ...]
    left_out: Mapping[str, int]
    #: So few banks stand behind what would be new for banks that their version waits; None where none does.
    waits_with: int | None


# Counting


def count(conn: Connection, period: lending_pb2.LendingPeriod, currency: str, until_ms: int) -> Counted:
    """Adds up what counted at a moment. All of it is read from one moment of the database, too."""
    at = (period, currency, until_ms)
    counted = store.counted_tables(conn, *at)
    banks = {row["bank"]: Sums() for row in counted}
    banks |= {row["bank"]: _sums(row) for row in store.bank_totals(conn, *at)}
    filled = sum(not is_empty(total) for total in banks.values())
    reporters = store.count_reporters(conn, *at)
    left_out = {name: filled - number for name, number in sorted(reporters.items()) if number < filled}
    margins: dict[str, dict[str, Sums]] = {TOTAL: {ALL: Sums()}}
    for row in store.add_up(conn, *at):
        if row["dimension"] not in left_out:
            margins.setdefault(row["dimension"], {})[row["value"]] = _sums(row)
    named = tuple(
        lending_pb2.CountedTable(
            bank=row["bank"], table=row["document"], recorded_at_ms=row["recorded_at_ms"]
        )
        for row in counted
    )
    return Counted(Figures(margins, banks, *_consented(conn, *at)), named, left_out)


def _sums(row: Mapping[str, Any]) -> Sums:
    return Sums(**{name: int(row[name]) for name in SUMS})


def _consented(
    conn: Connection, period: lending_pb2.LendingPeriod, currency: str, until_ms: int
) -> tuple[Families, Families]:
    """Rows with consent by both grades: of enterprises, and of customers."""
    at = (period, currency, until_ms)
    added = store.add_up_consented(conn, *at)
    few = store.consented_of(conn, *at, corrected_taxpayers(conn, until_ms) if added else set())
    moved = list(_moved(conn, few, until_ms))
    return _by_true_grade(added, moved, few, "firms"), _by_true_grade(added, moved, few, "customers")


def _by_true_grade(
    added: Collection[Row], moved: Collection[tuple[str, Row]], few: Collection[Row], counted: str
) -> Families:
    """Args: moved — true grade and row; counted — "firms", once over all banks, or "customers", once at each."""
    relied: dict[str, dict[str, Sums]] = {}
    for row in added:
        sums = Sums(loans=int(row["loans"]), firms=int(row[counted]), granted=int(row["granted"]))
        relied.setdefault(_stage(row["stage"]), {})[_grade(row["grade"])] = sums

    def who(row: Row) -> tuple[str, str]:
        return ("" if counted == "firms" else row["bank"], row["taxpayer_id"])

    numbers = Counter((_stage(row["stage"]), _grade(row["grade"]), who(row)) for row in few)
    told = (
        Moved(_stage(row["stage"]), _grade(row["grade"]), true, who(row), row["amount"]) for true, row in moved
    )
    return by_true_grade(relied, told, numbers)


def _moved(conn: Connection, few: Collection[Row], until_ms: int) -> Iterator[tuple[str, Row]]:
    """Of these rows those that are told another grade than they relied on, behind that grade."""
    names = ("taxpayer_id", "manifest_digest", "blinded_key", "grade", "evaluation_year")
    relied = {Relied(*(row[name] for name in names)) for row in few if row["grade"]}
    truths = true_grades(conn, sorted(relied), until_ms)
    for row in few:
        truth = truths.get((row["manifest_digest"], row["blinded_key"]))
        if truth is not None and truth.recalled:
            yield grade_name(truth.grade) if truth.grade else WITHDRAWN, row


def corrected_taxpayers(conn: Connection, until_ms: int) -> set[str]:
    """Of whom a CORRECTION that was published until then speaks: of nobody else can another grade be true."""
    found: set[str] = set()
    for row in store.list_corrections(conn):
        if published_at(conn, row) <= until_ms:
            for number in range(-(-row["record_count"] // CHUNK_RECORDS)):
                [(_, data)] = documents.read_chunks(conn, row["manifest_digest"], number, number + 1)
                found.update(map(bytes.decode, GradeColumns(split_chunk(data)[1]).keys()))
    return found


def _stage(number: int) -> str:
    return lending_pb2.Stage.Name(number).removeprefix("STAGE_").lower().replace("_", "-")


def _grade(number: int) -> str:
    return grade_name(number) if number else NO_GRADE


# Running


async def run(
    reception: Reception, period: lending_pb2.LendingPeriod, currency: str, until_ms: int | None = None
) -> Run:
    """Makes a version for each audience whose figures are not those of its newest one; that for banks waits until
    three banks stand behind what is new.

    1. the moment is over: whatever the door lets in from here on has a later time, 2. it is counted beside the door,
    so that a long count holds up no exchange, 3. what is new is sealed and logged, both versions in one transaction.

    Args: until_ms — now where it is not given; not before that of the newest version.

    Raises Unknown where no table of the period counts; Invalid for a moment to come; Conflict where a newer version
    is there, or came meanwhile.
    """
    # 1
    now_ms = await reception.door.run(lambda x: x.now_ms - 1)
    until_ms = now_ms if until_ms is None else until_ms
    if until_ms > now_ms:
        raise Invalid("what is to come cannot be counted yet", basis="statistics.until")

    # 2
    def prepare() -> tuple[Counted, Drafts, int | None]:
        with reception.database.moment() as conn:
            return _prepare(conn, period, currency, until_ms)

    counted, drafts, waits_with = await reception.database.in_thread(prepare)
    # 3
    if drafts:
        await reception.door.run(lambda x: _record(x, reception, drafts))
    made = tuple(draft for draft, _ in drafts)
    return Run(until_ms, len(counted.tables), made, counted.left_out, waits_with)


def _prepare(
    conn: Connection, period: lending_pb2.LendingPeriod, currency: str, until_ms: int
) -> tuple[Counted, Drafts, int | None]:
    counted = count(conn, period, currency, until_ms)
    owing = {row["party"] for row in store.list_terms(conn) if _owes(row, period, currency)}
    drafts: Drafts = []
    waits_with = None
    for audience in AUDIENCES:
        newest = store.newest(conn, period, currency, audience)
        if newest is None and not counted.tables:
            raise Unknown("no bank's table of this period and currency counts", basis="statistics.tables")
        before = newest["document"] if newest is not None else b""
        draft = _draft(conn, counted, period, currency, until_ms, audience, owing, before)
        if draft is None:
            continue
        if audience == lending_pb2.AUDIENCE_BANKS:
            old_ms = newest["counted_until_ms"] if newest is not None else -1
            were, are = (_lenders(conn, period, currency, at_ms) for at_ms in (old_ms, until_ms))
            behind = rules.banks_behind(were, are)
            if behind < rules.FEWEST_BANKS:
                waits_with = behind
                continue
        drafts.append((draft, before))
    return counted, drafts, waits_with


def _lenders(
    conn: Connection, period: lending_pb2.LendingPeriod, currency: str, until_ms: int
) -> dict[str, bytes]:
    """Banks of whose counted table something is in the sums, with its digest."""
    at = (period, currency, until_ms)
    told = {row["bank"] for row in store.bank_totals(conn, *at) if any(row[name] for name in SUMS)}
    return {row["bank"]: row["document"] for row in store.counted_tables(conn, *at) if row["bank"] in told}


def _owes(row: Mapping[str, Any], period: lending_pb2.LendingPeriod, currency: str) -> bool:
    terms = reporting.terms_of(row)
    return terms.currency == currency and reporting.wants(row, terms, period)


def _record(x: Exchange, reception: Reception, drafts: Drafts) -> None:
    for draft, before in drafts:
        newest = store.newest(x.conn, draft.period, draft.currency, draft.audience)
        if (newest["document"] if newest is not None else b"") != before:
            raise Conflict("another run was faster: run again", basis="statistics.version")
        document = x.document(x.seal(draft, reception.signer))
        row = {
            "document": document,
            "year": draft.period.year,
            "month": draft.period.month,
            "months": draft.period.months,
            "currency": draft.currency,
            "audience": draft.audience,
            "version": draft.version,
            "counted_until_ms": draft.counted_until_ms,
            "recorded_at_ms": x.now_ms,
        }
        x.add(tables.statistics, row)
        x.log("statistics.run", actor=reception.holder, documents=[document], **logged(row))


def logged(row: Mapping[str, Any]) -> dict[str, Any]:
    """What every entry about a version says of it. Args: row — of the statistics table."""
    audience = audience_name(row["audience"])
    return {
        "period": edition_pb2.Period(year=row["year"], month=row["month"] + row["months"] - 1),
        "detail": f"{audience} version {row['version']}",
    }


def audience_name(audience: int) -> str:
    return lending_pb2.Audience.Name(audience).removeprefix("AUDIENCE_").lower()


# Versions


def open_statistics(conn: Connection, document: bytes) -> lending_pb2.Statistics:
    """What a version of ours says. Raises LookupError."""
    return lending_pb2.Statistics.FromString(documents.get_document(conn, document).payload)


def _draft(
    conn: Connection,
    counted: Counted,
    period: lending_pb2.LendingPeriod,
    currency: str,
    until_ms: int,
    audience: lending_pb2.Audience,
    owing: Collection[str],
    before: bytes,
) -> lending_pb2.Statistics | None:
    """The next version; None where it would say what the one before says. Args: before — its digest, or nothing."""
    bureau = audience == lending_pb2.AUDIENCE_BUREAU
    have = {table.bank for table in counted.tables}
    draft = lending_pb2.Statistics(
        period=period,
        currency=currency,
        audience=audience,
        version=1,
        counted_until_ms=until_ms,
        definitions=DEFINITIONS,
        tables=counted.tables if bureau else (),
        missing=sorted(set(owing) - have) if bureau else (),
        banks=len(counted.tables),
        margins=publish(counted.figures, audience),
    )
    if not before:
        return draft
    old = open_statistics(conn, before)
    if until_ms < old.counted_until_ms:
        raise Conflict(f"version {old.version} counts until a later moment", basis="statistics.until")
    if content(old) == content(draft):
        return None
    were = {
        row["bank"]: row["document"]
        for row in store.counted_tables(conn, period, currency, old.counted_until_ms)
    }
    are = {table.bank: table.table for table in counted.tables}
    draft.version, draft.predecessor = old.version + 1, before
    consented = _consented_margins(old) != _consented_margins(draft)
    draft.restatement = rules.restate(were, are, audience, consented=consented)
    return draft


def _consented_margins(version: lending_pb2.Statistics) -> list[lending_pb2.PublishedMargin]:
    return [margin for margin in version.margins if margin.dimension.startswith(CONSENTED)]


def rerun(conn: Connection, document: bytes) -> lending_pb2.Statistics:
    """Computes a version again at its moment, and returns it.

    Raises Unknown where there is no such version, DigestMismatch where it comes to other bytes: rows were changed
    behind the gateway's back, or rules without a new name for their definitions.
    """
    if store.find_statistics(conn, document) is None:
        raise Unknown("there are no such statistics", basis="statistics.unknown")
    sealed = documents.get_document(conn, document)
    told = lending_pb2.Statistics.FromString(sealed.payload)
    counted = count(conn, told.period, told.currency, told.counted_until_ms)
    owing = {table.bank for table in told.tables} | set(told.missing)
    again = _draft(
        conn,
        counted,
        told.period,
        told.currency,
        told.counted_until_ms,
        told.audience,
        owing,
        told.predecessor,
    )
    if again is None or again.SerializeToString(deterministic=True) != sealed.payload:
        raise DigestMismatch(_difference(told, again), basis="statistics.rerun")
    return told


def _difference(told: lending_pb2.Statistics, again: lending_pb2.Statistics | None) -> str:
    if again is None:
        return "computed again it says what the version before says"
    margins = {margin.dimension: margin for margin in again.margins}
    differing = [margin.dimension for margin in told.margins if margins.pop(margin.dimension, None) != margin]
    where = [*differing, *margins]
    if list(told.tables) != list(again.tables):
        where.append("the tables that count")
    return f"computed again it comes to other bytes: {', '.join(where) or 'beside the figures'}"
