"""Separation by counting pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.separation import separation

SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_auroc_is_the_share_of_pairs_in_the_right_order(
    familiar: list[float], strange: list[float]
) -> None:
    pairs = [(f < s) + 0.5 * (f == s) for f in familiar for s in strange]
    assert separation(np.array(familiar), np.array(strange)).auroc == pytest.approx(np.mean(pairs))


@given(SCORES, SCORES)
def test_the_thresholds_are_met_and_no_lower_one_would_be(
    familiar: list[float], strange: list[float]
) -> None:
    low, high = np.array(familiar), np.array(strange)
    found = separation(low, high)
    thresholds = [t for t in np.unique(high) if np.mean(high >= t) >= 0.95]
    assert found.fpr95 == np.mean(low >= max(thresholds))
    ceilings = [t for t in np.unique(low) if np.mean(low <= t) >= 0.95]
    assert found.missed95 == np.mean(high <= min(ceilings))


def test_what_is_no_number_is_strangest() -> None:
    found = separation(np.array([0.0, 1.0, 2.0]), np.array([np.nan, np.inf]))
    assert (found.auroc, found.fpr95, found.missed95) == (1.0, 0.0, 0.0)


def test_precision_does_not_depend_on_how_many_strange_inputs_there_are() -> None:
    rng = np.random.default_rng(0)
    familiar, strange = rng.normal(size=4000), 1.0 + rng.normal(size=4000)
    few, many = separation(familiar, strange[:400]), separation(familiar[:400], strange)
    assert few.aupr == pytest.approx(many.aupr, abs=0.03)
