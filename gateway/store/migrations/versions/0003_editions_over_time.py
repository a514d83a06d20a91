"""states of editions over time; recalls, objections, answers for rows, notices."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("chunks", sa.Column("run", sa.LargeBinary(), nullable=True))
    op.create_index("chunks_by_key", "chunks", ["manifest_digest", "last_key"])
    op.create_table(
        "buckets",
        sa.Column("manifest_digest", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("manifest_digest", "number", name=op.f("pk_buckets")),
    )
    op.create_table(
        "states",
        sa.Column("manifest_digest", sa.LargeBinary(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("manifest_digest", name=op.f("pk_states")),
    )
    op.create_table(
        "recalls",
        sa.Column("correction", sa.LargeBinary(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["correction"], ["editions.manifest_digest"], name=op.f("fk_recalls_correction_editions")
        ),
        sa.ForeignKeyConstraint(["recipient"], ["parties.party"], name=op.f("fk_recalls_recipient_parties")),
        sa.PrimaryKeyConstraint("correction", "recipient", name=op.f("pk_recalls")),
    )
    op.create_table(
        "objections",
        sa.Column("objection", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("manifest_digest", sa.LargeBinary(), nullable=False),
        sa.Column("blinded_key", sa.LargeBinary(), nullable=False),
        sa.Column("filed_on", sa.String(), nullable=False),
        sa.Column("due_on", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decision", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["origin"], ["parties.party"], name=op.f("fk_objections_origin_parties")),
        sa.ForeignKeyConstraint(["product"], ["products.product"], name=op.f("fk_objections_product_products")),
        sa.ForeignKeyConstraint(
            ["manifest_digest"], ["editions.manifest_digest"], name=op.f("fk_objections_manifest_digest_editions")
        ),
        sa.PrimaryKeyConstraint("objection", name=op.f("pk_objections")),
        sa.UniqueConstraint("origin", "number", name=op.f("uq_objections_origin_number")),
    )
    op.create_table(
        "row_answers",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("manifest_digest", sa.LargeBinary(), nullable=False),
        sa.Column("answered_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest_digest"], ["editions.manifest_digest"], name=op.f("fk_row_answers_manifest_digest_editions")
        ),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_row_answers")),
    )
    op.create_table(
        "notices",
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("effective_on", sa.String(), nullable=False),
        sa.Column("replaced_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notices")),
    )


def downgrade() -> None:
    for table in ("notices", "row_answers", "objections", "recalls", "states", "buckets"):
        op.drop_table(table)
    op.drop_index("chunks_by_key", "chunks")
    op.drop_column("chunks", "run")
