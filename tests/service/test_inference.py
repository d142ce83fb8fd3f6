"""A question of many rows takes several runs, and its answer does not show it."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from rcmvae.bundle import load_bundle
from rcmvae.sampled import Sampling
from service.drift import DriftWatch
from service.inference import Inference
from service.metrics import Metrics
from service.prediction_metrics import PredictionMetrics
from service.question import Question
from service.served import open_served
from tests.service.small_bundle import known_inputs, publish_small


@pytest.mark.parametrize("sampling", [None, Sampling(2, seed=3)])
def test_runs_are_bounded_and_joined(tmp_path: Path, sampling: Sampling | None) -> None:
    publish_small(tmp_path / "models", "v1")
    bundle = load_bundle(tmp_path / "models" / "v1")
    served = open_served(bundle, providers=("CPUExecutionProvider",), threads=1)
    registry = CollectorRegistry()
    drift = DriftWatch(Metrics(tmp_path, multiprocess=False), run_length=1e6, window=10)
    question = Question(served, known_inputs(11, seed=1), "marginal", sampling)
    parts = Inference(PredictionMetrics(registry), drift, 4)(question)
    whole = served.predictor.predict(question.x, coverage="marginal", sampling=sampling)
    assert registry.get_sample_value("rcmvae_batch_rows_count") == 3
    assert registry.get_sample_value("rcmvae_batch_rows_sum") == 11
    assert parts.predicted == whole.predicted
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=2e-5, atol=2e-6)
    assert (parts.sampled is None) == (whole.sampled is None)
    if parts.sampled is not None and whole.sampled is not None:
        np.testing.assert_allclose(parts.sampled.total, whole.sampled.total, atol=1e-5)
