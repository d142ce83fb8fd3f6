"""Which versions there are, and which may go."""

import os
import secrets
import shutil
from pathlib import Path

from rcmvae.bundle.archive import read_manifest
from rcmvae.bundle.durable import sync_folder
from rcmvae.bundle.lock import hold_lock, is_claimed
from rcmvae.bundle.pointer import read_pointer, read_shadow
from rcmvae.bundle.version import is_version

STAGING_PREFIX = ".staging-"
_TRASH_PREFIX = ".trash-"


def list_versions(models: Path) -> tuple[str, ...]:
    """Names of all versions on disk, oldest first; says nothing about their health."""
    if not models.is_dir():
        return ()
    with os.scandir(models) as entries:
        names = [
            entry.name
            for entry in entries
            if is_version(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return tuple(sorted(names))


def prune(models: Path, keep: int) -> tuple[str, ...]:
    """Remove all but the newest ``keep`` versions, the current one, its parent, and the shadow.

    Also sweeps what publishers that were killed left behind.

    Args:
        models: the folder of all bundles.
        keep: how many of the newest versions stay whatever is current, at least 1.

    Returns:
        The versions removed, oldest first.

    Raises:
        ValueError: ``keep`` is below 1.
        BundleError: the current version cannot be read, so its parent is unknown. Nothing is
            removed then.
    """
    if keep < 1:
        raise ValueError(f"keep: expected at least 1, got {keep}")
    if not models.is_dir():
        return ()
    with hold_lock(models):
        stays = _in_use(models) | set(list_versions(models)[-keep:])
        goes = tuple(version for version in list_versions(models) if version not in stays)
        for directory in [models / version for version in goes] + _abandoned(models):
            # A rename first: a version disappears at once, never file by file.
            directory.rename(models / f"{_TRASH_PREFIX}{secrets.token_hex(8)}")
        sync_folder(models)
    for trash in models.glob(f"{_TRASH_PREFIX}*"):
        shutil.rmtree(trash, ignore_errors=True)  # another prune may be at it too
    return goes


def _in_use(models: Path) -> set[str]:
    current = read_pointer(models)
    if current is None:
        return set()
    parent = read_manifest(models / current).lineage.parent_version
    return {version for version in (current, parent, read_shadow(models)) if version is not None}


def _abandoned(models: Path) -> list[Path]:
    return [staging for staging in models.glob(f"{STAGING_PREFIX}*") if not is_claimed(staging)]
