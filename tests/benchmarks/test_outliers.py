"""The sets that are measured with: what each fault does, and what is counted."""

import numpy as np
import pytest

from benchmarks.faults import FAULTS, faulty
from benchmarks.outliers import letters, outlier_sets, upscaled_digits
from rcmvae.errors import InvalidInput
from training.data import Examples, load_source

DIGITS = load_source("digits").train.take(np.arange(40))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_every_image_and_keeps_its_form(name: str) -> None:
    rng = np.random.default_rng(0)
    changed = faulty(name, DIGITS.x, rng)
    assert changed.shape == DIGITS.x.shape
    assert changed.dtype == np.float32
    assert changed.min() >= 0.0
    assert changed.max() <= 1.0
    assert np.abs(changed - DIGITS.x).max(axis=(1, 2, 3)).min() > 0.05


def test_what_is_drawn_comes_from_the_seed() -> None:
    twice = [outlier_sets(DIGITS, None, 3, digits=True) for _ in range(2)]
    other = outlier_sets(DIGITS, None, 4, digits=True)
    assert twice[0].keys() == twice[1].keys()
    for name, part in twice[0].items():
        np.testing.assert_array_equal(part.x, twice[1][name].x)
    assert not np.array_equal(other["gaussian_noise"].x, twice[0]["gaussian_noise"].x)


def test_a_turned_digit_that_is_one_again_is_not_counted() -> None:
    sets = outlier_sets(DIGITS, None, 0, digits=True)
    assert not sets["rotated_90"].targeted
    assert sets["rotated_90_not_a_digit"].targeted
    assert len(sets["rotated_90_not_a_digit"].x) == np.sum(DIGITS.y != 0)
    left = np.isin(DIGITS.y, (3, 4, 7))
    np.testing.assert_array_equal(
        sets["rotated_180_not_a_digit"].x, DIGITS.x[left][:, :, ::-1, ::-1]
    )
    clothes = outlier_sets(DIGITS, None, 0, digits=False)
    assert clothes["rotated_90"].targeted
    assert not any(name.endswith("not_a_digit") for name in clothes)


def test_another_source_is_counted_and_other_hands_are_not() -> None:
    large = Examples(np.zeros((3, 1, 28, 28), np.float32), np.zeros(3, np.int64))
    sets = outlier_sets(large, large.x, 0, digits=False)
    assert sets["other"].targeted
    assert not sets["upscaled_digits"].targeted
    assert not sets["letters"].targeted


def test_upscaled_digits_are_the_digits() -> None:
    large = upscaled_digits(28)
    assert large.shape == (1797, 1, 28, 28)
    ink = load_source("digits").train.x.sum(axis=(1, 2, 3))
    assert np.corrcoef(large.sum(axis=(1, 2, 3)), ink)[0, 1] > 0.95


def test_letters_are_white_on_black_and_differ() -> None:
    drawn = letters(28)
    assert drawn.shape == (234, 1, 28, 28)
    assert (drawn.mean(axis=(1, 2, 3)) < 0.5).all()
    assert (drawn.max(axis=(1, 2, 3)) > 0.5).all()
    assert len(np.unique(drawn[:26].reshape(26, -1), axis=0)) == 26


def test_vectors_are_refused() -> None:
    rows = Examples(np.zeros((3, 5), np.float32), np.zeros(3, np.int64))
    with pytest.raises(InvalidInput, match="grey square images"):
        outlier_sets(rows, None, 0, digits=False)
