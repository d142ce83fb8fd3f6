"""A pydantic model as a JSON response."""

from pydantic import BaseModel
from starlette.responses import Response


def json_response(model: BaseModel, status: int = 200) -> Response:
    """The model as application/json."""
    return Response(model.model_dump_json(), status, media_type="application/json")
