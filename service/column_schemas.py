"""Answers of POST /predict by columns, as pydantic models; the records are in `schemas`."""

from typing import Annotated

from pydantic import Field

from rcmvae.calibration import Coverage
from rcmvae.decision import Decision
from service.schemas import Nats, Share, Wire


class UncertaintyColumns(Wire):
    """The parts of the uncertainty of N inputs."""

    total: list[Nats]
    aleatoric: list[Nats]
    channel_ambiguity: list[Nats]
    label_map_ignorance: list[Nats]
    observation_noise: list[Annotated[float, Field(gt=0)]] | None = None


class SampledColumns(Wire):
    """What the model says of inputs that it decoded itself, for N inputs."""

    total: list[Nats]
    expected: list[Nats]
    mutual_information: list[Nats]
    probabilities: dict[str, list[Share]]


class OutOfDistributionColumns(Wire):
    """Whether N inputs belong to the known world."""

    decision: list[Decision]
    p_familiar: list[Share]
    p_owned: list[Share]
    scores: dict[str, list[float | None]] | None = None


class PredictionColumns(Wire):
    """The names of a prediction, each with the values of all N inputs."""

    prediction_id: list[str]
    label: list[str]
    ood: OutOfDistributionColumns
    channel: list[Annotated[int, Field(ge=0)]]
    probabilities: dict[str, list[Share]] | None = None
    prediction_set: list[list[str]] | None = None
    uncertainty: UncertaintyColumns | None = None
    position: list[Annotated[list[float], Field(min_length=2, max_length=2)]] | None = None
    responsibilities: list[list[Share]] | None = None
    sampled: SampledColumns | None = None


class PredictColumnsAnswer(Wire):
    """Answer of POST /predict with `format` columns."""

    bundle_version: str
    alpha: Annotated[float, Field(gt=0, lt=1)]
    coverage: Coverage
    fdr: Annotated[float, Field(gt=0, lt=1)] | None = None
    columns: PredictionColumns
