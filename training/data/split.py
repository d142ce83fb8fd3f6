"""Who may see which inputs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rcmvae.errors import DataError
from rcmvae.ood import NUM_TYPICAL
from training.config import DataConfig
from training.data.source import Source
from training.setting import AUTO

USUAL_HELD_OUT = 300
USUAL_HELD_OUT_SHARE = 30
"""Of large sets one in so many is held out: 2,000 of the 60,000 of MNIST."""

USUAL_TEST = 597
MIN_DENSITY = NUM_TYPICAL + 1
"""One more than the values that the density of `atypicality` is fitted to."""


@dataclass(frozen=True, slots=True)
class Split:
    """Who may see what. Indices refer to ``Source.train``, in ascending order.

    Attributes:
        unlabelled: inputs of the fit, without labels; the labelled ones are among them, int64.
        labelled: examples whose label the fit and the label map may see, int64.
        density: held-out inputs on which the fused density is fitted, int64.
        calibration: held-out inputs that calibrate, seen by no fit, int64.
        test: indices into ``Source.train``, or empty where the source brings its own test set.
    """

    unlabelled: NDArray[np.int64]
    labelled: NDArray[np.int64]
    density: NDArray[np.int64]
    calibration: NDArray[np.int64]
    test: NDArray[np.int64]


def split_source(source: Source, config: DataConfig, seed: int) -> Split:
    """Split by one permutation that depends on the seed and on nothing else.

    Test and held-out inputs are taken first and in this order, so that they stay the same when
    the number of labels changes.

    Raises:
        DataError: the source has too few inputs, or too few of a class, for the split asked for.
    """
    config = sized(config, source)
    order = np.random.default_rng(seed).permutation(len(source.train))
    tested = 0 if source.test is not None else config.test
    density = tested + round(config.held_out * config.density_share)
    reserved = tested + config.held_out
    _require_parts(source, tested, density - tested, reserved - density)
    if reserved >= len(order):
        raise DataError(f"split: expected more than {reserved} inputs, got {len(order)}")
    fit = order[reserved:]
    fit = fit[: config.limit] if config.limit else fit
    return Split(
        unlabelled=np.sort(fit),
        labelled=np.sort(_draw_labelled(source, fit, config)),
        density=np.sort(order[tested:density]),
        calibration=np.sort(order[density:reserved]),
        test=np.sort(order[:tested]),
    )


def sized(config: DataConfig, source: Source) -> DataConfig:
    """The configuration with the sizes that are ``auto`` chosen by the number of inputs."""
    count = len(source.train)
    usual = min(max(USUAL_HELD_OUT, count // USUAL_HELD_OUT_SHARE), count // 5)
    held_out = usual if config.held_out == AUTO else config.held_out
    usual_test = min(USUAL_TEST, count // 3) if source.test is None else 0
    test = usual_test if config.test == AUTO else config.test
    return replace(config, held_out=held_out, test=test)


def _require_parts(source: Source, tested: int, density: int, calibration: int) -> None:
    if source.test is None and not tested:
        raise DataError("data.test: expected at least 1, as the source brings no test set, got 0")
    if density < MIN_DENSITY or not calibration:
        raise DataError(
            f"data.held_out and data.density_share: expected at least {MIN_DENSITY} inputs for the "
            f"density and 1 to calibrate, got {density} and {calibration}"
        )


def _draw_labelled(source: Source, fit: NDArray[np.int64], config: DataConfig) -> NDArray[np.int64]:
    """The first inputs of every labelled class in the order of ``fit``, evenly many of each."""
    classes = labelled_classes(source, config)
    share, extra = divmod(config.labels, len(classes))
    drawn: list[NDArray[np.int64]] = []
    for position, label in enumerate(classes):
        wanted = share + (position < extra)
        found = fit[source.train.y[fit] == source.labels.index(label)][:wanted]
        if len(found) < wanted:
            raise DataError(
                f"data.labels: {config.labels} take {wanted} of class {label!r}: expected at least "
                f"{wanted} inputs to label, got {len(found)} of {len(fit)} for the fit"
            )
        drawn.append(found)
    return np.concatenate(drawn)


def labelled_classes(source: Source, config: DataConfig) -> tuple[str, ...]:
    """Names of the classes that get labels, in the source's order.

    Raises:
        DataError: a class named as unlabelled is not in the source, or no class is left.
    """
    strangers = set(config.unlabelled_classes) - set(source.labels)
    if strangers:
        raise DataError(f"unlabelled classes: expected some of {source.labels}, got {strangers}")
    kept = tuple(name for name in source.labels if name not in config.unlabelled_classes)
    if not kept or 0 < config.labels < len(kept):
        raise DataError(
            f"labels: expected 0, or at least one for each of {kept}, got {config.labels}"
        )
    return kept
