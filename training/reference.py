"""Which inputs of the training stream are reference points, and what the served graph says."""

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import InputSignature, write_tensors
from rcmvae.graph import Graphs
from rcmvae.reference import pack
from training.data import NO_LABEL, Dataset
from training.encode import run_served

POOL = 4
"""Inputs that are looked at for one that is chosen, so that rare channels are found."""

SMALLEST_SHARE = 20
"""Points of a channel, where the pool has so many: a rare channel shall be seen."""

_OUTPUTS = ("logits", "channel", "fused", "position")


def write_reference_points(
    graphs: Graphs, dataset: Dataset, signature: InputSignature, count: int
) -> bytes:
    """`latent_map.safetensors` but for what depends on the label map, which the draft adds.

    Args:
        graphs: to be served; any label map.
        dataset: what the network was fitted on.
        signature: of its inputs.
        count: at most so many points, but every labelled input is one.
    """
    pool = _pool(dataset, POOL * count)
    logits, channel, fused, position = run_served(graphs, _OUTPUTS, dataset.unlabelled[pool])
    labels = _labels_of(dataset)[pool]
    row = stratified(channel.astype(np.int64), labels != NO_LABEL, count)
    channels = logits.shape[1]
    return write_tensors(
        {
            "number": dataset.split.unlabelled[pool[row]].astype(np.int64),
            "logits": logits[row],
            "channel": channel[row],
            "fused": fused[row],
            "position": position[row],
            "label": labels[row],
            "usage": np.bincount(channel.astype(np.int64), minlength=channels) / channel.size,
            "x": pack(dataset.unlabelled[pool[row]], signature),
        }
    )


def stratified(
    channel: NDArray[np.int64], labelled: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """Rows to keep, ascending: of every channel its share, or SMALLEST_SHARE where that is more.

    Args:
        channel: of every row of the pool, (n,); earlier rows are preferred.
        labelled: rows that are kept in any case, (n,).
        count: rows to keep, about; a rare channel may add some.
    """
    kept = labelled.copy()
    for k in np.unique(channel):
        own = np.flatnonzero(channel == k)
        share = max(round(count * len(own) / len(channel)), SMALLEST_SHARE)
        kept[own[:share]] = True
    return np.flatnonzero(kept)


def _pool(dataset: Dataset, count: int) -> NDArray[np.int64]:
    """Rows of the split's unlabelled inputs: a draw that a refit repeats, and all labelled ones.

    Corrections, which a refit appends to the unlabelled inputs, are no part of the split.
    """
    drawn = np.random.default_rng(0).permutation(len(dataset.split.unlabelled))[:count]
    labelled = np.flatnonzero(_labels_of(dataset) != NO_LABEL)
    return np.concatenate([drawn, np.setdiff1d(labelled, drawn)])


def _labels_of(dataset: Dataset) -> NDArray[np.int64]:
    """Label of every unlabelled input of the split, NO_LABEL where training has none, (n,)."""
    labels = np.full(len(dataset.split.unlabelled), NO_LABEL, dtype=np.int64)
    place = np.searchsorted(dataset.split.unlabelled, dataset.split.labelled)
    labels[place] = dataset.labelled.y[: len(place)]
    return labels
