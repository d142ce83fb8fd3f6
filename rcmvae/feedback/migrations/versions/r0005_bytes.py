"""Inputs may be kept as bytes, and what is lent is found by an index.

Inputs that are there stay as they are: every encoding is read.
"""

import zlib

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

INDEX = "ix_feedback_lease_expires"
LENT = sa.text("lease_expires IS NOT NULL")
PAGE = 1000


def upgrade() -> None:
    """Add the index."""
    op.create_index(INDEX, "feedback", ["lease_expires"], sqlite_where=LENT, postgresql_where=LENT)


def downgrade() -> None:
    """Drop the index, and write as floats what is kept as bytes: older code reads only those."""
    op.drop_index(INDEX, "feedback")
    for name in ("feedback", "capture"):
        _write_floats(name)


def _write_floats(name: str) -> None:
    columns = ("seq", "input_encoding", "input_data")
    table = sa.table(name, *(sa.column(each) for each in columns))
    change = sa.update(table).where(table.c.seq == sa.bindparam("row"))
    change = change.values(input_encoding="f32le", input_data=sa.bindparam("floats"))
    page = sa.select(table).where(table.c.input_encoding.like("u8%")).limit(PAGE)
    while rows := op.get_bind().execute(page).all():
        values = [{"row": r.seq, "floats": _floats(r.input_encoding, r.input_data)} for r in rows]
        op.get_bind().execute(change, values)


def _floats(encoding: str, data: bytes) -> bytes:
    raw = zlib.decompress(data) if encoding.endswith("+zlib") else data
    levels = np.frombuffer(raw, np.uint8).astype("<f4")
    if encoding.startswith("u8/255"):
        return (levels / np.float32(255)).tobytes()
    return (levels * np.float32(1 / 255)).tobytes()
