"""The headers of every reply that a route did not set itself."""

from collections.abc import MutableSequence

from service.request_id import HEADER

RawHeader = tuple[bytes, bytes]

_ALWAYS: tuple[RawHeader, ...] = (
    # Nothing that we answer is a page that loads or runs anything; the pages say what they need.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # Answers are of the moment, and of one key.
    (b"cache-control", b"no-store"),
)
_NAMES = frozenset(name for name, _ in _ALWAYS)


def complete_headers(headers: MutableSequence[RawHeader], request_id: str) -> None:
    """Add what every reply has; a route that sets one of them itself keeps its own.

    Args:
        headers: of the reply, names in lower case.
        request_id: goes back to the client.
    """
    present = {name for name, _ in headers}
    if present.isdisjoint(_NAMES):  # as of nearly all
        headers.extend(_ALWAYS)
    else:
        headers.extend(pair for pair in _ALWAYS if pair[0] not in present)
    headers.append((HEADER, request_id.encode("ascii")))
