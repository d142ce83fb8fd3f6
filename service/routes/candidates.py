"""GET /candidates."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.candidates import Pool, Suggestion, pool_of, reasons, suggest
from rcmvae.decision import decide
from rcmvae.feedback import Capture, FeedbackRecord, Unlabelled
from rcmvae.input_rows import fits
from rcmvae.label_map import LabelMap
from rcmvae.prediction import PredictionBatch
from service.answered import default_alpha
from service.candidates_request import CandidatesRequest, parse_candidates
from service.json_response import json_response
from service.runtime import runtime_of
from service.schemas import Candidate, CandidatesAnswer, OutOfDistribution, UncertaintyParts
from service.served import Served

_CHUNK = 256


async def get_candidates(request: Request) -> Response:
    """Captured inputs that would be worth a label, the most useful first."""
    runtime = runtime_of(request)
    wanted = parse_candidates(request.query_params, runtime.settings.candidates_most)
    served = runtime.bundles.current()
    limit = runtime.settings.candidates_pool
    found = await runtime.store.run(lambda store: store.unlabelled(limit))
    alpha = default_alpha(runtime, served)
    answer = await runtime.beside(partial(_answer, served, found, wanted, alpha))
    return json_response(answer)


def _answer(
    served: Served, found: Unlabelled, wanted: CandidatesRequest, alpha: float
) -> CandidatesAnswer:
    """Choose among the captures, beside what people have labelled already."""
    signature = served.manifest.input
    captures = [capture for capture in found.captures if fits(capture.input, signature)]
    records = [record for record in found.feedback if fits(record.input, signature)]
    candidates: list[Candidate] = []
    if captures:
        inputs = [capture.input for capture in captures] + [record.input for record in records]
        batch = _predict(served, np.stack(inputs))
        label_map = _with_feedback(served.label_map, records, batch.responsibilities)
        labelled = np.arange(len(inputs)) >= len(captures)
        # Newest first: of two as good the newer one is chosen.
        pool = pool_of(batch, label_map, np.arange(len(inputs)), labelled)
        chosen = suggest(pool, wanted.strategy, wanted.count)
        candidates = _described(pool, label_map, batch, chosen, captures, wanted, alpha)
    return CandidatesAnswer(
        bundle_version=served.version,
        strategy=wanted.strategy,
        pool=len(captures),
        candidates=candidates,
    )


def _predict(served: Served, x: NDArray[np.float32]) -> PredictionBatch:
    parts = [served.predictor.predict(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)]
    return PredictionBatch.concatenate(parts)


def _with_feedback(
    label_map: LabelMap, records: Sequence[FeedbackRecord], r: NDArray[np.float32]
) -> LabelMap:
    """The map with feedback that waits for a retraining; what it holds already stays as it is."""
    for record in records:
        label_map = label_map.with_label(record.label)
    if not records:
        return label_map
    rows = r[len(r) - len(records) :].astype(np.float64)
    names, ids = [rec.label for rec in records], [rec.feedback_id for rec in records]
    return label_map.add(rows, names, ids)


def _described(
    pool: Pool,
    label_map: LabelMap,
    batch: PredictionBatch,
    chosen: Suggestion,
    captures: Sequence[Capture],
    wanted: CandidatesRequest,
    alpha: float,
) -> list[Candidate]:
    rows = chosen.rows.tolist()
    why = reasons(pool, wanted.strategy, rows, label_map.labels)
    decisions = decide(batch.p_familiar, batch.p_owned, alpha)
    parts, names = batch.uncertainty, batch.predicted
    return [
        Candidate(
            prediction_id=captures[i].prediction_id,
            created=captures[i].created,
            label=names[i],
            probability=float(batch.probabilities[i].max()),
            channel=int(batch.channel[i]),
            ood=OutOfDistribution(
                decision=decisions[i],
                p_familiar=float(batch.p_familiar[i]),
                p_owned=float(batch.p_owned[i]),
            ),
            uncertainty=UncertaintyParts(
                total=float(parts.total[i]),
                aleatoric=float(parts.aleatoric[i]),
                channel_ambiguity=float(parts.channel_ambiguity[i]),
                label_map_ignorance=float(parts.label_map_ignorance[i]),
            ),
            score=float(score),
            reason=sentence,
            input=captures[i].input.tolist() if wanted.with_input else None,
        )
        for i, score, sentence in zip(rows, chosen.scores.tolist(), why, strict=True)
    ]
