"""The predictor over a small real bundle: its answers, and the bundles it refuses to open."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, InputSignature, load_bundle
from rcmvae.bundle.manifest import CALIBRATION, DECODER, ENCODER, SCORES, TAU
from rcmvae.decision import Decision, decide
from rcmvae.errors import BundleDamaged
from rcmvae.ood import SCORE_NAMES
from rcmvae.prediction import PredictionBatch
from rcmvae.predictor import Predictor
from tests.service.small_bundle import (
    CIRCLE,
    LABELS,
    SHAPE,
    SQUARE,
    UNLABELLED,
    known_inputs,
    publish_small,
)

DOCUMENTED = {
    "probabilities": ((5, 2), "float32"),
    "responsibilities": ((5, 3), "float32"),
    "channel": ((5,), "int64"),
    "position": ((5, 2), "float32"),
    "scores": ((5, 13), "float32"),
    "p_familiar": ((5,), "float64"),
    "p_owned": ((5,), "float64"),
    "label_p_values": ((5, 2), "float64"),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = tmp_path_factory.mktemp("predictor")
    publish_small(models, "v1")
    return load_bundle(models / "v1")


@pytest.fixture(scope="module")
def predictor(bundle: Bundle) -> Predictor:
    return Predictor.open(bundle)


def _images(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32).reshape(-1, *SHAPE)


def _column(batch: PredictionBatch, name: str) -> NDArray[np.float32]:
    return batch.scores[:, batch.score_names.index(name)]


def test_an_opened_predictor_says_what_it_is(bundle: Bundle, predictor: Predictor) -> None:
    assert predictor.manifest is bundle.manifest
    assert predictor.active_providers == ("CPUExecutionProvider",)
    assert predictor.calibration.score_names == SCORE_NAMES


def test_answers_are_as_documented(predictor: Predictor) -> None:
    batch = predictor.predict(known_inputs(5, seed=4))
    assert batch.labels == LABELS
    assert batch.score_names == (*SCORE_NAMES, "responsibility", "unowned", "fused")
    kinds = {
        name: (getattr(batch, name).shape, getattr(batch, name).dtype.name) for name in DOCUMENTED
    }
    assert kinds == DOCUMENTED
    assert_allclose(batch.probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert_allclose(batch.responsibilities.sum(axis=1), 1.0, atol=1e-6)
    assert_array_equal(batch.channel, batch.responsibilities.argmax(axis=1))


def test_known_unknown_and_out_of_distribution(predictor: Predictor) -> None:
    nearly = 0.9
    x = _images(
        [nearly * v for v in CIRCLE],
        [nearly * v for v in SQUARE],
        [nearly * v for v in UNLABELLED],
        [0.5] * 6,
    )
    batch = predictor.predict(x)
    decisions = decide(batch.p_familiar, batch.p_owned, predictor.calibration.alpha)
    assert decisions[:2] == [Decision.KNOWN, Decision.KNOWN]
    assert batch.predicted[:2] == ["circle", "square"]
    assert decisions[3] is Decision.OUT_OF_DISTRIBUTION
    assert_array_equal(batch.channel[:3], [0, 1, 2])
    assert batch.p_owned[2] <= predictor.calibration.alpha / 2


def test_p_values_by_their_definition(predictor: Predictor) -> None:
    calibration = predictor.calibration
    batch = predictor.predict(known_inputs(12, seed=5))
    strangeness = 1.0 - batch.probabilities[:, 0].astype(np.float64)
    judged = (
        (batch.p_familiar, _column(batch, "fused"), calibration.fused, 0.0),
        (batch.p_owned, _column(batch, "unowned"), calibration.owned, 1e-6),
        (batch.label_p_values[:, 0], strangeness, calibration.label_set, 1e-6),
    )
    for p, scores, sample, tie in judged:
        expected = [
            (1 + sum(c >= float(s) - tie for c in sample)) / (len(sample) + 1) for s in scores
        ]
        assert_array_equal(p, expected)
        assert len(set(p.tolist())) > 1


def test_false_alarms_on_new_inputs_keep_to_alpha(predictor: Predictor) -> None:
    """5000 new inputs of the calibrated kind, with four standard errors of room."""
    count, alpha = 5000, 0.1
    batch = predictor.predict(known_inputs(count, seed=6))
    decisions = decide(batch.p_familiar, batch.p_owned, alpha)
    rate = np.mean([decision is not Decision.KNOWN for decision in decisions])
    # The sample of 400 is one draw, so its own error counts too.
    assert rate < alpha + 4.0 * np.sqrt(alpha * (1 - alpha) * (1 / count + 1 / 400))


def _rows_of(batch: PredictionBatch, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    arrays = [getattr(batch, field.name) for field in fields(PredictionBatch)]
    arrays += [getattr(batch.uncertainty, field.name) for field in fields(batch.uncertainty)]
    return [array[rows] for array in arrays if isinstance(array, np.ndarray)]


@settings(max_examples=20)
@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))
    )
)
def test_an_answer_does_not_depend_on_its_batch(
    predictor: Predictor, chosen: tuple[int, set[int]]
) -> None:
    count, subset = chosen
    rng = np.random.default_rng(count)
    x = rng.random((count, *SHAPE), dtype=np.float32)
    rows = rng.permutation(np.array(sorted(subset)))
    alone, among = predictor.predict(x[rows]), predictor.predict(x)
    here = np.arange(len(rows))
    for one, other in zip(_rows_of(alone, here), _rows_of(among, rows), strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_threads_share_a_predictor(predictor: Predictor) -> None:
    batches = [known_inputs(n, seed=n) for n in range(1, 9)]
    expected = [predictor.predict(x).scores for x in batches]
    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(lambda x: predictor.predict(x).scores, batches))
    for one, other in zip(actual, expected, strict=True):
        assert_array_equal(one, other)


def test_what_is_not_a_number_is_strange(predictor: Predictor) -> None:
    """The service refuses such inputs; a bundle that answers so must not be believed either."""
    batch = predictor.predict(np.full((1, *SHAPE), np.nan, dtype=np.float32))
    decisions = decide(batch.p_familiar, batch.p_owned, predictor.calibration.alpha)
    assert decisions == [Decision.OUT_OF_DISTRIBUTION]
    assert batch.label_p_values.max() == 1 / (len(predictor.calibration.label_set) + 1)


def _calibrated(bundle: Bundle, **changes: object) -> Bundle:
    members = json.loads(bundle.read(CALIBRATION)) | changes
    return replace(bundle, contents={**bundle.contents, CALIBRATION: json.dumps(members).encode()})


def _described(bundle: Bundle, **changes: object) -> Bundle:
    return replace(bundle, manifest=bundle.manifest.model_copy(update=changes))


def _without(bundle: Bundle, name: str) -> Bundle:
    return replace(bundle, contents={n: c for n, c in bundle.contents.items() if n != name})


@pytest.mark.parametrize(
    ("damage", "file", "detail"),
    [
        (lambda b: _calibrated(b, temperature=0), CALIBRATION, "temperature"),
        (lambda b: _calibrated(b, fused=[]), CALIBRATION, "fused"),
        (lambda b: _calibrated(b, score_names=["kl"]), SCORES, r"\(16, 4\), got \(16, 13\)"),
        (lambda b: _described(b, labels=("a", "b", "c")), TAU, r"\(16, 3\), got \(16, 2\)"),
        (lambda b: _described(b, num_channels=4), TAU, r"\(16, 4\), got \(16, 3\)"),
        (lambda b: _described(b, input=InputSignature(shape=(3, 2))), ENCODER, "first run failed"),
        (lambda b: _without(b, CALIBRATION), CALIBRATION, "no such file"),
        (lambda b: _without(b, DECODER), DECODER, "no such file"),
        (
            lambda b: replace(b, contents={**b.contents, TAU: b.contents[DECODER]}),
            TAU,
            "expected outputs",
        ),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused_and_the_file_named(
    bundle: Bundle, damage: Callable[[Bundle], Bundle], file: str, detail: str
) -> None:
    with pytest.raises(BundleDamaged, match=detail) as damaged:
        Predictor.open(damage(bundle))
    assert damaged.value.file == file
