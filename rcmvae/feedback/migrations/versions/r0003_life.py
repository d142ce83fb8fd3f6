"""Authors, sources, what supersedes what, and a history that only grows.

Idempotency keys become an author's own. Corrections from before are by ``anonymous``; the history
of each begins with how it stands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Microseconds since 1970 UTC.
TIME = sa.BigInteger
ANONYMOUS = "anonymous"


def upgrade() -> None:
    """Add the columns, the keys' author and the history."""
    with op.batch_alter_table("feedback") as table:
        table.drop_constraint("fk_feedback_idempotency_key_submission", type_="foreignkey")
        table.add_column(
            sa.Column("author", sa.String(128), nullable=False, server_default=ANONYMOUS)
        )
        table.add_column(sa.Column("source", sa.String(64), nullable=True))
        table.add_column(sa.Column("superseded_by", sa.String(32), nullable=True))
    # The default was for the rows that were there; code states the author.
    with op.batch_alter_table("feedback") as table:
        table.alter_column("author", server_default=None, existing_type=sa.String(128))
    op.create_index("ix_feedback_input_sha256", "feedback", ["input_sha256"])
    op.create_index("ix_feedback_author_seq", "feedback", ["author", "seq"])
    op.create_index("ix_feedback_label_seq", "feedback", ["label", "seq"])
    _replace_submission(("author", "idempotency_key"), f"'{ANONYMOUS}'")
    _create_event()


def downgrade() -> None:
    """Drop what was added; statuses that the older code does not know become its nearest.

    Of an idempotency key that several authors used, the first use remains.
    """
    op.drop_table("feedback_event")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")
    op.execute("UPDATE feedback SET status = 'applied' WHERE status IN ('replaced', 'withdrawing')")
    op.execute(
        "UPDATE feedback SET status = 'rejected', reason = COALESCE(reason, status) "
        "WHERE status IN ('superseded', 'withdrawn', 'quarantined')"
    )
    _replace_submission(("idempotency_key",), None)
    for index in ("label_seq", "author_seq", "input_sha256"):
        op.drop_index(f"ix_feedback_{index}", "feedback")
    with op.batch_alter_table("feedback") as table:
        table.drop_column("superseded_by")
        table.drop_column("source")
        table.drop_column("author")
        table.create_foreign_key(
            "fk_feedback_idempotency_key_submission",
            "submission",
            ["idempotency_key"],
            ["idempotency_key"],
        )


def _replace_submission(key: tuple[str, ...], author: str | None) -> None:
    """Make the table anew under another primary key, with or without the column author."""
    op.rename_table("submission", "submission_before")
    if op.get_bind().dialect.name == "postgresql":  # names of constraints are the schema's there
        op.execute("ALTER TABLE submission_before RENAME CONSTRAINT pk_submission TO pk_before")
    columns = [sa.Column("author", sa.String(128), nullable=False)] if author else []
    op.create_table(
        "submission",
        *columns,
        sa.Column("idempotency_key", sa.String(128), nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_submission"),
    )
    kept = "idempotency_key, body_sha256, created"
    if author:
        op.execute(
            f"INSERT INTO submission (author, {kept}) "  # noqa: S608 - constants of this file
            f"SELECT {author}, {kept} FROM submission_before"
        )
    else:
        op.execute(
            f"INSERT INTO submission ({kept}) "  # noqa: S608
            f"SELECT {kept} FROM submission_before AS s WHERE NOT EXISTS "
            "(SELECT 1 FROM submission_before AS t WHERE t.idempotency_key = s.idempotency_key "
            "AND (t.created < s.created OR (t.created = s.created AND t.author < s.author)))"
        )
    op.drop_table("submission_before")


def _create_event() -> None:
    op.create_table(
        "feedback_event",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("feedback_id", sa.String(32), nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_feedback_event"),
    )
    op.create_index("ix_feedback_event_feedback_id", "feedback_event", ["feedback_id"])
    op.execute(
        "INSERT INTO feedback_event (feedback_id, created, actor, status, detail) "
        "SELECT feedback_id, created, author, status, label FROM feedback ORDER BY seq"
    )
    _refuse_changes()


def _refuse_changes() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the history is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER feedback_event_append_only BEFORE UPDATE OR DELETE ON feedback_event "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER feedback_event_no_{change.lower()} BEFORE {change} ON feedback_event "
            "BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END"
        )
