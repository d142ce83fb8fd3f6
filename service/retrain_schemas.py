"""What goes over the wire about retraining and versions, as pydantic models."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from rcmvae.bundle import FileEntry, GateReport, Lineage
from rcmvae.bundle.manifest import Method
from rcmvae.jobs import JobCounts, JobMethod, JobOrigin, JobRecord, JobState, VersionState


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AskedMethod(StrEnum):
    """What POST /retrain may ask for."""

    AUTO = "auto"
    RELABEL = "relabel"
    REFIT = "refit"


class RetrainBody(_Wire):
    """Body of POST /retrain."""

    method: AskedMethod = Field(AskedMethod.AUTO, description="auto if none.")


class RetrainReceipt(_Wire):
    """Answer of POST /retrain, sent once the request is durable."""

    job_id: str


class RetrainJob(_Wire):
    """A retrain job, or a pointer that a person moved."""

    job_id: str
    method: JobMethod = Field(description="Asked for; what was done, once that is known.")
    origin: JobOrigin = Field(description="Why there is a job.")
    requested_by: str | None
    state: JobState
    requested: datetime
    started: datetime | None
    finished: datetime | None
    attempts: int = Field(description="Watchers that took it and did not give it back.")
    worker: str | None
    progress: Annotated[float, Field(ge=0, le=1)]
    message: str
    version: str | None = Field(description="The bundle that it made or moved to.")
    gate: GateReport | None
    counts: JobCounts

    @classmethod
    def of(cls, job: JobRecord) -> "RetrainJob":
        """A job as it stands in the store."""
        return cls(**{name: getattr(job, name) for name in cls.model_fields})


class RetrainState(StrEnum):
    """Whether something is going on."""

    IDLE = "idle"
    REQUESTED = "requested"
    RUNNING = "running"


class RetrainAnswer(_Wire):
    """Answer of GET /retrain."""

    state: RetrainState
    job: RetrainJob | None = Field(description="The one that runs, or the oldest that waits.")
    history: list[RetrainJob] = Field(description="Newest first.")


class VersionBody(_Wire):
    """Body of POST /bundle/promote and POST /bundle/rollback."""

    version: str | None = Field(None, description="Only a roll-back does without: to the parent.")


class VersionEntry(_Wire):
    """A version on disk."""

    bundle_version: str
    parent_version: str | None
    created: datetime
    method: Method
    labels: list[str]
    metrics: dict[str, float]
    gate: GateReport | None
    feedback: Annotated[int, Field(ge=0, description="Corrections that it was first to hold.")]
    state: VersionState


class VersionsAnswer(_Wire):
    """Answer of GET /versions, newest version first."""

    current: str | None
    versions: list[VersionEntry]


class VersionAnswer(VersionEntry):
    """Answer of GET /versions?version=: everything about where one version comes from."""

    lineage: Lineage
    configuration: dict[str, JsonValue]
    libraries: dict[str, str]
    files: dict[str, FileEntry]
