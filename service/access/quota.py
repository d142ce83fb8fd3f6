"""How much is allowed in a span of time."""

from dataclasses import dataclass

from limits import RateLimitItem, parse


@dataclass(frozen=True, slots=True)
class Quota:
    """So many units in a window.

    Attributes:
        unit: ``requests`` or ``rows``; also the name of the policy.
        item: amount and window.
    """

    unit: str
    item: RateLimitItem


def parse_quota(unit: str, notation: str | None) -> Quota | None:
    """A quota in the notation of `limits`, such as ``600/minute`` or ``1000 per 5 minutes``.

    Raises:
        ValueError: it is not in that notation, or allows nothing.
    """
    if notation is None:
        return None
    item = parse(notation)
    if item.amount < 1:
        raise ValueError(f"expected at least 1 of {unit}, got {notation!r}")
    return Quota(unit, item)
