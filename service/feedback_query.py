"""GET /feedback, from the query to a part of the listing; and the cursor between its parts."""

import base64
import binascii
import re
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from rcmvae.errors import InvalidInput
from rcmvae.feedback import FeedbackFilter, FeedbackStatus
from rcmvae.feedback.edit_id import refuse_edit_id
from rcmvae.feedback.record import check_name
from rcmvae.label_name import label_name
from service.candidates_request import count_of
from service.predict_request import refuse_unknown
from service.problem import quoted

DEFAULT_LIMIT = 100
MOST = 1000
LONGEST_REASON = 200
_PARAMETERS = frozenset({"status", "label", "author", "cursor", "limit"})
_CURSOR = re.compile(r"f1:([1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class FeedbackQuery:
    """What to list.

    Attributes:
        which: what the items have in common.
        limit: at most so many, 1 to MOST.
        before: place to go on from; None at the start.
    """

    which: FeedbackFilter
    limit: int
    before: int | None


def parse_feedback_query(query: QueryParams) -> FeedbackQuery:
    """Read the query.

    Raises:
        InvalidInput: a parameter is unknown or does not fit.
    """
    refuse_unknown(query, _PARAMETERS)
    label, author = query.get("label"), query.get("author")
    if author is not None:
        check_name("author", author)
    which = FeedbackFilter(
        status=_status(query.get("status")),
        label=None if label is None else label_name("label", label),
        author=author,
    )
    return FeedbackQuery(which, _limit(query), _place(query.get("cursor")))


@dataclass(frozen=True, slots=True)
class DisputeQuery:
    """Which part of the disputes to list; as in `FeedbackQuery`."""

    limit: int
    before: int | None


def parse_dispute_query(query: QueryParams) -> DisputeQuery:
    """Read the query.

    Raises:
        InvalidInput: a parameter is unknown or does not fit.
    """
    refuse_unknown(query, frozenset({"cursor", "limit"}))
    return DisputeQuery(_limit(query), _place(query.get("cursor")))


def parse_reason(query: QueryParams) -> str | None:
    """Why something is withdrawn, when that is said.

    Raises:
        InvalidInput: another parameter, or no text that can be kept.
    """
    refuse_unknown(query, frozenset({"reason"}))
    reason = query.get("reason")
    if reason is not None:
        check_name("reason", reason, LONGEST_REASON)
        refuse_edit_id("reason", reason)
    return reason


def cursor_of(place: int | None) -> str | None:
    """A place in the listing, for the client to hand back and not to read."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(f"f1:{place}".encode()).decode().rstrip("=")


def _limit(query: QueryParams) -> int:
    return count_of("limit", query.get("limit", str(DEFAULT_LIMIT)), MOST)


def _place(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = _CURSOR.fullmatch(text.decode("ascii"))
    except (ValueError, binascii.Error):
        found = None
    if found is None:
        raise InvalidInput("cursor", "what `next` was in another part", quoted(cursor))
    return int(found[1])


def _status(name: str | None) -> FeedbackStatus | None:
    try:
        return None if name is None else FeedbackStatus(name)
    except ValueError:
        expected = f"one of {', '.join(FeedbackStatus)}"
        raise InvalidInput("status", expected, quoted(str(name))) from None
