"""What /metrics says, in one process; several workers are in tests/e2e."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from service.prediction_metrics import MAX_LABELS, OTHER_LABEL, PredictionMetrics
from tests.service.app_client import AppClient
from tests.service.bad_requests import ROW
from tests.service.small_bundle import known_inputs


def samples(client: AppClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def _value(client: AppClient, name: str, **labels: str) -> float:
    return samples(client).get((name, tuple(sorted(labels.items()))), 0.0)


def test_predictions_are_counted_by_decision_and_label(client: AppClient) -> None:
    client.post("/predict", json={"inputs": known_inputs(4, seed=3).tolist(), "alpha": 0.001})
    labels = {"decision": "known"}
    assert _value(client, "rcmvae_predictions_total", label="circle", **labels) == 2
    assert _value(client, "rcmvae_predictions_total", label="square", **labels) == 2
    for name in ("ood_fused_score", "ood_p_familiar", "ood_p_owned", "entropy_nats"):
        assert _value(client, f"rcmvae_{name}_count") == 4
    assert _value(client, "rcmvae_batch_rows_sum") == 4
    assert _value(client, "rcmvae_inference_duration_seconds_count") == 1


def test_the_parts_of_the_entropy_sum_to_the_total(client: AppClient) -> None:
    client.post("/predict", json={"inputs": known_inputs(4, seed=3).tolist()})
    metric = "rcmvae_entropy_part_nats"
    parts = ("aleatoric", "channel_ambiguity", "label_map_ignorance")
    assert [_value(client, f"{metric}_count", part=part) for part in parts] == [4, 4, 4]
    together = sum(_value(client, f"{metric}_sum", part=part) for part in parts)
    assert together == pytest.approx(_value(client, "rcmvae_entropy_nats_sum"), abs=1e-5)


def test_requests_are_counted_by_route_and_never_by_path(client: AppClient) -> None:
    for i in range(3):
        client.get(f"/feedback/{i}")
        client.get(f"/nowhere/{i}")
    client.post("/predict", content=b"{", headers={"content-type": "application/json"})
    total = "rcmvae_requests_total"
    assert _value(client, total, route="/feedback/{feedback_id}", status="404") == 3
    assert _value(client, total, route="(none)", status="404") == 3
    assert _value(client, total, route="/predict", status="400") == 1
    assert _value(client, "rcmvae_request_duration_seconds_count", route="/predict") == 1


def test_feedback_and_bundle(client: AppClient) -> None:
    client.post("/feedback", json={"items": [{"input": ROW, "label": "a"}] * 2})
    total = "rcmvae_feedback_items_total"
    assert _value(client, total, source="input", novelty="new") == 2
    client.post("/feedback", json={"items": [{"input": ROW, "label": "circle"}]})
    assert _value(client, total, source="input", novelty="known") == 1
    assert _value(client, "rcmvae_bundle_swaps_total") == 1
    assert _value(client, "rcmvae_bundle_info", bundle_version="v1") == 1
    created = _value(client, "rcmvae_bundle_created_timestamp_seconds", bundle_version="v1")
    assert created == 1795452600


def test_failures_are_there_before_the_first(empty: AppClient) -> None:
    for reason in ("pointer", "not_found", "format_unsupported", "damaged", "provider", "session"):
        key = ("rcmvae_bundle_swap_failures_total", (("reason", reason),))
        assert samples(empty)[key] == 0


def test_labels_are_bounded() -> None:
    metrics = PredictionMetrics(CollectorRegistry())
    names = [metrics._bounded(f"label {i}") for i in range(MAX_LABELS + 5)]
    assert names[:MAX_LABELS] == [f"label {i}" for i in range(MAX_LABELS)]
    assert set(names[MAX_LABELS:]) == {OTHER_LABEL}
    assert metrics._bounded("label 0") == "label 0"


@pytest.fixture
def dead_pid() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_dead_worker_serves_nothing(tmp_path: Path, dead_pid: int) -> None:
    metrics = Metrics(tmp_path, multiprocess=False)
    left = tmp_path / f"served_{dead_pid}.json"
    left.write_text(json.dumps({"version": "v0", "created": 1.0}))
    (tmp_path / f"served_{os.getpid()}.json").write_text(
        json.dumps({"version": "v1", "created": 2.0})
    )
    text = metrics.exposition().decode()
    assert 'rcmvae_bundle_info{bundle_version="v1"} 1.0' in text
    assert "v0" not in text
    assert not left.exists()


@pytest.mark.parametrize("name", ["x", "", "9" * 40, str(os.getpid())])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"version": 1, "created": []}'])
def test_a_foreign_file_is_skipped_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: bytes
) -> None:
    metrics = Metrics(tmp_path, multiprocess=False)
    foreign = tmp_path / f"served_{name}.json"
    foreign.write_bytes(content)
    with caplog.at_level(logging.WARNING, "bentoml.rcmvae"):
        for _ in range(2):
            assert b"rcmvae_bundle_info{" not in metrics.exposition()
    assert [foreign.name in record.getMessage() for record in caplog.records] == [True]
    assert foreign.read_bytes() == content


@pytest.mark.parametrize("multiprocess", [False, True])
def test_a_folder_that_is_gone_stops_neither_the_scrape_nor_the_swap(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, multiprocess: bool
) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    metrics = Metrics(folder, multiprocess=multiprocess)
    folder.rmdir()
    with caplog.at_level(logging.ERROR, "bentoml.rcmvae"):
        metrics.served.announce("v1", datetime(2026, 11, 23, tzinfo=UTC))
        assert (b"rcmvae_requests" in metrics.exposition()) is not multiprocess
    assert len(caplog.records) == 1 + multiprocess
