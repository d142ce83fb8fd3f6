"""What every channel and every class is, in figures: the rows of the page's two large tables."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.label_map import LabelMap
from training.report.cause import EMPTY, Errors, majority_labels


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """One channel.

    Attributes:
        channel: its index.
        label: what the map calls it; None where too little evidence speaks for any label.
        tau: the map's weight of that label, or of the likeliest one, in [0, 1].
        evidence: labelled mass, in examples.
        usage: share of the unlabelled inputs, by mean responsibility.
        test_inputs: test inputs that it is most responsible for.
        majority: their most frequent label; None where there are none.
        purity: share of that label among them; 0 where there are none.
        by_map: wrong answers that are the map's fault.
        by_channel: wrong answers that are the channel's fault.
    """

    channel: int
    label: str | None
    tau: float
    evidence: float
    usage: float
    test_inputs: int
    majority: str | None
    purity: float
    by_map: int
    by_channel: int

    @property
    def is_mixed(self) -> bool:
        """Whether the test inputs show more than one class: below 90 % of at least ten."""
        return self.test_inputs >= 10 and self.purity < 0.9


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """One class of the test set.

    Attributes:
        label: its name.
        is_labelled: whether the map knows it; otherwise no answer can be right.
        test_inputs: how many there are.
        by_map: of those answered wrongly by the map's fault.
        by_channel: of those answered wrongly by the channel's fault.
        main_channel: the channel that most of its inputs go to; None without inputs.
        channels: channels of which it is the majority label.
        shares_with: other classes with the same main channel.
    """

    label: str
    is_labelled: bool
    test_inputs: int
    by_map: int
    by_channel: int
    main_channel: int | None
    channels: int
    shares_with: tuple[str, ...]


def channel_facts(
    label_map: LabelMap,
    free_mass: float,
    usage: NDArray[np.float64],
    counts: NDArray[np.int64],
    names: tuple[str, ...],
    channel: NDArray[np.int64],
    errors: Errors,
) -> tuple[ChannelFacts, ...]:
    """Facts of all K channels, by the map's label, free ones last, the most used ones first.

    Args:
        label_map: the map.
        free_mass: below this evidence a channel has no label.
        usage: mean responsibilities of the unlabelled inputs, (K,).
        counts: test inputs by channel and class, (K, C).
        names: of the classes, C.
        channel: most responsible channel of every test input, (n,).
        errors: rows of the wrong ones.
    """
    size, tau, evidence = len(usage), label_map.tau, label_map.evidence
    majority = majority_labels(counts)
    by_map = np.bincount(channel[errors.by_map], minlength=size)
    by_channel = np.bincount(channel[errors.by_channel], minlength=size)
    best = tau.argmax(axis=1)
    # A free channel comes after every label.
    rank = np.where(evidence >= free_mass, best, len(label_map.labels))
    return tuple(
        ChannelFacts(
            channel=int(k),
            label=label_map.labels[best[k]] if evidence[k] >= free_mass else None,
            tau=float(tau[k, best[k]]),
            evidence=float(evidence[k]),
            usage=float(usage[k]),
            test_inputs=int(counts[k].sum()),
            majority=names[majority[k]] if majority[k] != EMPTY else None,
            purity=float(counts[k].max() / max(1, counts[k].sum())),
            by_map=int(by_map[k]),
            by_channel=int(by_channel[k]),
        )
        for k in np.lexsort((-usage, rank))
    )


def class_facts(
    counts: NDArray[np.int64],
    names: tuple[str, ...],
    labelled: tuple[str, ...],
    truth: NDArray[np.int64],
    errors: Errors,
) -> tuple[ClassFacts, ...]:
    """Facts of all C classes, in the order of ``names``.

    Args:
        counts: test inputs by channel and class, (K, C).
        names: of the classes, C.
        labelled: classes that the map knows.
        truth: class of every test input, (n,).
        errors: rows of the wrong ones.
    """
    majority = majority_labels(counts)
    main = [int(k) if counts[:, c].any() else None for c, k in enumerate(counts.argmax(axis=0))]
    by_map = np.bincount(truth[errors.by_map], minlength=len(names))
    by_channel = np.bincount(truth[errors.by_channel], minlength=len(names))
    return tuple(
        ClassFacts(
            label=name,
            is_labelled=name in labelled,
            test_inputs=int(counts[:, c].sum()),
            by_map=int(by_map[c]),
            by_channel=int(by_channel[c]),
            main_channel=main[c],
            channels=int((majority == c).sum()),
            shares_with=_sharing(c, main, names),
        )
        for c, name in enumerate(names)
    )


def _sharing(own: int, main: list[int | None], names: tuple[str, ...]) -> tuple[str, ...]:
    if main[own] is None:
        return ()
    return tuple(names[c] for c, k in enumerate(main) if c != own and k == main[own])
