"""The versions on disk as people look at them: what each is, and where it comes from."""

import logging
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from rcmvae.bundle import (
    Manifest,
    is_version,
    list_versions,
    read_manifest,
    read_pointer,
)
from rcmvae.errors import BundleError
from rcmvae.jobs import state_of
from service.problem import quoted, refusal
from service.retrain_schemas import VersionAnswer, VersionEntry, VersionsAnswer

_log = logging.getLogger("bentoml.rcmvae")


def read_versions(models: Path, moved_to: Collection[str]) -> VersionsAnswer:
    """All versions whose manifest can be read, newest first; one that cannot is logged.

    Args:
        models: folder of the bundles.
        moved_to: versions that a person ever moved the pointer to.
    """
    current = _current(models)
    entries = []
    for version in reversed(list_versions(models)):
        try:
            entries.append(_entry(_manifest(models / version), current, moved_to))
        except BundleError as error:
            _log.warning("version %s is left out: %s", version, error)
    return VersionsAnswer(current=current, versions=entries)


def read_version(models: Path, version: str, moved_to: Collection[str]) -> VersionAnswer:
    """One version and its lineage.

    Raises:
        RequestRefused: 404, there is no such version.
    """
    if not is_version(version) or version not in list_versions(models):
        raise unknown_version(version)
    manifest = _manifest(models / version)
    entry = _entry(manifest, _current(models), moved_to)
    return VersionAnswer(
        **dict(entry),
        lineage=manifest.lineage,
        configuration=manifest.configuration,
        libraries=manifest.libraries,
        files=dict(manifest.files),
    )


def _current(models: Path) -> str | None:
    """The pointer; None also where it says nothing, which the workers log."""
    try:
        return read_pointer(models)
    except BundleError:
        return None


def unknown_version(version: str) -> Exception:
    """The refusal of a version that is not there."""
    expected = "a version that GET /versions lists"
    return refusal(404, "version-not-found", "version", expected, quoted(version))


@lru_cache(maxsize=256)
def _manifest(directory: Path) -> Manifest:
    """A version never changes, so it is read once."""
    return read_manifest(directory)


def _entry(manifest: Manifest, current: str | None, moved_to: Collection[str]) -> VersionEntry:
    lineage = manifest.lineage
    return VersionEntry(
        bundle_version=manifest.bundle_version,
        parent_version=lineage.parent_version,
        created=manifest.created,
        method=lineage.method,
        labels=list(manifest.labels),
        metrics=manifest.metrics,
        gate=lineage.gate,
        feedback=len(lineage.feedback_ids),
        state=state_of(manifest, current, moved_to),
    )
