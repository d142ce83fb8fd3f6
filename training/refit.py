"""Refit: continue training from a bundle's weights, with the corrections among the labels.

A new label that finds no channel free gets one more (training/widen.py).
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load

from rcmvae.bundle import Bundle, BundleDraft, Lineage
from rcmvae.bundle.manifest import SCORES, WEIGHTS
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleDamaged
from rcmvae.label_map import is_label_id
from rcmvae.scores_graph import read_placement
from training.assemble import assemble
from training.config import RunConfig, from_json
from training.data import Dataset, Examples, label_ids, load_dataset
from training.fit import fit
from training.recipe import settled
from training.relabel import Correction, labels_without_channel
from training.state import FitState, new_state
from training.widen import plan_channels, widened

logger = logging.getLogger(__name__)

WARM_SHARE = 0.25
"""Share of the original epochs that a warm start gets."""


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A refit before its first step.

    Attributes:
        original: configuration of the run that the parent comes from.
        config: of the refit.
        dataset: the parent's data with the corrections among the labels.
        state: with the parent's weights.
        ids: of the labelled examples.
    """

    original: RunConfig
    config: RunConfig
    dataset: Dataset
    state: FitState
    ids: tuple[str, ...]


def refit(
    parent: Bundle,
    corrections: Sequence[Correction],
    *,
    on_epoch: Callable[[float], None] | None = None,
    quiet: bool = False,
) -> BundleDraft:
    """Continue from the parent's weights on its data plus all corrections.

    Args:
        parent: the bundle to start from; its configuration says where its data are.
        corrections: every correction that shall hold, the parent's own among them.
        on_epoch: called after every epoch with the share in (0, 1] that is done, such as to hold a
            lease.
        quiet: no progress bar.

    Raises:
        DataError: the parent's data are not where its configuration says.
        BundleDamaged: the weights do not fit the configuration.
        ParityError, Diverged: as in a fit.
    """
    start = prepare(parent, corrections)
    epochs = start.config.fit.epochs
    state = fit(
        start.dataset,
        start.config,
        start=start.state,
        on_epoch=None if on_epoch is None else lambda now: on_epoch(now.epoch / epochs),
        quiet=quiet,
    )
    earlier = set(read_label_map(parent).ids)
    fresh = tuple(c.feedback_id for c in corrections if c.feedback_id not in earlier)
    kept = {c.feedback_id for c in corrections}
    gone = tuple(i for i in sorted(earlier - kept) if not is_label_id(i))
    lineage = Lineage(
        method="refit",
        parent_version=parent.version,
        feedback_ids=fresh,
        withdrawn_ids=gone,
        data_sha256=start.dataset.sha256,
    )
    # The bundle carries the original configuration: the warm one would have the next refit draw
    # more labels from the data, and train for a share of a share of the epochs.
    before = read_placement(parent.read(SCORES))
    return assemble(state.served, start.dataset, start.original, lineage, start.ids, before=before)


def prepare(parent: Bundle, corrections: Sequence[Correction]) -> WarmStart:
    """The parent's data with the corrections among the labels, and its weights in a new state."""
    given = from_json(parent.manifest.configuration)
    base = load_dataset(given.data, given.seed)
    # A bundle of before a setting existed leaves it open.
    original = settled(given, base)
    dataset = with_corrections(base, parent.manifest.labels, corrections)
    config = _warm_config(original, len(dataset.labelled), parent.manifest.num_channels)
    state = new_state(dataset, config)
    _load_weights(parent, state)
    # The parent's weights are an average already: it goes on from there.
    state.begin_average(config.fit.average)
    ids = (*label_ids(base), *(correction.feedback_id for correction in corrections))
    start = WarmStart(original, config, dataset, state, ids)
    return _with_room(start, labels_without_channel(parent, corrections))


def _with_room(start: WarmStart, without_channel: Collection[str]) -> WarmStart:
    """The same with one more channel for each of some labels, from the next bundle on."""
    labels = [label for label in start.dataset.labels if label in without_channel]
    if not labels:
        return start
    if start.config.model.prior == "geometric":
        logger.warning("labels %s get no channels: the centres of all are fixed", labels)
        return start
    network = start.state.network
    channels = plan_channels(network, start.dataset, labels)
    count = network.num_channels + len(channels)
    config = _with_channels(start.config, count)
    state = new_state(start.dataset, config)
    wide = widened(network.state_dict(), state.network.state_dict(), channels)
    state.network.load_state_dict(wide)
    state.begin_average(config.fit.average)
    return replace(
        start, original=_with_channels(start.original, count), config=config, state=state
    )


def _with_channels(config: RunConfig, count: int) -> RunConfig:
    return replace(config, model=replace(config.model, num_channels=count))


def _warm_config(original: RunConfig, labelled: int, num_channels: int) -> RunConfig:
    """Fewer epochs, a lower peak, and every term ramped in from the start."""
    fit_config = replace(
        original.fit,
        epochs=max(1, round(original.fit.epochs * WARM_SHARE)),
        peak_lr=original.fit.peak_lr / 4,
    )
    coldest = original.objective.gumbel_temperature[1]
    objective = replace(
        original.objective,
        kl_warmup=0.0,
        supervised_ramp=(0.0, 0.1),
        label_agreement_ramp=(0.0, 0.3),
        usage=0.0,
        gumbel_temperature=(coldest, coldest),
        options=replace(original.objective.options, soft_embedding=0.0),
        curriculum=replace(original.objective.curriculum, start=0),
    )
    return replace(
        original,
        fit=fit_config,
        objective=objective,
        model=replace(original.model, num_channels=num_channels),
        data=replace(original.data, labels=labelled),
    )


def _load_weights(parent: Bundle, state: FitState) -> None:
    try:
        state.network.load_state_dict(load(parent.read(WEIGHTS)))
    except (SafetensorError, RuntimeError) as error:
        raise BundleDamaged("weights", WEIGHTS, f"weights do not fit: {error}") from None


def with_corrections(
    dataset: Dataset, labels: Sequence[str], corrections: Sequence[Correction]
) -> Dataset:
    """Append corrections to the labelled and the unlabelled inputs; new labels come last.

    Args:
        dataset: the original split.
        labels: of the parent bundle, the dataset's own first.
        corrections: may name labels that neither knows.
    """
    if not corrections:
        return dataset
    names = tuple(dict.fromkeys([*dataset.labels, *labels, *(c.label for c in corrections)]))
    x = np.stack([correction.input for correction in corrections])
    y = np.array([names.index(c.label) for c in corrections], dtype=np.int64)
    labelled = Examples(
        np.concatenate([dataset.labelled.x, x]), np.concatenate([dataset.labelled.y, y])
    )
    return replace(
        dataset,
        labels=names,
        labelled=labelled,
        unlabelled=np.concatenate([dataset.unlabelled, x]),
    )
