"""What the log has said so far of what banks report, of challenges, and of statistics, in its own order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.verification.scratch import Scratch
from xinyi.lending import period_name
from xinyi.v1 import lending_pb2

_SCHEMA = """
CREATE TABLE tables (document BLOB PRIMARY KEY, bank TEXT, period TEXT, currency TEXT, corrects BLOB, receipt BLOB,
    position INTEGER, recorded INTEGER, state TEXT, counted INTEGER, replaced INTEGER) WITHOUT ROWID;
CREATE INDEX tables_of_period ON tables (period, currency, bank);
CREATE TABLE batches (document BLOB PRIMARY KEY, bank TEXT, number TEXT, receipt BLOB,
    UNIQUE (bank, number)) WITHOUT ROWID;
CREATE TABLE challenges (document BLOB PRIMARY KEY, bank TEXT, due_on TEXT, recorded INTEGER,
    state TEXT) WITHOUT ROWID;
CREATE TABLE statistics (document BLOB PRIMARY KEY, period TEXT, currency TEXT, audience INTEGER, version INTEGER,
    UNIQUE (period, currency, audience, version)) WITHOUT ROWID;
CREATE TABLE given (document BLOB, recipient TEXT, PRIMARY KEY (document, recipient)) WITHOUT ROWID;
"""
COUNTED, HELD, CORRECTED = "COUNTED", "HELD", "CORRECTED"
OPEN, ANSWERED, UNANSWERED = "OPEN", "ANSWERED", "UNANSWERED"


@dataclass(frozen=True)
class TableNote:
    document: bytes
    bank: str
    #: As `xinyi.lending.period_name` has it.
    period: str
    currency: str
    #: Digest of the table that it replaces; empty for none.
    corrects: bytes
    receipt: bytes
    #: Of the entry that took it in.
    position: int
    #: When that was logged, by the gateway's clock, in milliseconds.
    recorded_at_ms: int
    state: str


@dataclass(frozen=True)
class ChallengeNote:
    document: bytes
    bank: str
    due_on: str
    recorded_at_ms: int
    state: str


class Ledger(Scratch):
    """Written while the entries are examined one behind the other: what it holds, an earlier leaf said."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)
        #: Whether an entry could not be examined for want of a document: sums may lack what it counted.
        self.incomplete = False

    # Tables

    def take(
        self,
        document: bytes,
        table: lending_pb2.LendingTable,
        receipt: bytes,
        position: int,
        recorded_at_ms: int,
    ) -> TableNote:
        """A table as it comes in: nothing of it counts yet."""
        row = (
            *(document, table.bank, period_name(table.period), table.currency, table.corrects, receipt),
            *(position, recorded_at_ms, HELD),
        )
        self._add("INSERT OR IGNORE INTO tables VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", *row)
        return TableNote(*row)

    def find_table(self, document: bytes) -> TableNote | None:
        row = self._one(
            "SELECT document, bank, period, currency, corrects, receipt, position, recorded, state "
            "FROM tables WHERE document = ?",
            document,
        )
        return None if row is None else TableNote(*row)

    def standing(self, table: TableNote) -> dict[bytes, str]:
        """Other tables of the same bank, period and currency that count or are held, with their states."""
        rows = self._rows(
            "SELECT document, state FROM tables "
            "WHERE period = ? AND currency = ? AND bank = ? AND state <> ? AND document <> ?",
            *(table.period, table.currency, table.bank, CORRECTED, table.document),
        )
        return dict(rows.fetchall())

    def count(self, document: bytes, recorded_at_ms: int) -> None:
        row = (COUNTED, recorded_at_ms, document)
        self._add("UPDATE tables SET state = ?, counted = ? WHERE document = ?", *row)

    def replace(self, document: bytes, recorded_at_ms: int) -> None:
        """Another one stands in its place from now on."""
        row = (CORRECTED, recorded_at_ms, document)
        self._add("UPDATE tables SET state = ?, replaced = ? WHERE document = ?", *row)

    def counted_at(self, period: str, currency: str, until_ms: int) -> list[TableNote]:
        """Tables that counted at a moment, ascending by bank."""
        rows = self._rows(
            "SELECT document, bank, period, currency, corrects, receipt, position, recorded, state FROM tables "
            "WHERE period = ? AND currency = ? AND counted <= ? AND (replaced IS NULL OR replaced > ?) ORDER BY bank",
            *(period, currency, until_ms, until_ms),
        )
        return [TableNote(*row) for row in rows]

    # Single loans

    def take_batch(self, document: bytes, batch: lending_pb2.OutcomeBatch, receipt: bytes) -> bool:
        """False where its number is taken."""
        row = (document, batch.bank, batch.number, receipt)
        return self._add("INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?)", *row)

    def batches(self) -> list[tuple[bytes, bytes]]:
        """(batch, its receipt) of all."""
        return self._rows("SELECT document, receipt FROM batches ORDER BY document").fetchall()

    def bank_of_batch(self, document: bytes) -> str:
        """Empty where no leaf took it in."""
        row = self._one("SELECT bank FROM batches WHERE document = ?", document)
        return "" if row is None else row[0]

    # Challenges

    def ask(self, document: bytes, challenge: lending_pb2.Challenge, recorded_at_ms: int) -> None:
        row = (document, challenge.bank, challenge.due_on, recorded_at_ms, OPEN)
        self._add("INSERT OR IGNORE INTO challenges VALUES (?, ?, ?, ?, ?)", *row)

    def find_challenge(self, document: bytes) -> ChallengeNote | None:
        row = self._one("SELECT * FROM challenges WHERE document = ?", document)
        return None if row is None else ChallengeNote(*row)

    def settle(self, document: bytes, state: str) -> None:
        self._add("UPDATE challenges SET state = ? WHERE document = ?", state, document)

    def unanswered(self) -> Iterator[ChallengeNote]:
        """Those without an answer so far, the due ones first."""
        rows = self._rows(
            "SELECT * FROM challenges WHERE state <> ? ORDER BY due_on, document", ANSWERED
        )
        return (ChallengeNote(*row) for row in rows)

    # Statistics

    def publish(self, document: bytes, statistics: lending_pb2.Statistics) -> bool:
        """False where another has its version."""
        feed = (period_name(statistics.period), statistics.currency, statistics.audience)
        row = (document, *feed, statistics.version)
        return self._add("INSERT OR IGNORE INTO statistics VALUES (?, ?, ?, ?, ?)", *row)

    def newest(self, statistics: lending_pb2.Statistics) -> bytes:
        """The last version for the same audience, period and currency; empty where there is none."""
        row = self._one(
            "SELECT document FROM statistics WHERE period = ? AND currency = ? AND audience = ? "
            "ORDER BY version DESC LIMIT 1",
            *(period_name(statistics.period), statistics.currency, statistics.audience),
        )
        return b"" if row is None else row[0]

    def is_run(self, document: bytes) -> bool:
        return self._one("SELECT 1 FROM statistics WHERE document = ?", document) is not None

    def give(self, document: bytes, recipient: str) -> bool:
        """False where it was given to this party before."""
        return self._add("INSERT OR IGNORE INTO given VALUES (?, ?)", document, recipient)

    def is_given(self, document: bytes, recipient: str) -> bool:
        return self._one("SELECT 1 FROM given WHERE document = ? AND recipient = ?", document, recipient) is not None
