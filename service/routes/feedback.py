"""POST /feedback."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import RcmvaeError
from rcmvae.feedback import Capture, FeedbackRecord, NewFeedback, Submission
from service.access import Principal, Scope, principal_of, require_scope
from service.body import media_type, read_body, refuse_media_type
from service.feedback_request import (
    FeedbackItem,
    ReferenceId,
    parse_feedback,
    parse_idempotency_key,
)
from service.json_response import json_response
from service.problem import RequestRefused, quoted, refusal
from service.reference import ServedReference
from service.runtime import Runtime, runtime_of
from service.schemas import FeedbackAnswer, FeedbackReceipt
from service.wire.media_types import JSON


async def post_feedback(request: Request) -> Response:
    """Store labels; 202 is sent only after the store has made them durable."""
    runtime = runtime_of(request)
    settings = runtime.settings
    if media_type(request) != JSON:
        raise refuse_media_type(JSON, media_type(request))
    key = parse_idempotency_key(request.headers.get("idempotency-key"))
    body = await read_body(
        request, limit=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds
    )
    digest = None if key is None else hashlib.sha256(body).hexdigest()
    principal = principal_of(request)
    try:
        source, entries = await _entries(runtime, body, principal)
        runtime.admission.charge_rows(request, len(entries))
    except (RcmvaeError, RequestRefused):
        # What a repeated body names may be gone by now, and its reply is still the first one.
        records = await _repeated(runtime, principal, key, digest)
        if records is None:
            raise
    else:
        records = await runtime.feedback.add(
            Submission(entries, principal.name, source, key, digest)
        )
    _count(runtime, records)
    return json_response(_answer(records), 202)


async def _repeated(
    runtime: Runtime, principal: Principal, key: str | None, digest: str | None
) -> tuple[FeedbackRecord, ...] | None:
    """The first reply to a request that came before; None where none did."""
    if key is None or digest is None:
        return None
    return await runtime.store.run(lambda store: store.first_reply(key, digest, principal.name))


async def _entries(
    runtime: Runtime, body: bytes, principal: Principal
) -> tuple[str | None, list[NewFeedback]]:
    """The source that the body names, and its items for the store."""
    served, max_rows = runtime.bundles.current(), runtime.settings.max_rows
    parsed = await runtime.read(body, lambda: parse_feedback(body, served.manifest.input, max_rows))
    items = parsed.items
    named = [item.subject for item in items if isinstance(item.subject, str)]
    captures = await runtime.captures.find(named)
    referenced = _referenced(items, served.reference)
    _require_found(items, captures, referenced)
    if not {item.label for item in items} <= set(served.manifest.labels):
        require_scope(principal, Scope.LABELS)
    new = [_new_feedback(item, captures, referenced, served.version) for item in items]
    return parsed.source, new


def _referenced(
    items: Sequence[FeedbackItem], reference: ServedReference | None
) -> dict[ReferenceId, NDArray[np.float32]]:
    """Inputs of the reference points that items name; one that is not there is left out."""
    named = {item.subject for item in items if isinstance(item.subject, ReferenceId)}
    found = {each: reference.input(each.name) for each in named} if reference else {}
    return {each: x for each, x in found.items() if x is not None}


def _require_found(
    items: Sequence[FeedbackItem],
    captures: Mapping[str, Capture],
    referenced: Mapping[ReferenceId, NDArray[np.float32]],
) -> None:
    for i, item in enumerate(items):
        if isinstance(item.subject, str) and item.subject not in captures:
            field = f"items[{i}].prediction_id"
            expected = "an id that /predict returned and that is still kept"
            raise refusal(404, "prediction-not-found", field, expected, quoted(item.subject))
        if isinstance(item.subject, ReferenceId) and item.subject not in referenced:
            field, name = f"items[{i}].reference_id", item.subject.name
            expected = "a reference point of the bundle that is served"
            raise refusal(404, "point-not-found", field, expected, quoted(name))


def _new_feedback(
    item: FeedbackItem,
    captures: Mapping[str, Capture],
    referenced: Mapping[ReferenceId, NDArray[np.float32]],
    version: str,
) -> NewFeedback:
    match item.subject:
        case str(prediction_id):
            seen = captures[prediction_id]
            return NewFeedback(item.label, seen.input, prediction_id, seen.bundle_version)
        case ReferenceId():
            return NewFeedback(item.label, referenced[item.subject], None, version)
        case _:
            return NewFeedback(item.label, item.subject, None, version)


def _answer(records: Sequence[FeedbackRecord]) -> FeedbackAnswer:
    receipts = [FeedbackReceipt(feedback_id=r.feedback_id, status=r.status) for r in records]
    return FeedbackAnswer(items=receipts)


def _count(runtime: Runtime, records: Sequence[FeedbackRecord]) -> None:
    known = runtime.bundles.labels()
    for record in records:
        source = "prediction_id" if record.prediction_id else "input"
        novelty = "known" if record.label in known else "new"
        runtime.metrics.feedback.labels(source, novelty).inc()
