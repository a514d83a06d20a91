"""refusals are counted by party and day."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("refusals_of_day", "refusals", ["party", "day"])


def downgrade() -> None:
    op.drop_index("refusals_of_day", "refusals")
