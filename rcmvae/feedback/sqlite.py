"""Which SQLite, and how: driver, journal, pragmas and transactions.

docs/decisions/0002-feedback-store.md says why.
"""

import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event

from rcmvae.errors import StoreUnavailable

JournalMode = Literal["wal", "delete"]

OLDEST_WITH_RETURNING = (3, 35, 0)
FIRST_WITH_WAL_RESET_FIXED = (3, 51, 3)
READS = "rcmvae_reads"
"""Execution option of a connection that only reads and need not wait for a writer."""
_RETRY_SECONDS = 0.02


class _Cursor(Protocol):
    def fetchone(self) -> tuple[object, ...] | None: ...


class _DriverConnection(Protocol):
    isolation_level: str | None

    def execute(self, sql: str, /) -> _Cursor: ...


def choose_driver() -> ModuleType:
    """Return the DB-API module with the newest SQLite: pysqlite3 if installed, or Python's own."""
    drivers = [import_module("sqlite3")]
    with suppress(ImportError):  # not installed, or built for another libc
        drivers.append(import_module("pysqlite3.dbapi2"))
    return max(drivers, key=lambda driver: tuple(driver.sqlite_version_info))


def choose_journal(version: tuple[int, ...]) -> JournalMode:
    """Return the journal for a version of SQLite: WAL only where it cannot corrupt.

    3.7.0 to 3.51.2 can lose pages when a checkpoint meets a reset of the log
    (https://sqlite.org/wal.html#walresetbug). Patched builds of older branches exist and are
    treated as affected: the rollback journal costs them time, never data.
    """
    return "wal" if version >= FIRST_WITH_WAL_RESET_FIXED else "delete"


def open_sqlite(url: URL, *, driver: ModuleType, busy_seconds: float) -> Engine:
    """Make an engine on a SQLite file, creating its folder.

    Args:
        url: ``sqlite:///path``; a file, not memory.
        driver: see choose_driver.
        busy_seconds: how long to wait for a lock before giving up.

    Raises:
        StoreUnavailable: not a file, no folder, or a SQLite too old.
    """
    version = tuple(driver.sqlite_version_info)
    if version < OLDEST_WITH_RETURNING:
        raise StoreUnavailable(f"expected SQLite 3.35 or newer, got {driver.sqlite_version}")
    _make_folder(url.database)
    engine = create_engine(
        url,
        module=driver,
        connect_args={"timeout": busy_seconds},
        pool_timeout=busy_seconds,
        hide_parameters=True,
    )
    journal = choose_journal(version)

    @event.listens_for(engine, "connect")
    def _connect(connection: _DriverConnection, _record: object) -> None:
        configure(connection, journal, busy_seconds)

    event.listen(engine, "begin", _begin)
    return engine


def configure(connection: _DriverConnection, journal: JournalMode, busy_seconds: float) -> None:
    """Set up one fresh connection.

    Raises:
        StoreUnavailable: the file stays in WAL mode though this SQLite must not use it.
    """
    # The driver must not begin transactions by itself: _begin does.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    actual = _set_journal(connection, journal, busy_seconds)
    # The other way round is harmless: a file system without shared memory keeps its journal.
    if journal == "delete" and actual == "wal":
        raise StoreUnavailable("the file is in WAL mode, which this SQLite version can corrupt")


def _set_journal(connection: _DriverConnection, journal: JournalMode, busy_seconds: float) -> str:
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            row = connection.execute(f"PRAGMA journal_mode={journal}").fetchone()
            return str(row[0]) if row else ""
        # Changing the mode needs the file alone and does not use SQLite's own busy timeout.
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock first: a transaction that reads and then writes would
    # otherwise fail at once, without any timeout, when another one wrote between.
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _make_folder(database: str | None) -> None:
    if not database or database == ":memory:" or database.startswith("file:"):
        raise StoreUnavailable("expected sqlite:///path/to/file, got no path: not durable")
    try:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"cannot make the folder of the store: {error}") from error
