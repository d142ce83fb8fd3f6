"""The scaling that suits the inputs of the fit, and the range that a client may send."""

import math

import numpy as np
from numpy.typing import NDArray

from rcmvae.scaling import SPAN, Scaling

_NORMAL_QUARTILES = 1.349
"""Interquartile range of a standard normal distribution."""
_RESOLUTION = 1e-6
"""Spread below this share of a feature's magnitude is float32's rounding."""
_ROOM = 1000.0


def fit_scaling(x: NDArray[np.float32]) -> Scaling:
    """Median and spread of every feature: robust, as one wild value must not squeeze the others.

    The spread is that of the quartiles; where these fall together, as in a feature that is mostly
    zero, the standard deviation; a constant feature keeps its own unit.

    Args:
        x: inputs of the fit alone, (n, F), finite.
    """
    wide = x.astype(np.float64)
    low, centre, high = np.quantile(wide, [0.25, 0.5, 0.75], axis=0)
    least = np.maximum(_RESOLUTION * np.abs(centre), np.finfo(np.float32).tiny)
    spread = (high - low) / _NORMAL_QUARTILES
    spread = np.where(spread > least, spread, wide.std(axis=0))
    width = np.where(spread > least, SPAN * spread, 1.0)
    return Scaling(centre.astype(np.float32), width.astype(np.float32))


def raw_range(x: NDArray[np.float32]) -> tuple[float, float]:
    """What a client may send: up to a thousand times the largest value of the fit, either sign.

    What is strange is answered, and flagged; what is further out is a mistake, and refused.
    """
    largest = max(1.0, float(np.abs(x).max()))
    bound = 10.0 ** math.ceil(math.log10(_ROOM * largest))
    return -bound, bound
