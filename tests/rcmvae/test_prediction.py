"""Batches of answers."""

from dataclasses import fields

import numpy as np
from numpy.testing import assert_array_equal

from rcmvae.prediction import PredictionBatch
from rcmvae.sampled import SampledUncertainty
from rcmvae.uncertainty import Uncertainty


def _batch(count: int, seed: int) -> PredictionBatch:
    rng = np.random.default_rng(seed)

    def single(*shape: int) -> np.ndarray:
        return rng.random((count, *shape), dtype=np.float32)

    return PredictionBatch(
        labels=("a", "b"),
        probabilities=single(2),
        responsibilities=single(3),
        channel=rng.integers(0, 3, count),
        position=single(2),
        uncertainty=Uncertainty(single(), single(), single(), single()),
        score_names=("kl", "fused"),
        scores=single(2),
        p_familiar=rng.random(count),
        p_owned=rng.random(count),
        label_p_values=rng.random((count, 2)),
        observation_noise=single(),
        sampled=SampledUncertainty(rng.random((count, 2)), *rng.random((3, count))),
    )


def test_concatenated_batches_keep_every_row() -> None:
    parts = [_batch(2, 0), _batch(0, 1), _batch(3, 2)]
    joined = PredictionBatch.concatenate(parts)
    assert len(joined) == 5
    assert (joined.labels, joined.score_names) == (("a", "b"), ("kl", "fused"))
    others = {"labels", "score_names", "uncertainty", "sampled"}
    for name in {f.name for f in fields(PredictionBatch)} - others:
        whole = getattr(joined, name)
        assert_array_equal(whole, np.concatenate([getattr(part, name) for part in parts]))
        assert whole.dtype == getattr(parts[0], name).dtype
    for name, kind in (("uncertainty", Uncertainty), ("sampled", SampledUncertainty)):
        for field in fields(kind):
            expected = [getattr(getattr(part, name), field.name) for part in parts]
            whole = getattr(getattr(joined, name), field.name)
            assert_array_equal(whole, np.concatenate(expected))


def test_one_batch_concatenates_to_itself() -> None:
    batch = _batch(2, 0)
    joined = PredictionBatch.concatenate([batch])
    assert_array_equal(joined.scores, batch.scores)
    assert len(joined) == len(batch) == 2


def test_predicted_is_the_most_probable_label() -> None:
    batch = _batch(6, 3)
    expected = ["a" if a >= b else "b" for a, b in batch.probabilities.tolist()]
    assert batch.predicted == expected
    assert set(expected) == {"a", "b"}
