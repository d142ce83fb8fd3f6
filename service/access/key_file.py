"""The file of the keys: JSON, hashes only, replaced as a whole."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rcmvae.bundle.durable import sync_folder, write_durably
from rcmvae.errors import KeyFileError
from service.access.key import Key

_OWNER_ONLY = 0o600


class KeyFile(BaseModel):
    """All keys of a service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "KeyFile":
        if len({key.key_id for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have one key_id")
        return self


def read_keys(path: Path) -> KeyFile:
    """Read the file.

    Raises:
        KeyFileError: it cannot be read, or is not what `change_keys` writes.
    """
    try:
        return KeyFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        # Without the input: what does not fit may be a key that somebody pasted.
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise KeyFileError(f"{path}: {where}: {first['msg']}") from None


def change_keys(path: Path, change: Callable[[KeyFile], KeyFile]) -> KeyFile:
    """Replace the file by what a function makes of it; a file that is not there has no keys.

    Readers see the old file or the new one. Commands that run at the same time wait for each other.
    Owner, group and permissions of the file stay, and so does a symbolic link to it.

    Raises:
        KeyFileError: the file or its folder cannot be read or written, or the file has an owner
            that whoever runs this cannot give it again.
    """
    try:
        target = path.resolve()
        with _alone(target.parent):
            changed = change(read_keys(target) if target.exists() else KeyFile())
            _replace(target, changed.model_dump_json(indent=2, exclude_none=True).encode() + b"\n")
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    return changed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _give_access(beside: Path, before: os.stat_result) -> None:
    """Owner, group and permissions of the earlier file.

    A service that may not read the new one would go on with the keys that it knows, removed ones
    among them.
    """
    now = beside.stat()
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        os.chown(beside, before.st_uid, before.st_gid)
    beside.chmod(before.st_mode & 0o777)


def _replace(path: Path, content: bytes) -> None:
    """Write beside and rename."""
    beside = path.with_name(f".{path.name}.next")
    beside.unlink(missing_ok=True)
    beside.touch(mode=_OWNER_ONLY)
    write_durably(beside, content)
    if path.exists():
        _give_access(beside, path.stat())
    beside.replace(path)
    sync_folder(path.parent)
