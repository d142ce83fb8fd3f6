"""Shadow mode: a candidate sees live traffic, and only metrics see the candidate."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.bundle import load_bundle, name_shadow, prune, read_shadow, stage_bundle
from rcmvae.decision import decide
from rcmvae.errors import BundleNotFound
from rcmvae.predictor import Predictor
from service.settings import Settings
from service.shadow import MOST_ROWS
from tests.service.app_client import AppClient
from tests.service.bad_requests import MAX_ROWS
from tests.service.small_bundle import known_inputs, publish_small, small_draft


@pytest.fixture(autouse=True)
def _steps_are_taken_by_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own step, once a second, would come between two requests on a busy machine."""
    monkeypatch.setattr("service.runtime._SHADOW_SECONDS", 3600.0)


def _value(client: AppClient, name: str) -> float:
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[-1])
    raise AssertionError(f"no metric {name}")


def _ask(client: AppClient, rows: NDArray[np.float32]) -> bytes:
    """Ask for rows in as many requests as it takes, and return the last answer."""
    content = b""
    for start in range(0, len(rows), MAX_ROWS):
        part = rows[start : start + MAX_ROWS].tolist()
        response = client.post("/predict", json={"inputs": part})
        assert response.status_code == 200
        content = response.content
    return content


def _follow(client: AppClient) -> None:
    client.call(client.runtime.follow_shadow())


@pytest.fixture
def shadowed(client: AppClient, settings: Settings) -> AppClient:
    stage_bundle(settings.models_dir, small_draft("v2", "v1", extra=2))
    name_shadow(settings.models_dir, "v2")
    _follow(client)
    return client


def test_the_differences_are_counted(shadowed: AppClient, settings: Settings) -> None:
    rows = known_inputs(40, seed=3)
    _ask(shadowed, rows)
    _follow(shadowed)
    models = settings.models_dir
    served, candidate = (Predictor.open(load_bundle(models / v)) for v in ("v1", "v2"))
    before, after = served.predict(rows), candidate.predict(rows)
    alpha = served.calibration.alpha
    expected = {
        "rcmvae_shadow_inputs_total": 40,
        "rcmvae_shadow_label_changes_total": sum(
            a != b for a, b in zip(before.predicted, after.predicted, strict=True)
        ),
        "rcmvae_shadow_decision_changes_total": sum(
            a != b
            for a, b in zip(
                decide(before.p_familiar, before.p_owned, alpha),
                decide(after.p_familiar, after.p_owned, alpha),
                strict=True,
            )
        ),
        'rcmvae_shadow_p_difference_total{question="owned"}': np.abs(
            before.p_owned - after.p_owned
        ).sum(),
    }
    for name, value in expected.items():
        assert _value(shadowed, name) == pytest.approx(value), name
    assert expected['rcmvae_shadow_p_difference_total{question="owned"}'] > 0


def test_answers_are_those_of_the_served_bundle(shadowed: AppClient) -> None:
    assert b'"bundle_version":"v1"' in _ask(shadowed, known_inputs(2, seed=1))


def test_what_is_scored_is_bounded(shadowed: AppClient) -> None:
    for seed in range(4):
        _ask(shadowed, known_inputs(MOST_ROWS // 2 + 1, seed=seed))
    _follow(shadowed)
    assert _value(shadowed, "rcmvae_shadow_inputs_total") == MOST_ROWS
    _ask(shadowed, known_inputs(3, seed=9))
    _follow(shadowed)
    assert _value(shadowed, "rcmvae_shadow_inputs_total") == MOST_ROWS + 3


def test_without_a_candidate_nothing_is_kept(client: AppClient) -> None:
    _ask(client, known_inputs(3, seed=1))
    assert not client.runtime.shadow.has_work


def test_a_candidate_that_is_served_or_gone_is_not_scored(
    shadowed: AppClient, settings: Settings
) -> None:
    name_shadow(settings.models_dir, None)
    assert read_shadow(settings.models_dir) is None
    _follow(shadowed)
    _ask(shadowed, known_inputs(3, seed=1))
    name_shadow(settings.models_dir, "v1")
    _follow(shadowed)
    _ask(shadowed, known_inputs(3, seed=1))
    _follow(shadowed)
    assert _value(shadowed, "rcmvae_shadow_inputs_total") == 0


def test_a_candidate_that_cannot_be_opened_fails_alone(
    client: AppClient, settings: Settings
) -> None:
    stage_bundle(settings.models_dir, small_draft("v2", "v1", extra=2))
    (settings.models_dir / "v2" / "encoder.onnx").write_bytes(b"something else")
    name_shadow(settings.models_dir, "v2")
    for _ in range(3):
        _follow(client)
    assert _value(client, "rcmvae_shadow_failures_total") == 1
    _ask(client, known_inputs(2, seed=1))


def test_a_candidate_that_fails_at_work_is_dropped(
    shadowed: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(shadowed, known_inputs(2, seed=1))
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict", lambda *_, **__: 1 / 0)
        _follow(shadowed)
    assert _value(shadowed, "rcmvae_shadow_failures_total") == 1
    _ask(shadowed, known_inputs(2, seed=1))
    assert not shadowed.runtime.shadow.has_work


def test_a_damaged_file_is_as_good_as_none(client: AppClient, settings: Settings) -> None:
    (settings.models_dir / "SHADOW").write_text("../elsewhere\n")
    _follow(client)
    _ask(client, known_inputs(2, seed=1))


def test_the_shadow_is_not_pruned_and_has_to_exist(tmp_path: Path) -> None:
    for version, parent in (("v1", None), ("v2", "v1"), ("v3", "v2"), ("v4", "v3")):
        publish_small(tmp_path, version, parent)
    name_shadow(tmp_path, "v1")
    assert prune(tmp_path, 1) == ("v2",)
    with pytest.raises(BundleNotFound):
        name_shadow(tmp_path, "v2")
