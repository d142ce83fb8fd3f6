"""From the predictions of a request's rows to its answer: decided, counted, kept for feedback."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from rcmvae.decision import Decision, decide, decide_batch
from rcmvae.prediction import PredictionBatch
from service.answer import Answer, Header
from service.capture import Seen
from service.include import Part
from service.question import Question
from service.runtime import Runtime
from service.served import Served


def answered(
    runtime: Runtime,
    question: Question,
    batch: PredictionBatch,
    *,
    alpha: float | None,
    fdr: float | None,
    parts: frozenset[Part],
) -> Answer:
    """What one request gets for its own rows; called once for every request that is answered.

    Args:
        runtime: has the metrics and the captures.
        question: what was run.
        batch: its predictions, N rows.
        alpha: false-alarm rate; None for the default.
        fdr: false discovery rate of the decisions in alpha's place; None for none.
        parts: the optional parts to write.
    """
    served = question.served
    alpha = alpha or default_alpha(runtime, served)
    decisions = _decisions(batch, alpha, fdr)
    ids, labels = _prediction_ids(len(batch)), batch.predicted
    runtime.metrics.answers.count_answers(decisions, labels)
    if runtime.settings.capture:
        _keep(runtime, question, batch, decisions, ids)
    header = Header(served.version, alpha, question.coverage, fdr)
    return Answer(header, batch, labels, decisions, ids, parts)


def _keep(
    runtime: Runtime,
    question: Question,
    batch: PredictionBatch,
    decisions: list[Decision],
    ids: Sequence[str],
) -> None:
    """Capture what the policy and the rate let pass."""
    chosen = runtime.capture_choice.chosen(decisions, batch.uncertainty.total)
    if chosen.refused:
        runtime.metrics.captures_skipped.inc(chosen.refused)
    if chosen.kept:
        now, version = datetime.now(UTC), question.served.version
        # A row is copied, as a view of it would keep all rows of its request in memory.
        runtime.captures.add(
            [Seen(ids[i], question.x[i].copy(), version, now) for i in chosen.kept]
        )


def default_alpha(runtime: Runtime, served: Served) -> float:
    """The false-alarm rate of a request that names none."""
    return runtime.settings.alpha or served.predictor.calibration.alpha


def _decisions(batch: PredictionBatch, alpha: float, fdr: float | None) -> list[Decision]:
    if fdr is None:
        return decide(batch.p_familiar, batch.p_owned, alpha)
    return decide_batch(batch.p_familiar, batch.p_owned, fdr)


def _prediction_ids(count: int) -> list[str]:
    request_id = secrets.token_hex(12)
    return [f"{request_id}-{i}" for i in range(count)]
