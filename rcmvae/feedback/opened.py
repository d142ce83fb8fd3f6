"""An open database and the clock that goes with it: what every part of the store stands on."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rcmvae.feedback.database import Database, open_database

BUSY_SECONDS = 10.0


def utc_now() -> datetime:
    """Return the time of this machine, aware, UTC."""
    return datetime.now(UTC)


class OpenedStore:
    """A database that was opened, and is closed at the end of a ``with`` block.

    Args:
        database: see `open`.
        clock: gives the time for creation and leases; workers on several machines need clocks
            that agree to a fraction of a lease. A wrong clock costs work, never a double result.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        busy_seconds: float = BUSY_SECONDS,
    ) -> Self:
        """Open a store, making the file and its folder and migrating the schema as needed.

        Args:
            url: SQLAlchemy URL, such as ``sqlite:///var/feedback.db``.
            clock: see the class.
            busy_seconds: how long to wait for other writers before giving up.

        Raises:
            StoreUnavailable: the database cannot be used; the message has no password.
        """
        return cls(open_database(url, busy_seconds=busy_seconds), clock)

    @property
    def database(self) -> Database:
        """What else lies in the same database, such as retrain jobs, uses it too."""
        return self._database

    @property
    def clock(self) -> Callable[[], datetime]:
        """Gives the time for creation and leases."""
        return self._clock

    def close(self) -> None:
        """Close all connections."""
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()
