"""Inputs with their labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs with their true labels.

    Attributes:
        x: float32 in [0, 1], (n, *shape); images are (1, H, W).
        y: index into the source's labels, int64 (n,), NO_LABEL where there is none.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.y.shape[0])

    def take(self, index: NDArray[np.int64]) -> "Examples":
        """The examples at ``index``."""
        return Examples(self.x[index], self.y[index])
