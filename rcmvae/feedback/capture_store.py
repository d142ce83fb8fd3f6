"""The store as the service sees it between corrections: inputs of predictions.

Every method is one transaction, as in FeedbackStore.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select

from rcmvae.feedback import captures, shown
from rcmvae.feedback.opened import OpenedStore
from rcmvae.feedback.record import Capture, Unlabelled
from rcmvae.feedback.rows import record_of
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.shown import PlacedCapture, Span
from rcmvae.feedback.status import STANDING


class CaptureStore(OpenedStore):
    """Inputs of predictions, kept until they are old or many."""

    def save_captures(self, items: Sequence[Capture]) -> None:
        """Keep inputs of predictions; a prediction id that is kept already stays as it is."""
        with self._database.write() as connection:
            captures.insert_captures(connection, items)

    def captured(self, prediction_id: str) -> Capture:
        """Return the kept input of a prediction.

        Raises:
            PredictionNotFound: never kept, or trimmed since.
        """
        with self._database.read() as connection:
            return captures.find_capture(connection, prediction_id)

    def captured_many(self, prediction_ids: Iterable[str]) -> Mapping[str, Capture]:
        """Return the kept inputs of predictions by id; an id that is not kept is left out."""
        with self._database.read() as connection:
            return captures.find_captures(connection, prediction_ids)

    def unlabelled(self, limit: int) -> Unlabelled:
        """Return the newest inputs without a label, and the newest corrections beside them.

        Args:
            limit: at most so many of each, at least 1. Corrections that are and will be in no
                bundle are left out, and what they named is not offered again.
        """
        kept = feedback.c.status.in_([status.value for status in STANDING])
        query = select(feedback).where(kept).order_by(feedback.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            found = captures.newest_without_feedback(connection, limit)
            rows = connection.execute(query).all()
        return Unlabelled(found, tuple(record_of(row) for row in rows))

    def capture_span(self) -> Span:
        """Return where the kept captures begin and end, in the order in which they came."""
        with self._database.read() as connection:
            return shown.capture_span(connection)

    def captures_after(self, place: int, limit: int) -> tuple[PlacedCapture, ...]:
        """Return the captures after a place, oldest first, at most ``limit``."""
        with self._database.read() as connection:
            return shown.captures_after(connection, place, limit)

    def forget_captures(self, oldest: datetime) -> int:
        """Delete the captures from before ``oldest``, and return how many went."""
        with self._database.write() as connection:
            return captures.delete_before(connection, oldest, self._clock())

    def trim_captures(self, keep: int) -> int:
        """Delete all but the newest ``keep`` captures and return how many went."""
        if keep < 0:
            raise ValueError(f"expected keep >= 0, got {keep}")
        with self._database.write() as connection:
            return captures.delete_oldest(connection, keep)
