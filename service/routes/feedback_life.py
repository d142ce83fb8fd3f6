"""What became of feedback: listings, items, their histories, DELETE, and accepting."""

import re

from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import FeedbackNotFound
from rcmvae.feedback import Dispute, FeedbackEvent, FeedbackRecord, FeedbackStatus
from service.access import Scope, principal_of, require_scope
from service.feedback_query import (
    cursor_of,
    parse_dispute_query,
    parse_feedback_query,
    parse_reason,
)
from service.json_response import json_response
from service.people_schemas import DisputesAnswer, DisputeState
from service.predict_request import refuse_unknown
from service.problem import refusal
from service.runtime import runtime_of
from service.schemas import FeedbackHistory, FeedbackLine, FeedbackListing, FeedbackState

_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SETTLED = (FeedbackStatus.REJECTED, FeedbackStatus.WITHDRAWING, FeedbackStatus.WITHDRAWN)
"""What accepting cannot bring back."""


async def get_feedback(request: Request) -> Response:
    """Where one item stands."""
    feedback_id = _id_of(request)
    record = await runtime_of(request).store.run(lambda store: store.get(feedback_id))
    return json_response(state_of(record))


async def list_feedback(request: Request) -> Response:
    """Items, newest first."""
    wanted = parse_feedback_query(request.query_params)
    page = await runtime_of(request).store.run(
        lambda store: store.listing(wanted.which, limit=wanted.limit, before=wanted.before)
    )
    items = [state_of(record) for record in page.records]
    return json_response(FeedbackListing(items=items, next=cursor_of(page.next_before)))


async def list_disputes(request: Request) -> Response:
    """Inputs that people disagree about, those spoken in last first."""
    wanted = parse_dispute_query(request.query_params)
    page = await runtime_of(request).store.run(
        lambda store: store.disputes(limit=wanted.limit, before=wanted.before)
    )
    disputes = [_dispute_of(dispute) for dispute in page.disputes]
    return json_response(DisputesAnswer(disputes=disputes, next=cursor_of(page.next_before)))


async def get_feedback_events(request: Request) -> Response:
    """Who said what of one item, and when; oldest first."""
    feedback_id = _id_of(request)
    events = await runtime_of(request).store.run(lambda store: store.events(feedback_id))
    return json_response(FeedbackHistory(events=[_line_of(event) for event in events]))


async def delete_feedback(request: Request) -> Response:
    """Withdraw one item; others' items only with the scope ``admin``.

    Otherwise one key could take every other key's labels out of the bundle.
    """
    feedback_id, principal = _id_of(request), principal_of(request)
    reason = parse_reason(request.query_params)
    store = runtime_of(request).store
    record = await store.run(lambda opened: opened.get(feedback_id))
    if record.author != principal.name:
        require_scope(principal, Scope.ADMIN)
    record = await store.run(lambda opened: opened.withdraw(feedback_id, principal.name, reason))
    return json_response(state_of(record), 202)


async def accept_feedback(request: Request) -> Response:
    """Queue a quarantined item again; what waits or is applied already stays as it is.

    Raises:
        RequestRefused: it was withdrawn or rejected.
    """
    refuse_unknown(request.query_params, frozenset())
    feedback_id, by = _id_of(request), principal_of(request).name
    record = await runtime_of(request).store.run(lambda store: store.accept(feedback_id, by))
    if record.status in _SETTLED:
        expected = "an item that is quarantined"
        raise refusal(409, "not-quarantined", "feedback_id", expected, f"one {record.status.value}")
    return json_response(state_of(record), 202)


def state_of(record: FeedbackRecord) -> FeedbackState:
    """A correction as it goes over the wire."""
    return FeedbackState(
        feedback_id=record.feedback_id,
        label=record.label,
        prediction_id=record.prediction_id,
        status=record.status,
        author=record.author,
        source=record.source,
        created=record.created,
        applied_version=record.applied_version,
        reason=record.reason,
        superseded_by=record.superseded_by,
    )


def _dispute_of(dispute: Dispute) -> DisputeState:
    voices = [state_of(record) for record in dispute.voices]
    return DisputeState(label=dispute.label, voices=voices)


def _line_of(event: FeedbackEvent) -> FeedbackLine:
    return FeedbackLine(
        created=event.created, actor=event.actor, status=event.status, detail=event.detail
    )


def _id_of(request: Request) -> str:
    """The id in the path.

    Raises:
        FeedbackNotFound: nothing can have it; PostgreSQL would fail at a NUL.
    """
    feedback_id = str(request.path_params["feedback_id"])
    if not _ID.fullmatch(feedback_id):
        raise FeedbackNotFound("no feedback has this id")
    return feedback_id
