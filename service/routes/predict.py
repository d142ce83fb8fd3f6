"""POST /predict."""

import secrets
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from rcmvae.decision import Decision, decide, decide_batch
from rcmvae.prediction import PredictionBatch
from service.answer import Answer, Header, encode_records
from service.answer_columns import columns_of, encode_columns
from service.body import header, media_type, read_body
from service.capture import Seen
from service.include import JsonFormat
from service.predict_request import PredictRequest, parse_predict
from service.question import Question
from service.runtime import Runtime, runtime_of
from service.served import Served
from service.wire.accept import negotiate
from service.wire.media_types import ARROW, WRITTEN


async def predict(request: Request) -> Response:
    """Answer for one or many inputs; all by the bundle that was current when they were read."""
    runtime = runtime_of(request)
    settings = runtime.settings
    body = await read_body(
        request, limit=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds
    )
    served = runtime.bundles.current()
    written = negotiate(header(request.scope, b"accept"), WRITTEN)
    kind, query, signature = media_type(request), request.query_params, served.manifest.input
    parsed = await runtime.read(
        body, lambda: parse_predict(kind, query, body, signature, settings.max_rows)
    )
    coverage = parsed.coverage or served.predictor.calibration.coverage
    question = Question(served, parsed.x, coverage, parsed.sampling)
    answer = await runtime.batcher.answer(
        question,
        lambda batch: _encoded(_answer(runtime, question, parsed, batch), parsed.format, written),
        within_seconds=settings.timeout_seconds,
    )
    return Response(answer, media_type=written)


def _answer(
    runtime: Runtime, question: Question, parsed: PredictRequest, batch: PredictionBatch
) -> Answer:
    """What one request gets for its own rows."""
    served = question.served
    alpha = parsed.alpha or default_alpha(runtime, served)
    decisions = _decisions(batch, alpha, parsed.fdr)
    ids = _prediction_ids(len(batch))
    labels = batch.predicted
    runtime.metrics.answers.count_answers(decisions, labels)
    if runtime.settings.capture:
        now = datetime.now(UTC)
        runtime.captures.add(
            Seen(name, x, served.version, now) for name, x in zip(ids, parsed.x, strict=True)
        )
    of_all = Header(served.version, alpha, question.coverage, parsed.fdr)
    return Answer(of_all, batch, labels, decisions, ids, parsed.parts)


def _encoded(answer: Answer, layout: JsonFormat, media_type: str) -> bytes:
    if media_type == ARROW:
        # Imported here: a worker that never meets Arrow does without its 27 MB.
        from service.wire.arrow_out import write_stream  # noqa: PLC0415

        return write_stream(columns_of(answer), answer.header.texts())
    return encode_columns(answer) if layout is JsonFormat.COLUMNS else encode_records(answer)


def _decisions(batch: PredictionBatch, alpha: float, fdr: float | None) -> list[Decision]:
    if fdr is None:
        return decide(batch.p_familiar, batch.p_owned, alpha)
    return decide_batch(batch.p_familiar, batch.p_owned, fdr)


def default_alpha(runtime: Runtime, served: Served) -> float:
    """The false-alarm rate of a request that names none."""
    return runtime.settings.alpha or served.predictor.calibration.alpha


def _prediction_ids(count: int) -> list[str]:
    request_id = secrets.token_hex(12)
    return [f"{request_id}-{i}" for i in range(count)]
