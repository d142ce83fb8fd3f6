"""The feedback store: corrections that are never lost, lent to retrain workers and accounted for.

Every method is one transaction. What it returns is durable; when it raises, nothing has changed -
except that a commit whose answer was lost may have happened, which is what idempotency keys are
for.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from rcmvae.errors import FeedbackError
from rcmvae.feedback import (
    disputes,
    history,
    listing,
    lives,
    reconciling,
    renaming,
    shown,
    submissions,
)
from rcmvae.feedback.capture_store import CaptureStore
from rcmvae.feedback.claim_store import ClaimStore
from rcmvae.feedback.edit_id import refuse_edit_id
from rcmvae.feedback.postgresql import lock_keys, lock_lives
from rcmvae.feedback.reconciling import Reconciled
from rcmvae.feedback.record import (
    ANONYMOUS,
    DisputePage,
    FeedbackCounts,
    FeedbackEvent,
    FeedbackFilter,
    FeedbackPage,
    FeedbackRecord,
    NewFeedback,
    Submission,
    check_label,
    check_name,
)
from rcmvae.feedback.renaming import LabelEdit
from rcmvae.feedback.rows import record_of
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.shown import GivenLabel
from rcmvae.feedback.status import STANDING, FeedbackStatus


class FeedbackStore(ClaimStore, CaptureStore):
    """Corrections and captured inputs in one database.

    Threads may share a store; every process opens its own. Every method may raise StoreUnavailable
    when the database does not answer, is damaged or refuses to write.
    """

    def add(
        self,
        items: Sequence[NewFeedback],
        *,
        author: str = ANONYMOUS,
        source: str | None = None,
        idempotency_key: str | None = None,
        body_sha256: str | None = None,
    ) -> tuple[FeedbackRecord, ...]:
        """Queue corrections, all or none; the arguments are those of a `Submission`.

        Returns:
            The corrections as they were posted, queued; `conflict` says which of them prevail.

        Raises:
            IdempotencyConflict: the key was used before with another body.
            IdempotencyInFlight: its first use has not ended, and was waited for.
            InvalidInput: author, source or key do not fit.
            StoreUnavailable: nothing was acknowledged.
        """
        submission = Submission(items, author, source, idempotency_key, body_sha256)
        (outcome,) = self.add_together([submission], wait=True)
        if isinstance(outcome, FeedbackError):
            raise outcome
        return outcome

    def add_together(
        self, group: Sequence[Submission], *, wait: bool = False
    ) -> tuple[submissions.Outcome, ...]:
        """Queue several submissions by one commit, as if each came alone, in this order.

        A commit waits for the disk; many posts that come at once share one.

        Args:
            group: the submissions.
            wait: for other processes that use one of the keys now; else what comes under those
                keys is left out.

        Returns:
            Of each submission what ``add`` returns, or its own conflict, or that its key is in
            flight.

        Raises:
            IdempotencyInFlight: one of the keys was waited for in vain; nothing was acknowledged.
            StoreUnavailable: nothing was acknowledged.
        """
        rows = [submissions.feedback_rows(each) for each in group]
        keys = [(s.author, s.idempotency_key) for s in group if s.idempotency_key is not None]
        with self._database.write() as connection:
            busy = lock_keys(connection, keys, wait=wait)
            return submissions.insert_together(connection, group, rows, self._clock(), busy)

    def first_reply(
        self, idempotency_key: str, body_sha256: str, author: str = ANONYMOUS
    ) -> tuple[FeedbackRecord, ...] | None:
        """Return what ``add`` returned when the key was first used, or None if it never was.

        Raises:
            IdempotencyConflict: the key was used before with another body.
        """
        with self._database.read() as connection:
            return submissions.first_reply(connection, author, idempotency_key, body_sha256)

    def get(self, feedback_id: str) -> FeedbackRecord:
        """Return one correction.

        Raises:
            FeedbackNotFound: no such id.
        """
        with self._database.read() as connection:
            return record_of(lives.find(connection, feedback_id))

    def events(self, feedback_id: str) -> tuple[FeedbackEvent, ...]:
        """Return the history of one correction, oldest first.

        Raises:
            FeedbackNotFound: no such id.
        """
        with self._database.read() as connection:
            lives.find(connection, feedback_id)
            return history.of_feedback(connection, feedback_id)

    def listing(
        self, which: FeedbackFilter, *, limit: int, before: int | None = None
    ) -> FeedbackPage:
        """Return corrections, newest first.

        Args:
            which: what they have in common.
            limit: at most so many, at least 1.
            before: ``next_before`` of the page that came before; what was added since is not shown.
        """
        if limit < 1:
            raise ValueError(f"expected limit >= 1, got {limit}")
        with self._database.read() as connection:
            return listing.page(connection, which, limit, before)

    def disputes(self, *, limit: int, before: int | None = None) -> DisputePage:
        """Return inputs that authors disagree about, those spoken in last first.

        Args:
            limit: at most so many, at least 1.
            before: ``next_before`` of the page that came before.
        """
        if limit < 1:
            raise ValueError(f"expected limit >= 1, got {limit}")
        with self._database.read() as connection:
            return disputes.page(connection, limit, before)

    def withdraw(self, feedback_id: str, actor: str, reason: str | None = None) -> FeedbackRecord:
        """Take a correction back, and return it; a second time changes nothing.

        What no bundle can hold is withdrawn at once; anything else is withdrawing until a job has
        taken it out. What it had superseded is queued again where that prevails now.

        Args:
            feedback_id: of the correction.
            actor: who takes it back.
            reason: why, if that was said.

        Raises:
            FeedbackNotFound: no such id.
            InvalidInput: the reason would pass for an edit of a label.
        """
        check_name("actor", actor)
        if reason is not None:
            refuse_edit_id("reason", reason)
        with self._database.write() as connection:
            lives.withdraw(connection, feedback_id, actor, reason, self._clock())
            return record_of(lives.find(connection, feedback_id))

    def accept(self, feedback_id: str, actor: str) -> FeedbackRecord:
        """Queue a quarantined correction again, and return it; any other stays as it is.

        Raises:
            FeedbackNotFound: no such id.
        """
        check_name("actor", actor)
        with self._database.write() as connection:
            lives.accept(connection, feedback_id, actor, self._clock())
            return record_of(lives.find(connection, feedback_id))

    def reconcile(
        self,
        held: Collection[str],
        version: str,
        actor: str,
        reason: str,
        is_current: Callable[[], bool],
    ) -> Reconciled:
        """State of every correction what is true of a bundle that was made current by hand.

        Args:
            held: ids in the label map of the bundle.
            version: of the bundle.
            actor: who made it current.
            reason: of what is quarantined: applied so far, and not in this bundle.
            is_current: asked while no other job can say what it applied; where it is not so any
                more, nothing is changed.
        """
        with self._database.write() as connection:
            lock_lives(connection)
            if not is_current():
                return Reconciled((), ())
            now = self._clock()
            return reconciling.reconcile(connection, held, version, actor, reason, now)

    def applied(self) -> tuple[FeedbackRecord, ...]:
        """Return every applied correction, in the order in which they were posted."""
        query = select(feedback).where(feedback.c.status == FeedbackStatus.APPLIED.value)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(feedback.c.seq)).all()
        return tuple(record_of(row) for row in rows)

    def rename_label(self, label: str, into: str, actor: str) -> LabelEdit:
        """Give every correction with a label another one; where that is in use, they are merged.

        Args:
            label: whose corrections.
            into: the other name.
            actor: who does it, for the history; the authors stay the same.

        Raises:
            InvalidInput: the name is none that a label can have.
        """
        check_name("actor", actor)
        check_label("into", into)
        with self._database.write() as connection:
            return renaming.rename(connection, label, into, actor, self._clock())

    def delete_label(self, label: str, actor: str) -> LabelEdit:
        """Take every correction with a label back."""
        check_name("actor", actor)
        with self._database.write() as connection:
            return renaming.delete(connection, label, actor, self._clock())

    def undo_label_edit(self, edit_id: str, actor: str) -> LabelEdit:
        """Undo a renamed, merged or deleted label; what came of it can be undone as well.

        Raises:
            InvalidInput: nothing is left of such an edit.
        """
        check_name("actor", actor)
        with self._database.write() as connection:
            return renaming.undo(connection, edit_id, actor, self._clock())

    def authors(self) -> Mapping[str, str]:
        """Return who said what is or will be part of a bundle, by feedback id."""
        standing = feedback.c.status.in_([status.value for status in STANDING])
        query = select(feedback.c.feedback_id, feedback.c.author).where(standing)
        with self._database.read() as connection:
            return {row.feedback_id: row.author for row in connection.execute(query)}

    def accepted(self) -> frozenset[str]:
        """Return the ids of corrections that a person ever took out of quarantine."""
        with self._database.read() as connection:
            return history.accepted(connection)

    def set_aside(self, author: str, reason: str) -> frozenset[str]:
        """Return the ids of an author's corrections ever quarantined for a reason that begins so.

        Whatever became of them since: who takes them back has said them all the same.
        """
        with self._database.read() as connection:
            return history.set_aside(connection, author, reason)

    def counts_by_status(self) -> FeedbackCounts:
        """Count corrections; a claim whose lease has ended counts as claimed until taken again."""
        groups = select(feedback.c.status, func.count()).group_by(feedback.c.status)
        waiting = select(feedback.c.created).where(feedback.c.status == FeedbackStatus.QUEUED.value)
        with self._database.read() as connection:
            counts = {status: int(count) for status, count in connection.execute(groups)}
            oldest = connection.execute(waiting.order_by(feedback.c.seq).limit(1))
            return FeedbackCounts(
                **{status.value: counts.get(status.value, 0) for status in FeedbackStatus},
                oldest_queued=oldest.scalar_one_or_none(),
            )

    def given_labels(self, limit: int) -> tuple[GivenLabel, ...]:
        """Return the newest labels that are or will be part of a bundle, newest first."""
        with self._database.read() as connection:
            return shown.given_labels(connection, limit)

    def labelled_inputs(self, feedback_ids: Iterable[str]) -> Mapping[str, NDArray[np.float32]]:
        """Return the inputs of corrections by id; an id that is not there is left out."""
        with self._database.read() as connection:
            return shown.labelled_inputs(connection, feedback_ids)
