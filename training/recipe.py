"""What suits the data, where the configuration says ``auto``.

A recipe is a whole configuration of which only those fields count that are ``auto`` in the user's.
To leave another field to the recipes: make ``auto`` its default in training/config.py, and give it
its value in SMALL_IMAGES, from which the other recipes differ. What depends on the number of
inputs or classes is a function of its own below.

Nothing here looks at a label's value, let alone at a test label.
"""

import math
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from rcmvae.decision import smallest_alpha
from rcmvae.errors import InvalidInput
from training.config import (
    AugmentConfig,
    CalibrationConfig,
    FitConfig,
    ModelConfig,
    RunConfig,
    from_json,
    to_json,
)
from training.data import NO_LABEL, Dataset
from training.model.encoder import SMALL_SIDE
from training.model.network import channel_count
from training.objective_config import ObjectiveConfig
from training.setting import is_auto

_Tree = TypeVar("_Tree")

SMALL_IMAGES = RunConfig(
    model=ModelConfig(encoder="conv", likelihood="bernoulli", sigma="image", filters=16),
    objective=ObjectiveConfig(
        top_channels=3,
        decoded=0.25,
        second_view="target",
        supervised_ramp=(0.1, 0.4),
        supervised=1.0,
        usage_fade=(0.3, 0.7),
        channel_agreement=1.0,
        label_agreement=2.0,
        label_agreement_ramp=(0.3, 0.6),
        evidence_half=0.1,
        pseudo_label=0.0,
        pseudo_label_threshold=0.95,
        graph_label=0.0,
        graph_label_fade=(0.5, 1.0),
        fit_alpha0=0.02,
    ),
    augment=AugmentConfig(rotation=0.25, scale=0.15, shear=0.2, shift=0.08, elastic=0.0),
    fit=FitConfig(labelled_batch=64, peak_lr=4e-3, hold=0.0, average=0.0),
    calibration=CalibrationConfig(probabilities="leave_one_out"),
)
"""Chosen on digits: docs/decisions/0003-recipe-digits.md."""

IMAGES = replace(
    SMALL_IMAGES,
    model=replace(SMALL_IMAGES.model, filters=32),
    objective=replace(
        SMALL_IMAGES.objective,
        supervised_ramp=(0.005, 0.03),
        usage_fade=(0.1, 0.3),
        label_agreement=1.0,
        label_agreement_ramp=(0.03, 0.1),
        evidence_half=1.0,
        pseudo_label=1.0,
        pseudo_label_threshold=0.8,
        fit_alpha0=0.005,
    ),
    augment=AugmentConfig(rotation=0.3, scale=0.18, shear=0.24, shift=0.096, elastic=0.0),
    fit=FitConfig(labelled_batch=32, peak_lr=3e-3, hold=0.75, average=0.998),
)
"""Chosen on held-out and unlabelled inputs of MNIST: docs/decisions/0005-mnist-trials.md."""

MANY_LABELS = 30
"""Labelled examples a class from which on labels say more than agreement does."""

IMAGES_WITH_MANY_LABELS = replace(
    IMAGES,
    objective=replace(IMAGES.objective, supervised=3.0, channel_agreement=0.3),
    augment=AugmentConfig(rotation=0.15, scale=0.12, shear=0.12, shift=0.07, elastic=0.0),
    fit=replace(IMAGES.fit, labelled_batch=64),
    calibration=CalibrationConfig(probabilities="held_out"),
)
"""Agreement divides images as it sees fit; many labels know better what belongs together, and need
views to tell them less. The fit knows them by heart: leaving one out of the map does not leave it
out of the fit, and says nothing of how sure to be (docs/decisions/0009-calibration.md). Chosen on
held-out and unlabelled inputs of Fashion-MNIST with 500 labels:
docs/decisions/0005-mnist-trials.md."""

VECTORS = replace(
    SMALL_IMAGES,
    model=ModelConfig(encoder="mlp", likelihood="gaussian", sigma="pixel", filters=16),
    objective=replace(
        SMALL_IMAGES.objective,
        top_channels=5,
        decoded=1.0,
        second_view="learning",
        channel_agreement=0.0,
        label_agreement=0.0,
        evidence_half=1.0,
        graph_label=3.0,
        # Never: nothing else tells neighbours to agree.
        graph_label_fade=(1.0, 1.0),
    ),
    augment=AugmentConfig(rotation=0.0, scale=0.0, shear=0.0, shift=0.0, elastic=0.0),
    fit=replace(SMALL_IMAGES.fit, peak_lr=1e-3),
)
"""No augmentation: which changes leave the class of a row alone, nobody knows beforehand.

Without a second view agreement only rewards sure assignments, right or wrong, and cost accuracy on
held-out rows. Labels that spread over a graph of the rows take its place
(docs/decisions/0006-vectors.md).
"""

_BY_THE_MACHINE = ("fit.device", "fit.precision", "fit.compile")
"""Decided at every start (training/machine.py): a run or a refit may go on on another machine."""

_BUDGET_INPUTS = 900
_IMAGE_STEPS = 840
_VECTOR_STEPS = 300
_BUDGET_EXPONENT = 0.517
_LARGEST_ALPHA = 0.5
_USUAL_ALPHA = 0.01


def settled(config: RunConfig, dataset: Dataset) -> RunConfig:
    """The configuration without ``auto``: what was given stays, the rest suits the data.

    Settling once more changes nothing.

    Args:
        config: as the user gave it.
        dataset: split by ``config.data``.

    Raises:
        InvalidInput: what was given does not go with what suits the data; names the field.
    """
    counted = replace(
        SMALL_IMAGES,
        data=replace(config.data, held_out=_held_out(dataset), test=len(dataset.split.test)),
        calibration=CalibrationConfig(alpha=usual_alpha(dataset)),
    )
    recipe = recipe_of(dataset.shape, len(dataset.labelled) / len(dataset.labels))
    chosen = filled(filled(config, recipe), counted)
    steps = replace(chosen, fit=FitConfig(epochs=epochs_for(dataset, chosen.fit.batch)))
    model = replace(
        chosen.model, num_channels=channel_count(chosen.model, len(dataset.held_labels))
    )
    # Through the validation, which knows what contradicts each other.
    return from_json(to_json(replace(filled(chosen, steps), model=model)))


def recipe_of(shape: tuple[int, ...], labels_per_class: float) -> RunConfig:
    """The recipe for inputs of one shape, with so many labelled examples a class."""
    if len(shape) != 3:
        return VECTORS
    if min(shape[1:]) < SMALL_SIDE:
        return SMALL_IMAGES
    return IMAGES_WITH_MANY_LABELS if labels_per_class >= MANY_LABELS else IMAGES


def filled(config: _Tree, source: _Tree) -> _Tree:
    """``config`` with every ``auto`` replaced by what ``source`` has in its place."""
    if not is_dataclass(config) or isinstance(config, type):
        return source if is_auto(config) else config
    values = {
        field.name: filled(getattr(config, field.name), getattr(source, field.name))
        for field in fields(config)
    }
    return replace(config, **values)


def require_settled(config: RunConfig) -> None:
    """Refuse a configuration that still leaves something open, but for what the machine decides.

    Raises:
        InvalidInput: names the first field that is ``auto``.
    """
    _require_no_auto(config, "")


def _require_no_auto(node: object, path: str) -> None:
    if path in _BY_THE_MACHINE:
        return
    if is_dataclass(node):
        for field in fields(node):
            _require_no_auto(getattr(node, field.name), f"{path}.{field.name}".removeprefix("."))
    elif is_auto(node):
        raise InvalidInput(path, "a settled configuration", "'auto'")


def epochs_for(dataset: Dataset, batch: int) -> int:
    """Epochs that make up ``budget`` optimisation steps over the unlabelled inputs."""
    count = len(dataset.unlabelled)
    least = _IMAGE_STEPS if len(dataset.shape) == 3 else _VECTOR_STEPS
    return max(1, round(budget(count, least) / max(1, count // batch)))


def budget(count: int, least: int = _IMAGE_STEPS) -> float:
    """Optimisation steps for ``count`` unlabelled inputs.

    A power law through the two sets on which it was tried: 840 steps for the 900 of digits (120
    epochs), some 7,250 for 58,000 images of MNIST (16 epochs). More inputs deserve more steps, but
    fewer looks at each. Below 900 it stays at ``least``: a fit takes so many steps, however few the
    inputs. Vectors start from 300, as was tried on tables.
    """
    return float(least * max(1.0, count / _BUDGET_INPUTS) ** _BUDGET_EXPONENT)


def usual_alpha(dataset: Dataset) -> float:
    """0.01, or the least alpha at which the calibration inputs can still raise an alarm.

    Rounded up to two digits. By the numbers of inputs of both questions' samples.
    """
    labelled = int(
        (dataset.density.y != NO_LABEL).sum() + (dataset.calibration.y != NO_LABEL).sum()
    )
    sizes = (len(dataset.calibration), labelled or len(dataset.labelled))
    least = math.ceil(100.0 * smallest_alpha(sizes)) / 100.0
    return min(_LARGEST_ALPHA, max(_USUAL_ALPHA, least))


def _held_out(dataset: Dataset) -> int:
    return len(dataset.density) + len(dataset.calibration)
