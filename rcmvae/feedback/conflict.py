"""Which correction of an input prevails when several say something about it. Pure functions.

Every author has one voice for an input: the newest thing that he said of it. The label with most
voices prevails; of labels with equally many, the one that was named last. One correction stands for
the label that prevails, so that an input counts once in the label map, however many agree.
docs/decisions/0002-feedback-store.md argues for the rule.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rcmvae.feedback.status import FeedbackStatus

_IN_A_BUNDLE = (FeedbackStatus.APPLIED, FeedbackStatus.REPLACED)


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says about an input.

    Args:
        seq: place in the order in which all corrections were posted.
        feedback_id: of the correction.
        author: who says it.
        label: what he says.
        status: one of `COUNTING`.
        superseded_by: what prevailed over it so far.
        unreported: a claim of it ended without a report, so that a bundle may hold it or not.
    """

    seq: int
    feedback_id: str
    author: str
    label: str
    status: FeedbackStatus
    superseded_by: str | None = None
    unreported: bool = False

    @property
    def is_held(self) -> bool:
        """Whether a bundle holds it for certain."""
        return self.status in _IN_A_BUNDLE and not self.unreported


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a statement."""

    statement: Statement
    status: FeedbackStatus
    superseded_by: str | None


def voices(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """What every author said last of an input, in the order in which it was said."""
    ordered = sorted(statements, key=lambda s: s.seq)
    newest = {s.author: s for s in ordered}
    return tuple(s for s in ordered if newest[s.author] is s)


def prevailing(statements: Sequence[Statement]) -> Statement:
    """The statement that stands for its input.

    Of those that name the prevailing label, one that a bundle holds already stays; then one that a
    job works on; then one that a bundle perhaps holds; then the newest.

    Args:
        statements: all that count for one input, at least one.
    """
    heard = voices(statements)
    votes = Counter(s.label for s in heard)
    last = {s.label: s.seq for s in heard}
    label = max(votes, key=lambda name: (votes[name], last[name]))
    return max((s for s in statements if s.label == label), key=_standing)


def _standing(statement: Statement) -> tuple[bool, bool, bool, int]:
    claimed = statement.status is FeedbackStatus.CLAIMED
    return statement.is_held, claimed, statement.unreported, statement.seq


def settled(statements: Sequence[Statement]) -> tuple[Change, ...]:
    """What has to change so that the prevailing statement of an input is the one that is applied.

    What a job has claimed is left to it. What a bundle holds stays until the one that prevails is
    in a bundle too. What a bundle perhaps holds is added where it prevails, else taken out.

    Args:
        statements: all that count for one input, at least one.
    """
    first = prevailing(statements)
    changes = [_change(s, first) for s in statements]
    return tuple(c for c in changes if _differs(c))


def _change(statement: Statement, first: Statement) -> Change:
    if statement is first:
        return Change(statement, _status_of_the_first(statement), None)
    if statement.status is FeedbackStatus.CLAIMED:
        return Change(statement, statement.status, statement.superseded_by)
    if statement.status is FeedbackStatus.APPLIED:
        if not first.is_held:
            return Change(statement, statement.status, statement.superseded_by)
        return Change(statement, FeedbackStatus.REPLACED, first.feedback_id)
    is_perhaps_held = statement.unreported or statement.status is FeedbackStatus.REPLACED
    beaten = FeedbackStatus.REPLACED if is_perhaps_held else FeedbackStatus.SUPERSEDED
    return Change(statement, beaten, first.feedback_id)


def _status_of_the_first(statement: Statement) -> FeedbackStatus:
    if statement.status is FeedbackStatus.CLAIMED:
        return FeedbackStatus.CLAIMED
    return FeedbackStatus.APPLIED if statement.is_held else FeedbackStatus.QUEUED


def _differs(change: Change) -> bool:
    before = change.statement
    return (before.status, before.superseded_by) != (change.status, change.superseded_by)
