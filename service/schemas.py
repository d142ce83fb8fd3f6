"""What goes over the wire, as pydantic models; OpenAPI is made from these."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from rcmvae.bundle.manifest import InputSignature, Lineage, Method
from rcmvae.calibration import Coverage
from rcmvae.candidates import Strategy
from rcmvae.decision import Decision
from rcmvae.feedback import FeedbackStatus
from rcmvae.jobs import JobMethod, JobState
from rcmvae.sampled import SampledChannel
from service.include import JsonFormat, Part
from service.sampling_request import MOST_DRAWS, MOST_SEED
from service.shared_drift import Question

Row = Annotated[
    list[float | list[float] | list[list[float]] | list[list[list[float]]]],
    Field(description="One input, nested as the signature's shape or flat.", min_length=1),
]
Columns = Annotated[
    dict[str, list[float]] | list[list[float]],
    Field(description="For every value of an input a list of it; by the names of the features."),
]
Nats = Annotated[float, Field(ge=-1e-6, description="In nats.")]
Share = Annotated[float, Field(ge=0, le=1.000001)]


class Wire(BaseModel):
    """Base of all models: no members but those that are named."""

    model_config = ConfigDict(extra="forbid")


class PredictBody(Wire):
    """Body of POST /predict as JSON, with either inputs or columns."""

    inputs: Annotated[list[Row], Field(min_length=1)] | None = None
    columns: Columns | None = None
    alpha: Annotated[float, Field(gt=0, lt=1, description="False-alarm rate.")] | None = None
    fdr: (
        Annotated[float, Field(gt=0, lt=1, description="False discovery rate of this batch.")]
        | None
    ) = None
    include: list[Part] | None = Field(
        None, description="Optional parts; without it all but the responsibilities."
    )
    coverage: Coverage | None = Field(
        None, description="Of the prediction sets: over all inputs, or over those of every label."
    )
    samples: Annotated[int, Field(ge=2, le=MOST_DRAWS)] | None = Field(
        None, description="Draws of the sampled uncertainty; without it there is none."
    )
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] | None = Field(
        None, description="Of the draws; 0 if none."
    )
    sample_channel: SampledChannel | None = Field(
        None, description="Draws from the best channel, or from one drawn each time; best if none."
    )
    format: JsonFormat | None = Field(None, description="Of the answer; records if none.")


class UncertaintyParts(Wire):
    """Total uncertainty about the label and the parts that sum to it."""

    total: Nats
    aleatoric: Nats
    channel_ambiguity: Nats
    label_map_ignorance: Nats
    observation_noise: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Root mean square of the decoder's sigma; under a Gaussian likelihood."
    )


class SampledParts(Wire):
    """What the model says of inputs that it decoded itself: total = expected + information."""

    total: Nats
    expected: Nats
    mutual_information: Nats
    probabilities: dict[str, Share]


class OutOfDistribution(Wire):
    """Whether the input belongs to the known world."""

    decision: Decision
    p_familiar: Share
    p_owned: Share
    scores: dict[str, float | None] | None = Field(
        None, description="Higher is stranger; null where a score is not finite."
    )


class Prediction(Wire):
    """The answer for one input."""

    prediction_id: str
    label: str
    ood: OutOfDistribution
    channel: Annotated[int, Field(ge=0)]
    probabilities: dict[str, Share] | None = None
    prediction_set: list[str] | None = None
    uncertainty: UncertaintyParts | None = None
    position: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    responsibilities: list[Share] | None = None
    sampled: SampledParts | None = None


class PredictAnswer(Wire):
    """Answer of POST /predict; every prediction comes from the one version."""

    bundle_version: str
    alpha: Annotated[float, Field(gt=0, lt=1)]
    coverage: Coverage
    fdr: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Where it was asked for: the decisions keep to it, not to alpha."
    )
    predictions: list[Prediction]


class FeedbackEntry(Wire):
    """One label: with the id of a prediction, of a reference point, or with the input."""

    label: Annotated[str, Field(min_length=1, max_length=64)]
    prediction_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")] | None = None
    reference_id: Annotated[str, Field(pattern=r"^r-[0-9]{1,18}$")] | None = None
    input: Row | None = None


class FeedbackBody(Wire):
    """Body of POST /feedback."""

    items: Annotated[list[FeedbackEntry], Field(min_length=1)]
    source: (
        Annotated[
            str, Field(min_length=1, max_length=64, description="The tool or batch it comes from.")
        ]
        | None
    ) = None


class FeedbackReceipt(Wire):
    """One accepted item."""

    feedback_id: str
    status: str


class FeedbackAnswer(Wire):
    """Answer of POST /feedback, sent once the items are durable; in their order."""

    items: list[FeedbackReceipt]


class FeedbackState(Wire):
    """Answer of GET and DELETE /feedback/{feedback_id}."""

    feedback_id: str
    label: str
    prediction_id: str | None
    status: FeedbackStatus
    author: str
    source: str | None
    created: datetime
    applied_version: str | None = Field(description="The bundle that took it in last.")
    reason: str | None
    superseded_by: str | None = Field(description="The item of the same input that prevails.")


class FeedbackListing(Wire):
    """Answer of GET /feedback, newest first."""

    items: list[FeedbackState]
    next: str | None = Field(description="Cursor of the next part; null at the end.")


class FeedbackLine(Wire):
    """One line of a history."""

    created: datetime
    actor: str = Field(description="The person, or the retrain worker.")
    status: FeedbackStatus = Field(description="What the item was from then on.")
    detail: str | None = Field(description="Label, version, reason or the item that prevails.")


class FeedbackHistory(Wire):
    """Answer of GET /feedback/{feedback_id}/events, oldest first; it only grows."""

    events: list[FeedbackLine]


class LabelState(Wire):
    """One label and what speaks for it."""

    label: str
    evidence: Annotated[float, Field(ge=0, description="Weighted number of labelled samples.")]
    channels: Annotated[int, Field(ge=0, description="Channels that speak mostly for it.")]


class LabelsAnswer(Wire):
    """Answer of GET /labels, in the order of the bundle."""

    bundle_version: str
    labels: list[LabelState]


class AlphaState(Wire):
    """The false-alarm rate in force and the finest that the calibration sample resolves."""

    default: Annotated[float, Field(gt=0, lt=1)]
    smallest: Annotated[float, Field(gt=0, description="No alarm can be raised below it.")]


class BundleAnswer(Wire):
    """Answer of GET /bundle."""

    bundle_version: str
    parent_version: str | None
    created: datetime
    loaded: datetime
    input: InputSignature
    labels: list[str]
    num_channels: int
    latent_dim: int
    lineage: Lineage
    metrics: dict[str, float]
    providers: list[str]
    alpha: AlphaState


class Candidate(Wire):
    """A captured input that would be worth a label."""

    prediction_id: str
    created: datetime
    label: str = Field(description="What the bundle says now.")
    probability: Share = Field(description="Of that label.")
    channel: Annotated[int, Field(ge=0)]
    ood: OutOfDistribution
    uncertainty: UncertaintyParts
    score: float = Field(description="Of the strategy; higher is more useful.")
    reason: str
    input: Row | None = None


class CandidatesAnswer(Wire):
    """Answer of GET /candidates, the most useful input first."""

    bundle_version: str
    strategy: Strategy
    pool: Annotated[int, Field(ge=0, description="Inputs without a label that were looked at.")]
    candidates: list[Candidate]


class PredictionEvent(Wire):
    """An input that somebody sent, to any worker, and what the bundle served now says of it."""

    prediction_id: str
    created: datetime
    bundle_version: str = Field(description="That says this; another may have answered.")
    label: str
    channel: Annotated[int, Field(ge=0)]
    position: Annotated[list[float], Field(min_length=2, max_length=2)]
    decision: Decision
    p_familiar: Share
    p_owned: Share
    total: Nats
    skipped: Annotated[int, Field(ge=0)] = Field(
        0, description="Inputs between the event before and this one that no event tells of."
    )


class BundleEvent(Wire):
    """The bundle that is served now."""

    bundle_version: str
    parent_version: str | None
    method: Method
    labels: list[str]


class RetrainEvent(Wire):
    """The newest retrain job."""

    job_id: str
    method: JobMethod
    state: JobState
    requested: datetime
    started: datetime | None
    finished: datetime | None
    progress: Share
    message: str
    version: str | None


class ChannelState(Wire):
    """One channel: what it stands for, and how much it holds."""

    channel: Annotated[int, Field(ge=0)]
    usage: Share = Field(description="Share of the training stream.")
    free: bool = Field(description="Whether no label speaks for it.")
    label: str | None = Field(description="Which speaks most for it; null where it is free.")
    evidence: dict[str, Annotated[float, Field(ge=0)]] = Field(
        description="Labelled samples in it, by label; labels without any are left out."
    )
    tau: dict[str, Share] = Field(description="The map from it to the labels.")
    position: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    points: Annotated[int, Field(ge=0, description="Reference points in it.")]


class ChannelsAnswer(Wire):
    """Answer of GET /channels, in the order of the channels."""

    bundle_version: str
    channels: list[ChannelState]


class ChannelDecoding(Wire):
    """An input as one channel decodes it."""

    channel: Annotated[int, Field(ge=0)]
    responsibility: Share
    values: Row
    sigma: Row | None = Field(None, description="Standard deviations; under a Gaussian likelihood.")


class ReconstructAnswer(Wire):
    """Answer of POST /reconstruct: for every input its best channels, the best first."""

    bundle_version: str
    reconstructions: list[list[ChannelDecoding]]


class DriftQuestion(Wire):
    """One question over all workers of the server."""

    question: Question
    drifting: bool = Field(description="Whether an alarm lies within the window.")
    evidence: Annotated[float, Field(ge=0, description="An alarm is raised where it reaches 1.")]
    alarms: Annotated[int, Field(ge=0)]
    inputs_since_alarm: Annotated[int, Field(ge=0)] | None
    inputs: Annotated[int, Field(ge=0)]
    calibration_inputs: int | None = Field(
        description="Size of the sample behind the p-values; null before the first answer."
    )


class DriftAnswer(Wire):
    """Answer of GET /drift."""

    bundle_version: str
    run_length: float
    window: int
    workers: int = Field(description="Those that have answered with this bundle.")
    questions: list[DriftQuestion]


class HealthAnswer(Wire):
    """Answer of /livez and /readyz."""

    status: str
    bundle_version: str | None = None


class FieldFault(Wire):
    """One field at fault."""

    field: str
    expected: str
    actual: str


class ProblemDocument(Wire):
    """Every error: RFC 9457, with `error` for clients of the inference protocol."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    errors: list[FieldFault]
    request_id: str
