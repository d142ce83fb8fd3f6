"""A random walk over the channels that stops at labelled ones, or dies on the way."""

import numpy as np
from numpy.typing import NDArray

SURVIVAL = 0.9
"""g: the chance that the walk goes on living from one step to the next."""

_TINY = 1e-12


def steps(affinity: NDArray[np.float64]) -> NDArray[np.float64]:
    """G P: where a walk is after one step that it survives, (K, K); P has rows that sum to one.

    Args:
        affinity: non-negative, (K, K); a row of zeros leads nowhere.
    """
    rows = affinity.sum(axis=1, keepdims=True)
    return np.asarray(SURVIVAL * affinity / np.maximum(rows, _TINY))


def absorbed(
    step: NDArray[np.float64],
    evidence: NDArray[np.float64],
    half: float,
    stopping: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What a walk from each channel collects where it stops, of the shape of ``stopping``.

    Solves o = stopping + c / (s + c) g P o: an absorbing random walk (Zhu, Ghahramani and Lafferty
    2003) with killing.

    Args:
        step: g P, see ``steps``.
        evidence: labelled mass s of every channel, (K,), in examples.
        half: c > 0, the evidence at which a walk stops with probability one half.
        stopping: what it collects at a channel times the chance that it stops there, (K, ...).
    """
    going_on = half / (evidence + half)
    system = np.eye(len(evidence)) - going_on[:, None] * step
    return np.asarray(np.linalg.solve(system, stopping))
