"""GET /latent-map: the points of the page's picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.decision import decide
from rcmvae.feedback import FeedbackStore, GivenLabel, Span
from service.answered import default_alpha
from service.etag import etag_of, not_modified, revalidated
from service.latent_map_request import LatentMapRequest, parse_latent_map
from service.live_points import CapturePoints
from service.points import SCORES, Points, Source, microseconds
from service.reference import ServedReference
from service.runtime import Runtime, runtime_of
from service.served import Served
from service.wire.media_types import ARROW


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store has for the picture, without a single input.

    Attributes:
        span: of the captures.
        given: labels that stand, newest first.
        digest: of both.
    """

    span: Span
    given: tuple[GivenLabel, ...]
    digest: str


async def get_latent_map(request: Request) -> Response:
    """Reference points, captures and labelled inputs, judged by the current bundle."""
    runtime = runtime_of(request)
    most = runtime.settings.map_points
    wanted = parse_latent_map(request.query_params, most)
    served = runtime.bundles.current()
    stored = await runtime.store.run(lambda store: _stored(store, most))
    alpha = default_alpha(runtime, served)
    etag = etag_of([served.version, alpha, wanted, stored.digest])
    headers = revalidated(etag)
    unchanged = not_modified(request, etag, headers)
    if unchanged is not None:
        return unchanged
    captures = None
    if Source.CAPTURE in wanted.sources:
        captures = await runtime.live_points.captures(served, stored.span, wanted.limit)
    parts, rest = await runtime.beside(partial(_points, served, wanted, stored, captures))
    if Source.FEEDBACK in wanted.sources:
        parts.append(await _labelled(runtime, served, rest[: wanted.limit]))
    body = await runtime.beside(partial(_encoded, served, parts, alpha))
    return Response(body, media_type=ARROW, headers=headers)


def _stored(store: FeedbackStore, most: int) -> Stored:
    span, given = store.capture_span(), store.given_labels(most)
    told = [text for each in given for text in (each.feedback_id, each.label)]
    return Stored(span, given, etag_of([span.first, span.last, *told]))


def _encoded(served: Served, parts: Sequence[Points], alpha: float) -> bytes:
    # Imported here: a worker that never meets Arrow does without its 27 MB.
    from service.arrow_points import encode_points  # noqa: PLC0415

    points = Points.concatenate(parts)
    decisions = decide(points.scores["p_familiar"], points.scores["p_owned"], alpha)
    return encode_points(points, decisions, served.version, served.manifest.labels)


def _points(
    served: Served, wanted: LatentMapRequest, stored: Stored, captures: CapturePoints | None
) -> tuple[list[Points], list[GivenLabel]]:
    """Reference points and captures with what a person said of them, and the labels of neither."""
    # Of several labels of one input the newest stands.
    said = {each.input_sha256: each.label for each in reversed(stored.given)}
    parts, shown = [], set[str]()
    if Source.REFERENCE in wanted.sources and served.reference is not None:
        parts.append(_reference(served.reference, said, wanted.limit))
        shown.update(served.reference.input_sha256[: wanted.limit])
    if captures is not None:
        parts.append(_captured(captures, said))
        shown.update(captures.input_sha256)
    return parts, [each for each in stored.given if each.input_sha256 not in shown]


def _reference(reference: ServedReference, said: Mapping[str, str], limit: int) -> Points:
    points, digests = reference.points, reference.input_sha256
    label = [said.get(name, known) for name, known in zip(digests, points.label, strict=False)]
    return replace(points, label=label or points.label).first(limit)


def _captured(captures: CapturePoints, said: Mapping[str, str]) -> Points:
    return Points(
        ids=captures.ids,
        source=[Source.CAPTURE] * len(captures),
        scores=captures.scores,
        label=[said.get(name) for name in captures.input_sha256],
        created=captures.created,
        bundle_version=captures.bundle_version,
    )


async def _labelled(runtime: Runtime, served: Served, given: Sequence[GivenLabel]) -> Points:
    """Labelled inputs that are no other point."""
    scores = await runtime.live_points.labelled(served, given)
    kept = [each for each in given if each.feedback_id in scores]
    rows = [scores[each.feedback_id] for each in kept]
    return Points(
        ids=[each.feedback_id for each in kept],
        source=[Source.FEEDBACK] * len(kept),
        scores=np.array(rows, dtype=SCORES),
        label=[each.label for each in kept],
        created=np.array([microseconds(each.created) for each in kept], dtype=np.int64),
        bundle_version=[each.bundle_version or served.version for each in kept],
    )
