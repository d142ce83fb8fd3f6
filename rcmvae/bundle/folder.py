"""Reading a directory that somebody else may have written, without following a link out of it.

Everything is opened relative to one descriptor, so the directory cannot be exchanged under a
reader, and every file is opened once, so that the bytes judged are the bytes used.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rcmvae.bundle.check import Check
from rcmvae.bundle.printable import printable
from rcmvae.errors import BundleDamaged, BundleNotFound

MOST_ENTRIES = 256
# O_NONBLOCK: opening a pipe must not wait for a writer that never comes.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_REGULAR = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR})


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Open a directory, itself not a symbolic link, and yield its descriptor.

    Raises:
        BundleNotFound: nothing is there.
        BundleDamaged: something else than a readable directory is there.
    """
    descriptor = _open_directory(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_directory(path: Path) -> int:
    try:
        return os.open(path, _READ | os.O_DIRECTORY)
    except FileNotFoundError as error:
        raise BundleNotFound(f"no bundle {printable(path.name)}") from error
    except OSError as error:
        check = Check.DIRECTORY if error.errno in {errno.ENOTDIR, errno.ELOOP} else Check.READABLE
        raise BundleDamaged(check, printable(path.name), _reason(error)) from error


def entry_names(folder: int) -> frozenset[str]:
    """Names of all entries of an open directory, hidden ones included.

    Raises:
        BundleDamaged: it cannot be listed, or has more than ``MOST_ENTRIES`` entries.
    """
    names: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.add(entry.name)
                if len(names) > MOST_ENTRIES:
                    detail = f"expected at most {MOST_ENTRIES} entries, got more"
                    raise BundleDamaged(Check.FILE_SET, printable(entry.name), detail)
    except OSError as error:
        raise BundleDamaged(Check.READABLE, ".", _reason(error)) from error
    return frozenset(names)


def read_bounded(folder: int, name: str, *, limit: int, check: Check) -> bytes:
    """Read a whole regular file of at most ``limit`` bytes.

    Args:
        folder: descriptor of the directory.
        name: name without a separator.
        limit: most bytes accepted.
        check: the check that a longer file fails.

    Raises:
        BundleDamaged: missing, not regular, not readable or too long.
    """
    return _read(folder, name, limit=limit, exact=False, check=check)


def read_exactly(folder: int, name: str, *, size: int) -> bytes:
    """Read a whole regular file that must have ``size`` bytes; raises as ``read_bounded``."""
    return _read(folder, name, limit=size, exact=True, check=Check.SIZE)


def _read(folder: int, name: str, *, limit: int, exact: bool, check: Check) -> bytes:
    try:
        with _open_file(folder, name) as stream:
            status = os.fstat(stream.fileno())
            _require_regular(name, status.st_mode)
            _require_size(name, status.st_size, limit, exact=exact, check=check)
            content = stream.read(limit + 1)  # one more, to notice a file that grows
    except OSError as error:
        raise _damage_of(name, error) from error
    _require_size(name, len(content), limit, exact=exact, check=check)
    return content


def _open_file(folder: int, name: str) -> io.BufferedReader:
    # An opener, and not fdopen, which leaks the descriptor when it turns out to be a directory.
    return io.BufferedReader(
        io.FileIO(name, opener=lambda path, _: os.open(path, _READ, dir_fd=folder))
    )


def _require_regular(name: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        detail = f"expected a regular file, got mode {stat.filemode(mode)}"
        raise BundleDamaged(Check.REGULAR_FILE, printable(name), detail)


def _require_size(name: str, actual: int, limit: int, *, exact: bool, check: Check) -> None:
    if actual > limit or (exact and actual != limit):
        bound = "" if exact else "at most "
        detail = f"expected {bound}{limit} bytes, got {actual}"
        raise BundleDamaged(check, printable(name), detail)


def _damage_of(name: str, error: OSError) -> BundleDamaged:
    if isinstance(error, FileNotFoundError):
        return BundleDamaged(Check.FILE_SET, printable(name), "expected a file, got none")
    check = Check.REGULAR_FILE if error.errno in _NOT_REGULAR else Check.READABLE
    return BundleDamaged(check, printable(name), _reason(error))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
