"""The routes of the protocol."""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import RcmvaeError
from rcmvae.prediction import PredictionBatch
from service.access import Access, Scope, ScopedRoute
from service.answered import answered
from service.body import header, media_type, read_body, refuse_media_type
from service.include import Part
from service.oip.infer_answer import infer_response
from service.oip.infer_request import INPUT, parse_infer
from service.oip.outputs import OUTPUTS, shape_of
from service.problem import counted, problem_of, quoted, refusal
from service.question import Question
from service.runtime import Runtime, runtime_of
from service.served import Served
from service.version import VERSION
from service.wire.media_types import JSON, OCTETS

_Handler = Callable[[Request], Awaitable[Response]]
_ALL_PARTS = frozenset(Part)
# tritonclient states no type for JSON.
_READ = ("", JSON, OCTETS)


def _in_protocol(handler: _Handler) -> _Handler:
    """Errors in the protocol's own form: an object with ``error`` alone."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except RcmvaeError as error:
            problem = problem_of(error)
            counted(request, problem)
            content = orjson.dumps({"error": problem.detail})
            return Response(content, problem.status, dict(problem.headers), media_type=JSON)

    return guarded


async def server_metadata(_: Request) -> Response:
    """Name, version and extensions of the server."""
    return _json({"name": "rcmvae", "version": VERSION, "extensions": ["binary_tensor_data"]})


async def server_live(_: Request) -> Response:
    """The event loop turns."""
    return _json({"live": True})


async def server_ready(request: Request) -> Response:
    """A bundle is served."""
    runtime_of(request).bundles.current()
    return _json({"ready": True})


async def model_metadata(request: Request) -> Response:
    """Inputs and outputs of the model."""
    served = _served(request)
    manifest = served.manifest
    scores = len(served.predictor.score_names)
    tensors = [
        {"name": name, "datatype": output.datatype, "shape": shape_of(output, manifest, scores)}
        for name, output in OUTPUTS.items()
    ]
    return _json(
        {
            "name": runtime_of(request).settings.model_name,
            "versions": [served.version],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, *manifest.input.shape]}],
            "outputs": tensors,
        }
    )


async def model_ready(request: Request) -> Response:
    """The model, of this version where the path names one, is served."""
    served = _served(request)
    name = runtime_of(request).settings.model_name
    return _json({"name": name, "ready": True, "version": served.version})


async def infer(request: Request) -> Response:
    """Outputs for a batch of inputs."""
    runtime = runtime_of(request)
    with runtime.in_flight:
        return await _inferred(request, runtime)


async def _inferred(request: Request, runtime: Runtime) -> Response:
    served = _served(request)
    if media_type(request) not in _READ:
        raise refuse_media_type(f"{JSON} or {OCTETS}", media_type(request))
    settings = runtime.settings
    body = await read_body(
        request, limit=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds
    )
    length, signature = header(request.scope, b"inference-header-content-length"), served.manifest
    parsed = await runtime.read(
        body, lambda: parse_infer(body, length, signature.input, settings.max_rows)
    )
    runtime.admission.charge_rows(request, len(parsed.x))
    coverage = parsed.coverage or served.predictor.calibration.coverage
    question = Question(served, parsed.x, coverage)

    def finish(batch: PredictionBatch) -> Response:
        answer = answered(
            runtime, question, batch, alpha=parsed.alpha, fdr=parsed.fdr, parts=_ALL_PARTS
        )
        return infer_response(settings.model_name, parsed, answer)

    within = min(parsed.timeout_seconds or settings.timeout_seconds, settings.timeout_seconds)
    return await runtime.batcher.answer(question, finish, within_seconds=within)


def _served(request: Request) -> Served:
    """The bundle behind the model and version of the path.

    Raises:
        RequestRefused: 404, another model or version.
        BundleNotFound: nothing is served yet.
    """
    runtime: Runtime = runtime_of(request)
    name, version = request.path_params["model"], request.path_params.get("version")
    if name != runtime.settings.model_name:
        expected = repr(runtime.settings.model_name)
        raise refusal(404, "model-not-found", "model", expected, quoted(name))
    served = runtime.bundles.current()
    if version is not None and version != served.version:
        expected = f"{served.version!r}, which is served"
        raise refusal(404, "model-not-found", "version", expected, quoted(version))
    return served


def _json(document: dict[str, object]) -> Response:
    return Response(orjson.dumps(document), media_type=JSON)


def _route(path: str, handler: _Handler, needs: Access | Scope, method: str = "GET") -> ScopedRoute:
    return ScopedRoute(path, _in_protocol(handler), methods=[method], needs=needs)


_MODEL = "/v2/models/{model}"
_VERSION = _MODEL + "/versions/{version}"

OIP_ROUTES = (
    _route("/v2", server_metadata, Access.OPEN),
    _route("/v2/health/live", server_live, Access.OPEN),
    _route("/v2/health/ready", server_ready, Access.OPEN),
    *(_route(path, model_metadata, Access.ANY_KEY) for path in (_MODEL, _VERSION)),
    *(_route(f"{path}/ready", model_ready, Access.OPEN) for path in (_MODEL, _VERSION)),
    *(_route(f"{path}/infer", infer, Scope.PREDICT, "POST") for path in (_MODEL, _VERSION)),
)
