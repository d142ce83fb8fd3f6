"""What each live worker says of itself: a small file a worker in a folder that all share.

Numbers that add up are Prometheus's own affair; this is for what goes with a worker when it dies.
"""

import logging
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

_Entry = TypeVar("_Entry")

_log = logging.getLogger("bentoml.rcmvae")


class Kind(StrEnum):
    """What a file is about: how its name begins, before the worker's process id."""

    SERVED = "served_"
    REFUSED = "refused_"


class WorkerFiles:
    """Files of one kind.

    Args:
        directory: shared by the workers; other files may lie there.
        kind: of the files.
        what: what an error in the log says that the file is about.
    """

    def __init__(self, directory: Path, kind: Kind, what: str) -> None:
        self._directory = directory
        self._prefix = kind.value
        self._what = what
        self._skipped: set[Path] = set()
        self._writes = True

    def write(self, content: str) -> None:
        """Replace this worker's file; one that cannot be written is logged once in a row."""
        target = self._directory / f"{self._prefix}{os.getpid()}.json"
        beside = target.with_suffix(".next")
        try:
            beside.write_text(content, encoding="utf-8")
            beside.replace(target)
            self._writes = True
        except OSError as error:
            if self._writes:
                _log.error("cannot tell the other workers %s: %s", self._what, error.strerror)
            self._writes = False

    def read(self, parse: Callable[[str], _Entry]) -> list[_Entry]:
        """What live workers say; a dead one's file goes, one of somebody else is skipped.

        Args:
            parse: reads a file; raises ValueError, TypeError, KeyError or OverflowError where it
                says nothing.
        """
        files = sorted(self._directory.glob(f"{self._prefix}*.json"))
        entries = [self._entry(path, parse) for path in files]
        return [entry for entry in entries if entry is not None]

    def _entry(self, path: Path, parse: Callable[[str], _Entry]) -> _Entry | None:
        try:
            if is_alive(int(path.stem.removeprefix(self._prefix))):
                return parse(path.read_text(encoding="utf-8"))
            path.unlink(missing_ok=True)
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
            if path not in self._skipped:
                self._skipped.add(path)
                _log.warning("%s says nothing about a worker and is skipped: %r", path.name, error)
        return None


def is_alive(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
