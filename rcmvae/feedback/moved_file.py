"""Noticing that the file of a SQLite database is no longer the one that was opened.

A file that was deleted or replaced stays open: what is written to it is acknowledged, and gone when
the last process closes it.
"""

import logging
import threading
from pathlib import Path

from sqlalchemy import Engine

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback.revision import upgrade

Identity = tuple[int, int]
"""Device and inode."""

_log = logging.getLogger("rcmvae.feedback")


class WatchedFile:
    """The file under an engine, compared by device and inode.

    Args:
        engine: on SQLite, open and migrated.
        path: of its file.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._opened = _identity(path)
        self._lock = threading.Lock()

    def follow(self) -> Identity:
        """Open the file that is at the path now, and migrate it, if it is another one.

        A folder that is gone is not made again: more likely than a new start is a lost mount.

        Returns:
            Which file the engine's connections have open from now on.

        Raises:
            StoreUnavailable: there is no folder, or the file went while it was opened.
            sqlalchemy.exc.DBAPIError: the new file cannot be used.
            alembic.util.CommandError: it has a schema that this code does not know.
        """
        with self._lock:
            if self._opened is None or _identity(self._path) != self._opened:
                self._open_anew()
            if self._opened is None:
                raise StoreUnavailable("the file of the feedback store is gone")
            return self._opened

    def _open_anew(self) -> None:
        if not self._path.parent.is_dir():
            raise StoreUnavailable("the folder of the feedback store is gone")
        if self._opened is not None:
            _log.error("the file of the feedback store was deleted or replaced; opening it anew")
        # Nothing is known until the migration is through: without a connection that holds the old
        # file, a new one may get its inode.
        self._opened = None
        self._engine.dispose()
        upgrade(self._engine)
        self._opened = _identity(self._path)

    def require_still(self, opened: Identity) -> None:
        """Refuse to acknowledge what went to a file that nobody will find again.

        Args:
            opened: what ``follow`` returned before the write.

        Raises:
            StoreUnavailable: the file was deleted or replaced since.
        """
        if _identity(self._path) != opened:
            raise StoreUnavailable("the file of the feedback store was replaced during a write")


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
