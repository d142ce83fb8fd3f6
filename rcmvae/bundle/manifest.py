"""The manifest: what a bundle says about itself.

The format is documented for other readers in models/README.md; a change there is a change here.
"""

import math
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from rcmvae.bundle.gate_report import GateReport

FORMAT_VERSION: Final = 1
MANIFEST_NAME = "manifest.json"
MANIFEST_DIGEST_NAME = "manifest.json.sha256"
VERSION_PATTERN = r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"

ENCODER = "encoder.onnx"
TAU = "tau.onnx"
DECODER = "decoder.onnx"
SCORES = "scores.onnx"
CALIBRATION = "calibration.json"
COUNTS = "counts.safetensors"
GOLDEN = "golden.safetensors"
LATENT_MAP = "latent_map.safetensors"
CHANNELS = "channels.safetensors"
WEIGHTS = "weights.safetensors"
MODEL_CARD = "MODEL_CARD.md"

REQUIRED_FILES = frozenset(
    {
        ENCODER,
        TAU,
        DECODER,
        SCORES,
        CALIBRATION,
        COUNTS,
        CHANNELS,
        GOLDEN,
        LATENT_MAP,
        WEIGHTS,
        MODEL_CARD,
    }
)

Version = Annotated[str, Field(pattern=VERSION_PATTERN)]
FileName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$")]
Label = Annotated[str, Field(min_length=1, max_length=64)]
Method = Literal["fit", "refit", "relabel"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileEntry(_Frozen):
    """Size in bytes and lower-case hexadecimal SHA-256 of one file."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class InputSignature(_Frozen):
    """What one input is: shape without the batch axis, element type, and closed value range.

    The range of a raw vector is wide: it refuses mistakes, and leaves what is strange to the
    scores. ``features`` names its values.
    """

    shape: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1, max_length=4)]
    dtype: Literal["float32"] = "float32"
    low: float = 0.0
    high: float = 1.0
    features: tuple[Label, ...] | None = None

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> "InputSignature":
        if not self.low < self.high:
            raise ValueError(f"range must have low < high, got [{self.low}, {self.high}]")
        return self

    @model_validator(mode="after")
    def _every_value_has_its_own_name(self) -> "InputSignature":
        if self.features is not None and len(set(self.features)) != self.size:
            raise ValueError(f"features must be {self.size} distinct names")
        return self

    @property
    def size(self) -> int:
        """Number of values in one input."""
        return math.prod(self.shape)


class Lineage(_Frozen):
    """How a bundle came to be: by which method, from which parent, with which feedback.

    Attributes:
        method: see there.
        parent_version: of the bundle it was made from.
        feedback_ids: corrections that the parent did not hold.
        withdrawn_ids: corrections that this one no longer holds.
        data_sha256: of the data of the fit.
        gate: what the gate said of it; None for what it did not judge, such as a fit.
    """

    method: Method
    parent_version: Version | None = None
    feedback_ids: tuple[str, ...] = ()
    withdrawn_ids: tuple[str, ...] = ()
    data_sha256: str | None = None
    gate: GateReport | None = None


class Manifest(_Frozen):
    """Everything a reader must know before it opens another file of the bundle."""

    format_version: Literal[1] = FORMAT_VERSION
    bundle_version: Version
    created: AwareDatetime
    input: InputSignature
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=4096)]
    num_channels: Annotated[int, Field(ge=1)]
    latent_dim: Annotated[int, Field(ge=1)]
    lineage: Lineage
    configuration: dict[str, JsonValue]
    metrics: dict[str, float]
    libraries: dict[str, str]
    files: dict[FileName, FileEntry]

    @model_validator(mode="after")
    def _labels_are_distinct(self) -> "Manifest":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must be distinct")
        return self
