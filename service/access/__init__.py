"""Who may do what: keys, scopes, and the route that asks for one."""

from service.access.challenge import require_scope
from service.access.principal import ANONYMOUS, Principal, Scope, principal_of
from service.access.route import Access, Need, ScopedRoute, needs_of

__all__ = [
    "ANONYMOUS",
    "Access",
    "Need",
    "Principal",
    "Scope",
    "ScopedRoute",
    "needs_of",
    "principal_of",
    "require_scope",
]
