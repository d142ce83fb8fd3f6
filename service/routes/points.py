"""GET /points/{point_id}: the values of the input behind a point of the picture."""

from starlette.requests import Request
from starlette.responses import Response

from service.json_response import json_response
from service.people_schemas import PointAnswer
from service.point_inputs import ID_FORM, point_inputs
from service.predict_request import refuse_unknown
from service.problem import quoted, refusal
from service.runtime import runtime_of


async def get_point(request: Request) -> Response:
    """One point's input in a client's units, nested as the signature's shape."""
    refuse_unknown(request.query_params, frozenset())
    runtime = runtime_of(request)
    point_id = str(request.path_params["point_id"])
    found = await point_inputs(runtime, runtime.bundles.current(), [point_id])
    if point_id not in found:
        raise refusal(404, "point-not-found", "point_id", ID_FORM, quoted(point_id))
    return json_response(PointAnswer(point_id=point_id, input=found[point_id].tolist()))
