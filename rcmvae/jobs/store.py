"""The store of jobs: asked for by anybody, worked on one of a lane at a time, never lost.

Every method is one transaction, as in the feedback store, whose database this is.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, func, insert, select, union, update
from sqlalchemy.exc import IntegrityError

from rcmvae.bundle import GateReport
from rcmvae.errors import ClaimLost, JobNotFound, StoreUnavailable
from rcmvae.feedback.database import Database
from rcmvae.feedback.opened import utc_now
from rcmvae.feedback.postgresql import lock_jobs
from rcmvae.feedback.record import check_name
from rcmvae.feedback.store import FeedbackStore
from rcmvae.jobs.record import (
    JobClaim,
    JobCounts,
    JobLane,
    JobMethod,
    JobOrigin,
    JobRecord,
    JobResult,
    JobState,
)
from rcmvae.jobs.schema import retrain_job

LONGEST_MESSAGE = 2000
MOST_ATTEMPTS = 5
"""Workers that may die over one job before it counts as failed."""
RECENT, RECENT_REFITS = 100, 20
"""Jobs by which it is judged what is due."""
_REQUESTED, _RUNNING = JobState.REQUESTED.value, JobState.RUNNING.value


class JobStore:
    """Jobs in the database of a feedback store. Threads may share it; processes may not.

    Every method may raise StoreUnavailable when the database does not answer.

    Args:
        database: of the feedback store.
        clock: gives the time for leases; see FeedbackStore.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def of(cls, store: FeedbackStore) -> "JobStore":
        """The jobs beside the feedback of a store, by the same clock."""
        return cls(store.database, store.clock)

    def request(
        self,
        method: JobMethod,
        origin: JobOrigin,
        by: str | None = None,
        *,
        at_most_every: timedelta = timedelta(0),
    ) -> JobRecord:
        """Ask for a job; where the same one waits already, it is the answer.

        Args:
            method: what to do.
            origin: why.
            by: who asks.
            at_most_every: a job of the same method and origin that was asked for within this time
                is the answer too, whatever became of it.
        """
        if by is not None:
            check_name("by", by)
        with self._database.write() as connection:
            lock_jobs(connection)
            now = self._clock()
            asked = retrain_job.c.requested
            # Both ends: after a clock that went back, what it wrote before lies ahead of it.
            is_recent = (asked > now - at_most_every) & (asked < now + at_most_every)
            alike = select(retrain_job).where(
                retrain_job.c.method == method.value,
                retrain_job.c.origin == origin.value,
                (retrain_job.c.state == _REQUESTED) | is_recent,
            )
            row = connection.execute(alike.order_by(retrain_job.c.seq.desc()).limit(1)).first()
            if row is not None:
                return _record_of(row)
            return _insert(connection, method, origin, by, now, state=_REQUESTED)

    def record_move(
        self, method: JobMethod, version: str, by: str | None, message: str, counts: JobCounts
    ) -> JobRecord:
        """Write down that a person moved the pointer, as a job that is done."""
        with self._database.write() as connection:
            now = self._clock()
            return _insert(
                connection,
                method,
                JobOrigin.REQUEST,
                by,
                now,
                state=JobState.DONE.value,
                started=now,
                finished=now,
                progress=1.0,
                version=version,
                message=message[:LONGEST_MESSAGE],
                counts=counts.model_dump_json(),
            )

    def claim(
        self,
        worker: str,
        lease: timedelta,
        lanes: Sequence[JobLane] = tuple(JobLane),
        *,
        auto: JobLane = JobLane.RELABEL,
    ) -> JobClaim | None:
        """Take the job whose worker is gone, or the oldest that waits; None where none may begin.

        A job over which MOST_ATTEMPTS workers died is failed instead.

        Args:
            worker: name of the taker, for people to read.
            lease: how long nobody else can take it; see renew.
            lanes: where to look, in this order.
            auto: the lane of jobs that leave the method open; in that of refits they become one.
        """
        check_name("worker", worker)
        if lease <= timedelta(0):
            raise ValueError(f"expected lease > 0, got {lease}")
        try:
            with self._database.write() as connection:
                now = self._clock()
                for lane in lanes:
                    due = _due(connection, now, lane, auto)
                    if due is not None:
                        return _take(connection, due, worker, now, lease, lane)
                return None
        except StoreUnavailable as error:
            # The slot is taken: another worker was faster by less than a transaction.
            if isinstance(error.__cause__, IntegrityError):
                return None
            raise

    def take_turn(self, token: str) -> bool:
        """Let no relabel begin until this job ends; False while one runs.

        So that a refit of minutes does not lose the race for the pointer to relabels of seconds.

        Raises:
            ClaimLost: as renew.
        """
        try:
            with self._database.write() as connection:
                _set(connection, token, {"slot": JobLane.RELABEL.value})
        except StoreUnavailable as error:
            if isinstance(error.__cause__, IntegrityError):
                return False
            raise
        return True

    def renew(self, token: str, lease: timedelta) -> None:
        """Hold a job for another lease.

        Raises:
            ClaimLost: another worker has it, or it is finished.
        """
        with self._database.write() as connection:
            _set(connection, token, {"lease_expires": self._clock() + lease})

    def report(self, token: str, progress: float, message: str) -> None:
        """Say how far a job is; raises as renew."""
        values = {"progress": progress, "message": message[:LONGEST_MESSAGE]}
        with self._database.write() as connection:
            _set(connection, token, values)

    def finish(self, token: str, result: JobResult) -> None:
        """End a job; raises as renew."""
        values: dict[str, object] = {
            "state": result.state.value,
            "slot": None,
            "lease_expires": None,
            "finished": self._clock(),
            "message": result.message[:LONGEST_MESSAGE],
            "version": result.version,
            "gate": None if result.gate is None else result.gate.model_dump_json(),
            "counts": result.counts.model_dump_json(),
        }
        if result.method is not None:
            values["method"] = result.method.value
        if result.state is JobState.DONE:
            values["progress"] = 1.0
        with self._database.write() as connection:
            _set(connection, token, values)

    def give_back(self, token: str) -> None:
        """Let another worker have a job, as if this one had never taken it; raises as renew."""
        values = {
            "state": _REQUESTED,
            "slot": None,
            "claim_token": None,
            "lease_expires": None,
            "attempts": retrain_job.c.attempts - 1,
        }
        with self._database.write() as connection:
            _set(connection, token, values)

    def get(self, job_id: str) -> JobRecord:
        """Return one job.

        Raises:
            JobNotFound: no such id.
        """
        query = select(retrain_job).where(retrain_job.c.job_id == job_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise JobNotFound("no retrain job has this id")
        return _record_of(row)

    def newest(self, limit: int) -> tuple[JobRecord, ...]:
        """Return the newest jobs, newest first."""
        query = select(retrain_job).order_by(retrain_job.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            return tuple(_record_of(row) for row in connection.execute(query))

    def recent(self) -> tuple[JobRecord, ...]:
        """Return the newest jobs, the newest refits before them, and the first job; newest first.

        Relabels may be many: the last refit is found however long ago it was.
        """
        newest = select(retrain_job.c.seq).order_by(retrain_job.c.seq.desc())
        is_refit = retrain_job.c.method == JobMethod.REFIT.value
        wanted = union(
            select(newest.limit(RECENT).subquery().c.seq),
            select(newest.where(is_refit).limit(RECENT_REFITS).subquery().c.seq),
            select(func.min(retrain_job.c.seq)),
        )
        query = select(retrain_job).where(retrain_job.c.seq.in_(wanted))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(retrain_job.c.seq.desc()))
            return tuple(_record_of(row) for row in rows)

    def made_current(self) -> frozenset[str]:
        """Return the versions that a person ever moved the pointer to."""
        moves = (JobMethod.PROMOTE.value, JobMethod.ROLLBACK.value)
        query = select(retrain_job.c.version).where(retrain_job.c.method.in_(moves)).distinct()
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def open_jobs(self) -> tuple[JobRecord, ...]:
        """Return the jobs that run or wait, oldest first."""
        query = select(retrain_job).where(retrain_job.c.state.in_((_REQUESTED, _RUNNING)))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(retrain_job.c.seq)).all()
        return tuple(_record_of(row) for row in rows)


def _take(
    connection: Connection,
    due: Row[Any],
    worker: str,
    now: datetime,
    lease: timedelta,
    lane: JobLane,
) -> JobClaim:
    token = uuid4().hex
    values = {
        "state": _RUNNING,
        "slot": lane.value,
        "claim_token": token,
        "worker": worker,
        "lease_expires": now + lease,
        "attempts": due.attempts + 1,
        "started": due.started if due.started is not None else now,
        "progress": 0.0,
    }
    if lane is JobLane.REFIT:
        values["method"] = JobMethod.REFIT.value
    statement = update(retrain_job).where(retrain_job.c.seq == due.seq).values(values)
    row = connection.execute(statement.returning(retrain_job)).one()
    return JobClaim(token, _record_of(row))


def _due(connection: Connection, now: datetime, lane: JobLane, auto: JobLane) -> Row[Any] | None:
    """The row of a lane to take, locked; None where a worker is at it or nothing waits."""
    running = select(retrain_job).where(retrain_job.c.state == _RUNNING).with_for_update()
    for row in connection.execute(running).all():
        own = JobLane.of(JobMethod(row.method))
        if lane not in (own, row.slot):
            continue
        if row.lease_expires > now:
            return None
        if own is not lane:
            # A refit that died while it had the turn: its own lane takes it over.
            _move(connection, row.seq, own)
        elif row.attempts < MOST_ATTEMPTS:
            return row
        else:
            _give_up(connection, row.seq, now)
    methods = [method.value for method in JobMethod if _lane_of(method, auto) is lane]
    waiting = select(retrain_job).where(
        retrain_job.c.state == _REQUESTED, retrain_job.c.method.in_(methods)
    )
    oldest = waiting.order_by(retrain_job.c.seq).limit(1).with_for_update(skip_locked=True)
    return connection.execute(oldest).one_or_none()


def _lane_of(method: JobMethod, auto: JobLane) -> JobLane:
    return auto if method is JobMethod.AUTO else JobLane.of(method)


def _move(connection: Connection, seq: int, lane: JobLane) -> None:
    connection.execute(update(retrain_job).where(retrain_job.c.seq == seq).values(slot=lane.value))


def _give_up(connection: Connection, seq: int, now: datetime) -> None:
    message = f"{MOST_ATTEMPTS} workers died over this job; the system log may say why"
    values = {
        "state": JobState.FAILED.value,
        "slot": None,
        "claim_token": None,
        "lease_expires": None,
        "finished": now,
        "message": message,
    }
    connection.execute(update(retrain_job).where(retrain_job.c.seq == seq).values(values))


def _set(connection: Connection, token: str, values: Mapping[str, object]) -> None:
    held = (retrain_job.c.claim_token == token) & (retrain_job.c.state == _RUNNING)
    done = connection.execute(update(retrain_job).where(held).values(dict(values)))
    if done.rowcount == 0:
        raise ClaimLost("the retrain job is no longer held under this token")


def _insert(
    connection: Connection,
    method: JobMethod,
    origin: JobOrigin,
    by: str | None,
    now: datetime,
    **values: object,
) -> JobRecord:
    row = {
        "job_id": uuid4().hex,
        "method": method.value,
        "origin": origin.value,
        "requested_by": by,
        "requested": now,
        "attempts": 0,
        "progress": 0.0,
        "message": "",
        "counts": JobCounts().model_dump_json(),
    }
    statement = insert(retrain_job).values(row | values).returning(retrain_job)
    return _record_of(connection.execute(statement).one())


def _record_of(row: Row[Any]) -> JobRecord:
    """Read a row.

    Raises:
        StoreUnavailable: it is damaged, or a newer version of this code wrote it.
    """
    try:
        return JobRecord(
            job_id=row.job_id,
            method=JobMethod(row.method),
            origin=JobOrigin(row.origin),
            requested_by=row.requested_by,
            state=JobState(row.state),
            requested=row.requested,
            started=row.started,
            finished=row.finished,
            lease_expires=row.lease_expires,
            attempts=row.attempts,
            worker=row.worker,
            progress=row.progress,
            message=row.message,
            version=row.version,
            gate=None if row.gate is None else GateReport.model_validate_json(row.gate),
            counts=JobCounts.model_validate_json(row.counts),
        )
    except ValueError as error:  # pydantic's among them
        raise StoreUnavailable(f"the stored retrain job {row.job_id} is damaged: {error}") from None
