"""The same answer from torch, from ONNX Runtime and over HTTP, on the whole test set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rcmvae.bundle import Lineage, load_current, publish_bundle
from rcmvae.counts import read_label_map
from rcmvae.predictor import Predictor
from service.schemas import PredictAnswer
from tests.e2e.served import serving, wait_until
from training.assemble import assemble
from training.config_file import load_config
from training.data import label_ids, load_dataset
from training.evaluate import predict_all
from training.fit import fit
from training.recipe import settled

BOUND = 1e-4
CHUNK = 199

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_torch_onnx_and_http_agree(tmp_path: Path) -> None:
    given = load_config(None, ["fit.epochs=6"])
    dataset = load_dataset(given.data, given.seed)
    config = settled(given, dataset)
    network = fit(dataset, config, quiet=True).network.eval()
    draft = assemble(network, dataset, config, Lineage(method="fit"), label_ids(dataset))
    publish_bundle(tmp_path / "models", draft, expected_parent=None)
    bundle = load_current(tmp_path / "models")
    x = dataset.test.x
    assert len(x) == 597

    predictor = Predictor.open(bundle)
    by_onnx = predict_all(predictor, x).probabilities
    with torch.no_grad():
        logits = network.encode(torch.from_numpy(x)).logits.double()
    r = (logits / predictor.calibration.temperature).softmax(dim=1).numpy()
    by_torch = r @ read_label_map(bundle).tau
    by_http = _over_http(tmp_path, x, bundle.manifest.labels)

    assert np.abs(by_torch - by_onnx).max() < BOUND
    assert np.abs(by_torch - by_http).max() < BOUND
    # Both ways of the wire carry the very same answer.
    assert np.abs(by_http - by_onnx).max() < 1e-6


def _over_http(
    folder: Path, x: NDArray[np.float32], labels: tuple[str, ...]
) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    with serving(folder) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        for start in range(0, len(x), CHUNK):
            body = {"inputs": x[start : start + CHUNK].tolist()}
            answer = PredictAnswer.model_validate_json(server.post("/predict", body).content)
            for prediction in answer.predictions:
                assert prediction.probabilities is not None
                rows.append([prediction.probabilities[label] for label in labels])
    return np.array(rows)
