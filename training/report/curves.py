"""Pictures of the training: terms of the objective, and which channels were in use."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.report.findings import Findings
from training.report.palette import Palette
from training.report.plate import WIDTH, Plate, canvas, short
from training.state import EpochRecord

_NO_TERMS = {"epoch", "usage", "seconds"}
_COLUMNS = 4


def draw_curves(findings: Findings) -> Plate:
    """Every recorded term that is not always zero."""
    history = findings.history
    names = recorded_terms(history)
    title, name = "Training curves", "curves"
    if not names:
        return Plate(name, title, "The run recorded no epoch.", "", None)
    rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(WIDTH, 2.1 * rows), layout="constrained")
    axes = [figure.add_subplot(rows, _COLUMNS, place + 1) for place in range(len(names))]
    epochs = [record.epoch + 1 for record in history]
    for axis, term in zip(axes, names, strict=True):
        # A dot, because a line of one epoch would not be seen.
        marker = "." if len(epochs) < 3 else ""
        axis.plot(epochs, [getattr(record, term) for record in history], marker=marker)
        axis.set_title(term.replace("_", " "), fontsize=10)
        axis.tick_params(labelsize=7)
        axis.grid(visible=True, alpha=0.25)
    last = history[-1]
    return Plate(
        name,
        title,
        "Means over each epoch of the terms before their weights, in nats, and the loss with "
        "them; x is the epoch. Agreements are rewards: higher is better. Terms that were off "
        "are left out.",
        f"{len(names)} curves over {len(history)} epochs; at the end: "
        + ", ".join(f"{term.replace('_', ' ')} {getattr(last, term):.3g}" for term in names),
        figure,
    )


def recorded_terms(history: Sequence[EpochRecord]) -> tuple[str, ...]:
    """Fields of the records that are not zero in all of them, in their order."""
    names = (field.name for field in fields(EpochRecord) if field.name not in _NO_TERMS)
    return tuple(name for name in names if any(getattr(record, name) for record in history))


def draw_usage(findings: Findings) -> Plate:
    """Mean responsibilities of every channel over the epochs."""
    title, name = "Channel usage over time", "usage"
    recorded = usage_records(findings.history, findings.label_map.num_channels)
    if not recorded:
        missing = "The run's history holds no usage: a version that did not record it wrote it."
        return Plate(name, title, missing, "", None)
    order = [facts.channel for facts in findings.channels]
    shares = np.array([record.usage for record in recorded])[:, order]
    epochs = np.array([record.epoch + 1 for record in recorded])
    figure, (left, right) = canvas(2, max(4.0, min(12.0, 0.15 * len(order) + 0.8)))
    _stack(left, epochs, shares, findings)
    image = right.imshow(
        shares.T * 100,
        aspect="auto",
        cmap="magma",
        extent=(epochs[0] - 0.5, epochs[-1] + 0.5, len(order) - 0.5, -0.5),
    )
    figure.colorbar(image, ax=right, label="% of the inputs")
    right.set(title="share of every channel", xlabel="epoch")
    said = [f"{facts.channel}: {short(facts.label)}" for facts in findings.channels]
    if len(said) <= 80:
        right.set_yticks(range(len(said)), said, fontsize=6)
    last = shares[-1]
    return Plate(
        name,
        title,
        "Mean responsibilities over each epoch's unlabelled views. Left: the channels stacked, in "
        "the colour of the label that the map gives them in the end, free ones grey. Right: the "
        "same as a heat map, a row for each channel, sorted by label.",
        f"Usage of {len(order)} channels over {len(recorded)} epochs; at the end the largest "
        f"has {last.max():.1%} and {int((last < 0.001).sum())} have less than 0.1 %",
        figure,
    )


def usage_records(history: Sequence[EpochRecord], num_channels: int) -> list[EpochRecord]:
    """Records that have the usage of as many channels as the map has."""
    return [record for record in history if len(record.usage) == num_channels]


def _stack(
    axis: Axes, epochs: NDArray[np.int64], shares: NDArray[np.float64], findings: Findings
) -> None:
    palette = Palette(findings.names)
    colours = [palette.of(facts.label) for facts in findings.channels]
    if len(epochs) == 1:
        # An area needs two sides.
        epochs, shares = np.array([epochs[0] - 0.5, epochs[0] + 0.5]), np.repeat(shares, 2, axis=0)
    axis.stackplot(epochs, shares.T, colors=colours, edgecolor="white", linewidth=0.4)
    axis.set(title="stacked, by label", xlabel="epoch", ylabel="share of the inputs")
    axis.set_xlim(float(epochs[0]), float(epochs[-1]))
    axis.set_ylim(0, 1)
    middle = shares[-1].cumsum() - shares[-1] / 2
    labels = np.array([short(facts.label) for facts in findings.channels])
    for label in dict.fromkeys(labels.tolist()):
        own = labels == label
        if shares[-1][own].sum() >= 0.02:
            y = float(np.average(middle[own], weights=shares[-1][own]))
            axis.annotate(
                label,
                (1.01, y),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
                annotation_clip=False,
            )
