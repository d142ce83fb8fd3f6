"""Corrections, the submissions they came in, and captured inputs.

Column types stand here in full and are not imported: a revision says what was, not what is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Microseconds since 1970 UTC.
TIME = sa.BigInteger


def upgrade() -> None:
    """Create submission, feedback and capture."""
    _create_submission()
    _create_feedback()
    _create_capture()


def downgrade() -> None:
    """Drop all three tables with what they hold."""
    op.drop_table("capture")
    op.drop_table("feedback")
    op.drop_table("submission")


def _create_submission() -> None:
    op.create_table(
        "submission",
        sa.Column("idempotency_key", sa.String(128), nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.PrimaryKeyConstraint("idempotency_key", name="pk_submission"),
    )


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("feedback_id", sa.String(32), nullable=False),
        sa.Column("idempotency_key", sa.String(128), nullable=True),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("prediction_id", sa.String(128), nullable=True),
        sa.Column("bundle_version", sa.String(128), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("claim_token", sa.String(32), nullable=True),
        sa.Column("claimed_by", sa.String(128), nullable=True),
        sa.Column("lease_expires", TIME, nullable=True),
        sa.Column("applied_version", sa.String(128), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        *_input_columns(),
        sa.PrimaryKeyConstraint("seq", name="pk_feedback"),
        sa.UniqueConstraint("feedback_id", name="uq_feedback_feedback_id"),
        sa.ForeignKeyConstraint(
            ["idempotency_key"],
            ["submission.idempotency_key"],
            name="fk_feedback_idempotency_key_submission",
        ),
    )
    op.create_index("ix_feedback_idempotency_key", "feedback", ["idempotency_key"])
    op.create_index("ix_feedback_claim_token", "feedback", ["claim_token"])
    op.create_index("ix_feedback_status_seq", "feedback", ["status", "seq"])


def _create_capture() -> None:
    op.create_table(
        "capture",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("prediction_id", sa.String(128), nullable=False),
        sa.Column("bundle_version", sa.String(128), nullable=False),
        sa.Column("created", TIME, nullable=False),
        *_input_columns(),
        sa.PrimaryKeyConstraint("seq", name="pk_capture"),
        sa.UniqueConstraint("prediction_id", name="uq_capture_prediction_id"),
    )


def _input_columns() -> tuple[sa.Column[str] | sa.Column[bytes], ...]:
    return (
        sa.Column("input_shape", sa.String(64), nullable=False),
        sa.Column("input_encoding", sa.String(16), nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("input_data", sa.LargeBinary(), nullable=False),
    )
