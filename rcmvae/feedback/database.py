"""The database behind the store: opened by URL, used in transactions, its errors translated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback.moved_file import WatchedFile
from rcmvae.feedback.postgresql import open_postgresql
from rcmvae.feedback.revision import upgrade
from rcmvae.feedback.sqlite import READS, choose_driver, open_sqlite


@dataclass(frozen=True, slots=True)
class Database:
    """A database whose schema is the newest. Threads may share it; processes may not.

    Args:
        engine: gives the connections.
        file: what to watch where the database is a file; None for a server.
    """

    engine: Engine
    file: WatchedFile | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        engine = self.engine.execution_options(**{READS: True}, postgresql_readonly=True)
        with translated_errors():
            if self.file is not None:
                self.file.follow()
            with engine.begin() as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends without an error.

        Raises:
            StoreUnavailable: the database does not answer or refuses to write.
        """
        with translated_errors():
            opened = self.file.follow() if self.file is not None else None
            with self.engine.begin() as connection:
                yield connection
            if self.file is not None and opened is not None:
                self.file.require_still(opened)


def open_database(url: str, *, busy_seconds: float) -> Database:
    """Connect and bring the schema up to date; several processes may do so at once.

    Raises:
        StoreUnavailable: bad URL, no driver, no database, or a schema newer than this code.
    """
    engine = _open_engine(_parse(url), busy_seconds)
    try:
        with translated_errors():
            upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return Database(engine, _watched(engine))


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what a database, its driver or its migrations raise into StoreUnavailable."""
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailable(f"the feedback store failed: {error.orig}") from error
    except (PoolTimeout, CommandError) as error:
        raise StoreUnavailable(f"the feedback store failed: {error}") from error


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    # The message of the cause would repeat the URL, and with it a password.
    except ArgumentError:
        raise StoreUnavailable("expected a database URL such as sqlite:///path") from None


def _watched(engine: Engine) -> WatchedFile | None:
    is_file = engine.url.get_backend_name() == "sqlite" and engine.url.database
    return WatchedFile(engine, Path(str(engine.url.database))) if is_file else None


def _open_engine(url: URL, busy_seconds: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        return open_sqlite(url, driver=choose_driver(), busy_seconds=busy_seconds)
    try:
        if url.get_backend_name() == "postgresql":
            return open_postgresql(url, busy_seconds=busy_seconds)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreUnavailable(f"no driver for {url.drivername}: {error}") from error
    raise StoreUnavailable(f"expected sqlite or postgresql+psycopg, got {url.drivername}")
