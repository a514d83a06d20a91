"""which entries of the log tell of an edition or a delivery: an index, filled from the log as it stands."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from gateway.store import disclosures

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "entries_by_name",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "leaf", name=op.f("pk_entries_by_name")),
    )
    disclosures.index_entries(op.get_bind())


def downgrade() -> None:
    op.drop_table("entries_by_name")
