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
    Column("sequence", Integer, nullable=False),  # 1, 2, ... of the bank, in the order of intake
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
# that was refused is its commitment alone.
outcome_chunks = Table(
    "outcome_chunks",
    metadata,
    Column("document", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

# An index over the records of batches, and what has become of each: real where its batch is. Derived from the chunks in
# the order of batches, so it can be made anew.
outcomes = Table(
    "outcomes",
    metadata,
    Column("document", LargeBinary, primary_key=True),  # of the batch
    Column("place", Integer, primary_key=True),
    Column("bank", String, nullable=False),
    Column("outcome_id", String, nullable=False),
    Column("taxpayer_id", String, nullable=False),
    Column("loan", String, nullable=False),  # the bank's reference
    Column("content", LargeBinary, nullable=False),  # SHA-256 of the record
    Column("stage", Integer, nullable=False),
    Column("event_date", String, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String, nullable=False),
    Column("grade", Integer, nullable=False),  # relied on; 0 for none
    Column("manifest_digest", LargeBinary),
    Column("blinded_key", LargeBinary),
    Column("corrects", String),
    Column("state", Integer, nullable=False),  # ReportState
    Column("rule", String, nullable=False),  # why it is not counted
    Column("counted_at_ms", BigInteger),
    Column("replaced_at_ms", BigInteger),
)
Index("outcomes_by_id", outcomes.c.bank, outcomes.c.outcome_id)
Index("outcomes_of_loan", outcomes.c.bank, outcomes.c.loan)
Index("outcomes_of_taxpayer", outcomes.c.taxpayer_id)

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
