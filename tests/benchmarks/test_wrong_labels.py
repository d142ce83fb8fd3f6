"""The wrong labels of the benchmark are wrong, all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.wrong_labels import KINDS


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1), labels=st.integers(2, 12))
def test_every_label_is_wrong_and_has_a_name(kind: str, seed: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, labels, 50)
    said = KINDS[kind](y, labels, rng)
    assert (said != y).all()
    assert ((said >= 0) & (said <= labels)).all()
