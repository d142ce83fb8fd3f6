"""One route and method, as the OpenAPI document needs to know it."""

from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel, JsonValue

from service.problem import MEDIA_TYPE
from service.schemas import ProblemDocument

Json: TypeAlias = dict[str, JsonValue]

BODY_ERRORS = (400, 408, 413, 415, 422, 503)
"""Statuses of a route that reads a body."""


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
    parameters: tuple[Json, ...] = ()
    problem: type[BaseModel] = ProblemDocument
    problem_type: str = MEDIA_TYPE


def in_query(name: str, schema: Json, description: str) -> Json:
    """A parameter of the query, which need not be there."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def in_path(name: str, schema: Json) -> Json:
    """A parameter of the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}
