"""The tables, as the newest migration leaves them. A test compares the two."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback.record import MAX_NAME, MAX_SOURCE
from rcmvae.label_name import MAX_LABEL

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcMicroseconds(TypeDecorator[datetime]):
    """An aware time as whole microseconds since 1970 UTC: exact, ordered, alike in any database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's own signature
    ) -> int | None:
        """Count the microseconds; a time without a zone is a bug of the caller."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(
        self,
        value: Any | None,  # noqa: ANN401 - SQLAlchemy's own signature
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Return an aware time in UTC.

        Raises:
            StoreUnavailable: SQLite columns take anything, and this one holds no time.
        """
        if value is None:
            return None
        try:
            return _EPOCH + timedelta(microseconds=value)
        except (TypeError, OverflowError) as error:
            raise StoreUnavailable(f"a stored time is damaged: {error}") from error


# SQLite increments only a column declared INTEGER PRIMARY KEY.
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row for each idempotency key that an author ever used; its corrections carry both.
submission = Table(
    "submission",
    metadata,
    Column("author", String(MAX_NAME), primary_key=True),
    Column("idempotency_key", String(MAX_NAME), primary_key=True),
    Column("body_sha256", String(64), nullable=False),
    Column("created", UtcMicroseconds(), nullable=False),
)

_LENT = text("lease_expires IS NOT NULL")

# Status is plain text without a CHECK: later statuses then need no rebuilt table.
feedback = Table(
    "feedback",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("feedback_id", String(32), nullable=False, unique=True),
    Column("author", String(MAX_NAME), nullable=False),
    Column("source", String(MAX_SOURCE), nullable=True),
    Column("idempotency_key", String(MAX_NAME), nullable=True, index=True),
    Column("label", String(MAX_LABEL), nullable=False),
    Column("prediction_id", String(MAX_NAME), nullable=True),
    Column("bundle_version", String(MAX_NAME), nullable=True),
    Column("status", String(16), nullable=False),
    Column("created", UtcMicroseconds(), nullable=False),
    Column("claim_token", String(32), nullable=True, index=True),
    Column("claimed_by", String(MAX_NAME), nullable=True),
    Column("lease_expires", UtcMicroseconds(), nullable=True),
    Column("unreported", Boolean(), nullable=False, default=False),
    Column("applied_version", String(MAX_NAME), nullable=True),
    Column("reason", Text(), nullable=True),
    Column("superseded_by", String(32), nullable=True),
    Column("input_shape", String(64), nullable=False),
    Column("input_encoding", String(16), nullable=False),
    Column("input_sha256", String(64), nullable=False, index=True),
    Column("input_data", LargeBinary(), nullable=False),
    Index(None, "status", "seq"),
    Index(None, "author", "seq"),
    Index(None, "label", "seq"),
    # Little is lent at a time, and every claim and every look at what waits asks for it.
    Index(None, "lease_expires", sqlite_where=_LENT, postgresql_where=_LENT),
)

# Only ever added to: triggers refuse everything else.
feedback_event = Table(
    "feedback_event",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("feedback_id", String(32), nullable=False, index=True),
    Column("created", UtcMicroseconds(), nullable=False),
    Column("actor", String(MAX_NAME), nullable=False),
    Column("status", String(16), nullable=False),
    Column("detail", Text(), nullable=True),
)

capture = Table(
    "capture",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("prediction_id", String(MAX_NAME), nullable=False, unique=True),
    Column("bundle_version", String(MAX_NAME), nullable=False),
    Column("created", UtcMicroseconds(), nullable=False),
    Column("input_shape", String(64), nullable=False),
    Column("input_encoding", String(16), nullable=False),
    Column("input_sha256", String(64), nullable=False),
    Column("input_data", LargeBinary(), nullable=False),
)
