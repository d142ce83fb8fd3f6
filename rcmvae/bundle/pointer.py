"""CURRENT: the one line that says which bundle is served, and how it moves."""

from pathlib import Path

from rcmvae.bundle.archive import Bundle, load_bundle
from rcmvae.bundle.check import Check
from rcmvae.bundle.durable import sync_folder, write_durably
from rcmvae.bundle.folder import open_folder, read_bounded
from rcmvae.bundle.lock import hold_lock
from rcmvae.bundle.manifest import MANIFEST_NAME
from rcmvae.bundle.printable import printable
from rcmvae.bundle.version import CURRENT, SHADOW, is_version, require_version
from rcmvae.errors import BundleConflict, BundleDamaged, BundleError, BundleNotFound

_NEXT = ".CURRENT.next"
_NEXT_SHADOW = ".SHADOW.next"
_LONGEST_LINE = 65


def read_pointer(models: Path) -> str | None:
    """The current version, or None when nothing was promoted yet. Takes no lock.

    Raises:
        BundleDamaged: CURRENT is anything but one line with the name of a version.
    """
    return _version_in(models, CURRENT)


def read_shadow(models: Path) -> str | None:
    """The version that scores live traffic in the shadow; None for none. Takes no lock.

    Raises:
        BundleDamaged: SHADOW is anything but one line with the name of a version.
    """
    return _version_in(models, SHADOW)


def name_shadow(models: Path, target: str | None) -> None:
    """Let a version score live traffic in the shadow; None ends it. Atomic and durable.

    Raises:
        BundleNotFound: there is no such version.
    """
    if target is not None:
        require_version(target)
    if not models.is_dir():
        raise BundleNotFound(f"no bundle {target}: there is no models folder")
    with hold_lock(models):
        if target is None:
            (models / SHADOW).unlink(missing_ok=True)
        else:
            _require_present(models / target)
            write_durably(models / _NEXT_SHADOW, f"{target}\n".encode("ascii"))
            (models / _NEXT_SHADOW).replace(models / SHADOW)
        sync_folder(models)


def move_pointer(models: Path, expected: str | None, target: str) -> None:
    """Make ``target`` current if ``expected`` still is: compare-and-swap, atomic and durable.

    The target must be there; it is not verified again, which ``load_bundle`` does.

    Args:
        models: the folder of all bundles.
        expected: the version that must be current now; None when none may be.
        target: the version to make current, older ones included: that is a roll-back.

    Raises:
        BundleConflict: another version is current.
        BundleNotFound: there is no such target.
        BundleDamaged: CURRENT is not readable as a pointer.
    """
    require_version(target)
    if not models.is_dir():
        raise BundleNotFound(f"no bundle {target}: there is no models folder")
    with hold_lock(models):
        require_current(models, expected)
        _require_present(models / target)
        write_durably(models / _NEXT, f"{target}\n".encode("ascii"))
        (models / _NEXT).replace(models / CURRENT)
        sync_folder(models)


def require_current(models: Path, expected: str | None) -> None:
    """Refuse to go on when another version is current.

    Raises:
        BundleConflict: another version is current, or one is where none was expected.
    """
    actual = read_pointer(models)
    if actual != expected:
        raise BundleConflict(
            f"{CURRENT}: expected {expected or 'no version'}, got {actual or 'no version'}"
        )


def load_current(models: Path) -> Bundle:
    """The current bundle, verified.

    When the pointer moves during the read and its old target is pruned, the new one is read.

    Raises:
        BundleNotFound: nothing is current, or the current version is not there.
        BundleFormatUnsupported, BundleDamaged: as ``load_bundle``.
    """
    version = read_pointer(models)
    while version is not None:
        try:
            return load_bundle(models / version)
        except BundleError:
            latest = read_pointer(models)
            if latest == version:
                raise
            version = latest
    raise BundleNotFound(f"no version is current: {CURRENT} is missing")


def _version_in(models: Path, name: str) -> str | None:
    content = _content(models, name)
    if content is None:
        return None
    line = content.decode("ascii", errors="replace")
    # The final newline is demanded, so that a cut line cannot pass for a shorter version.
    if not (line.endswith("\n") and is_version(line[:-1])):
        detail = f"expected one line with a version, got {printable(line)!r}"
        raise BundleDamaged(Check.POINTER, name, detail)
    return line[:-1]


def _content(models: Path, name: str) -> bytes | None:
    try:
        # A models folder may be a link to a volume, so the path is resolved; the file may not.
        with open_folder(models.resolve()) as folder:
            return read_bounded(folder, name, limit=_LONGEST_LINE, check=Check.POINTER)
    except BundleNotFound:
        return None
    except BundleDamaged as error:
        if error.check == Check.FILE_SET:  # the folder is there, the pointer is not
            return None
        raise


def _require_present(directory: Path) -> None:
    if directory.is_symlink() or not (directory / MANIFEST_NAME).is_file():
        raise BundleNotFound(f"no bundle {directory.name}")
