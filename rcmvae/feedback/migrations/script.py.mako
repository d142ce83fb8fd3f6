"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """State what appears."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """State what is lost."""
    ${downgrades if downgrades else "pass"}
