"""Publishing: a draft becomes a directory that is either whole and verified or not there."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pydantic import JsonValue, ValidationError

from rcmvae.bundle.archive import Bundle, first_fault, load_bundle, manifest_digest
from rcmvae.bundle.check import Check
from rcmvae.bundle.durable import sync_folder, write_durably
from rcmvae.bundle.lock import claim_folder, hold_lock
from rcmvae.bundle.manifest import (
    MANIFEST_DIGEST_NAME,
    MANIFEST_NAME,
    FileEntry,
    InputSignature,
    Lineage,
    Manifest,
)
from rcmvae.bundle.pointer import move_pointer, require_current
from rcmvae.bundle.printable import printable
from rcmvae.bundle.retention import STAGING_PREFIX
from rcmvae.bundle.version import require_version
from rcmvae.errors import BundleConflict, BundleDamaged


@dataclass(frozen=True, slots=True)
class BundleDraft:
    """All of a bundle but the hashes: the fields of ``Manifest`` and the files themselves.

    ``bundle_version`` comes from ``new_version`` beforehand, as files may mention it.
    """

    bundle_version: str
    created: datetime
    input: InputSignature
    labels: tuple[str, ...]
    num_channels: int
    latent_dim: int
    lineage: Lineage
    configuration: Mapping[str, JsonValue]
    metrics: Mapping[str, float]
    libraries: Mapping[str, str]
    contents: Mapping[str, bytes]


def publish_bundle(models: Path, draft: BundleDraft, *, expected_parent: str | None) -> Manifest:
    """Stage a draft and make it current, if ``expected_parent`` is current before and after.

    When another publisher wins in between, the staged version stays, unreferenced, until pruned.

    Args:
        models: the folder of all bundles, made if missing.
        draft: what to publish.
        expected_parent: the version it replaces; None when nothing may be current.

    Raises:
        BundleConflict: another version is current, or this version exists already.
        BundleDamaged: the draft does not pass the checks that every reader makes.
        OSError: the disk is full or the folder is not writable; nothing is left behind.
    """
    require_current(models, expected_parent)  # cheap, and spares writing in vain
    bundle = stage_bundle(models, draft)
    move_pointer(models, expected_parent, bundle.version)
    return bundle.manifest


def as_bundle(draft: BundleDraft) -> Bundle:
    """A draft as it will be read back, for who judges it before it is written.

    Raises:
        BundleDamaged: the manifest would not pass its checks; those of the files are not made.
    """
    return Bundle(_manifest_of(draft), MappingProxyType(dict(draft.contents)))


def stage_bundle(models: Path, draft: BundleDraft) -> Bundle:
    """Write ``models/<version>``, verified as read back, without making it current.

    It is written in a hidden directory beside, synced, loaded, compared and only then renamed.

    Raises:
        BundleConflict: this version exists already.
        BundleNotFound: ``draft.bundle_version`` cannot be the name of a version.
        BundleDamaged: the draft does not pass the checks that every reader makes.
        OSError: the disk is full or the folder is not writable; nothing is left behind.
    """
    require_version(draft.bundle_version)
    manifest = _manifest_of(draft)
    models.mkdir(parents=True, exist_ok=True)
    with _staging_folder(models) as staging:
        written = staging / draft.bundle_version
        _write_files(written, manifest, draft.contents)
        bundle = _read_back(written, manifest)
        _rename(written, models / draft.bundle_version)
    return bundle


def _manifest_of(draft: BundleDraft) -> Manifest:
    members = {field.name: getattr(draft, field.name) for field in fields(draft)}
    contents: Mapping[str, bytes] = members.pop("contents")
    entries = {name: _entry_of(content) for name, content in contents.items()}
    try:
        return Manifest(**members, files=entries)
    except ValidationError as error:
        raise BundleDamaged(Check.MANIFEST, MANIFEST_NAME, first_fault(error)) from error


def _entry_of(content: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


@contextmanager
def _staging_folder(models: Path) -> Iterator[Path]:
    # Made under the lock and claimed before it is released, so that a sweep, which holds the
    # lock too, never sees a living publisher's folder unclaimed.
    with ExitStack() as claim:
        with hold_lock(models):
            staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=models))
            claim.enter_context(claim_folder(staging))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _write_files(directory: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    directory.mkdir(mode=0o755)
    for name, content in contents.items():
        write_durably(directory / name, content)
    encoded = _encoded(manifest)
    write_durably(directory / MANIFEST_NAME, encoded)
    write_durably(directory / MANIFEST_DIGEST_NAME, manifest_digest(encoded))
    sync_folder(directory)


def _encoded(manifest: Manifest) -> bytes:
    # Readers of before there was such a field refuse fields that they do not know.
    absent = {
        part: {name}
        for part, name, value in (
            ("input", "features", manifest.input.features),
            ("lineage", "gate", manifest.lineage.gate),
        )
        if value is None
    }
    try:
        return manifest.model_dump_json(indent=2, exclude=absent).encode("utf-8") + b"\n"
    except ValueError as error:  # such as half a surrogate pair in the configuration
        raise BundleDamaged(Check.MANIFEST, MANIFEST_NAME, printable(str(error))) from error


def _read_back(written: Path, manifest: Manifest) -> Bundle:
    bundle = load_bundle(written)
    if bundle.manifest != manifest:
        detail = "expected the manifest of the draft, got another"
        raise BundleDamaged(Check.ROUND_TRIP, MANIFEST_NAME, detail)
    return bundle


def _rename(written: Path, final: Path) -> None:
    with hold_lock(final.parent):
        # rename would silently replace an empty directory.
        if os.path.lexists(final):
            raise BundleConflict(f"version {final.name} exists already")
        written.rename(final)
        sync_folder(final.parent)
