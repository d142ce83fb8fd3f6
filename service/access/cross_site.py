"""Whether a browser sent a request for a page that is not ours.

Without keys a browser on this machine is let in, and so is every page that it shows. The page may
not read the answer; but a POST without a body, or with one of no type, is sent without asking first
(Fetch Standard, "CORS-safelisted"). Browsers say whose page it was; programs say nothing. The rule
is that of Go's net/http.CrossOriginProtection.
"""

from starlette.types import Scope

from service.body import header

_CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})


def is_cross_site(scope: Scope) -> bool:
    """Whether a request that may change something comes from a page of another origin."""
    if scope["method"] in _CHANGES_NOTHING:
        return False
    site = header(scope, b"sec-fetch-site")
    if site:
        return site not in _OURS
    # Browsers from before 2023.
    origin = header(scope, b"origin")
    return origin != "" and origin.partition("://")[2] != header(scope, b"host")
