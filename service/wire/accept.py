"""Which of the media types that a route can write a client wants (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from service.problem import quoted, refusal

_MOST = 32


def negotiate(accept: str, offered: Sequence[str]) -> str:
    """The offered type that the client prefers; the first of those it likes best.

    Args:
        accept: the header; empty accepts everything.
        offered: media types, the server's own favourite first.

    Raises:
        RequestRefused: 406, it accepts none of them.
    """
    if accept in {"", "*/*", offered[0]}:
        return offered[0]
    ranges = [_range(part) for part in accept.split(",")[:_MOST]]
    best, best_weight = "", 0.0
    for media_type in offered:
        weight = _weight(media_type, ranges)
        if weight > best_weight:
            best, best_weight = media_type, weight
    if not best:
        raise refusal(406, "not-acceptable", "Accept", " or ".join(offered), quoted(accept))
    return best


def _range(part: str) -> tuple[str, float]:
    """A media range and its weight; one that cannot be read weighs nothing."""
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                return media_range, 0.0
            return media_range, weight if 0 <= weight <= 1 else 0.0
    return media_range, 1.0


def _weight(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Of the most specific range that holds the type."""
    weights = dict(reversed(ranges))
    group = media_type.partition("/")[0] + "/*"
    for name in (media_type, group, "*/*"):
        if name in weights:
            return weights[name]
    return 0.0
