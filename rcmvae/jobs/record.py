"""What a retrain job is, from the request to its result. Nothing here knows the database."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rcmvae.bundle import GateReport


class JobMethod(StrEnum):
    """What a job does.

    auto      relabel what waits; refit where labels wait that no channel is free for
    relabel   add or take counts; no training
    refit     continue training from the current weights
    promote   a person moved the pointer to a version that was not its turn, such as a held one
    rollback  a person moved the pointer back
    """

    AUTO = "auto"
    RELABEL = "relabel"
    REFIT = "refit"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


class JobLane(StrEnum):
    """Jobs of one lane run one at a time; a relabel goes on beside a refit.

    relabel  relabels, and what is not known yet: seconds
    refit    refits: minutes
    """

    RELABEL = "relabel"
    REFIT = "refit"

    @classmethod
    def of(cls, method: JobMethod) -> "JobLane":
        """Where jobs of a method run."""
        return cls.REFIT if method is JobMethod.REFIT else cls.RELABEL


class JobOrigin(StrEnum):
    """Why there is a job: a person asked, labels waited, or what makes a refit due."""

    REQUEST = "request"
    LABELS = "labels"
    DRIFT = "drift"
    SCHEDULE = "schedule"
    CHANNELS = "channels"


class JobState(StrEnum):
    """Where a job stands in its life.

    requested  durable, waiting for a worker
    running    a worker holds it under a lease; when the lease ends another takes it over
    done       final: it did what was to be done, which may be nothing
    failed     final: an error, which the message names
    """

    REQUESTED = "requested"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobCounts(BaseModel):
    """How many corrections a job brought where.

    Attributes:
        applied: a bundle holds them now.
        withdrawn: taken back out of the label map.
        rejected: never to be applied.
        quarantined: set aside until a person decides.
        waiting: queued until a refit, as no channel is free for their label.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    applied: int = 0
    withdrawn: int = 0
    rejected: int = 0
    quarantined: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of a job.

    Args:
        state: DONE or FAILED.
        message: for people; of a failed job the error.
        method: what was done in the end, where ``auto`` was asked for; None for nothing.
        version: the bundle that it made or moved the pointer to; None where there is none.
        gate: what the gate said, the worst of several; None where it was not asked.
        counts: of the corrections.
    """

    state: JobState
    message: str
    method: JobMethod | None = None
    version: str | None = None
    gate: GateReport | None = None
    counts: JobCounts = field(default_factory=JobCounts)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the store holds it.

    Args:
        job_id: 32 hexadecimal digits.
        method: what was asked for, or what was done once that is known.
        origin: why.
        requested_by: who asked, for people to read; None where nobody did.
        state: see JobState.
        requested: when it became durable; aware, UTC, as all times here.
        started: when a worker first took it.
        finished: when it ended.
        lease_expires: until when its worker holds it; None unless running.
        attempts: workers that took it and did not give it back.
        worker: who works or worked on it last.
        progress: share that is done, in [0, 1].
        message: the step it is at, or the result.
        version: see JobResult, as the next two.
        gate: see there.
        counts: see there.
    """

    job_id: str
    method: JobMethod
    origin: JobOrigin
    requested_by: str | None
    state: JobState
    requested: datetime
    started: datetime | None
    finished: datetime | None
    lease_expires: datetime | None
    attempts: int
    worker: str | None
    progress: float
    message: str
    version: str | None
    gate: GateReport | None
    counts: JobCounts

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return self.state in (JobState.REQUESTED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class JobClaim:
    """A job lent to one worker.

    Args:
        token: the fence; the store takes results only from the holder of the newest token.
        job: as it was taken.
    """

    token: str
    job: JobRecord
