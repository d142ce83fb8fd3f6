"""The scaling of raw vectors: there and back, constant features, and nothing that is no number."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.preprocessing import RobustScaler

from rcmvae.scaling import HIGHEST, LOWEST, SPAN, Scaling
from training.data import fit_scaling, raw_range
from training.model.scale import Scale

tables = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(1, 5)),
    elements=st.floats(-(2.0**99), 2.0**99, width=32),
)
anything = hnp.arrays(np.float32, (3, 5), elements=st.floats(-(2.0**127), 2.0**127, width=32))


@given(tables)
def test_whatever_the_table_every_scaled_value_is_a_number_in_bounds(
    x: NDArray[np.float32],
) -> None:
    scaling = fit_scaling(x)
    assert (scaling.width > 0).all()
    assert np.isfinite(scaling.width).all()
    scaled = scaling.scaled(x)
    assert scaled.dtype == np.float32
    assert ((scaled >= LOWEST) & (scaled <= HIGHEST)).all()


@given(tables, anything)
def test_torch_and_numpy_agree_on_anything(
    x: NDArray[np.float32], other: NDArray[np.float32]
) -> None:
    scaling = fit_scaling(x)
    inputs = other[:, : x.shape[1]]
    by_torch = Scale(scaling)(torch.from_numpy(inputs)).numpy()
    assert_allclose(by_torch, scaling.scaled(inputs), atol=1e-5)


@given(
    hnp.arrays(np.float64, (7, 3), elements=st.floats(-1.0, 2.0)),
    hnp.arrays(np.float32, 3, elements=st.floats(-100.0, 100.0, width=32)),
    hnp.arrays(np.float32, 3, elements=st.floats(0.125, 2.0**20, width=32)),
)
def test_there_and_back(
    units: NDArray[np.float64], centre: NDArray[np.float32], width: NDArray[np.float32]
) -> None:
    scaling = Scaling(centre, width)
    assert_allclose(scaling.scaled(scaling.raw(units)), units, atol=1e-3)


def test_the_units_are_robust_deviations() -> None:
    """Against scikit-learn's own robust scaler, with a wild value that moves neither."""
    x = np.random.default_rng(0).normal([5.0, -300.0], [0.1, 40.0], (400, 2))
    x[0] = 1e6
    scaler = RobustScaler(unit_variance=True).fit(x)
    expected = scaler.transform(x) / SPAN + 0.5
    assert_allclose(
        fit_scaling(x.astype(np.float32)).scaled(x)[1:],
        expected[1:].clip(LOWEST, HIGHEST),
        atol=1e-3,
    )
    assert norm.cdf(0.5 * SPAN) > 0.998


def test_a_constant_feature_keeps_its_own_unit_and_a_rare_one_its_deviation() -> None:
    rare = np.zeros(100, np.float32)
    rare[:10] = 2.0
    scaling = fit_scaling(np.stack([np.full(100, 7.5, np.float32), rare], axis=1))
    assert_allclose(
        scaling.scaled(np.array([[7.5, 0.0], [8.0, 2.0]])), [[0.5, 0.5], [1.0, 0.5 + 2 / 3.6]]
    )


@given(tables)
def test_the_range_has_room_and_an_end(x: NDArray[np.float32]) -> None:
    low, high = raw_range(x)
    assert low == -high
    assert 1000.0 * float(np.abs(x).max()) <= high * (1 + 1e-9)
    assert high <= 1.001e34
    assert np.isfinite(np.float32(high))
