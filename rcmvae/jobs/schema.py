"""The table of jobs, as the newest migration leaves it."""

from sqlalchemy import Column, Double, Index, Integer, String, Table, Text

from rcmvae.feedback.record import MAX_NAME
from rcmvae.feedback.schema import SEQUENCE, UtcMicroseconds, metadata

# `slot` is the lane of a running job and null for all others: being unique, it lets one job of a
# lane run at a time, on any database. A refit that is about to promote moves into that of relabels.
retrain_job = Table(
    "retrain_job",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("job_id", String(32), nullable=False, unique=True),
    Column("method", String(16), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("requested_by", String(MAX_NAME), nullable=True),
    Column("state", String(16), nullable=False),
    Column("slot", String(16), nullable=True, unique=True),
    Column("requested", UtcMicroseconds(), nullable=False),
    Column("started", UtcMicroseconds(), nullable=True),
    Column("finished", UtcMicroseconds(), nullable=True),
    Column("claim_token", String(32), nullable=True),
    Column("worker", String(MAX_NAME), nullable=True),
    Column("lease_expires", UtcMicroseconds(), nullable=True),
    Column("attempts", Integer(), nullable=False),
    Column("progress", Double(), nullable=False),
    Column("message", Text(), nullable=False),
    Column("version", String(MAX_NAME), nullable=True),
    Column("gate", Text(), nullable=True),
    Column("counts", Text(), nullable=False),
    Index(None, "state", "seq"),
    # Relabels may be many, and the last refit is asked for all the time.
    Index(None, "method", "seq"),
)
