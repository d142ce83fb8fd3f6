"""A table from end to end: raw values in, and raw values at every door of a bundle."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.bundle import load_current, read_arrays
from rcmvae.bundle.manifest import GOLDEN
from rcmvae.decision import Decision
from rcmvae.predictor import Predictor
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.training.tiny import run_main, set_flags
from training.__main__ import main
from training.config import from_json
from training.data import Dataset, load_dataset
from training.evaluate import evaluate, predict_all
from training.refit import prepare
from training.relabel import Correction, relabel
from training.run import RunFolder
from training.run_io import read_run

SETTINGS = (
    "model.features=32",
    "model.decoder_hidden=32",
    "fit.threads=1",
)


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained and exported by the command line, with three labels of each grower."""
    path = tmp_path_factory.mktemp("wine")
    flags = ["--data", "wine", "--labels", "9", "--quiet", *set_flags(SETTINGS)]
    run_main("train", str(path / "run"), *flags)
    run_main("export", str(path / "run"), "--models", str(path / "models"))
    return path


@pytest.fixture(scope="module")
def dataset(wine: Path) -> Dataset:
    config, dataset, _ = read_run(RunFolder(wine / "run"))
    assert config.model.encoder == "mlp"
    assert config.augment.rotation == 0.0
    return dataset


@pytest.fixture(scope="module")
def predictor(wine: Path) -> Predictor:
    return Predictor.open(load_current(wine / "models"))


@pytest.fixture(scope="module")
def client(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    store = tmp_path_factory.mktemp("store") / "feedback.db"
    settings = Settings(models_dir=wine / "models", store_url=f"sqlite:///{store}")
    with running_app(settings) as client:
        yield client


def held_out(dataset: Dataset) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    parts = (dataset.density, dataset.calibration)
    return np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts])


def test_held_out_wines_are_told_apart_far_above_chance(
    predictor: Predictor, dataset: Dataset
) -> None:
    x, y = held_out(dataset)
    predicted = predict_all(predictor, x).probabilities.argmax(axis=1)
    assert x.max() > 1000, "proline is in milligrams"
    assert (predicted == y).mean() > 0.7


def test_what_lies_far_from_the_data_is_flagged(predictor: Predictor, dataset: Dataset) -> None:
    figures = evaluate(predictor, dataset, predictor.calibration.alpha)
    assert figures.noise_detected > 0.3
    assert figures.false_alarms <= figures.false_alarms_allowed + 0.1
    far = dataset.test.x * 30.0
    batch = predict_all(predictor, far)
    assert (batch.p_familiar <= predictor.calibration.alpha / 2).all()


def test_the_bundle_says_what_a_vector_is_and_keeps_it_raw(
    predictor: Predictor, wine: Path, dataset: Dataset
) -> None:
    signature = predictor.manifest.input
    assert signature.shape == (13,)
    assert signature.features is not None
    assert signature.features[-1] == "proline"
    assert signature.low == -signature.high
    assert signature.high >= 1000 * float(dataset.unlabelled.max())
    bundle = load_current(wine / "models")
    golden = read_arrays(GOLDEN, bundle.read(GOLDEN))["x"]
    np.testing.assert_array_equal(golden, held_out(dataset)[0])


def test_the_largest_values_a_client_may_send_are_answered_with_numbers(
    predictor: Predictor,
) -> None:
    signature = predictor.manifest.input
    x = np.stack([np.full(13, v, np.float32) for v in (signature.low, 0.0, signature.high)])
    batch = predictor.predict(x)
    for values in (batch.probabilities, batch.scores, batch.p_familiar, batch.position):
        assert np.isfinite(values).all()
    assert (batch.p_familiar[[0, 2]] <= 0.5 * predictor.calibration.alpha).all()


def test_the_service_takes_raw_values_and_answers_as_the_predictor(
    client: AppClient, predictor: Predictor, dataset: Dataset
) -> None:
    x = dataset.test.x[:5]
    response = client.post("/predict", json={"inputs": x.tolist()})
    assert response.status_code == 200, response.text
    answers = response.json()["predictions"]
    expected = predictor.predict(x)
    assert [answer["label"] for answer in answers] == expected.predicted
    for answer, row in zip(answers, expected.probabilities, strict=True):
        np.testing.assert_allclose(list(answer["probabilities"].values()), row, atol=1e-5)
    octets = client.post(
        "/predict?dtype=float32",
        content=x.astype("<f4").tobytes(),
        headers={"content-type": "application/octet-stream"},
    )
    assert [answer["label"] for answer in octets.json()["predictions"]] == expected.predicted


def test_the_service_flags_a_vector_far_from_the_data(client: AppClient, dataset: Dataset) -> None:
    far = (dataset.test.x[:3] * 30.0).tolist()
    answers = client.post("/predict", json={"inputs": far}).json()["predictions"]
    decisions = [answer["ood"]["decision"] for answer in answers]
    assert decisions == [Decision.OUT_OF_DISTRIBUTION] * 3


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e30", "-1e300", "1" + "0" * 400]
)
def test_what_is_no_measurement_is_refused_by_row_and_name(
    client: AppClient, dataset: Dataset, value: str
) -> None:
    rows = dataset.test.x[:2].astype(float).tolist()
    body = str([rows[0], [*rows[1][:12], math.pi]]).replace(str(math.pi), value)
    response = client.post(
        "/predict",
        content=f'{{"inputs": {body}}}',
        headers={"content-type": "application/json"},
    )
    assert 400 <= response.status_code < 500
    if value in {"1e30", "-1e300"}:
        assert "inputs[1]" in response.text
        assert "proline" in response.text


def test_corrections_are_raw_too(wine: Path, dataset: Dataset) -> None:
    bundle = load_current(wine / "models")
    corrections = [Correction(f"c{i}", "class_1", dataset.test.x[i]) for i in range(3)]
    draft = relabel(bundle, corrections)
    assert draft.input == bundle.manifest.input
    start = prepare(bundle, corrections)
    np.testing.assert_array_equal(start.dataset.unlabelled[-3:], dataset.test.x[:3])
    scale = start.state.network.encoder.scale.state_dict()
    assert dataset.scaling is not None
    np.testing.assert_array_equal(scale["centre"].numpy(), dataset.scaling.centre)


def test_the_scaling_knows_the_inputs_of_the_fit_alone(dataset: Dataset, wine: Path) -> None:
    assert dataset.scaling is not None
    expected = np.median(dataset.unlabelled.astype(np.float64), axis=0)
    np.testing.assert_allclose(dataset.scaling.centre, expected, rtol=1e-6)
    everything = np.concatenate([dataset.unlabelled, held_out(dataset)[0], dataset.test.x])
    assert (np.median(everything, axis=0) != dataset.scaling.centre).any()
    config = from_json(load_current(wine / "models").manifest.configuration)
    again = load_dataset(config.data, config.seed).scaling
    assert again is not None
    np.testing.assert_array_equal(again.width, dataset.scaling.width)


def test_a_report_of_vectors_has_all_its_pictures(wine: Path, tmp_path: Path) -> None:
    arguments = ["report", str(wine / "run"), "--models", str(wine / "models")]
    assert main([*arguments, "--pictures", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.glob("*.png")} >= {"curves", "usage", "latents"}


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_other_priors_take_raw_vectors_too(tmp_path: Path, prior: str) -> None:
    settings = [*SETTINGS, f"model.prior={prior}", "fit.epochs=3", "data.labels=6"]
    run_main("train", str(tmp_path / "run"), "--data", "iris", "--quiet", *set_flags(settings))
    exported = run_main("export", str(tmp_path / "run"), "--models", str(tmp_path / "models"))
    assert "parity_reconstruction" in exported
