"""Mutual exclusion between processes and threads that change a models folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK_NAME = ".lock"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def hold_lock(models: Path) -> Iterator[None]:
    """Hold the lock of a models folder; the kernel frees it when the process dies.

    ``flock`` and not POSIX record locks: those do not exclude threads of one process, and are
    lost as soon as any descriptor of the file is closed.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(models / _LOCK_NAME, flags, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Mark a scratch directory as in use for as long as this process lives and stays inside."""
    descriptor = os.open(folder, _DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def is_claimed(folder: Path) -> bool:
    """Whether a living process claims a scratch directory; the caller holds the lock."""
    try:
        descriptor = os.open(folder, _DIRECTORY)
    except OSError:  # its owner has just removed it, or it is not of our making: hands off
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
