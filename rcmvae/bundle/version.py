"""Names of bundle versions: sortable by time, safe as the name of a directory."""

import re
import secrets
from datetime import UTC, datetime, timedelta

from rcmvae.bundle.manifest import VERSION_PATTERN
from rcmvae.bundle.printable import printable
from rcmvae.errors import BundleNotFound

CURRENT = "CURRENT"
SHADOW = "SHADOW"
_POINTERS = frozenset({CURRENT, SHADOW})
_SECONDS = "%Y%m%dT%H%M%SZ"
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_STAMP = re.compile(r"([0-9]{8}T[0-9]{6}Z)-[0-9a-f]{8}")


def is_version(name: str) -> bool:
    """Whether a name may be that of a version; the pointers' own may not."""
    # fullmatch, because `$` would let a final newline pass.
    return re.fullmatch(VERSION_PATTERN, name) is not None and name.upper() not in _POINTERS


def require_version(name: str) -> None:
    """Refuse a name that cannot be a version before it becomes part of a path.

    Raises:
        BundleNotFound: the name is not one of a version.
    """
    if not is_version(name):
        raise BundleNotFound(f"expected the name of a version, got {printable(name)!r}")


def new_version(now: datetime, parent: str | None) -> str:
    """Allocate a version such as ``20261123T165000Z-1f0c9ad2``: UTC second and 32 random bits.

    It sorts after its parent even when the clock was set back or the second is the same.

    Args:
        now: an aware time.
        parent: the version this one descends from; a name of another form has no say.

    Raises:
        ValueError: ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("now: expected an aware datetime, got a naive one")
    moment = max(now.astimezone(UTC).replace(microsecond=0), _earliest_after(parent))
    return f"{moment.strftime(_SECONDS)}-{secrets.token_hex(4)}"


def _earliest_after(parent: str | None) -> datetime:
    match = _STAMP.fullmatch(parent or "")
    if match is None:
        return _EARLIEST
    try:
        stamp = datetime.strptime(match[1], _SECONDS).replace(tzinfo=UTC)
        return stamp + timedelta(seconds=1)
    except (ValueError, OverflowError):  # digits that are no date, or the last second of 9999
        return _EARLIEST
