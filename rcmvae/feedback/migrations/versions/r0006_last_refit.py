"""The last refit is found by an index, however many relabels came after it."""

from alembic import op

revision = "0006"
down_revision = "0005"

INDEX = "ix_retrain_job_method_seq"


def upgrade() -> None:
    """Add the index."""
    op.create_index(INDEX, "retrain_job", ["method", "seq"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index(INDEX, "retrain_job")
