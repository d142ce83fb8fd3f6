"""How much one sender may ask for in a span of time, by requests and by rows.

The counting is that of the library `limits`: two counters a sender, the older one weighted by how
much of it lies within the window still. Each worker counts what it answers itself.
"""

import ipaddress
import math
import time

from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import Scope

from service.access.principal import Principal
from service.access.quota import Quota
from service.problem import FieldError, Problem, RequestRefused
from service.reply_headers import RawHeader

ADDRESSES = 1024
"""Senders without a key are told apart by so many numbers, so that memory is bounded."""

_MEMBER = "rcmvae.rate_headers"
_SLACK = 0.01
"""Seconds, for the rounding of times since 1970 divided by the window."""


class Rates:
    """What every sender has used of its quotas, in this worker.

    Args:
        requests: of every sender; None for as many as it likes.
        rows: inputs, draws and feedback items.
    """

    def __init__(self, requests: Quota | None, rows: Quota | None) -> None:
        self._requests = requests
        self._rows = rows
        self.storage = MemoryStorage()
        self._used = SlidingWindowCounterRateLimiter(self.storage)

    def charge_request(self, scope: Scope, principal: Principal) -> None:
        """Count one request.

        Args:
            scope: of the request.
            principal: the sender; where it has no key, the address stands for it.

        Raises:
            RequestRefused: 429, the quota is used up.
        """
        if self._requests is not None:
            self._charge(self._requests, scope, _sender(scope, principal), 1)

    def charge_rows(self, scope: Scope, principal: Principal, rows: int) -> None:
        """Count the rows of a request, as `charge_request`."""
        if self._rows is not None:
            self._charge(self._rows, scope, _sender(scope, principal), rows)

    def _charge(self, quota: Quota, scope: Scope, sender: str, amount: int) -> None:
        # A request of more than the whole quota can pass all the same, and then costs all of it.
        amount = min(amount, quota.item.amount)
        admitted = self._used.hit(quota.item, quota.unit, sender, cost=amount)
        reset, remaining = self._used.get_window_stats(quota.item, quota.unit, sender)
        seconds = max(1, math.ceil(reset - time.time()))
        if not admitted:
            # The library says when one unit more is free, which is too early for a large request.
            seconds = self._seconds_until(quota, sender, amount)
        scope.setdefault(_MEMBER, []).extend(_headers(quota, remaining, seconds))
        if not admitted:
            raise _refused(quota, remaining, amount, seconds)

    def _seconds_until(self, quota: Quota, sender: str, amount: int) -> int:
        """After how many whole seconds without other requests an amount is admitted, at least 1."""
        item = quota.item
        window = item.get_expiry()
        older, older_ends, newer, newer_ends = self.storage.get_sliding_window(
            item.key_for(quota.unit, sender), window
        )
        # Admitted is what leaves the weighted sum, rounded down, within the quota.
        below = item.amount - amount + 1
        if newer < below:
            wait = older_ends - window * (below - newer) / older if older else 0.0
        else:
            # It is the older window then, and weighs less and less.
            wait = newer_ends - window * below / newer
        return max(0, math.floor(wait + _SLACK)) + 1


def rate_headers(scope: Scope) -> list[RawHeader]:
    """What the reply says about quotas: the fields of draft-ietf-httpapi-ratelimit-headers-10."""
    headers: list[RawHeader] = scope.get(_MEMBER, [])
    return headers


def _headers(quota: Quota, remaining: int, seconds: int) -> list[RawHeader]:
    policy = f'"{quota.unit}";q={quota.item.amount};w={quota.item.get_expiry()}'
    if quota.unit != "requests":
        policy += f';qu="{quota.unit}"'
    state = f'"{quota.unit}";r={remaining};t={seconds}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


def _refused(quota: Quota, remaining: int, amount: int, seconds: int) -> RequestRefused:
    expected = f"at most {quota.item.amount} in {quota.item.get_expiry()} s"
    actual = f"{amount} where {remaining} are left"
    detail = f"{quota.unit}: expected {expected}, got {actual}"
    fault = FieldError(quota.unit, expected, actual)
    headers = {"Retry-After": str(seconds)}
    return RequestRefused(Problem(429, "rate-limit", detail, (fault,), headers))


def _sender(scope: Scope, principal: Principal) -> str:
    if principal.has_key:
        return f"key {principal.name}"
    client = scope.get("client")
    return f"address {hash(_network(client[0] if client else '')) % ADDRESSES}"


def _network(host: str) -> str:
    """The address, or of an IPv6 one the /64 that one customer has to himself.

    An IPv4 one stays itself also where a socket for both writes it as IPv6.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return address.exploded[:19] if mapped is None else str(mapped)
    return host
