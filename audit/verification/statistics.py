"""Step 9, statistics: every version computed again from the tables that counted at its moment.

By the definitions that it names, which stand in `xinyi.suppression`: one that names others cannot be decided. The
judgement of rows with consent is in no document: margins over them are held against each other, and the report says how
many versions have them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from audit import lending_exchanges
from audit.verification import consented
from audit.verification.entry import Entry
from audit.verification.findings import LISTED, EvidenceMissing
from audit.verification.ledger import TableNote
from xinyi.errors import Invalid
from xinyi.lending import check_currency, check_lending_period, period_name
from xinyi.margins import ALL, SUMS, TOTAL, is_empty
from xinyi.suppression import CONSENTED, DEFINITIONS, Figures, Sums, content, publish
from xinyi.v1 import lending_pb2

_BUREAU = lending_pb2.AUDIENCE_BUREAU
_AUDIENCES = {_BUREAU, lending_pb2.AUDIENCE_BANKS}


def run(entry: Entry) -> None:
    """The gateway made a version."""
    statistics = entry.first(lending_pb2.Statistics)
    message = statistics.message
    before = entry.ledger.newest(message)
    unique = entry.ledger.publish(statistics.digest, message)
    _check_alone(entry, message)
    if not unique:
        raise Invalid("an earlier leaf has a version of this number", basis="statistics.version")
    _check_succession(entry, message, before)
    counted = entry.ledger.counted_at(period_name(message.period), message.currency, message.counted_until_ms)
    _check_tables(entry, message, counted)
    _check_margins(entry, message, counted)
    _check_consented(entry, statistics.digest, message)


def _check_alone(entry: Entry, message: lending_pb2.Statistics) -> None:
    check_lending_period(message.period, "statistics.period")
    check_currency(message.currency, "statistics.currency")
    if message.audience not in _AUDIENCES:
        raise Invalid("for nobody that is known", basis="statistics.audience")
    if entry.message.period != lending_exchanges.log_period(message.period):
        raise Invalid("the entry is of another period than its document", basis="statistics.period")
    if message.counted_until_ms > entry.message.recorded_at_ms:
        raise Invalid("it counts what is to come", basis="statistics.counted_until")


def _check_succession(entry: Entry, message: lending_pb2.Statistics, before: bytes) -> None:
    """Versions are numbered from 1; a later one names the one before, says why, and differs from it."""
    if message.predecessor != before:
        entry.contradict("it does not follow on the last version", "statistics.predecessor")
    if bool(message.restatement) != bool(before):
        raise Invalid("a version behind the first says why, and no other", basis="statistics.restatement")
    if not before:
        if message.version != 1:
            entry.contradict("the first version is not 1", "statistics.version")
        return
    predecessor = entry.dossier.open(before, lending_pb2.Statistics).message
    if message.version != predecessor.version + 1:
        raise Invalid("its number is not the one behind its predecessor's", basis="statistics.version")
    if message.counted_until_ms < predecessor.counted_until_ms:
        raise Invalid("it counts less far than its predecessor", basis="statistics.counted_until")
    if content(message) == content(predecessor):
        raise Invalid("it says nothing that the version before did not say", basis="statistics.restatement")


def _check_tables(entry: Entry, message: lending_pb2.Statistics, counted: list[TableNote]) -> None:
    """It names the tables that counted at its moment; to banks, how many they were."""
    listed = [(table.bank, table.table, table.recorded_at_ms) for table in message.tables]
    expected = [(note.bank, note.document, note.recorded_at_ms) for note in counted]
    if message.audience != _BUREAU:
        expected = []
    if listed != expected or message.banks != len(counted):
        _contradict(entry, "its tables are not those that counted at its moment", "statistics.tables")
    missing = list(message.missing)
    if missing != sorted(set(missing)) or (missing and message.audience != _BUREAU):
        raise Invalid("banks that are missing are not ascending, or told to banks", basis="statistics.missing")
    if {note.bank for note in counted}.intersection(missing):
        raise Invalid("a bank is told as missing whose table counted", basis="statistics.missing")


def _check_margins(entry: Entry, message: lending_pb2.Statistics, counted: list[TableNote]) -> None:
    """Every figure over tables is their sum, what tells of few is left out, and nothing else is."""
    if message.definitions != DEFINITIONS:
        raise EvidenceMissing(f"made by definitions that are not known here: {message.definitions!r:.60}")
    tables = (entry.dossier.open(note.document, lending_pb2.LendingTable).message for note in counted)
    told = {margin.dimension: margin for margin in message.margins if not margin.dimension.startswith(CONSENTED)}
    expected = {margin.dimension: margin for margin in publish(add_up(tables), message.audience)}
    for dimension in sorted(told.keys() | expected.keys()):
        if told.get(dimension) != expected.get(dimension):
            _contradict(entry, f"by {dimension} the tables come to something else", "statistics.margins")
    order = [margin.dimension for margin in message.margins]
    if order != sorted(set(order), key=lambda name: (name != TOTAL, name)):
        raise Invalid("dimensions are not ascending, or told twice", basis="statistics.margins")


def _check_consented(entry: Entry, document: bytes, message: lending_pb2.Statistics) -> None:
    if not any(margin.dimension.startswith(CONSENTED) for margin in message.margins):
        return
    above = consented.check(message.margins)
    told = entry.run.report.notes.setdefault("consented", {"versions": 0, "above_tables": []})
    told["versions"] += 1
    room = LISTED - len(told["above_tables"])
    told["above_tables"] += [{"statistics": document.hex(), "cell": cell} for cell in above[:room]]


def add_up(tables: Iterable[lending_pb2.LendingTable]) -> Figures:
    """What tables come to, cell by cell; by dimensions that each of them has whose total is not zero."""
    cells: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * len(SUMS)))
    reporters: dict[str, int] = defaultdict(int)
    banks: dict[str, Sums] = {}
    filled = 0
    for table in tables:
        banks[table.bank] = table.margins[0].cells[0].sums if table.margins else Sums()
        if is_empty(banks[table.bank]):
            continue
        filled += 1
        for margin in table.margins:
            reporters[margin.dimension] += 1
            for cell in margin.cells:
                held = cells[margin.dimension][cell.value]
                for lane, name in enumerate(SUMS):
                    held[lane] += getattr(cell.sums, name)
    margins: dict[str, Mapping[str, Sums]] = {TOTAL: {ALL: Sums()}}
    for dimension, values in cells.items():
        if reporters[dimension] == filled:
            margins[dimension] = {
                value: Sums(**dict(zip(SUMS, held, strict=True))) for value, held in values.items()
            }
    return Figures(margins, banks)


def offer(entry: Entry) -> None:
    """A version goes to whom it was made for."""
    statistics = entry.first(lending_pb2.Statistics)
    if not entry.ledger.is_run(statistics.digest):
        entry.contradict("no earlier leaf makes this version", "statistics.offered")
    recipient = entry.message.counterparty
    first = entry.ledger.give(statistics.digest, recipient)
    bureau = recipient in entry.run.policy.bureaus
    if bureau != (statistics.message.audience == _BUREAU):
        raise Invalid("it was made for others than who gets it", basis="statistics.audience")
    if not first:
        raise Invalid("an earlier leaf gives this version to the same party", basis="statistics.offered")


def receipt(entry: Entry) -> None:
    receipt = entry.first(lending_pb2.StatisticsReceipt)
    lending_exchanges.check_statistics_receipt(entry.message, receipt)
    if not entry.ledger.is_given(receipt.message.statistics, entry.message.counterparty):
        entry.contradict("no earlier leaf gives this version to who confirms it", "statistics_receipt.statistics")


def _contradict(entry: Entry, reason: str, basis: str) -> None:
    """What the tables come to says otherwise, unless one of them could not be read."""
    if entry.ledger.incomplete:
        raise EvidenceMissing(f"{reason}, and a table could not be read")
    entry.contradict(reason, basis)
