"""Who is let in: by keys, or by where the request comes from, and how often."""

from starlette.requests import Request
from starlette.types import Scope

from service.access.challenge import no_key, unknown_key
from service.access.cross_site import is_cross_site
from service.access.keyring import Keyring
from service.access.loopback import came_over_loopback, is_named_as_this_machine
from service.access.principal import ANONYMOUS, Principal, principal_of
from service.access.rate import Rates
from service.body import header
from service.problem import refusal


class Admission:
    """What a request must pass before its body is read.

    Args:
        keys: None where no keys are configured.
        rates: what every sender has used of its quotas.
        public_without_keys: whether everybody may come in where there are no keys.
    """

    def __init__(self, keys: Keyring | None, rates: Rates, *, public_without_keys: bool) -> None:
        self.keys = keys
        self._rates = rates
        self._public_without_keys = public_without_keys

    def admit(self, scope: Scope) -> Principal:
        """Who sends the request.

        Raises:
            RequestRefused: 401 no key or not ours; 429 too many; without keys 403 from outside or
                for another page, and 421 under another name.
        """
        if self.keys is None:
            if not self._public_without_keys:
                _require_this_machine(scope)
            _require_own_page(scope)
            self._rates.charge_request(scope, ANONYMOUS)
            return ANONYMOUS
        presented = _presented(scope)
        principal = None if presented is None else self.keys.owner(presented)
        # Who guesses is counted too.
        self._rates.charge_request(scope, principal or ANONYMOUS)
        if principal is None:
            raise no_key() if presented is None else unknown_key()
        return principal

    def charge_rows(self, request: Request, rows: int) -> None:
        """Count the rows of a request, once it is known how many they are.

        Args:
            request: that was admitted.
            rows: inputs, draws or feedback items.

        Raises:
            RequestRefused: 429 too many.
        """
        self._rates.charge_rows(request.scope, principal_of(request), rows)


def _require_this_machine(scope: Scope) -> None:
    if not came_over_loopback(scope):
        raise refusal(
            403, "keys-required", "address", "a service with keys, or a loopback address", "neither"
        )
    if not is_named_as_this_machine(header(scope, b"host")):
        raise refusal(421, "misdirected", "Host", "localhost or a loopback address", "another name")


def _require_own_page(scope: Scope) -> None:
    if is_cross_site(scope):
        raise refusal(403, "cross-site", "Origin", "a page of this service", "another page")


def _presented(scope: Scope) -> str | None:
    """The bearer token of a request; None where there is none."""
    scheme, _, token = header(scope, b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
