"""GET /key: whose it is, and what it is good for."""

from starlette.requests import Request
from starlette.responses import Response

from service.access import Scope, principal_of
from service.json_response import json_response
from service.people_schemas import KeyAnswer
from service.predict_request import refuse_unknown


async def get_key(request: Request) -> Response:
    """What the sender may do; the page hides nothing, and says beforehand what would be refused."""
    refuse_unknown(request.query_params, frozenset())
    who = principal_of(request)
    scopes = [scope for scope in Scope if who.may(scope)]
    return json_response(KeyAnswer(owner=who.name, has_key=who.has_key, scopes=scopes))
