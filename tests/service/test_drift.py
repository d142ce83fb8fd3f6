"""Drift as the service sees it: one worker, several, and a new bundle."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.settings import Settings
from service.worker_drift import Question, Reading, WorkerReadings
from tests.service.app_client import AppClient, running_app
from tests.service.conftest import small_settings
from tests.service.small_bundle import known_inputs, publish_small

RUN_LENGTH = 1000.0
WINDOW = 100
NOISE = [[0.9, 0.1, 0.8, 0.2, 0.9, 0.1]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    fixed = {"drift_run_length": RUN_LENGTH, "drift_window": WINDOW}
    return small_settings(tmp_path).model_copy(update=fixed)


@pytest.fixture
def client(settings: Settings) -> Iterator[AppClient]:
    publish_small(settings.models_dir, "v1")
    with running_app(settings) as client:
        yield client


def _predict(client: AppClient, rows: list[Any], times: int = 1) -> None:
    for _ in range(times):
        assert client.post("/predict", json={"inputs": rows}).status_code == 200


def _drift(client: AppClient) -> dict[str, Any]:
    response = client.get("/drift")
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    document["questions"] = {entry.pop("question"): entry for entry in document["questions"]}
    return document


def test_known_traffic_raises_nothing(client: AppClient) -> None:
    inputs = known_inputs(120, seed=5)
    for start in range(0, 120, 4):
        _predict(client, inputs[start : start + 4].tolist())
    answer = _drift(client)
    assert (answer["bundle_version"], answer["workers"]) == ("v1", 1)
    assert (answer["run_length"], answer["window"]) == (RUN_LENGTH, WINDOW)
    for entry in answer["questions"].values():
        assert (entry["inputs"], entry["alarms"], entry["drifting"]) == (120, 0, False)
        assert entry["inputs_since_alarm"] is None
        assert (entry["calibration_inputs"], 0 < entry["evidence"] < 1) == (400, True)


def test_outliers_raise_an_alarm_that_passes(client: AppClient) -> None:
    _predict(client, NOISE, 12)
    entry = _drift(client)["questions"]["familiar"]
    assert entry["drifting"]
    assert entry["alarms"] >= 1
    assert entry["inputs_since_alarm"] < 12
    text = client.get("/metrics").text
    assert f'rcmvae_drift_alarms_total{{question="familiar"}} {entry["alarms"]:.1f}' in text
    assert 'rcmvae_drift_workers{question="familiar"} 1.0' in text
    _predict(client, known_inputs(4, seed=6).tolist(), WINDOW // 4)
    assert not _drift(client)["questions"]["familiar"]["drifting"]


def test_a_new_bundle_starts_anew(client: AppClient, settings: Settings) -> None:
    _predict(client, NOISE, 12)
    before = client.runtime.bundles.current()
    publish_small(settings.models_dir, "v2", "v1", extra=1)
    client.runtime.bundles.refresh()
    assert _drift(client)["workers"] == 0
    batch = before.predictor.predict(known_inputs(1, seed=0))
    _predict(client, NOISE)
    client.runtime.drift.add(before, batch)  # an answer that was still under way
    answer = _drift(client)
    assert answer["bundle_version"] == "v2"
    entry = answer["questions"]["familiar"]
    assert (entry["inputs"], entry["alarms"], entry["drifting"]) == (1, 0, False)


def test_live_workers_add_up(client: AppClient, tmp_path: Path) -> None:
    _predict(client, known_inputs(4, seed=7).tolist())
    _drift(client)
    readings = tuple(
        Reading(
            question=question,
            calibration_inputs=400,
            inputs=10,
            alarms=2,
            inputs_since_alarm=3,
            evidence=0.5,
            drifting=question == Question.OWNED,
        )
        for question in Question
    )
    other = WorkerReadings(bundle_version="v1", readings=readings).model_dump_json()
    folder = client.runtime.metrics.drift._files._directory
    (folder / f"drift_{os.getppid()}.json").write_text(other)
    answer = _drift(client)
    assert answer["workers"] == 2
    familiar, owned = answer["questions"]["familiar"], answer["questions"]["owned"]
    assert (owned["inputs"], owned["alarms"], owned["inputs_since_alarm"]) == (14, 2, 3)
    assert (owned["drifting"], familiar["drifting"]) == (True, False)
    assert 0.5 < owned["evidence"] < 1.0
    text = client.get("/metrics").text
    assert 'rcmvae_drift_workers{question="owned"} 1.0' in text


def test_much_at_once_is_folded_before_it_piles_up(client: AppClient) -> None:
    served = client.runtime.bundles.current()
    batch = served.predictor.predict(known_inputs(3000, seed=8))
    for _ in range(3):
        client.runtime.drift.add(served, batch)
    (worker,) = client.runtime.metrics.drift.workers()
    assert {reading.inputs for reading in worker.readings} == {9000}
    assert np.isfinite([reading.evidence for reading in worker.readings]).all()


def test_without_a_bundle_there_is_nothing_to_watch(empty: AppClient) -> None:
    assert empty.get("/drift").status_code == 503
