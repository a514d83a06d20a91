"""What banks report, challenges to it, and statistics."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "reporting_terms",
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreements.agreement_id"], name=op.f("fk_reporting_terms_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_reporting_terms")),
    )
    op.create_table(
        "lending_tables",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("corrects", sa.LargeBinary(), nullable=True),
        sa.Column("replaced_by", sa.LargeBinary(), nullable=True),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("recorded_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("counted_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("replaced_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("counted_slot", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["bank"], ["parties.party"], name=op.f("fk_lending_tables_bank")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreements.agreement_id"], name=op.f("fk_lending_tables_agreement_id")
        ),
        sa.UniqueConstraint(
            "bank",
            "year",
            "month",
            "months",
            "currency",
            "counted_slot",
            name=op.f("uq_lending_tables_bank_year_month_months_currency_counted_slot"),
        ),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_lending_tables")),
    )
    op.create_table(
        "lending_cells",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("loans", sa.BigInteger(), nullable=False),
        sa.Column("firms", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("outstanding_loans", sa.BigInteger(), nullable=False),
        sa.Column("outstanding_firms", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("bad_loans", sa.BigInteger(), nullable=False),
        sa.Column("bad_firms", sa.BigInteger(), nullable=False),
        sa.Column("bad_balance", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("refused_firms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document", "dimension", "value", name=op.f("pk_lending_cells")),
    )
    op.create_table(
        "outcome_batches",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreements.agreement_id"], name=op.f("fk_outcome_batches_agreement_id")
        ),
        sa.ForeignKeyConstraint(["bank"], ["parties.party"], name=op.f("fk_outcome_batches_bank")),
        sa.UniqueConstraint("bank", "sequence", name=op.f("uq_outcome_batches_bank_sequence")),
        sa.UniqueConstraint("bank", "number", name=op.f("uq_outcome_batches_bank_number")),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_outcome_batches")),
    )
    op.create_table(
        "outcome_intakes",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("begun_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_outcome_intakes")),
    )
    op.create_table(
        "outcome_chunks",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("document", "number", name=op.f("pk_outcome_chunks")),
    )
    name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    op.create_table(
        "outcomes",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("outcome_id", name, nullable=False),
        sa.Column("taxpayer_id", sa.String(), nullable=False),
        sa.Column("loan", name, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("event_date", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("guarantee", sa.Integer(), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("evaluation_year", sa.Integer(), nullable=False),
        sa.Column("manifest_digest", sa.LargeBinary(), nullable=True),
        sa.Column("blinded_key", sa.LargeBinary(), nullable=True),
        sa.Column("corrects", name, nullable=True),
        sa.Column("voids", sa.Integer(), nullable=False),
        sa.Column("closes", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("document", "place", name=op.f("pk_outcomes")),
        sqlite_with_rowid=False,
    )
    op.create_index("outcomes_by_id", "outcomes", ["outcome_id"])
    op.create_index("outcomes_of_taxpayer", "outcomes", ["taxpayer_id"])
    op.create_index("outcomes_of_loan", "outcomes", ["loan"])
    correcting = sa.text("corrects IS NOT NULL")
    op.create_index(
        "outcomes_correcting", "outcomes", ["corrects"], sqlite_where=correcting, postgresql_where=correcting
    )
    unknown = sa.text("rule = 'outcome.edition'")
    op.create_index(
        "outcomes_of_unknown_editions",
        "outcomes",
        ["bank", "manifest_digest"],
        sqlite_where=unknown,
        postgresql_where=unknown,
    )
    op.create_table(
        "outcome_acts",
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("judgement", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bank", "sequence", name=op.f("pk_outcome_acts")),
        sa.UniqueConstraint("document", name=op.f("uq_outcome_acts_document")),
        sa.UniqueConstraint("judgement", name=op.f("uq_outcome_acts_judgement")),
    )
    op.create_table(
        "outcome_changes",
        sa.Column("judgement", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("first", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("judgement", "document", "place", name=op.f("pk_outcome_changes")),
    )
    op.create_index("outcome_changes_of_row", "outcome_changes", ["document", "place"])
    no_room = sa.text("rule = 'outcome.reconcile'")
    op.create_index(
        "outcome_changes_without_room",
        "outcome_changes",
        ["judgement"],
        sqlite_where=no_room,
        postgresql_where=no_room,
    )
    op.create_table(
        "outcome_sums",
        sa.Column("judgement", sa.LargeBinary(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("guarantee", sa.Integer(), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "judgement", "month", "currency", "grade", "guarantee", name=op.f("pk_outcome_sums")
        ),
    )
    op.create_table(
        "challenges",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("lending_table", sa.LargeBinary(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("auditor", sa.String(), nullable=False),
        sa.Column("due_on", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["bank"], ["parties.party"], name=op.f("fk_challenges_bank")),
        sa.ForeignKeyConstraint(
            ["lending_table"], ["lending_tables.document"], name=op.f("fk_challenges_lending_table")
        ),
        sa.ForeignKeyConstraint(["auditor"], ["parties.party"], name=op.f("fk_challenges_auditor")),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_challenges")),
    )
    op.create_table(
        "statistics",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("audience", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("counted_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint(
            "year",
            "month",
            "months",
            "currency",
            "audience",
            "version",
            name=op.f("uq_statistics_year_month_months_currency_audience_version"),
        ),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_statistics")),
    )
    op.create_table(
        "statistics_deliveries",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recipient"], ["parties.party"], name=op.f("fk_statistics_deliveries_recipient")
        ),
        sa.ForeignKeyConstraint(
            ["document"], ["statistics.document"], name=op.f("fk_statistics_deliveries_document")
        ),
        sa.PrimaryKeyConstraint("document", "recipient", name=op.f("pk_statistics_deliveries")),
    )


def downgrade() -> None:
    op.drop_table("statistics_deliveries")
    op.drop_table("statistics")
    op.drop_table("challenges")
    op.drop_table("outcome_sums")
    op.drop_table("outcome_changes")
    op.drop_table("outcome_acts")
    op.drop_table("outcomes")
    op.drop_table("outcome_chunks")
    op.drop_table("outcome_intakes")
    op.drop_table("outcome_batches")
    op.drop_table("lending_cells")
    op.drop_table("lending_tables")
    op.drop_table("reporting_terms")
