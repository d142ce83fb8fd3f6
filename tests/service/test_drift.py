"""Drift as the service sees it: one worker, several, and a new bundle."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.settings import Settings
from service.shared_drift import DriftRule, Question, Reading, SharedDrift
from tests.service.app_client import AppClient, running_app
from tests.service.conftest import small_settings
from tests.service.small_bundle import known_inputs, publish_small

ROOT = Path(__file__).parents[2]
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
    assert 'rcmvae_drift_active{question="familiar"} 1.0' in text
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


def test_workers_add_to_one_detector(client: AppClient, settings: Settings) -> None:
    """Half of the evidence comes from another process, of which nothing else is left."""
    whole = client.runtime.bundles.current().predictor.predict(
        np.array(NOISE * 4, dtype=np.float32).reshape(4, 2, 3)
    )
    _predict(client, NOISE, 2)
    assert _drift(client)["questions"]["familiar"]["alarms"] == 0
    folder = client.runtime.metrics.drift.states._directory
    sizes = dict.fromkeys(Question, 400)
    halves = [whole.p_familiar[2:].tolist(), whole.p_owned[2:].tolist()]
    line = [sys.executable, "-m", "tests.service.drift_child", str(folder), "v1"]
    subprocess.run([*line, json.dumps([sizes, halves, RUN_LENGTH, WINDOW])], cwd=ROOT, check=True)
    answer = _drift(client)
    alone = Reading.at_start(Question.FAMILIAR, 400).after(
        whole.p_familiar, DriftRule(RUN_LENGTH, WINDOW)
    )
    entry = answer["questions"]["familiar"]
    assert (entry["inputs"], entry["alarms"]) == (4, alone.alarms)
    assert alone.alarms > 0
    assert answer["workers"] == 1, "the other one is gone"
    assert client.runtime.drift.alarmed() is not None
    assert 'rcmvae_drift_active{question="familiar"} 1.0' in client.get("/metrics").text


def test_workers_at_once_lose_nothing(tmp_path: Path) -> None:
    sizes, rule = dict.fromkeys(Question, 50), DriftRule(1e6, WINDOW)
    p = np.full(3, 1.0)

    def add(_: int) -> None:
        SharedDrift(tmp_path).add("v1", sizes, [p, p], rule)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(60)))
    known = SharedDrift(tmp_path).read("v1")
    assert known is not None
    assert {reading.inputs for reading in known.readings} == {180}


def test_a_damaged_file_starts_anew(tmp_path: Path) -> None:
    states, p = SharedDrift(tmp_path), np.full(3, 1.0)
    sizes, rule = dict.fromkeys(Question, 50), DriftRule(1e6, WINDOW)
    (tmp_path / "drift_v1.json").write_text('{"bundle_version": "v1", "workers')
    assert states.read("v1") is None
    states.add("v1", sizes, [p, p], rule)
    known = states.read("v1")
    assert known is not None
    assert {reading.inputs for reading in known.readings} == {3}


def test_what_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    states, p = SharedDrift(tmp_path / "gone"), np.full(3, 1.0)
    sizes, rule = dict.fromkeys(Question, 50), DriftRule(1e6, WINDOW)
    for _ in range(2):
        assert set(states.add("v1", sizes, [p, p], rule).values()) == {0}
    assert caplog.text.count("drift is not watched") == 1


def test_only_the_last_bundles_are_remembered(tmp_path: Path) -> None:
    states, p = SharedDrift(tmp_path), np.full(3, 1.0)
    sizes, rule = dict.fromkeys(Question, 50), DriftRule(1e6, WINDOW)
    for version in ("v1", "v2", "v3"):
        states.add(version, sizes, [p, p], rule)
    states.forget_others(["v2", "v3"])
    assert [states.read(v) is None for v in ("v1", "v2", "v3")] == [True, False, False]


def test_much_at_once_is_folded_before_it_piles_up(client: AppClient) -> None:
    served = client.runtime.bundles.current()
    batch = served.predictor.predict(known_inputs(3000, seed=8))
    for _ in range(3):
        client.runtime.drift.add(served, batch)
    known = client.runtime.metrics.drift.states.read("v1")
    assert known is not None
    assert {reading.inputs for reading in known.readings} == {9000}
    assert np.isfinite([reading.evidence for reading in known.readings]).all()


def test_without_a_bundle_there_is_nothing_to_watch(empty: AppClient) -> None:
    assert empty.get("/drift").status_code == 503
