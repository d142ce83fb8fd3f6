"""Random label maps for tests: hard, soft and vanishing evidence, few and no examples."""

import numpy as np
from hypothesis import strategies as st

from rcmvae.label_map import LabelMap

FLOORS = (1e-3, 0.05, 1.0)
MASSES = (1e-9, 1.0, 40.0)


def random_map(
    seed: int,
    *,
    channels: int = 4,
    labels: int = 3,
    examples: int = 6,
    alpha0: float = 0.05,
    mass: float = 1.0,
) -> LabelMap:
    """A map of ``examples`` rows of ``mass`` each, spread over the channels at random."""
    rng = np.random.default_rng(seed)
    return LabelMap(
        labels=tuple(f"label-{y}" for y in range(labels)),
        contributions=mass * rng.dirichlet(np.full(channels, 0.3), examples),
        contribution_labels=rng.integers(0, labels, examples),
        ids=tuple(f"train-{i}" for i in range(examples)),
        alpha0=alpha0,
    )


def label_maps(*, least_examples: int = 0) -> st.SearchStrategy[LabelMap]:
    """Maps of one to five channels and labels."""
    return st.builds(
        random_map,
        st.integers(0, 2**32 - 1),
        channels=st.integers(1, 5),
        labels=st.integers(1, 5),
        examples=st.integers(least_examples, 8),
        alpha0=st.sampled_from(FLOORS),
        mass=st.sampled_from(MASSES),
    )
