"""What PostgreSQL needs beyond SQL: how to connect, and locks for what SQLite's one writer gives.

Whoever changes the life of corrections holds the lives alone; whoever adds some shares them, and
holds the inputs alone that they are of. So two corrections of one input always see each other.
"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from rcmvae.errors import IdempotencyInFlight

_LIVES = 0x7263_6D76  # any number that is ours
_MIGRATION = _LIVES + 1
_JOBS = _LIVES + 2
# A transaction may hold a lock for each of thousands of inputs, and the server's table of locks is
# bounded: inputs share them.
_BUCKETS = 64
_LOCK_NOT_AVAILABLE = "55P03"


def open_postgresql(url: URL, *, busy_seconds: float) -> Engine:
    """Make an engine; a server that does not answer is noticed within seconds.

    Args:
        url: ``postgresql+psycopg://...``.
        busy_seconds: how long to wait for a lock or a connection before giving up.

    Raises:
        ModuleNotFoundError: psycopg is not installed.
    """
    milliseconds = round(busy_seconds * 1000)
    settings = {
        "synchronous_commit": "on",
        "lock_timeout": f"{milliseconds}",
        "idle_in_transaction_session_timeout": f"{2 * milliseconds}",
    }
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=busy_seconds,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": max(2, round(busy_seconds / 2)),
            "tcp_user_timeout": milliseconds,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )


def lock_migration(connection: Connection) -> None:
    """Let one process migrate at a time; the others find the work done."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION})


def lock_keys(
    connection: Connection, keys: Iterable[tuple[str, str]], *, wait: bool
) -> set[tuple[str, str]]:
    """Hold authors' idempotency keys until the transaction ends.

    Args:
        connection: in a transaction.
        keys: an author and his key, each.
        wait: for other uses to end; else those keys are left.

    Returns:
        The keys that another transaction holds.

    Raises:
        IdempotencyInFlight: what was waited for has not ended within the time for locks.
    """
    if connection.dialect.name != "postgresql":
        return set()
    # In order, so that two who wait cannot wait for each other.
    numbers = sorted({(_number_of(author, key), author, key) for author, key in keys})
    if not wait:
        lock = text("SELECT pg_try_advisory_xact_lock(:key)")
        return {
            (author, key)
            for number, author, key in numbers
            if not connection.execute(lock, {"key": number}).scalar_one()
        }
    try:
        for number, _, _ in numbers:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": number})
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise IdempotencyInFlight("the first request with this key is not done yet") from error
    return set()


def _number_of(author: str, key: str) -> int:
    digest = hashlib.sha256(f"{author}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def lock_lives(connection: Connection) -> None:
    """Hold the lives of all corrections until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LIVES})


def lock_jobs(connection: Connection) -> None:
    """Let one ask for a job at a time, so that the next one sees what is asked for."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _JOBS})


def lock_inputs(connection: Connection, digests: Iterable[str]) -> None:
    """Hold the corrections of inputs until the transaction ends, beside others who add.

    Args:
        connection: in a transaction.
        digests: SHA-256 of the inputs, hexadecimal.
    """
    if connection.dialect.name != "postgresql":
        return
    connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _LIVES})
    # In order, so that two who add cannot wait for each other.
    for bucket in sorted({int(digest[:8], 16) % _BUCKETS for digest in digests}):
        lock = text("SELECT pg_advisory_xact_lock(:space, :key)")
        connection.execute(lock, {"space": _LIVES, "key": bucket})
