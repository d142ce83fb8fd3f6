"""401 and 403 as RFC 6750 has them: a problem document and ``WWW-Authenticate``."""

from service.access.principal import Principal, Scope
from service.problem import FieldError, Problem, RequestRefused

_BEARER = 'Bearer realm="rcmvae"'
_FIELD = "Authorization"
_EXPECTED = "Bearer and a key"


def no_key() -> RequestRefused:
    """401 for a request without a bearer token; says nothing about what is wrong, as none was."""
    problem = Problem(401, "key-missing", *_fault(_EXPECTED, "none"), _challenge(_BEARER))
    return RequestRefused(problem)


def unknown_key() -> RequestRefused:
    """401 for a key that is none of ours, or has expired; which of the two is not told."""
    actual = "an unknown or expired key"
    challenge = f'{_BEARER}, error="invalid_token", error_description="{actual}"'
    problem = Problem(401, "key-invalid", *_fault(_EXPECTED, actual), _challenge(challenge))
    return RequestRefused(problem)


def require_scope(principal: Principal, scope: Scope) -> None:
    """Refuse a sender whose key is not good for this.

    Raises:
        RequestRefused: 403.
    """
    if principal.may(scope):
        return
    fault = _fault(f"a key with scope {scope}", "a key without it")
    challenge = f'{_BEARER}, error="insufficient_scope", scope="{scope}"'
    raise RequestRefused(Problem(403, "scope-missing", *fault, _challenge(challenge)))


def _fault(expected: str, actual: str) -> tuple[str, tuple[FieldError, ...]]:
    detail = f"{_FIELD}: expected {expected}, got {actual}"
    return detail, (FieldError(_FIELD, expected, actual),)


def _challenge(value: str) -> dict[str, str]:
    return {"WWW-Authenticate": value}
