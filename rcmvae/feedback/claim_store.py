"""The store as a retrain worker sees it: corrections are lent, and accounted for.

Every method is one transaction, as in FeedbackStore.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from rcmvae.feedback import claims
from rcmvae.feedback.opened import OpenedStore
from rcmvae.feedback.record import Claim, Waiting, check_name
from rcmvae.feedback.status import FeedbackStatus


class ClaimStore(OpenedStore):
    """Claims on corrections, and what became of what was claimed."""

    def claim(
        self,
        *,
        worker: str,
        limit: int,
        lease: timedelta,
        skip_labels: Collection[str] = (),
        only_labels: Collection[str] | None = None,
        up_to: int | None = None,
    ) -> Claim | None:
        """Borrow the oldest corrections that wait or whose lease has ended; None if none do.

        With them comes what the label map has to lose, which may be all there is to do.

        Args:
            worker: name of the borrower, for people to read.
            limit: at most so many, at least 1.
            lease: how long nobody else can claim them; see renew.
            skip_labels: leave corrections to these labels where they are.
            only_labels: leave corrections to all others where they are, and what only leaves.
            up_to: leave what came after this place, see last_place; None for all.
        """
        check_name("worker", worker)
        if limit < 1 or lease <= timedelta(0):
            raise ValueError(f"expected limit >= 1 and lease > 0, got {limit} and {lease}")
        with self._database.write() as connection:
            now = self._clock()
            wanted = claims.Wanted(skip_labels, only_labels, up_to)
            return claims.take(connection, worker, limit, now, now + lease, wanted)

    def renew(self, claim_token: str, lease: timedelta) -> datetime:
        """Let a claim end ``lease`` from now, and return when that is.

        Raises:
            ClaimLost: nothing is claimed under this token any more.
        """
        with self._database.write() as connection:
            expires = self._clock() + lease
            claims.renew(connection, claim_token, expires)
            return expires

    def mark_applied(
        self,
        claim_token: str,
        feedback_ids: Sequence[str],
        bundle_version: str,
        subtracted: Sequence[str] = (),
    ) -> None:
        """State what a bundle holds and what it no longer holds, all or none; twice is harmless.

        Args:
            claim_token: of the claim.
            feedback_ids: of its ``records`` that the bundle holds.
            bundle_version: of the bundle.
            subtracted: of its ``subtract``, what the bundle does not hold.

        Raises:
            ClaimLost: one of them is not, or no longer, lent under this token.
        """
        check_name("bundle_version", bundle_version)
        with self._database.write() as connection:
            now = self._clock()
            claims.apply(connection, claim_token, feedback_ids, subtracted, bundle_version, now)

    def keep(self, claim_token: str, feedback_ids: Sequence[str], reason: str) -> None:
        """State that corrections of a claim's ``subtract`` stay in the bundle, and why.

        They are applied again, with the reason; whoever took them back may do so again.

        Raises:
            ClaimLost: one of them is not, or no longer, lent under this token.
        """
        with self._database.write() as connection:
            claims.keep(connection, claim_token, feedback_ids, reason, self._clock())

    def quarantine(self, claim_token: str, feedback_ids: Sequence[str], reason: str) -> None:
        """Set claimed corrections aside until a person accepts or withdraws them; all or none.

        Raises:
            ClaimLost: one of them is not, or no longer, claimed under this token.
        """
        with self._database.write() as connection:
            status, now = FeedbackStatus.QUARANTINED, self._clock()
            claims.set_aside(connection, claim_token, feedback_ids, status, reason, now)

    def reject(self, claim_token: str, feedback_ids: Sequence[str], reason: str) -> None:
        """State that no bundle will ever hold these corrections, all or none, and why.

        Raises:
            ClaimLost: one of them is not, or no longer, claimed under this token.
        """
        with self._database.write() as connection:
            status, now = FeedbackStatus.REJECTED, self._clock()
            claims.set_aside(connection, claim_token, feedback_ids, status, reason, now)

    def release(self, claim_token: str) -> None:
        """Queue again what is claimed under a token and was neither applied nor rejected.

        Raises:
            ClaimLost: nothing carries this token any more.
        """
        with self._database.write() as connection:
            claims.give_back(connection, claim_token, self._clock())

    def last_place(self) -> int:
        """The place of the newest correction in the order in which they came; 0 without one."""
        with self._database.read() as connection:
            return claims.last_place(connection)

    def waiting(self) -> Waiting:
        """Count what a claim could take, and say since when; made to be asked often."""
        with self._database.read() as connection:
            return claims.count_waiting(connection, self._clock())
