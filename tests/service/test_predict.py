"""POST /predict against the predictor itself."""

import asyncio
import json
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.bundle import load_bundle
from rcmvae.decision import Decision, decide, decide_batch, prediction_set
from rcmvae.predictor import Predictor
from rcmvae.sampled import Sampling
from service.runtime import LARGE_BODY
from service.schemas import PredictAnswer
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import JSON, OCTETS, ROW
from tests.service.problems import assert_problem
from tests.service.small_bundle import UNLABELLED, known_inputs, publish_small


def _answer(client: AppClient, x: NDArray[np.float32], **members: object) -> PredictAnswer:
    response = client.post("/predict", json={"inputs": x.tolist(), **members})
    assert response.status_code == 200, response.text
    return PredictAnswer.model_validate_json(response.content)


def test_answer_is_the_predictors(shared_client: AppClient) -> None:
    x = known_inputs(4, seed=5)
    predictor = Predictor.open(load_bundle(shared_client.runtime.settings.models_dir / "v1"))
    batch = predictor.predict(x)
    answer = _answer(shared_client, x, alpha=0.2)
    decisions = decide(batch.p_familiar, batch.p_owned, 0.2)
    assert answer.bundle_version == "v1"
    assert [p.label for p in answer.predictions] == batch.predicted
    assert [p.ood.decision for p in answer.predictions] == decisions
    for i, prediction in enumerate(answer.predictions):
        np.testing.assert_allclose(
            list((prediction.probabilities or {}).values()), batch.probabilities[i], atol=1e-6
        )
        assert prediction.prediction_set == prediction_set(
            batch.labels, batch.label_p_values[i], 0.2
        )
        assert list(prediction.ood.scores or {}) == list(batch.score_names)
        assert prediction.ood.p_familiar == pytest.approx(batch.p_familiar[i])
        assert prediction.channel == batch.channel[i]


def test_uncertainty_parts_sum(shared_client: AppClient) -> None:
    for prediction in _answer(shared_client, known_inputs(4, seed=6)).predictions:
        parts = prediction.uncertainty
        assert parts is not None
        total = parts.aleatoric + parts.channel_ambiguity + parts.label_map_ignorance
        assert parts.total == pytest.approx(total, abs=1e-5)


def test_the_three_decisions(shared_client: AppClient) -> None:
    known = known_inputs(1, seed=7)[0]
    unlabelled = np.array(UNLABELLED, dtype=np.float32).reshape(2, 3) * 0.9 + 0.02
    noise = np.array([[0, 1, 0], [1, 0, 1]], dtype=np.float32)
    answer = _answer(shared_client, np.stack([known, unlabelled, noise]), alpha=0.02)
    decisions = [p.ood.decision for p in answer.predictions]
    assert decisions[0] is Decision.KNOWN
    assert decisions[1] is not Decision.KNOWN
    assert decisions[2] is Decision.OUT_OF_DISTRIBUTION


def test_a_batch_can_be_decided_at_a_false_discovery_rate(shared_client: AppClient) -> None:
    """Two of noise among two known."""
    noise = np.tile(np.array([[0, 1, 0], [1, 0, 1]], dtype=np.float32), (2, 1, 1))
    x = np.concatenate([known_inputs(2, seed=9), noise])
    answer = _answer(shared_client, x, fdr=0.1)
    p = [[getattr(q.ood, name) for q in answer.predictions] for name in ("p_familiar", "p_owned")]
    decisions = [q.ood.decision for q in answer.predictions]
    assert answer.fdr == 0.1
    assert answer.alpha == 0.02
    assert decisions == decide_batch(np.array(p[0]), np.array(p[1]), 0.1)
    assert decisions[2:] == [Decision.OUT_OF_DISTRIBUTION] * 2
    response = shared_client.post(
        "/predict?dtype=float32&fdr=0.1", content=x.astype("<f4").tobytes(), headers=OCTETS
    )
    octets = PredictAnswer.model_validate_json(response.content)
    assert [q.ood.decision for q in octets.predictions] == decisions
    assert _answer(shared_client, x).fdr is None


def test_flat_nested_and_octets_agree(shared_client: AppClient) -> None:
    x = known_inputs(3, seed=8)
    nested = _answer(shared_client, x)
    flat = _answer(shared_client, x.reshape(3, 6))
    response = shared_client.post(
        "/predict?dtype=float32", content=x.astype("<f4").tobytes(), headers=OCTETS
    )
    octets = PredictAnswer.model_validate_json(response.content)
    for a, b, c in zip(nested.predictions, flat.predictions, octets.predictions, strict=True):
        assert a.ood.scores == b.ood.scores == c.ood.scores


def test_uint8_is_scaled_into_the_range(shared_client: AppClient) -> None:
    pixels = np.array([[255, 200, 255, 0, 51, 0]], dtype=np.uint8)
    response = shared_client.post(
        "/predict?dtype=uint8&alpha=0.1&include=scores", content=pixels.tobytes(), headers=OCTETS
    )
    octets = PredictAnswer.model_validate_json(response.content)
    same = _answer(shared_client, (pixels / 255).astype(np.float32), alpha=0.1, include=["scores"])
    assert octets.alpha == 0.1
    assert octets.predictions[0].ood.scores == pytest.approx(same.predictions[0].ood.scores)


def test_include_chooses_the_parts(shared_client: AppClient) -> None:
    document = {"inputs": [[0.5] * 6], "include": ["responsibilities"]}
    prediction = shared_client.post("/predict", json=document).json()["predictions"][0]
    assert set(prediction) == {"prediction_id", "label", "ood", "channel", "responsibilities"}
    assert set(prediction["ood"]) == {"decision", "p_familiar", "p_owned"}
    assert sum(prediction["responsibilities"]) == pytest.approx(1, abs=1e-5)


def test_default_has_all_but_the_responsibilities(shared_client: AppClient) -> None:
    response = shared_client.post("/predict", json={"inputs": [[0.5] * 6]})
    prediction = response.json()["predictions"][0]
    assert set(prediction) == {
        "prediction_id",
        "label",
        "probabilities",
        "prediction_set",
        "uncertainty",
        "ood",
        "channel",
        "position",
    }


def test_sets_are_of_the_coverage_asked_for(shared_client: AppClient) -> None:
    x = known_inputs(4, seed=5)
    predictor = Predictor.open(load_bundle(shared_client.runtime.settings.models_dir / "v1"))
    assert _answer(shared_client, x).coverage == "marginal"
    for coverage in ("marginal", "class_conditional"):
        answer = _answer(shared_client, x, alpha=0.3, coverage=coverage)
        assert answer.coverage == coverage
        p_values = predictor.predict(x, coverage=answer.coverage).label_p_values
        expected = [prediction_set(predictor.manifest.labels, row, 0.3) for row in p_values]
        assert [p.prediction_set for p in answer.predictions] == expected


def test_sampled_uncertainty_is_there_where_it_is_asked_for(shared_client: AppClient) -> None:
    x = known_inputs(1, seed=5)
    assert _answer(shared_client, x).predictions[0].sampled is None
    asked = {"samples": 3, "seed": 7, "sample_channel": "drawn"}
    predictor = Predictor.open(load_bundle(shared_client.runtime.settings.models_dir / "v1"))
    batch = predictor.predict(x, sampling=Sampling(3, 7, "drawn"))
    sampled = _answer(shared_client, x, **asked).predictions[0].sampled
    assert sampled is not None
    assert batch.sampled is not None
    assert sampled.total == pytest.approx(batch.sampled.total[0])
    assert sampled.mutual_information == pytest.approx(batch.sampled.mutual_information[0])
    octets = shared_client.post(
        "/predict?dtype=float32&samples=3&seed=7&sample_channel=drawn&coverage=class_conditional",
        content=x.astype("<f4").tobytes(),
        headers=OCTETS,
    )
    same = PredictAnswer.model_validate_json(octets.content)
    assert same.predictions[0].sampled == sampled
    assert same.coverage == "class_conditional"


def test_ids_are_distinct(shared_client: AppClient) -> None:
    answers = [_answer(shared_client, known_inputs(4, seed=9)) for _ in range(3)]
    ids = [p.prediction_id for answer in answers for p in answer.predictions]
    assert len(set(ids)) == 12


def test_large_batch_in_its_thread_answers_the_same(shared_client: AppClient) -> None:
    """The fixture runs up to two inputs on the loop; four go to the thread."""
    x = known_inputs(4, seed=10)
    together = _answer(shared_client, x).predictions
    alone = [_answer(shared_client, x[i : i + 1]).predictions[0] for i in range(4)]
    for a, b in zip(together, alone, strict=True):
        assert a.label == b.label
        assert a.ood.scores == pytest.approx(b.ood.scores, rel=1e-4, abs=1e-5)


def test_alpha_default_is_the_bundles_unless_set(client: AppClient, settings: Settings) -> None:
    assert _answer(client, known_inputs(1, seed=1)).alpha == 0.02
    with running_app(settings.model_copy(update={"alpha": 0.3})) as other:
        assert _answer(other, known_inputs(1, seed=1)).alpha == 0.3
        assert other.get("/bundle").json()["alpha"]["default"] == 0.3


def test_without_a_bundle(empty: AppClient) -> None:
    assert empty.get("/livez").status_code == 200
    assert_problem(empty.get("/readyz"), 503)
    for path in ("/labels", "/bundle"):
        assert_problem(empty.get(path), 503)
    response = empty.post("/predict", json={"inputs": [[0.5] * 6]})
    assert_problem(response, 503)
    assert response.headers["retry-after"] == "1"


def test_charset_and_case_of_the_type_do_not_matter(shared_client: AppClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    content = json.dumps({"inputs": [[0.5] * 6]}).encode()
    assert shared_client.post("/predict", content=content, headers=headers).status_code == 200


def test_a_request_in_the_thread_does_not_stop_the_loop(client: AppClient) -> None:
    """While a slow large batch runs, the loop answers other requests."""
    served = client.runtime.bundles.current()
    original = served.predictor.predict

    begun, go_on = threading.Event(), threading.Event()

    def slow(x: NDArray[np.float32], **asked: Any) -> object:
        begun.set()
        assert go_on.wait(20), "nothing else was answered meanwhile"
        return original(x, **asked)

    served.predictor.predict = slow  # type: ignore[method-assign, assignment]

    async def both() -> None:
        large = asyncio.create_task(
            client._http.post("/predict", json={"inputs": known_inputs(4, seed=1).tolist()})
        )
        await asyncio.to_thread(begun.wait, 20)
        assert (await client._http.get("/livez")).status_code == 200
        go_on.set()
        assert (await large).status_code == 200

    client.call(both())


@pytest.mark.parametrize("route", ["/predict", "/feedback"])
def test_a_large_body_is_read_beside_the_loop(
    client: AppClient, settings: Settings, route: str
) -> None:
    """While the thread for large work is taken, a large body waits and a small one does not."""
    entry = {"/predict": {"inputs": [ROW]}, "/feedback": {"items": [{"input": ROW, "label": "a"}]}}
    small = json.dumps(entry[route]).encode()
    large = small.ljust(LARGE_BODY + 1)
    go_on = threading.Event()

    async def both(large_app: AppClient) -> tuple[int, int]:
        taken = large_app.runtime.large_work.submit(go_on.wait, 20)
        waiting = asyncio.create_task(large_app._http.post(route, content=large, headers=JSON))
        try:
            quick = await large_app._http.post(route, content=small, headers=JSON)
            done, _ = await asyncio.wait([waiting], timeout=0.05)
            assert not done
        finally:
            go_on.set()
        late = await waiting
        assert taken.result()
        return quick.status_code, late.status_code

    with running_app(settings.model_copy(update={"max_body_bytes": 2 * LARGE_BODY})) as large_app:
        assert large_app.call(both(large_app)) in [(200, 200), (202, 202)]
        refused = large_app.post(route, content=b"[".ljust(LARGE_BODY + 1), headers=JSON)
        assert_problem(refused, 400, "body")


def test_bundle_and_labels(client: AppClient, settings: Settings) -> None:
    bundle = client.get("/bundle").json()
    assert bundle["bundle_version"] == "v1"
    assert bundle["parent_version"] is None
    assert bundle["input"] == {
        "shape": [2, 3],
        "dtype": "float32",
        "low": 0.0,
        "high": 1.0,
        "features": None,
    }
    assert bundle["providers"] == ["CPUExecutionProvider"]
    assert bundle["alpha"] == {"default": 0.02, "smallest": pytest.approx(2 / 401)}
    labels = client.get("/labels").json()["labels"]
    assert labels == [
        {"label": "circle", "evidence": 10.0, "channels": 1},
        {"label": "square", "evidence": 10.0, "channels": 1},
    ]
    publish_small(settings.models_dir, "v2", "v1", extra=3)
    client.runtime.bundles.refresh()
    assert client.get("/labels").json()["labels"][0]["evidence"] == 13.0
    assert client.get("/bundle").json()["parent_version"] == "v1"
