"""A route that says whom it is for, and asks."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from service.access.challenge import no_key, require_scope, unknown_key
from service.access.keyring import Keyring
from service.access.loopback import came_over_loopback, is_named_as_this_machine
from service.access.principal import ANONYMOUS, Principal, Scope, note_principal
from service.problem import refusal


class Access(Enum):
    """Whom a route is for, where it is no one scope."""

    OPEN = "open"
    """Everybody: health for orchestrators, documents and the page's files, which are public."""
    ANY_KEY = "any key"
    """Whoever has a key, also one without scopes."""


class ScopedRoute(Route):
    """A route with what a request needs to be let in.

    Args:
        path: as Starlette writes it.
        endpoint: what answers.
        methods: it answers.
        needs: a scope, or whom else it is for.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        *,
        methods: Sequence[str],
        needs: Access | Scope,
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self.needs = needs

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let the request in, or refuse it before its body is read."""
        if self.needs is not Access.OPEN:
            runtime = scope["app"].state.runtime
            principal = _admitted(scope, runtime.keys, runtime.settings.public_without_keys)
            if isinstance(self.needs, Scope):
                require_scope(principal, self.needs)
            note_principal(scope, principal)
        await super().handle(scope, receive, send)


def _admitted(scope: AsgiScope, keys: Keyring | None, public_without_keys: bool) -> Principal:
    """Who sends the request.

    Raises:
        RequestRefused: 401 no key or not ours; 403 from outside, 421 under another name, where
            there are no keys.
    """
    if keys is not None:
        return _owner(scope, keys)
    if not public_without_keys:
        _require_this_machine(scope)
    return ANONYMOUS


def _require_this_machine(scope: AsgiScope) -> None:
    if not came_over_loopback(scope):
        raise refusal(
            403, "keys-required", "address", "a service with keys, or a loopback address", "neither"
        )
    if not is_named_as_this_machine(scope):
        raise refusal(421, "misdirected", "Host", "localhost or a loopback address", "another name")


def _owner(scope: AsgiScope, keys: Keyring) -> Principal:
    header = Headers(scope=scope).get("authorization", "")
    scheme, _, presented = header.partition(" ")
    if scheme.lower() != "bearer":
        actual = "another scheme" if header else "none"
        raise no_key(actual)
    principal = keys.owner(presented.strip())
    if principal is None:
        raise unknown_key()
    return principal
