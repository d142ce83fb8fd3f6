"""How many jobs there are, how far, and when the last of a kind ended; made to be asked often."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback.store import FeedbackStore
from rcmvae.jobs.record import JobMethod, JobState
from rcmvae.jobs.schema import retrain_job


@dataclass(frozen=True, slots=True)
class JobTally:
    """The jobs of one method and one state.

    Attributes:
        method: what was asked for, or what was done once that is known.
        state: where they stand.
        count: how many.
        finished: when the last of them ended; None where none has.
        progress: share that is done of the one that is farthest, in [0, 1].
    """

    method: JobMethod
    state: JobState
    count: int
    finished: datetime | None
    progress: float


def tally_jobs(store: FeedbackStore) -> tuple[JobTally, ...]:
    """Count the jobs beside the feedback of a store.

    Raises:
        StoreUnavailable: the database does not answer, or a newer version of this code wrote it.
    """
    kinds = (retrain_job.c.method, retrain_job.c.state)
    figures = func.count(), func.max(retrain_job.c.finished), func.max(retrain_job.c.progress)
    query = select(*kinds, *figures).group_by(*kinds)
    with store.database.read() as connection:
        rows = connection.execute(query.order_by(*kinds)).all()
    try:
        return tuple(
            JobTally(JobMethod(method), JobState(state), int(count), last, float(progress))
            for method, state, count, last, progress in rows
        )
    except ValueError as error:
        raise StoreUnavailable(f"a newer version wrote the retrain jobs: {error}") from None
