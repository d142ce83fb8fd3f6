"""The keys of a running worker, as new as their file."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rcmvae.errors import KeyFileError
from service.access.key import Key, id_of
from service.access.key_file import read_keys
from service.access.principal import Principal

_log = logging.getLogger("bentoml.rcmvae")


class Keyring:
    """Says whose key it is that came with a request.

    Where the file breaks, the keys that were read before stay; where it never could be read there
    are none, and nobody gets in. A fault never opens the service.

    Args:
        path: of the keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: Mapping[str, Key] = {}
        self._read: tuple[int, int, int] | None = None
        self._fault = ""
        self.refresh()

    def refresh(self) -> None:
        """Read the file again if it is another one; what is wrong with it is logged once."""
        try:
            state = self._state()
            if state == self._read:
                return
            self._keys = {key.key_id: key for key in read_keys(self._path).keys}
            self._read, self._fault = state, ""
            _log.info("%d keys read", len(self._keys))
        except KeyFileError as error:
            # What was wrong may pass without a trace on the file, as permissions do.
            self._read = None
            if str(error) != self._fault:
                self._fault = str(error)
                _log.error("keys not read, %d known stay: %s", len(self._keys), error)

    def owner(self, presented: str) -> Principal | None:
        """Whose key was presented; None where it is no key of ours, or has expired."""
        key = self._keys.get(id_of(presented) or "")
        if key is None or not key.opens_with(presented, datetime.now(UTC)):
            return None
        return key.principal

    def _state(self) -> tuple[int, int, int]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise KeyFileError(f"{self._path}: {error.strerror}") from error
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
