"""How raw features of a vector become what the network works in.

One unit is SPAN robust standard deviations, centred at one half: most values of a feature then lie
in [0, 1], as an image's do. The encoder's and the scores' graphs begin with it, so that whoever
holds a bundle deals in raw values alone.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

SPAN = 6.0
"""Robust standard deviations in one unit: three to each side of the centre."""

LOWEST, HIGHEST = -1.0, 2.0
"""Where scaled values end: nine robust standard deviations from the centre.

That far out everything is equally strange, and no single value may drown the other features.
"""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Centre and width of every feature, in raw units.

    Attributes:
        centre: float32 (F,).
        width: float32 (F,), positive.
    """

    centre: NDArray[np.float32]
    width: NDArray[np.float32]

    def scaled(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """Raw features (N, F) in units of the width, cut to [LOWEST, HIGHEST]."""
        # What is too far for float32 becomes infinite, and is cut like anything far out.
        with np.errstate(over="ignore"):
            units = (x.astype(np.float32) - self.centre) / self.width + np.float32(0.5)
        return np.asarray(np.clip(units, np.float32(LOWEST), np.float32(HIGHEST)), np.float32)

    def raw(self, units: NDArray[np.floating]) -> NDArray[np.float32]:
        """The inverse, within what ``scaled`` does not cut."""
        return ((units.astype(np.float64) - 0.5) * self.width + self.centre).astype(np.float32)


CENTRE, WIDTH = "input_centre", "input_width"
"""Names of the constants that hold a scaling in `scores.onnx`."""


def read_scaling(scores: bytes) -> Scaling | None:
    """The scaling that a verified `scores.onnx` begins with; None where it has none."""
    constants = {each.name: each for each in onnx.load_from_string(scores).graph.initializer}
    if CENTRE not in constants:
        return None
    return Scaling(*(numpy_helper.to_array(constants[name]) for name in (CENTRE, WIDTH)))
