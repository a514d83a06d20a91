"""Tables of what banks report, of challenges, and of statistics. The rules of `gateway.store.tables` hold here."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from audit.log import metadata

#: Compared and sorted as Python does, code point by code point, whatever the database's own collation is.
_NAME = String().with_variant(String(collation="C"), "postgresql")

# What an agreement wants reported, and gives.
reporting_terms = Table(
    "reporting_terms",
    metadata,
    Column("agreement_id", ForeignKey("agreements.agreement_id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("terms", Text, nullable=False),  # canonical JSON: rules/reporting.py
)

# A bank's table of a period. It is counted from counted_at_ms until replaced_at_ms.
lending_tables = Table(
    "lending_tables",
    metadata,
    Column("document", LargeBinary, primary_key=True),  # digest of the LendingTable document
    Column("bank", ForeignKey("parties.party"), nullable=False),
    Column("year", Integer, nullable=False),
    Column("month", Integer, nullable=False),
    Column("months", Integer, nullable=False),
    Column("currency", String, nullable=False),
    Column("agreement_id", ForeignKey("agreements.agreement_id"), nullable=False),
    Column("state", String, nullable=False),  # COUNTED, HELD, CORRECTED
    Column("row_count", BigInteger, nullable=False),
    Column("corrects", LargeBinary),  # digest of the table it replaces
    Column("replaced_by", LargeBinary),
    Column("receipt", LargeBinary, nullable=False),  # digest of the TableReceipt document
    Column("answer", LargeBinary),  # digest of the LendingAnswer that confirmed it
    Column("recorded_at_ms", BigInteger, nullable=False),
    Column("counted_at_ms", BigInteger),
    Column("replaced_at_ms", BigInteger),
    # 1, 2, ... of a bank, period and currency in the order in which they were counted, null for what never was: two
    # that are counted at once are told apart, and a place that was taken is never freed.
    Column("counted_slot", Integer),
    UniqueConstraint("bank", "year", "month", "months", "currency", "counted_slot"),
)

# The cells of a table, to be added up. Derived from its document.
lending_cells = Table(
    "lending_cells",
    metadata,
    Column("document", LargeBinary, primary_key=True),
    Column("dimension", String, primary_key=True),
    Column("value", String, primary_key=True),
    *(
        Column(name, BigInteger, nullable=False)
        for name in (
            "loans", "firms", "granted", "outstanding_loans", "outstanding_firms", "balance", "bad_loans",
            "bad_firms", "bad_balance", "refused", "refused_firms",
        )
    ),
)  # fmt: skip

outcome_batches = Table(
    "outcome_batches",
    metadata,
    Column("document", LargeBinary, primary_key=True),  # digest of the OutcomeBatch document
    Column("bank", ForeignKey("parties.party"), nullable=False),
    Column("number", String, nullable=False),
    Column("sequence", Integer, nullable=False),  # its place in outcome_acts
    Column("agreement_id", ForeignKey("agreements.agreement_id"), nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("receipt", LargeBinary, nullable=False),  # digest of the OutcomeReceipt document
    Column("recorded_at_ms", BigInteger, nullable=False),
    UniqueConstraint("bank", "number"),
    UniqueConstraint("bank", "sequence"),
)

# Batches whose chunks are still arriving: nothing here is real yet.
outcome_intakes = Table(
    "outcome_intakes",
    metadata,
    Column("document", LargeBinary, primary_key=True),
    Column("bank", String, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("begun_at_ms", BigInteger, nullable=False),
)

# Staged in small transactions while a batch arrives; the batch's row makes them real. Sealed by its chunk roots. A row
# that was refused is its commitment alone (docs/evidence-format.md).
outcome_chunks = Table(
    "outcome_chunks",
    metadata,
    Column("document", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

# An index over the records of batches: real where its batch is. Derived from the chunks.
outcomes = Table(
    "outcomes",
    metadata,
    Column("document", LargeBinary, primary_key=True),  # of the batch
    Column("place", Integer, primary_key=True),
    Column("bank", String, nullable=False),
    Column("outcome_id", _NAME, nullable=False),
    # Of a row that was refused the id alone is kept: all that follows is empty.
    Column("taxpayer_id", String, nullable=False),
    Column("loan", _NAME, nullable=False),  # the bank's reference
    Column("content", LargeBinary, nullable=False),  # SHA-256 of the record
    Column("stage", Integer, nullable=False),
    Column("event_date", String, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String, nullable=False),
    Column("guarantee", Integer, nullable=False),
    Column("grade", Integer, nullable=False),  # relied on; 0 for none
    Column("evaluation_year", Integer, nullable=False),
    Column("manifest_digest", LargeBinary),
    Column("blinded_key", LargeBinary),
    Column("corrects", _NAME),
    Column("voids", Integer, nullable=False),  # 1 where nothing takes the place of what it corrects
    Column("closes", Integer, nullable=False),  # 1 where nothing is owed behind it
    # As the row stands by itself: COUNTED, HELD or REFUSED, and by which rule. What the others of its bank make of it
    # stands in outcome_changes.
    Column("state", Integer, nullable=False),  # ReportState
    Column("rule", String, nullable=False),
    sqlite_with_rowid=False,
)
Index("outcomes_by_id", outcomes.c.outcome_id)
Index("outcomes_of_loan", outcomes.c.loan)
Index("outcomes_of_taxpayer", outcomes.c.taxpayer_id)
_CORRECTING = outcomes.c.corrects.is_not(None)
Index("outcomes_correcting", outcomes.c.corrects, sqlite_where=_CORRECTING, postgresql_where=_CORRECTING)

_UNKNOWN = outcomes.c.rule == "outcome.edition"
Index(
    "outcomes_of_unknown_editions",
    outcomes.c.bank,
    outcomes.c.manifest_digest,
    sqlite_where=_UNKNOWN,
    postgresql_where=_UNKNOWN,
)

# What changed which rows of a bank are counted: batches, tables that count, and answers to questions, one behind the
# other. Derived from their documents in this order. An act makes real what one judgement came to, which was staged
# before.
outcome_acts = Table(
    "outcome_acts",
    metadata,
    Column("bank", String, primary_key=True),
    Column("sequence", Integer, primary_key=True),  # 1, 2, ...
    Column("document", LargeBinary, nullable=False, unique=True),  # digest of the batch, table or answer
    Column("judgement", LargeBinary, nullable=False, unique=True),
    Column("recorded_at_ms", BigInteger, nullable=False),
)

# Rows, of this batch and of earlier ones, whose state another row or an answer changed. The last act counts; those
# before it are the row's history.
outcome_changes = Table(
    "outcome_changes",
    metadata,
    Column("judgement", LargeBinary, primary_key=True),
    Column("document", LargeBinary, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("state", Integer, nullable=False),  # ReportState
    Column("rule", String, nullable=False),
    Column("first", LargeBinary),  # REPEATED and CONFLICT: the batch that has the row that stands
)
Index("outcome_changes_of_row", outcome_changes.c.document, outcome_changes.c.place)
_NO_ROOM = outcome_changes.c.rule == "outcome.reconcile"
Index(
    "outcome_changes_without_room", outcome_changes.c.judgement, sqlite_where=_NO_ROOM, postgresql_where=_NO_ROOM
)

# What a judgement adds to, or takes from, what a bank's counted rows disbursed in a month.
outcome_sums = Table(
    "outcome_sums",
    metadata,
    Column("judgement", LargeBinary, primary_key=True),
    Column("month", String, primary_key=True),  # "2018-03"
    Column("currency", String, primary_key=True),
    Column("grade", Integer, primary_key=True),
    Column("guarantee", Integer, primary_key=True),
    Column("granted", BigInteger, nullable=False),
)

challenges = Table(
    "challenges",
    metadata,
    Column("document", LargeBinary, primary_key=True),  # digest of the Challenge document
    Column("lending_table", ForeignKey("lending_tables.document"), nullable=False),
    Column("bank", ForeignKey("parties.party"), nullable=False),
    Column("auditor", ForeignKey("parties.party"), nullable=False),
    Column("due_on", String, nullable=False),
    Column("state", String, nullable=False),  # OPEN, ANSWERED, UNANSWERED, LATE
    Column("answer", LargeBinary),  # digest of the ChallengeAnswer document
    Column("changed_at_ms", BigInteger, nullable=False),
)

statistics = Table(
    "statistics",
    metadata,
    Column("document", LargeBinary, primary_key=True),  # digest of the Statistics document
    Column("year", Integer, nullable=False),
    Column("month", Integer, nullable=False),
    Column("months", Integer, nullable=False),
    Column("currency", String, nullable=False),
    Column("audience", Integer, nullable=False),  # Audience
    Column("version", Integer, nullable=False),
    Column("counted_until_ms", BigInteger, nullable=False),
    Column("recorded_at_ms", BigInteger, nullable=False),
    UniqueConstraint("year", "month", "months", "currency", "audience", "version"),
)

statistics_deliveries = Table(
    "statistics_deliveries",
    metadata,
    Column("document", ForeignKey("statistics.document"), primary_key=True),
    Column("recipient", ForeignKey("parties.party"), primary_key=True),
    Column("receipt", LargeBinary),  # digest of the StatisticsReceipt document
    Column("changed_at_ms", BigInteger, nullable=False),
)
