"""Writing so that a power cut after return loses nothing."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file, or replace the content of one that nobody reads, and fsync it."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Make the entries of a directory durable: a rename is not, until its directory is synced."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
