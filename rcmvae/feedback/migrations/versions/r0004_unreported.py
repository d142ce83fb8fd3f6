"""Which corrections a claim left open: it ended, and nobody said what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the mark; of what was lent before nothing is known, as until now."""
    with op.batch_alter_table("feedback") as table:
        table.add_column(
            sa.Column("unreported", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    # The default was for the rows that were there; code states the mark.
    with op.batch_alter_table("feedback") as table:
        table.alter_column("unreported", server_default=None, existing_type=sa.Boolean())


def downgrade() -> None:
    """Drop the mark."""
    with op.batch_alter_table("feedback") as table:
        table.drop_column("unreported")
