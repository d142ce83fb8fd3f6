"""POST /feedback and GET /feedback/{id}."""

import unicodedata
from datetime import datetime

import numpy as np
import pytest

from rcmvae.feedback import FeedbackStore
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import ROW
from tests.service.problems import assert_problem
from tests.service.small_bundle import known_inputs, publish_small


def _predict(client: AppClient, count: int = 1) -> list[str]:
    response = client.post("/predict", json={"inputs": known_inputs(count, seed=3).tolist()})
    return [prediction["prediction_id"] for prediction in response.json()["predictions"]]


def _post(client: AppClient, items: list[dict[str, object]], key: str | None = None) -> list[str]:
    headers = {} if key is None else {"Idempotency-Key": key}
    response = client.post("/feedback", json={"items": items}, headers=headers)
    assert response.status_code == 202, response.text
    assert {item["status"] for item in response.json()["items"]} == {"queued"}
    return [item["feedback_id"] for item in response.json()["items"]]


def test_what_was_acknowledged_is_in_the_store(client: AppClient, settings: Settings) -> None:
    prediction_id = _predict(client)[0]
    ids = _post(
        client,
        [{"prediction_id": prediction_id, "label": "ends"}, {"input": ROW, "label": "dots"}],
    )
    with FeedbackStore.open(settings.store_url) as store:
        by_id, by_input = (store.get(feedback_id) for feedback_id in ids)
    assert (by_id.label, by_id.prediction_id, by_id.bundle_version) == ("ends", prediction_id, "v1")
    np.testing.assert_array_equal(by_id.input, known_inputs(1, seed=3)[0])
    assert (by_input.label, by_input.prediction_id) == ("dots", None)
    np.testing.assert_array_equal(by_input.input, np.full((2, 3), 0.5, dtype=np.float32))


def test_state_of_an_item(client: AppClient) -> None:
    (feedback_id,) = _post(client, [{"input": ROW, "label": "dots"}])
    state = client.get(f"/feedback/{feedback_id}").json()
    assert datetime.fromisoformat(state.pop("created")).tzinfo is not None
    assert state == {
        "feedback_id": feedback_id,
        "label": "dots",
        "prediction_id": None,
        "status": "queued",
        "author": "anonymous",
        "source": None,
        "applied_version": None,
        "reason": None,
        "superseded_by": None,
    }


def test_a_prediction_of_another_worker_is_found(client: AppClient, settings: Settings) -> None:
    """The other worker has it in the store only, and only after its next flush."""
    prediction_id = _predict(client, 2)[1]
    client.call(client.runtime.captures.flush())
    with running_app(settings) as other:
        assert _post(other, [{"prediction_id": prediction_id, "label": "ends"}])


def test_one_unknown_prediction_refuses_the_whole_request(
    client: AppClient, settings: Settings
) -> None:
    known = _predict(client)[0]
    items = [{"prediction_id": known, "label": "a"}, {"prediction_id": "nobody", "label": "a"}]
    response = client.post("/feedback", json={"items": items})
    assert_problem(response, 404, "items[1].prediction_id")
    with FeedbackStore.open(settings.store_url) as store:
        assert store.counts_by_status().queued == 0


def test_null_is_as_good_as_absent(client: AppClient) -> None:
    """The OpenAPI document allows null, and generated clients send it."""
    prediction_id = _predict(client)[0]
    assert _post(client, [{"prediction_id": None, "input": ROW, "label": "a"}])
    assert _post(client, [{"prediction_id": prediction_id, "input": None, "label": "a"}])
    for subjects in ({}, {"prediction_id": None, "input": None}, {"input": None}):
        neither = client.post("/feedback", json={"items": [{"label": "a", **subjects}]})
        assert_problem(neither, 422, "items[0]")


def test_idempotency(client: AppClient, settings: Settings) -> None:
    items: list[dict[str, object]] = [{"input": ROW, "label": "a"}, {"input": ROW, "label": "b"}]
    first = _post(client, items, key="k1")
    assert _post(client, items, key="k1") == first
    assert _post(client, items, key="k2") != first
    conflict = client.post(
        "/feedback", json={"items": items[:1]}, headers={"Idempotency-Key": "k1"}
    )
    assert_problem(conflict, 422, "Idempotency-Key")
    with FeedbackStore.open(settings.store_url) as store:
        counts = store.counts_by_status()
    assert (counts.queued, counts.superseded) == (1, 3)  # four labels of one input


def test_a_repeated_request_needs_nothing_of_what_the_first_one_needed(
    client: AppClient, settings: Settings
) -> None:
    """Its captures have been trimmed, and the worker that gets it serves no bundle yet."""
    items: list[dict[str, object]] = [
        {"prediction_id": name, "label": "ends"} for name in _predict(client, 2)
    ]
    first = _post(client, items, key="k1")
    client.call(client.runtime.captures.flush())
    with FeedbackStore.open(settings.store_url) as store:
        assert store.trim_captures(0) == 2
    bare = settings.model_copy(update={"models_dir": settings.models_dir / "nothing"})
    with running_app(bare) as other:
        assert _post(other, items, key="k1") == first
        conflict = other.post(
            "/feedback", json={"items": items[:1]}, headers={"Idempotency-Key": "k1"}
        )
        assert_problem(conflict, 422, "Idempotency-Key")
        text = other.get("/metrics").text
        assert 'rcmvae_feedback_items_total{novelty="new",source="prediction_id"} 2.0' in text
    with FeedbackStore.open(settings.store_url) as store:
        assert store.counts_by_status().queued == 2


@pytest.mark.parametrize("label", ["7", "a" * 64, "größe", "two words", "日本", "e\u0301te\u0301"])
def test_label_is_kept_in_normal_form_c(client: AppClient, label: str) -> None:
    (feedback_id,) = _post(client, [{"input": ROW, "label": label}])
    kept = client.get(f"/feedback/{feedback_id}").json()["label"]
    assert kept == unicodedata.normalize("NFC", label)


def test_store_away(settings: Settings) -> None:
    """Predictions go on; feedback says 503 and keeps its mouth shut about the address."""
    away = settings.model_copy(update={"store_url": "sqlite:////proc/nowhere/feedback.db"})
    publish_small(away.models_dir, "v1")
    with running_app(away) as client:
        assert _predict(client)
        response = client.post("/feedback", json={"items": [{"input": ROW, "label": "a"}]})
        assert_problem(response, 503)
        assert "nowhere" not in response.text
        assert_problem(client.get("/feedback/x"), 503)


def test_capture_can_be_switched_off(settings: Settings, client: AppClient) -> None:
    with running_app(settings.model_copy(update={"capture": False})) as other:
        items = [{"prediction_id": _predict(other)[0], "label": "a"}]
        assert_problem(
            other.post("/feedback", json={"items": items}), 404, "items[0].prediction_id"
        )
