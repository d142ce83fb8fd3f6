"""Moving a database between revisions of the schema, with Alembic and without an alembic.ini."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from rcmvae.feedback.postgresql import lock_migration
from rcmvae.feedback.sqlite import READS

NEWEST = "head"
NONE = "base"


def upgrade(engine: Engine, target: str = NEWEST) -> None:
    """Bring the schema up to a revision, in one transaction.

    Several processes may do so at once: a lock lets one through, the others find the work done.
    A database that is up to date is only read.

    Raises:
        alembic.util.CommandError: the database has a revision that this code does not know.
        sqlalchemy.exc.DBAPIError: the database fails.
    """
    if target == NEWEST and current(engine) == newest():
        return
    with engine.begin() as connection:
        lock_migration(connection)
        command.upgrade(_config(connection), target)


def downgrade(engine: Engine, target: str) -> None:
    """Take the schema down to a revision, or to NONE; data that it cannot hold is lost.

    Raises:
        alembic.util.CommandError: no such revision.
        sqlalchemy.exc.DBAPIError: the database fails.
    """
    with engine.begin() as connection:
        lock_migration(connection)
        command.downgrade(_config(connection), target)


def current(engine: Engine) -> str | None:
    """Return the revision of a database, None before the first."""
    with engine.execution_options(**{READS: True}).begin() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def require_known(revision: str) -> None:
    """Refuse a schema that this code does not know.

    Raises:
        alembic.util.CommandError: no such revision.
    """
    ScriptDirectory.from_config(_config()).get_revision(revision)


def newest() -> str | None:
    """Return the newest revision that this code knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "rcmvae.feedback:migrations")
    config.attributes["connection"] = connection
    return config
