"""Sets of inputs that are unlike the training stream: nothing is ever fitted on them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.datasets import load_digits

from benchmarks.faults import FAULTS, faulty
from rcmvae.errors import InvalidInput
from training.data import Examples

NOISE_INPUTS = 1000

_AGAIN_A_DIGIT: Mapping[str, tuple[int, ...]] = {
    "rotated_90": (0,),
    "rotated_180": (0, 1, 2, 5, 6, 8, 9),
}
"""Digits that are a digit again after the turn: of half a turn those that a seven-segment display
shows upside down, a two and a five being their own (docs/decisions/0008-out-of-distribution.md)."""

_FONTS = (
    ("DejaVu Sans", "normal"),
    ("DejaVu Sans", "bold"),
    ("DejaVu Serif", "normal"),
    ("DejaVu Serif", "bold"),
    ("DejaVu Sans Mono", "normal"),
    ("DejaVu Sans Mono", "bold"),
    ("STIXGeneral", "normal"),
    ("STIXGeneral", "bold"),
    ("cmr10", "normal"),
)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Outliers:
    """One set.

    Attributes:
        x: images, (n, 1, side, side) in [0, 1].
        targeted: whether the targets count it; the others are only reported.
    """

    x: NDArray[np.float32]
    targeted: bool = True


def outlier_sets(
    test: Examples, other: NDArray[np.float32] | None, seed: int, *, digits: bool
) -> dict[str, Outliers]:
    """All sets, by name.

    A turned digit may be a digit again. So for digits the turned sets are reported whole, and
    counted without the classes that are (``..._not_a_digit``).

    Args:
        test: images of the data's own test part, from which those with a fault are made.
        other: images of another source of the same shape, or None.
        seed: of all that is drawn.
        digits: whether the classes of ``test`` are the ten digits, in their order.

    Raises:
        InvalidInput: the data are no grey square images.
    """
    shape = test.x.shape[1:]
    if len(shape) != 3 or shape[0] != 1 or shape[1] != shape[2]:
        raise InvalidInput("--data", "grey square images, (1, side, side)", f"shape {shape}")
    rng = np.random.default_rng(seed)
    sets = {} if other is None else {"other": Outliers(other)}
    sets["uniform_noise"] = Outliers(rng.random((NOISE_INPUTS, *shape), dtype=np.float32))
    for name in FAULTS:
        sets[name] = Outliers(
            faulty(name, test.x, rng), targeted=not digits or name not in _AGAIN_A_DIGIT
        )
    if digits:
        for name, classes in _AGAIN_A_DIGIT.items():
            kept = ~np.isin(test.y, classes)
            sets[f"{name}_not_a_digit"] = Outliers(sets[name].x[kept])
    side = shape[1]
    if side > load_digits().images.shape[1]:
        sets["upscaled_digits"] = Outliers(upscaled_digits(side), targeted=False)
    sets["letters"] = Outliers(letters(side), targeted=False)
    return sets


def upscaled_digits(side: int) -> NDArray[np.float32]:
    """scikit-learn's 1,797 digits with a margin of one pixel, scaled linearly."""
    margin = np.pad(load_digits().images / 16.0, ((0, 0), (1, 1), (1, 1)))
    scale = side / margin.shape[1]
    scaled = ndimage.zoom(margin, (1.0, scale, scale), order=1)
    return np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)[:, None]


def letters(side: int) -> NDArray[np.float32]:
    """Capital letters of matplotlib's own fonts, white on black, (234, 1, side, side)."""
    drawn = [_letter(letter, *font, side) for font in _FONTS for letter in _ALPHABET]
    return np.stack(drawn).astype(np.float32)[:, None]


def _letter(letter: str, font: str, weight: str, side: int) -> NDArray[np.floating]:
    figure = Figure(figsize=(1.0, 1.0), dpi=side)
    canvas = FigureCanvasAgg(figure)
    size = 44.0
    figure.text(
        0.5,
        0.5,
        letter,
        ha="center",
        va="center_baseline",
        fontsize=size,
        family=font,
        weight=weight,
    )
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), dtype=np.float64)  # type: ignore[no-untyped-call]
    return np.asarray(1.0 - pixels[..., :3].mean(axis=2) / 255.0)
