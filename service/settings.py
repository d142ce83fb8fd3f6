"""Every setting of the service in one table: name, default, help."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from rcmvae.drift import RUN_LENGTH
from rcmvae.provider import BY_NAME
from service.access.quota import parse_quota
from service.capture_policy import CapturePolicy
from service.log_form import LogForm


def _is_quota(notation: str) -> str:
    parse_quota("units", notation)
    return notation


PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_ONE = f"({'|'.join(BY_NAME)})"
_PROVIDERS = f"^(auto|{_ONE}(,{_ONE})*)$"


class Settings(BaseSettings):
    """Read from environment variables: the field's name in capitals after ``RCMVAE_``.

    Address and port belong to BentoML: ``bentoml serve --host --port``.
    """

    model_config = SettingsConfigDict(env_prefix="RCMVAE_", frozen=True)

    models_dir: Path = Field(Path("models"), description="Folder of the bundles and the pointer.")
    store_url: str = Field(
        "sqlite:///var/feedback.db", description="Feedback store, an SQLAlchemy URL."
    )
    model_name: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$")] = Field(
        "rcmvae", description="Name of the model in the inference protocol (/v2/models/NAME)."
    )
    poll_seconds: PositiveFloat = Field(
        0.25, description="How often each worker reads the pointer, in seconds."
    )
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Default false-alarm rate; without it the bundle's own."
    )
    max_body_bytes: PositiveInt = Field(
        8 * 1024 * 1024, description="Largest request body, declared or streamed, in bytes."
    )
    body_timeout_seconds: PositiveFloat = Field(
        30.0, description="How long a request body may take to arrive, in seconds."
    )
    max_rows: PositiveInt = Field(4096, description="Most inputs or feedback items in one request.")
    inline_rows: Annotated[int, Field(ge=0)] = Field(
        16,
        description="Up to so many inputs run together on the event loop, more in a thread; "
        "on a GPU all do.",
    )
    batch_rows: PositiveInt = Field(
        128, description="Most inputs in one run in the thread; larger requests take several."
    )
    queue_rows: PositiveInt = Field(
        8192, description="Inputs and draws that may wait for a run before requests are refused."
    )
    requests_in_flight: PositiveInt = Field(
        512, description="Requests for predictions that a worker has in work before it refuses."
    )
    providers: Annotated[str, Field(pattern=_PROVIDERS)] = Field(
        "auto",
        description="Execution providers in the order of preference, of tensorrt, cuda and cpu "
        "with commas, each of which must come up; auto is cuda where there is one, else cpu.",
    )
    require_cuda: bool = Field(False, description="Refuse to start without a CUDA provider.")
    threads: PositiveInt = Field(1, description="ONNX Runtime threads of each worker.")
    workers: PositiveInt = Field(1, description="Worker processes behind the one port.")
    timeout_seconds: PositiveFloat = Field(
        60.0, description="Limit for one request, its body included, in seconds."
    )
    capture: bool = Field(
        True, description="Keep inputs so that feedback can name a prediction by its id."
    )
    capture_rate: PositiveFloat = Field(
        200.0,
        description="Most inputs a second that a worker captures in the long run, doubtful ones "
        "first; RCMVAE_CAPTURE_ROWS of them may come at once.",
    )
    capture_rows: PositiveInt = Field(
        2048, description="Most captured inputs in a worker's memory; the oldest go first."
    )
    capture_flush_seconds: PositiveFloat = Field(
        0.25, description="How often captured inputs are written to the store, in seconds."
    )
    capture_keep: PositiveInt = Field(
        50_000, description="Most captured inputs in the store; the oldest go first."
    )
    capture_keep_days: PositiveFloat | None = Field(
        None, description="Oldest captured inputs in the store, in days; without it any age."
    )
    capture_policy: CapturePolicy = Field(
        CapturePolicy.ALL,
        description="Which inputs are captured within the rate: all, or doubtful, which is what is "
        "not known, what is uncertain, and a share of the rest.",
    )
    capture_uncertain: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.5, description="Doubtful: total entropy from which on an input is uncertain, in nats."
    )
    capture_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05, description="Doubtful: the share of the rest."
    )
    candidates_pool: PositiveInt = Field(
        2000, description="Newest captured inputs among which GET /candidates chooses."
    )
    candidates_most: PositiveInt = Field(
        100, description="Most inputs that one GET /candidates answers with."
    )
    map_points: PositiveInt = Field(
        100_000, description="Most points of each source in one GET /latent-map."
    )
    event_streams: PositiveInt = Field(
        32, description="Most streams of GET /events at once at each worker."
    )
    drift_run_length: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        RUN_LENGTH,
        description="Drift: inputs for one false alarm of a question on average, at least.",
    )
    drift_window: PositiveInt = Field(
        10_000, description="Drift: for so many inputs an alarm counts as drift."
    )
    keys_file: Path | None = Field(
        None, description="File of the API keys; without it loopback is open, and nothing else."
    )
    rate_requests: Annotated[str, AfterValidator(_is_quota)] | None = Field(
        None,
        description="Requests of one key or address, as 600/minute; each worker counts its own.",
    )
    rate_rows: Annotated[str, AfterValidator(_is_quota)] | None = Field(
        None, description="The same for inputs, draws and feedback items, as 100000/minute."
    )
    public_without_keys: bool = Field(
        False, description="Without keys, answer everybody on any address; for trusted networks."
    )
    metrics_dir: Path | None = Field(
        None,
        description="Folder of the workers' metric files, emptied at start; "
        "without it a temporary one.",
    )
    tracing: bool = Field(
        False, description="Record OpenTelemetry spans; roughly doubles the cost of a request."
    )
    access_log: bool = Field(False, description="Log a line for every request.")
    log_form: LogForm = Field(
        LogForm.AUTO, description="Log lines as json or text; auto is text at a terminal."
    )

    @property
    def wanted_providers(self) -> tuple[str, ...]:
        """The providers as ONNX Runtime names them; empty for auto."""
        if self.providers == "auto":
            return ()
        return tuple(BY_NAME[name] for name in dict.fromkeys(self.providers.split(",")))


def environment_name(field: str) -> str:
    """The environment variable of a setting."""
    return f"RCMVAE_{field.upper()}"
