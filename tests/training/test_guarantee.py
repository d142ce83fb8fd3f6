"""The false-alarm guarantee on a real, small model, over many ways to part what no fit has seen."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import GOLDEN
from rcmvae.conformal import ConformalSample
from rcmvae.decision import Decision, decide, decide_batch
from rcmvae.predictor import Predictor
from tests.training.tiny import tiny_dataset
from training.data import NO_LABEL
from training.evaluate import inverted, predict_all
from training.golden_set import read_golden

SPLITS = 200


def unseen_scores(bundle: Bundle) -> NDArray[np.float64]:
    """Fused score and `unowned` of known inputs that nothing was fitted on, (2, n)."""
    golden, dataset = read_golden(bundle.read(GOLDEN)), tiny_dataset()
    fresh = golden.fresh & (golden.examples.y != NO_LABEL)
    known = np.isin(np.array(dataset.held_labels)[dataset.test.y], dataset.labels)
    return _scores(bundle, np.concatenate([golden.examples.x[fresh], dataset.test.x[known]]))


def _scores(bundle: Bundle, x: NDArray[np.float32]) -> NDArray[np.float64]:
    batch = predict_all(Predictor.open(bundle), x)
    columns = [batch.score_names.index(name) for name in ("fused", "unowned")]
    return batch.scores[:, columns].T.astype(np.float64)


def _p_values(
    calibration: NDArray[np.float64], judged: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    return [
        ConformalSample(np.sort(c)).p_values(s) for c, s in zip(calibration, judged, strict=True)
    ]


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_false_alarms_keep_to_alpha_over_many_splits(bundle: Bundle, alpha: float) -> None:
    scores, rng = unseen_scores(bundle), np.random.default_rng(0)
    rates = np.empty(SPLITS)
    for split in range(SPLITS):
        order = rng.permutation(scores.shape[1])
        half = len(order) // 2
        p = _p_values(scores[:, order[:half]], scores[:, order[half:]])
        rates[split] = np.mean([d is not Decision.KNOWN for d in decide(p[0], p[1], alpha)])
    assert rates.mean() <= alpha + 3.0 * rates.std() / np.sqrt(SPLITS)
    assert rates.max() > 0.0


def test_false_discoveries_keep_to_the_rate_over_many_splits(bundle: Bundle) -> None:
    """Batches of known inputs with some that are inverted."""
    scores, rng, rate = unseen_scores(bundle), np.random.default_rng(1), 0.2
    strange = _scores(bundle, inverted(tiny_dataset())[:60])
    shares, found = np.empty(SPLITS), np.empty(SPLITS)
    for split in range(SPLITS):
        order = rng.permutation(scores.shape[1])
        batch = np.concatenate(
            [scores[:, order[:30]], strange[:, rng.permutation(60)[:10]]], axis=1
        )
        p = _p_values(scores[:, order[30:]], batch)
        flagged = np.array([d is not Decision.KNOWN for d in decide_batch(p[0], p[1], rate)])
        shares[split] = flagged[:30].sum() / max(1, flagged.sum())
        found[split] = flagged[30:].mean()
    assert shares.mean() <= rate + 3.0 * shares.std() / np.sqrt(SPLITS)
    assert found.mean() > 0.5
