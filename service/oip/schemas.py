"""What goes over the wire in the inference protocol, as pydantic models for OpenAPI."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.oip.outputs import OUTPUTS

Scalar = bool | int | float | str


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InferenceServer(_Wire):
    """Answer of GET /v2."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(_Wire):
    """Answer of GET /v2/health/live."""

    live: bool


class ServerReady(_Wire):
    """Answer of GET /v2/health/ready."""

    ready: bool


class ModelReady(_Wire):
    """Answer of GET /v2/models/{model}/ready."""

    name: str
    ready: bool
    version: str


class TensorMetadata(_Wire):
    """An input or output; -1 in a shape is the batch."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(_Wire):
    """Answer of GET /v2/models/{model}."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorParameters(BaseModel):
    """Parameters of an input."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = None


class InputTensor(_Wire):
    """The inputs, with data in JSON or, as the parameters then say, behind it."""

    name: Literal["input"]
    shape: Annotated[list[int], Field(min_length=2)]
    datatype: Literal["FP32", "FP64", "UINT8"]
    parameters: TensorParameters | None = None
    data: list[float | list[float] | list[list[float]] | list[list[list[float]]]] | None = None


class OutputParameters(BaseModel):
    """Parameters of a requested output."""

    binary_data: bool | None = None


class OutputRequest(_Wire):
    """An output that is asked for."""

    name: Annotated[str, Field(json_schema_extra={"enum": list(OUTPUTS)})]
    parameters: OutputParameters | None = None


class InferParameters(BaseModel):
    """Parameters of a request."""

    binary_data_output: bool = False
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    fdr: Annotated[float, Field(gt=0, lt=1)] | None = None
    coverage: Literal["marginal", "class_conditional"] | None = None
    timeout: Annotated[int, Field(ge=0, description="Microseconds; 0 is none.")] | None = None


class InferBody(_Wire):
    """Body of POST /v2/models/{model}/infer."""

    id: Annotated[str, Field(max_length=128)] | None = None
    model_name: str | None = None
    model_version: str | None = None
    parameters: InferParameters | None = None
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
    outputs: list[OutputRequest] | None = None


class OutputTensor(_Wire):
    """An output, with data in JSON or behind it."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Scalar] | None = None
    data: list[bool | int | float | str | None] | None = None


class InferAnswer(_Wire):
    """Answer of POST /v2/models/{model}/infer."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Scalar]
    outputs: list[OutputTensor]


class InferenceError(_Wire):
    """Every error of the protocol."""

    error: str
