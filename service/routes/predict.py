"""POST /predict."""

from functools import lru_cache

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.prediction import PredictionBatch
from service.answer import Answer, encode_records
from service.answer_columns import columns_of, encode_columns
from service.answered import answered
from service.body import header, media_type, read_body
from service.include import JsonFormat
from service.predict_request import parse_predict
from service.question import Question
from service.runtime import Runtime, runtime_of
from service.wire.accept import negotiate
from service.wire.media_types import ARROW, WRITTEN

# Clients repeat their queries, and to read one costs as much as to read a small body.
_query = lru_cache(maxsize=64)(QueryParams)


async def predict(request: Request) -> Response:
    """Answer for one or many inputs; all by the bundle that was current when they were read."""
    runtime = runtime_of(request)
    with runtime.in_flight:
        return await _predicted(request, runtime)


async def _predicted(request: Request, runtime: Runtime) -> Response:
    settings = runtime.settings
    body = await read_body(
        request, limit=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds
    )
    served = runtime.bundles.current()
    written = negotiate(header(request.scope, b"accept"), WRITTEN)
    query = _query(request.scope["query_string"])
    kind, signature = media_type(request), served.manifest.input
    parsed = await runtime.read(
        body, lambda: parse_predict(kind, query, body, signature, settings.max_rows)
    )
    draws = 0 if parsed.sampling is None else parsed.sampling.draws
    runtime.admission.charge_rows(request, len(parsed.x) * (1 + draws))
    coverage = parsed.coverage or served.predictor.calibration.coverage
    question = Question(served, parsed.x, coverage, parsed.sampling)

    def finish(batch: PredictionBatch) -> bytes:
        answer = answered(
            runtime, question, batch, alpha=parsed.alpha, fdr=parsed.fdr, parts=parsed.parts
        )
        return _encoded(answer, parsed.format, written)

    content = await runtime.batcher.answer(
        question, finish, within_seconds=settings.timeout_seconds
    )
    return Response(content, media_type=written)


def _encoded(answer: Answer, layout: JsonFormat, media_type: str) -> bytes:
    if media_type == ARROW:
        # Imported here: a worker that never meets Arrow does without its 27 MB.
        from service.wire.arrow_out import write_stream  # noqa: PLC0415

        return write_stream(columns_of(answer), answer.header.texts())
    return encode_columns(answer) if layout is JsonFormat.COLUMNS else encode_records(answer)
