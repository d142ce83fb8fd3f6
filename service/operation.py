"""One route and method, as the OpenAPI document needs to know it."""

from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel, JsonValue

from service.problem import MEDIA_TYPE
from service.schemas import ProblemDocument

Json: TypeAlias = dict[str, JsonValue]

WAITING_ERRORS = (503, 504)
"""Statuses of a route that waits for the store or a thread."""
BODY_ERRORS = (400, 408, 413, 415, 422, *WAITING_ERRORS)
"""Statuses of a route that reads a body."""
ADMISSION_ERRORS = (401, 403, 421, 429)
"""Statuses of whoever is not let in; of every route that is not open to everybody."""
_OUTSIDE = (429, 504)
"""Statuses that also come from around the endpoint: requests are counted and timed there."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method for the document.

    Attributes:
        path: with parameters in braces.
        method: lower case.
        summary: one sentence.
        status: of success.
        answer: model of success, or a media type for other content.
        body: model of a JSON body.
        body_required: whether there has to be one.
        other_answer: model of success in another layout.
        binary_answers: media types of success in bytes.
        binary_bodies: media types of bodies of bytes that are read too.
        errors: statuses that the route itself can answer with.
        has_etag: whether it answers 304.
        parameters: OpenAPI parameter objects.
        problem: model of an error.
        problem_type: media type of an error.
    """

    path: str
    method: str
    summary: str
    status: int
    answer: type[BaseModel] | str
    body: type[BaseModel] | None = None
    body_required: bool = True
    other_answer: type[BaseModel] | None = None
    binary_answers: tuple[str, ...] = ()
    binary_bodies: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    has_etag: bool = False
    parameters: tuple[Json, ...] = ()
    problem: type[BaseModel] = ProblemDocument
    problem_type: str = MEDIA_TYPE

    @property
    def own_errors(self) -> frozenset[int]:
        """Errors that come from the endpoint alone, and so in its own form."""
        return frozenset(self.errors) - frozenset(_OUTSIDE)


def in_query(name: str, schema: Json, description: str) -> Json:
    """A parameter of the query, which need not be there."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def in_path(name: str, schema: Json) -> Json:
    """A parameter of the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}
