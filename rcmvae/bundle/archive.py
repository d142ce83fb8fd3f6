"""A bundle in memory, and the only way to get one: every check passed."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray
from pydantic import ValidationError

from rcmvae.bundle.check import Check
from rcmvae.bundle.folder import entry_names, open_folder, read_bounded, read_exactly
from rcmvae.bundle.graph import check_graph
from rcmvae.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST_DIGEST_NAME,
    MANIFEST_NAME,
    REQUIRED_FILES,
    FileEntry,
    Manifest,
)
from rcmvae.bundle.printable import printable
from rcmvae.bundle.strict_json import parse_json
from rcmvae.bundle.tensors import read_arrays, read_metadata
from rcmvae.bundle.version import require_version
from rcmvae.errors import BundleDamaged, BundleFormatUnsupported

LARGEST_MANIFEST = 4 * 2**20
LARGEST_BUNDLE = 2 * 2**30
_SELF_DESCRIBING = frozenset({MANIFEST_NAME, MANIFEST_DIGEST_NAME})


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle: the manifest and the very bytes that were verified.

    Attributes:
        manifest: what the bundle says about itself.
        contents: bytes of every file that the manifest lists, by name.
    """

    manifest: Manifest
    contents: Mapping[str, bytes]

    @property
    def version(self) -> str:
        """The version, which is also the name of the directory."""
        return self.manifest.bundle_version

    def read(self, name: str) -> bytes:
        """Bytes of one file.

        Raises:
            BundleDamaged: the bundle has no such file.
        """
        if name not in self.contents:
            raise _damage(Check.FILE_SET, name, f"bundle {self.version} has no such file")
        return self.contents[name]

    def arrays(self, name: str) -> Mapping[str, NDArray[Any]]:
        """Read-only tensors of a ``.safetensors`` file by name; raises as ``read``."""
        return read_arrays(name, self.read(name))

    def metadata(self, name: str) -> Mapping[str, str]:
        """Text metadata of a ``.safetensors`` file; raises as ``read``."""
        return read_metadata(name, self.read(name))


def load_bundle(directory: Path) -> Bundle:
    """Read and verify the bundle in ``models/<version>``; each file is read once.

    Raises:
        BundleNotFound: the directory is not there, or its name is not one of a version.
        BundleFormatUnsupported: written by another format version.
        BundleDamaged: a check failed; names the check and the file.
    """
    require_version(directory.name)
    with open_folder(directory) as folder:
        manifest = _manifest_in(folder, directory.name)
        _check_file_set(entry_names(folder), manifest)
        _check_total_size(manifest)
        contents = {name: _verified(folder, name, entry) for name, entry in manifest.files.items()}
    for name, content in contents.items():
        _CONTENT_CHECKS[PurePath(name).suffix](name, content)
    return Bundle(manifest, MappingProxyType(contents))


def read_manifest(directory: Path) -> Manifest:
    """Only the manifest of ``models/<version>``; says nothing about the other files.

    Raises:
        As ``load_bundle``.
    """
    require_version(directory.name)
    with open_folder(directory) as folder:
        return _manifest_in(folder, directory.name)


def manifest_digest(manifest: bytes) -> bytes:
    """Content of the digest file of a manifest, in the form that ``sha256sum --check`` reads."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST_NAME}\n".encode("ascii")


def _manifest_in(folder: int, directory_name: str) -> Manifest:
    content = read_bounded(folder, MANIFEST_NAME, limit=LARGEST_MANIFEST, check=Check.MANIFEST)
    members = _members(content)
    _check_format_version(members.get("format_version"))
    manifest = _validated(content)
    _check_digest(folder, content)
    if manifest.bundle_version != directory_name:
        detail = f"expected bundle_version {directory_name}, got {manifest.bundle_version}"
        raise _damage(Check.VERSION, MANIFEST_NAME, detail)
    return manifest


def _members(content: bytes) -> dict[str, object]:
    try:
        parsed = parse_json(content)
    except ValueError as error:
        raise _damage(Check.MANIFEST, MANIFEST_NAME, printable(str(error))) from error
    if not isinstance(parsed, dict):
        detail = f"expected an object, got {type(parsed).__name__}"
        raise _damage(Check.MANIFEST, MANIFEST_NAME, detail)
    return parsed


def _check_format_version(actual: object) -> None:
    # Before anything else is asked of the manifest: another format may have other fields.
    if type(actual) is not int:
        detail = f"format_version: expected an integer, got {printable(repr(actual))}"
        raise _damage(Check.MANIFEST, MANIFEST_NAME, detail)
    if actual != FORMAT_VERSION:
        raise BundleFormatUnsupported(
            f"{MANIFEST_NAME}: expected format_version {FORMAT_VERSION}, got {actual}"
        )


def _validated(content: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise _damage(Check.MANIFEST, MANIFEST_NAME, first_fault(error)) from error


def first_fault(error: ValidationError) -> str:
    """Field and message of the first fault, without echoing the value."""
    fault = error.errors(include_input=False, include_url=False)[0]
    return printable(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}")


def _check_digest(folder: int, manifest: bytes) -> None:
    expected = manifest_digest(manifest)
    check = Check.MANIFEST_DIGEST
    if read_bounded(folder, MANIFEST_DIGEST_NAME, limit=len(expected), check=check) != expected:
        detail = f"expected the SHA-256 of {MANIFEST_NAME}, got another"
        raise _damage(check, MANIFEST_DIGEST_NAME, detail)


def _check_file_set(present: frozenset[str], manifest: Manifest) -> None:
    listed = frozenset(manifest.files)
    _refuse_any(REQUIRED_FILES - listed, "required by the format, not in the manifest")
    _refuse_any(listed & _SELF_DESCRIBING, "must not be listed in the manifest")
    _refuse_any(listed - present, "in the manifest, not in the directory")
    _refuse_any(present - listed - _SELF_DESCRIBING, "in the directory, not in the manifest")
    for name in sorted(listed):
        if PurePath(name).suffix not in _CONTENT_CHECKS:
            detail = f"expected a name ending in one of {', '.join(sorted(_CONTENT_CHECKS))}"
            raise _damage(Check.FILE_TYPE, name, detail)


def _refuse_any(names: frozenset[str], detail: str) -> None:
    if names:
        raise _damage(Check.FILE_SET, min(names), detail)


def _check_total_size(manifest: Manifest) -> None:
    total = sum(entry.size for entry in manifest.files.values())
    if total > LARGEST_BUNDLE:
        detail = f"expected at most {LARGEST_BUNDLE} bytes in all files, got {total}"
        raise _damage(Check.TOTAL_SIZE, MANIFEST_NAME, detail)


def _verified(folder: int, name: str, entry: FileEntry) -> bytes:
    content = read_exactly(folder, name, size=entry.size)
    actual = hashlib.sha256(content).hexdigest()
    if actual != entry.sha256:
        raise _damage(Check.SHA256, name, f"expected {entry.sha256}, got {actual}")
    return content


def _check_json(name: str, content: bytes) -> None:
    try:
        parse_json(content)
    except ValueError as error:
        raise _damage(Check.JSON, name, printable(str(error))) from error


def _check_text(name: str, content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _damage(Check.TEXT, name, f"expected UTF-8, got {error.reason}") from error


def _check_tensors(name: str, content: bytes) -> None:
    read_arrays(name, content)


def _damage(check: Check, file: str, detail: str) -> BundleDamaged:
    return BundleDamaged(check, printable(file), detail)


_CONTENT_CHECKS: Mapping[str, Callable[[str, bytes], None]] = {
    ".onnx": check_graph,
    ".safetensors": _check_tensors,
    ".json": _check_json,
    ".md": _check_text,
}
