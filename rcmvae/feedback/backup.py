"""Backup of a SQLite store that is in use, and restore into one.

Both go through SQLite's backup API (https://sqlite.org/backup.html). A backup is the store at one
moment. A restore is one write transaction of the live file, so that other processes go on and a
``-wal`` from before is never replayed into what was restored, as it may be where files are copied.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from rcmvae.bundle.durable import sync_folder
from rcmvae.errors import StoreUnavailable
from rcmvae.feedback.opened import BUSY_SECONDS
from rcmvae.feedback.revision import require_known
from rcmvae.feedback.sqlite import choose_driver, choose_journal, configure
from rcmvae.feedback.store import FeedbackStore

_RETRY_SECONDS = 0.02
_LOCKED = (5, 6)
"""SQLITE_BUSY and SQLITE_LOCKED."""
_ROLLBACK_JOURNAL = "PRAGMA journal_mode=DELETE"


def back_up(url: str, target: Path, *, busy_seconds: float = BUSY_SECONDS) -> int:
    """Write a copy of a store that may be in use, in one file, readable by its owner alone.

    Args:
        url: of the store, ``sqlite:///path``.
        target: a new file in a folder that exists.
        busy_seconds: how long to wait for a lock before giving up.

    Returns:
        How many corrections the copy has.

    Raises:
        StoreUnavailable: no SQLite store, a damaged one, or the copy cannot be written; there is
            no target then.
    """
    path = _path_of(url)
    if target.exists():
        raise StoreUnavailable(f"{target}: expected a new file, got one that exists")
    with _translated():
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        draft = Path(name)
        try:
            count = _copy_whole(path, draft, busy_seconds)
            os.fsync(handle)
            draft.rename(target)
            sync_folder(target.parent)
        finally:
            os.close(handle)
            draft.unlink(missing_ok=True)
    return count


def restore(
    url: str, source: Path, *, replace: bool = False, busy_seconds: float = BUSY_SECONDS
) -> int:
    """Put a backup in the place of what a store holds, all or nothing, while it may be in use.

    Args:
        url: of the store, ``sqlite:///path``; it is made where there is none.
        source: what ``back_up`` wrote; it stays as it is.
        replace: lose what the store holds now.
        busy_seconds: how long to wait for other writers before giving up.

    Returns:
        How many corrections were restored.

    Raises:
        StoreUnavailable: a damaged or foreign backup, a store that holds something and is not to
            be replaced, or one that cannot be opened; the store is as it was.
    """
    path = _path_of(url)
    with _translated(), closing(_connect(source, "ro", busy_seconds)) as backup:
        _require_sound(backup, source)
        _require_known_schema(backup, source)
        FeedbackStore.open(url, busy_seconds=busy_seconds).close()  # makes it where there is none
        with closing(_connect(path, "rw", busy_seconds)) as live:
            if not replace and _count(live):
                raise StoreUnavailable("the store holds corrections, which a restore would replace")
            version = tuple(choose_driver().sqlite_version_info)
            configure(live, choose_journal(version), busy_seconds)
            _copy(backup, live, busy_seconds)
        # Of the backup: others may have written into the restored store already.
        count = _count(backup)
    FeedbackStore.open(url, busy_seconds=busy_seconds).close()  # a backup may have an old schema
    return count


def _copy_whole(path: Path, target: Path, busy_seconds: float) -> int:
    with (
        closing(_connect(path, "rw", busy_seconds)) as live,
        closing(_connect(target, "rw", busy_seconds)) as copy,
    ):
        _copy(live, copy, busy_seconds)
        # A file in WAL mode would get files beside it from everybody who looks into it.
        copy.execute(_ROLLBACK_JOURNAL)
        _require_sound(copy, path)
        _require_known_schema(copy, path)
        return _count(copy)


def _copy(source: Any, target: Any, busy_seconds: float) -> None:  # noqa: ANN401 - either driver's
    """Copy all pages in one step: another process that writes would make smaller ones begin again.

    Raises:
        StoreUnavailable: a lock was not to be had.
    """
    end = time.monotonic() + busy_seconds

    def give_up(status: int, _remaining: int, _total: int) -> None:
        if status in _LOCKED and time.monotonic() > end:
            raise StoreUnavailable("another process holds the feedback store")

    source.backup(target, pages=-1, progress=give_up, sleep=_RETRY_SECONDS)


def _connect(path: Path, mode: str, busy_seconds: float) -> Any:  # noqa: ANN401
    address = f"{path.absolute().as_uri()}?mode={mode}"
    return choose_driver().connect(
        address, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )


def _require_sound(connection: Any, path: Path) -> None:  # noqa: ANN401
    found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if found != [("ok",)]:
        raise StoreUnavailable(f"{path}: damaged: {found[0][0]}")


def _require_known_schema(connection: Any, path: Path) -> None:  # noqa: ANN401
    tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('alembic_version', 'feedback')"
    if connection.execute(tables).fetchone() != (2,):
        raise StoreUnavailable(f"{path}: expected a feedback store, got another database")
    for (revision,) in connection.execute("SELECT version_num FROM alembic_version").fetchall():
        require_known(str(revision))


def _count(connection: Any) -> int:  # noqa: ANN401
    return int(connection.execute("SELECT count(*) FROM feedback").fetchone()[0])


def _path_of(url: str) -> Path:
    try:
        parsed = make_url(url)
    # The message of the cause would repeat the URL, and with it a password.
    except ArgumentError:
        raise StoreUnavailable("expected a database URL such as sqlite:///path") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise StoreUnavailable("expected sqlite:///path; PostgreSQL has pg_dump and pg_restore")
    return Path(parsed.database)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (choose_driver().Error, OSError, CommandError) as error:
        raise StoreUnavailable(f"the feedback store failed: {error}") from error
