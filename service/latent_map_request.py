"""GET /latent-map, from the query to a command."""

from dataclasses import dataclass

from starlette.datastructures import QueryParams

from rcmvae.errors import InvalidInput
from service.candidates_request import count_of
from service.points import Source
from service.predict_request import refuse_unknown
from service.problem import quoted


@dataclass(frozen=True, slots=True)
class LatentMapRequest:
    """Which points.

    Attributes:
        sources: in the order of ``Source``, at least one.
        limit: at most so many points of each source.
    """

    sources: tuple[Source, ...]
    limit: int


def parse_latent_map(query: QueryParams, most: int) -> LatentMapRequest:
    """Read the query; without ``sources`` all of them are asked for.

    Raises:
        InvalidInput: a parameter is unknown or does not fit.
    """
    refuse_unknown(query, frozenset({"sources", "limit"}))
    named = query.get("sources", ",".join(Source)).split(",")
    for name in named:
        if name not in set(Source):
            expected = f"some of {', '.join(Source)}, with commas"
            raise InvalidInput("sources", expected, quoted(name))
    limit = count_of("limit", query.get("limit", str(most)), most)
    return LatentMapRequest(tuple(source for source in Source if source in named), limit)
