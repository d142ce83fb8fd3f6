"""Evaluation by the predictor that serves, and the files that runs leave."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from rcmvae.bundle import Bundle
from rcmvae.decision import Decision, decide
from rcmvae.errors import DataError, InvalidInput
from rcmvae.predictor import Predictor
from tests.training.tiny import TinyRun, tiny_config, tiny_dataset
from training.evaluate import evaluate, expected_calibration_error, predict_all
from training.run import RunFolder
from training.run_io import open_run, read_config, read_history, read_run

ALPHA = 0.05


@pytest.fixture(scope="module")
def predictor(bundle: Bundle) -> Predictor:
    return Predictor.open(bundle)


def test_figures_are_those_counted_one_by_one(predictor: Predictor) -> None:
    dataset = tiny_dataset()
    evaluation = evaluate(predictor, dataset, ALPHA)
    right = alarms = covered = unknown = 0
    for x, y in zip(dataset.test.x, dataset.test.y, strict=True):
        batch = predictor.predict(x[None])
        (decision,) = decide(batch.p_familiar, batch.p_owned, ALPHA)
        if y == 9:
            unknown += decision is Decision.UNKNOWN_CLASS
            continue
        right += batch.predicted[0] == str(y)
        alarms += decision is not Decision.KNOWN
        covered += bool(batch.label_p_values[0, y] > ALPHA)
    known = int((dataset.test.y < 9).sum())
    assert (evaluation.known_inputs, evaluation.unlabelled_inputs) == (known, 100 - known)
    assert evaluation.accuracy == pytest.approx(right / known)
    assert evaluation.false_alarms == pytest.approx(alarms / known)
    assert evaluation.coverage == pytest.approx(covered / known)
    assert evaluation.unlabelled_as_unknown == pytest.approx(unknown / (100 - known))


def test_the_tiny_bundle_knows_digits_from_noise(predictor: Predictor) -> None:
    evaluation = evaluate(predictor, tiny_dataset(), ALPHA)
    assert evaluation.accuracy > 0.8
    assert evaluation.false_alarms <= evaluation.false_alarms_allowed + 0.05
    assert evaluation.noise_detected > 0.9
    assert evaluation.inverted_detected > 0.9
    assert evaluation.coverage > 0.85
    assert 0.5 < evaluation.set_size < 5
    figures = evaluation.figures()
    assert figures["alpha"] == ALPHA
    assert all(isinstance(value, float) for value in figures.values())


def test_allowed_false_alarms_are_the_end_of_the_binomial_interval(predictor: Predictor) -> None:
    evaluation = evaluate(predictor, tiny_dataset(), ALPHA)
    count = evaluation.known_inputs
    allowed = round(evaluation.false_alarms_allowed * count)
    above = [binomtest(k, count, ALPHA, "greater").pvalue for k in (allowed, allowed + 1)]
    assert above[0] > 0.025 >= above[1]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50),
    st.integers(1, 15),
)
@settings(max_examples=50, deadline=None)
def test_calibration_error_is_that_of_its_definition(
    answers: list[tuple[float, bool]], bins: int
) -> None:
    total = 0.0
    for b in range(bins):
        last = b == bins - 1
        own = [(c, r) for c, r in answers if b <= c * bins < b + 1 or (last and c * bins >= bins)]
        if own:
            total += abs(sum(r for _, r in own) - sum(c for c, _ in own)) / len(answers)
    confidence, right = (np.array(column) for column in zip(*answers, strict=True))
    assert expected_calibration_error(confidence, right, bins) == pytest.approx(total, abs=1e-9)


def test_calibration_error_of_honest_and_of_boastful_answers() -> None:
    right = np.arange(100) < 80
    assert expected_calibration_error(np.full(100, 0.8), right) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(100, 1.0), right) == pytest.approx(0.2)


def test_predictions_do_not_depend_on_the_chunk(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = tiny_dataset().test.x[:20]
    monkeypatch.setattr("training.evaluate.CHUNK", 7)
    parts, whole = predict_all(predictor, x), predictor.predict(x)
    assert len(parts) == 20
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-5)
    np.testing.assert_allclose(parts.uncertainty.total, whole.uncertainty.total, atol=1e-5)


def test_a_run_is_read_back(tiny: TinyRun) -> None:
    config, dataset, state = read_run(tiny.run)
    assert config == tiny_config()
    assert dataset.sha256 == tiny_dataset().sha256
    assert (state.epoch, len(read_history(tiny.run))) == (80, 80)
    assert read_history(tiny.run) == state.history


def test_a_folder_of_another_configuration_is_refused(tmp_path: Path) -> None:
    open_run(tmp_path / "run", tiny_config())
    open_run(tmp_path / "run", tiny_config())
    with pytest.raises(InvalidInput, match="another one"):
        open_run(tmp_path / "run", tiny_config("seed=9"))
    assert read_config(RunFolder(tmp_path / "run")) == tiny_config()


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"], ids=repr)
def test_a_folder_without_a_run_is_refused(tmp_path: Path, content: bytes | None) -> None:
    run = RunFolder(tmp_path)
    for path in (run.config, run.history):
        if content is not None:
            path.write_bytes(content)
    with pytest.raises(DataError, match="expected a run"):
        read_config(run)
    with pytest.raises(DataError, match="expected the history"):
        read_history(run)


def test_a_run_without_a_checkpoint_or_with_epochs_left_is_refused(
    tiny: TinyRun, tmp_path: Path
) -> None:
    run = open_run(tmp_path / "run", tiny_config("fit.epochs=90"))
    with pytest.raises(DataError, match="run `train` first"):
        read_run(run)
    run.checkpoint.write_bytes(tiny.run.checkpoint.read_bytes())
    with pytest.raises(DataError, match="expected 90 epochs, got 80"):
        read_run(run)


def test_the_split_is_recorded(tiny: TinyRun) -> None:
    from safetensors import safe_open

    with safe_open(tiny.run.split, framework="numpy") as file:
        assert file.metadata() == {"source_sha256": tiny_dataset().sha256}
        for name in tiny_dataset().split.__slots__:
            np.testing.assert_array_equal(
                file.get_tensor(name), getattr(tiny_dataset().split, name)
            )


def test_history_is_json_with_one_record_per_epoch(tiny: TinyRun) -> None:
    records = json.loads(tiny.run.history.read_text())
    assert [record["epoch"] for record in records] == list(range(80))
    assert records[-1]["reconstruction"] < records[0]["reconstruction"]
    assert 1.0 <= records[-1]["effective_channels"] <= 30.0
