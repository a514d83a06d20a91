"""What a loan relied on: the record that the editions held here told of its borrower on the day of the grant.

    <home>/lending/reliance/<product>.db    of every edition that landed: whom it tells of, and what

Each edition is verified and read into it once. An edition counts from the day on which this bank signed that it has
it, a CORRECTION from the day after: a loan of the day on which it came is taken to have relied on what it took back
(as `xinyi-bank recalls` counts). It holds identifiers, so it is for its owner alone; it can be deleted and is made
anew from the spool, but for editions whose records were purged meanwhile. Where the bank's settings say so, editions
count from the first day of their period instead (`[bank.lending] editions_count_from`), in an index of its own.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from adapters.bank.chain import CORRECTION, FULL, Chain, Link
from adapters.bank.lending.reading import Relied
from adapters.bank.lending.scratch import spill_into
from adapters.bank.package import Trust, verify_package
from adapters.bank.receipts import ACCEPTED, APPLIED, PARTIAL, RECEIVED, Receipts
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.party.home import Home
from audit.envelope import parse_strict
from audit.records import verify_chunk
from xinyi import files
from xinyi.days import day_of
from xinyi.errors import Unavailable
from xinyi.lending import true_grade
from xinyi.v1 import exchange_pb2, lending_pb2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS editions (
    digest BLOB PRIMARY KEY, sequence INTEGER NOT NULL, kind INTEGER NOT NULL, known_on TEXT NOT NULL,
    corrects BLOB NOT NULL, predecessor BLOB NOT NULL, whole INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
    identifier TEXT, sequence INTEGER, blinded_key BLOB NOT NULL, commitment BLOB NOT NULL, grade INTEGER NOT NULL,
    evaluation_year INTEGER NOT NULL, PRIMARY KEY (identifier, sequence)
) WITHOUT ROWID;
"""
#: A transaction is an edition; after a power cut the file is made anew at worst.
_SETTINGS = "PRAGMA synchronous = NORMAL; PRAGMA page_size = 16384; PRAGMA cache_size = -32768;"
_STAGES = (APPLIED, ACCEPTED, PARTIAL, RECEIVED)
_KEY_BYTES, _ENTRY_BYTES = 32, 64
_NONE, _GONE, _PURGED = Relied("reliance.none"), Relied("reliance.gone"), Relied("reliance.purged")


@dataclass(frozen=True, slots=True)
class _Edition:
    digest: bytes
    sequence: int
    kind: int
    known_on: str
    corrects: bytes
    predecessor: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class _Span:
    """What was held on one day: from the FULL that everything builds on to the newest edition."""

    base: int
    newest: int
    #: Editions between them that were known, and those whose records nobody here can read any more.
    known: frozenset[int]
    lost: tuple[int, ...]


class _Told(NamedTuple):
    sequence: int
    blinded_key: bytes
    commitment: bytes
    #: 0 where the taxpayer is gone.
    grade: int
    evaluation_year: int


class ProductReliances:
    """Of one product. Use as a context manager.

    Raises Unavailable where another process makes it, or the disk fails.
    """

    def __init__(self, folder: Path, product: str, *, by_period: bool = False) -> None:
        files.make_directory(folder)
        path = folder / f"{product}{'.by-period' if by_period else ''}.db"
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self.product = product
        self._by_period = by_period
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.executescript(_SETTINGS + _SCHEMA)
        spill_into(self._connection, folder)
        self._editions: dict[int, _Edition] = {}
        self._spans: dict[str, _Span | None] = {}
        #: (sequence, first edition that was wrong) of every CORRECTION.
        self._corrections: list[tuple[int, int]] = []

    def __enter__(self) -> ProductReliances:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    # Editions in

    def update(self, spool: Spool, receipts: Receipts, trust: Trust) -> None:
        """Reads in what has landed since. A crash leaves whole editions.

        Raises VerificationError where an edition in the spool does not hold.
        """
        with self._failures():
            known = {digest for (digest,) in self._connection.execute("SELECT digest FROM editions WHERE whole")}
            for link in Chain(spool, self.product):
                if link.landed and link.digest not in known:
                    self._add(link, _period_begins(link) if self._by_period else _known_on(link, receipts), trust)
            rows = self._connection.execute("SELECT * FROM editions ORDER BY sequence").fetchall()
        self._editions = {
            sequence: _Edition(digest, sequence, kind, known_on, corrects, predecessor, bool(whole))
            for digest, sequence, kind, known_on, corrects, predecessor, whole in rows
        }
        self._spans.clear()
        self._corrections = [
            (edition.sequence, self._first_wrong(edition))
            for edition in self._editions.values()
            if edition.kind == CORRECTION and edition.whole
        ]

    def _add(self, link: Link, known_on: str, trust: Trust) -> None:
        manifest = link.manifest
        values = (
            link.digest, manifest.sequence, manifest.kind, known_on, manifest.corrects, manifest.predecessor, link.whole
        )  # fmt: skip
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute("INSERT OR REPLACE INTO editions VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            # Through a table that is sorted: inserting at random is several times as slow.
            self._connection.execute("CREATE TEMP TABLE part AS SELECT * FROM told WHERE 0")
            for rows in _read(link, trust) if link.whole else ():
                self._connection.executemany("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._connection.execute("INSERT OR REPLACE INTO told SELECT * FROM part ORDER BY identifier")
            self._connection.execute("DROP TABLE part")
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _first_wrong(self, correction: _Edition) -> int:
        """Where the edition that was wrong never came here: the first one that did, behind it."""
        for edition in self._editions.values():
            if edition.digest == correction.corrects:
                return edition.sequence
            if edition.predecessor == correction.corrects:
                return edition.sequence
        return 1

    # Questions

    def find(self, asked: Sequence[tuple[str, str]]) -> list[Relied]:
        """See `reading.Reliances`."""
        found = [_NONE] * len(asked)
        by_span: dict[_Span, list[int]] = {}
        for place, (_, day) in enumerate(asked):
            span = self._span(day)
            if span is not None:
                by_span.setdefault(span, []).append(place)
        with self._failures():
            for span, places in by_span.items():
                names = {asked[place][0] for place in places}
                told = self._told(names, "sequence BETWEEN ? AND ?", span.base, span.newest)
                for place in places:
                    found[place] = self._judge(span, told.get(asked[place][0], []))
            return self._recalled(asked, found)

    def _judge(self, span: _Span, told: list[_Told]) -> Relied:
        last = next((one for one in reversed(told) if one.sequence in span.known), None)
        if span.lost and (last is None or span.lost[-1] > last.sequence):
            return _PURGED
        if last is None:
            return _NONE
        if not last.grade:
            return _GONE
        reliance = lending_pb2.Reliance(
            manifest_digest=self._editions[last.sequence].digest,
            blinded_key=last.blinded_key,
            commitment=last.commitment,
            grade=last.grade,  # type: ignore[arg-type]
            evaluation_year=last.evaluation_year,
        )
        return Relied(reliance=reliance, since=self._editions[last.sequence].known_on)

    def _recalled(self, asked: Sequence[tuple[str, str]], found: list[Relied]) -> list[Relied]:
        """With what corrections say that came on the day of the loan, or later."""
        if not self._corrections:
            return found
        sequences = json.dumps([sequence for sequence, _ in self._corrections])
        relied = [place for place, one in enumerate(found) if one.reliance is not None]
        names = {asked[place][0] for place in relied}
        told = self._told(names, "sequence IN (SELECT value FROM json_each(?))", sequences)
        first_wrong = dict(self._corrections)
        for place in relied:
            name, day = asked[place]
            span = self._span(day)
            reliance = found[place].reliance
            assert span is not None
            assert reliance is not None
            later = [
                (one.grade, one.evaluation_year)
                for one in told.get(name, ())
                if self._editions[one.sequence].known_on >= day and first_wrong[one.sequence] <= span.newest
            ]
            grade = true_grade(reliance.grade, reliance.evaluation_year, later)
            if grade != reliance.grade:
                found[place] = Relied("reliance.recalled", reliance, True, grade, found[place].since)
        return found

    def _told(self, names: Iterable[str], where: str, *values: object) -> dict[str, list[_Told]]:
        """What editions tell of each taxpayer, in their order."""
        query = (
            "SELECT identifier, sequence, blinded_key, commitment, grade, evaluation_year FROM told "
            f"WHERE identifier IN (SELECT value FROM json_each(?)) AND {where} ORDER BY identifier, sequence"
        )
        found: dict[str, list[_Told]] = {}
        for name, *rest in self._connection.execute(query, (json.dumps(sorted(names)), *values)):
            found.setdefault(name, []).append(_Told(*rest))
        return found

    def _span(self, day: str) -> _Span | None:
        if day not in self._spans:
            if len(self._spans) > 65_536:
                self._spans.clear()
            self._spans[day] = self._make_span(day)
        return self._spans[day]

    def _make_span(self, day: str) -> _Span | None:
        known = [
            edition
            for edition in self._editions.values()
            if edition.known_on < day or (edition.known_on == day and edition.kind != CORRECTION)
        ]
        if not known:
            return None
        newest = known[-1].sequence
        base = max((edition.sequence for edition in known if edition.kind == FULL), default=known[0].sequence)
        held = frozenset(edition.sequence for edition in known if edition.sequence >= base and edition.whole)
        lost = [
            number
            for number in range(base, newest + 1)
            if number not in self._editions or not self._editions[number].whole
        ]
        return _Span(base, newest, held, tuple(lost))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Unavailable(f"the index of reliances fails: {error}", basis="lending.disk") from error


class HeldReliances:
    """Of all products that this bank takes: the first of them that tells of a taxpayer counts."""

    def __init__(self, products: Sequence[ProductReliances]) -> None:
        self._products = products

    def find(self, asked: Sequence[tuple[str, str]]) -> list[Relied]:
        found = [_NONE] * len(asked)
        places = list(range(len(asked)))
        for product in self._products:
            answers = product.find([asked[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                if answer.reliance is not None or found[place] is _NONE:
                    found[place] = answer
            places = [place for place in places if found[place].reliance is None]
        return found


@contextmanager
def open_reliances(home: Home) -> Iterator[HeldReliances]:
    """What this home holds, read in. Raises VerificationError, Unavailable."""
    settings = BankSettings.of(home)
    by_period = settings.lending.editions_count_from == "period"
    spool = Spool(settings.spool)
    receipts = Receipts(settings.spool, ())
    trust = Trust.of(
        home.keyring(), recipient=home.party, gateway=home.settings.gateway.party, origins=settings.origins
    )
    with ExitStack() as stack:
        products = []
        for product in settings.products:
            folder = home.path / "lending" / "reliance"
            one = stack.enter_context(ProductReliances(folder, product, by_period=by_period))
            one.update(spool, receipts, trust)
            products.append(one)
        yield HeldReliances(products)


def _read(link: Link, trust: Trust) -> Iterator[list[tuple[str, int, bytes, bytes, int, int]]]:
    """Rows of one chunk after the other, each verified."""
    package = verify_package(link.edition.package(), trust)
    sequence, roots = link.manifest.sequence, link.manifest.chunk_roots
    for number, root in enumerate(roots):
        chunk = verify_chunk(link.edition.chunk(number), package.blinding_key, root)
        decisions = iter(chunk.records.decisions)
        others = chunk.records.others
        rows = []
        for place, name in enumerate(chunk.records.keys()):
            record = others[place] if place in others else next(decisions).record
            entry = chunk.entries[place * _ENTRY_BYTES : (place + 1) * _ENTRY_BYTES]
            grade = 0 if record.gone else record.grade
            rows.append(
                (name.decode(), sequence, entry[:_KEY_BYTES], entry[_KEY_BYTES:], grade, record.evaluation_year)
            )
        yield rows


def _period_begins(link: Link) -> str:
    period = link.manifest.period
    return f"{period.year}-{period.month:02d}-01"


def _known_on(link: Link, receipts: Receipts) -> str:
    """The day on which this bank signed that it has the edition; that of its issue where no receipt is here."""
    for stage in _STAGES:
        sealed = receipts.find(link.edition, stage)
        if sealed is not None:
            receipt = parse_strict(sealed.payload, exchange_pb2.DeliveryReceipt)
            return day_of(receipt.signed_at_ms).isoformat()
    return day_of(link.manifest.issued_at_ms).isoformat()
