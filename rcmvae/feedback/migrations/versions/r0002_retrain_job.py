"""Retrain jobs. Column types stand here in full, as in every revision."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Microseconds since 1970 UTC.
TIME = sa.BigInteger


def upgrade() -> None:
    """Create retrain_job."""
    op.create_table(
        "retrain_job",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("slot", sa.String(16), nullable=True),
        sa.Column("requested", TIME, nullable=False),
        sa.Column("started", TIME, nullable=True),
        sa.Column("finished", TIME, nullable=True),
        sa.Column("claim_token", sa.String(32), nullable=True),
        sa.Column("worker", sa.String(128), nullable=True),
        sa.Column("lease_expires", TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("version", sa.String(128), nullable=True),
        sa.Column("gate", sa.Text(), nullable=True),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_retrain_job"),
        sa.UniqueConstraint("job_id", name="uq_retrain_job_job_id"),
        sa.UniqueConstraint("slot", name="uq_retrain_job_slot"),
    )
    op.create_index("ix_retrain_job_state_seq", "retrain_job", ["state", "seq"])


def downgrade() -> None:
    """Drop it with what it holds."""
    op.drop_table("retrain_job")
