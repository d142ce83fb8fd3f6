"""Renaming, merging and deleting a label among the corrections, so that each can be undone.

Nothing is rewritten. A label gets another name by the same authors saying so of the same inputs, in
new corrections that prevail over the old ones; it is deleted by taking its corrections back. So the
life of corrections does the rest: the next job changes the label map, an undone edit lets the old
corrections prevail again, and the history has a line for every step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, insert, or_, select

from rcmvae.errors import InvalidInput
from rcmvae.feedback import history
from rcmvae.feedback.edit_id import new_edit_id, taken_back_by
from rcmvae.feedback.lives import settle, statements, withdraw
from rcmvae.feedback.parts import parts
from rcmvae.feedback.postgresql import lock_lives
from rcmvae.feedback.record import FeedbackEvent
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.status import COUNTING, FeedbackStatus

_COPIED = (
    "author",
    "label",
    "prediction_id",
    "bundle_version",
    "input_shape",
    "input_encoding",
    "input_sha256",
    "input_data",
)
_COUNTING = sorted(status.value for status in COUNTING)
_GONE = [FeedbackStatus.WITHDRAWING.value, FeedbackStatus.WITHDRAWN.value]


@dataclass(frozen=True, slots=True)
class LabelEdit:
    """What an edit of a label did.

    Args:
        edit_id: by which it can be undone.
        feedback_ids: of the corrections that it added or took back.
    """

    edit_id: str
    feedback_ids: tuple[str, ...]


def rename(connection: Connection, label: str, into: str, actor: str, now: datetime) -> LabelEdit:
    """Give every correction with a label another one; a label in use takes them up."""
    edit_id = new_edit_id()
    lock_lives(connection)
    rows = _of_label(connection, label)
    return LabelEdit(
        edit_id, _say_again(connection, _standing(connection, rows), into, edit_id, actor, now)
    )


def delete(connection: Connection, label: str, actor: str, now: datetime) -> LabelEdit:
    """Take every correction with a label back, and what its author said of the input before.

    Else an earlier name of the label would prevail again.
    """
    edit_id = new_edit_id()
    lock_lives(connection)
    voices = {
        (row.input_sha256, row.author)
        for row in _standing(connection, _of_label(connection, label))
    }
    said = statements(connection, {digest for digest, _ in voices})
    ids = tuple(
        each.feedback_id
        for digest, found in said.items()
        for each in found
        if (digest, each.author) in voices
    )
    for feedback_id in ids:
        withdraw(connection, feedback_id, actor, taken_back_by(edit_id), now)
    return LabelEdit(edit_id, ids)


def undo(connection: Connection, edit_id: str, actor: str, now: datetime) -> LabelEdit:
    """Undo an edit, an undone one among them.

    Raises:
        InvalidInput: nothing is left of such an edit.
    """
    undoing = new_edit_id()
    lock_lives(connection)
    said = feedback.c.source == edit_id
    taken = feedback.c.reason == taken_back_by(edit_id)
    query = select(feedback).where(
        or_(said & feedback.c.status.in_(_COUNTING), taken & feedback.c.status.in_(_GONE))
    )
    rows = connection.execute(query.order_by(feedback.c.seq)).all()
    added = [row for row in rows if row.status not in _GONE]
    back = _unsaid(connection, [row for row in rows if row.status in _GONE])
    if not added and not back:
        raise InvalidInput("edit", "an edit of a label that is not undone", repr(edit_id))
    again = _say_again(connection, back, None, undoing, actor, now)
    for row in added:
        withdraw(connection, row.feedback_id, actor, taken_back_by(undoing), now)
    _accept_earlier(connection, added, actor, now)
    return LabelEdit(undoing, (*again, *(row.feedback_id for row in added)))


def _unsaid(connection: Connection, taken: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Of what was taken back, the newest that each author said of an input, and nothing after it.

    Who was heard since, by an earlier undoing or of himself, is not spoken for once more.
    """
    newest = {(row.input_sha256, row.author): row for row in taken}
    said = statements(connection, {digest for digest, _ in newest})
    since = {(digest, each.author): each.seq for digest, found in said.items() for each in found}
    return [row for voice, row in newest.items() if since.get(voice, 0) < row.seq]


def _accept_earlier(
    connection: Connection, taken_back: Sequence[Row[Any]], actor: str, now: datetime
) -> None:
    """Write down as accepted what the same authors said before and what waits again now."""
    voices = {(row.input_sha256, row.author) for row in taken_back}
    said = statements(connection, {digest for digest, _ in voices})
    waiting = (
        each
        for digest, found in said.items()
        for each in found
        if (digest, each.author) in voices and each.status is FeedbackStatus.QUEUED
    )
    history.append(
        connection,
        (
            FeedbackEvent(each.feedback_id, now, actor, each.status, history.ACCEPTED)
            for each in waiting
        ),
    )


def _of_label(connection: Connection, label: str) -> Sequence[Row[Any]]:
    query = select(feedback).where(feedback.c.label == label, feedback.c.status.in_(_COUNTING))
    return connection.execute(query.order_by(feedback.c.seq)).all()


def _standing(connection: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Those that are their author's voice still: the newest that he said of the input."""
    said = statements(connection, (row.input_sha256 for row in rows))
    newest = {
        (digest, each.author): each.feedback_id
        for digest, found in said.items()
        for each in sorted(found, key=lambda each: each.seq)
    }
    return [row for row in rows if newest[row.input_sha256, row.author] == row.feedback_id]


def _say_again(
    connection: Connection,
    rows: Sequence[Row[Any]],
    into: str | None,
    edit_id: str,
    actor: str,
    now: datetime,
) -> tuple[str, ...]:
    """Add corrections like others, under the label ``into`` or their own; a person stands for them.

    They are written down as accepted: that others said the same in other words is no contradiction.
    """
    fresh = [
        {name: getattr(row, name) for name in _COPIED}
        | {
            "label": into or row.label,
            "feedback_id": uuid4().hex,
            "source": edit_id,
            "status": FeedbackStatus.QUEUED.value,
            "created": now,
        }
        for row in rows
    ]
    if not fresh:
        return ()
    connection.execute(insert(feedback), fresh)
    history.append(connection, _lines(fresh, actor, now))
    for part in parts([row["input_sha256"] for row in fresh]):
        settle(connection, set(part), actor, now)
    return tuple(row["feedback_id"] for row in fresh)


def _lines(fresh: Sequence[dict[str, Any]], actor: str, now: datetime) -> Iterable[FeedbackEvent]:
    for row in fresh:
        for detail in (row["label"], history.ACCEPTED):
            yield FeedbackEvent(row["feedback_id"], now, actor, FeedbackStatus.QUEUED, detail)
