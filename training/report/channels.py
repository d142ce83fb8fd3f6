"""Pictures of the channels: what the map calls them, what they hold, what they decode to."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rcmvae.bundle.manifest import LATENT_MAP
from training.report.census import ChannelFacts
from training.report.findings import Findings
from training.report.inputs import is_image, show_rows
from training.report.latents import principal_plane, sample_aggregate
from training.report.palette import CHANNEL_FAULT, FREE, Palette
from training.report.plate import Plate, canvas, grid, short

MOST_CHANNELS = 60
"""Cells of a picture; of more channels the most used are shown."""
_PAIRS = 5
_SAMPLES = 8
_MOST_GREY = 250


def draw_label_map(findings: Findings) -> Plate:
    """The map tau as a heat map, and beside it what speaks for each row."""
    facts = findings.channels
    order = [row.channel for row in facts]
    labels = findings.label_map.labels
    height = max(4.0, min(14.0, 0.19 * len(order) + 1.0))
    figure, (left, middle, right) = canvas(3, height)
    tau = findings.label_map.tau[order]
    image = left.imshow(tau, aspect="auto", cmap="viridis", vmin=0, vmax=1)
    figure.colorbar(image, ax=left, location="left", label="tau", shrink=0.6)
    if len(labels) <= 40:
        turned = any(len(name) > 2 for name in labels)
        names = [short(name) for name in labels]
        left.set_xticks(range(len(labels)), names, rotation=90 if turned else 0, fontsize=8)
    left.set(title="map", xlabel="label", ylabel="channel")
    rows = np.arange(len(order))
    colours = [Palette(findings.names).of(row.label) for row in facts]
    middle.barh(rows, [row.evidence for row in facts], color=colours)
    middle.axvline(findings.calibration.free_mass, color="black", linewidth=0.8, linestyle=":")
    middle.set(title="evidence", xlabel="labelled examples")
    right.barh(rows, [100 * row.usage for row in facts], color=colours)
    right.set(title="usage", xlabel="% of the unlabelled inputs")
    for axis in (left, middle, right):
        axis.set_ylim(len(order) - 0.5, -0.5)
        axis.set_yticks(rows if len(order) <= 80 else [], [])
    if len(order) <= 80:
        left.set_yticks(rows, [str(k) for k in order], fontsize=7)
    free = sum(row.label is None for row in facts)
    return Plate(
        "label_map",
        "Channel-to-label map",
        "Rows are channels, sorted by the label that the map gives them. The evidence is what the "
        "row of the map rests on; left of the dotted line a channel counts as free, and so does a "
        "row with an even colour.",
        f"Heat map of {len(order)} channels by {len(labels)} labels; {free} channels are free; "
        f"the evidence is {sum(row.evidence for row in facts):.4g} labelled examples in all",
        figure,
    )


def shown_channels(findings: Findings) -> tuple[ChannelFacts, ...]:
    """Used channels in order; of more than MOST_CHANNELS those with the largest usage."""
    used = findings.used
    kept = sorted(used, key=lambda row: -row.usage)[:MOST_CHANNELS]
    return tuple(row for row in used if row in kept)


def _which(findings: Findings) -> str:
    """Which channels a picture shows, as a sentence."""
    used, shown = len(findings.used), len(shown_channels(findings))
    if used == shown:
        return f"All {used} channels in use."
    return f"The {shown} most used of {used} channels."


def _means(findings: Findings, facts: tuple[ChannelFacts, ...]) -> NDArray[np.float32]:
    """Mean latent of the inputs of every channel, (len(facts), d)."""
    latents = np.concatenate([findings.stream.mean, findings.known.mean])
    channel = np.concatenate([findings.stream.channel, findings.known.channel])
    return np.stack([latents[channel == row.channel].mean(axis=0) for row in facts])


def channel_decodings(findings: Findings, facts: tuple[ChannelFacts, ...]) -> NDArray[np.float32]:
    """What every channel decodes to at the mean latent of its own inputs, (len(facts), *shape)."""
    channel = np.array([row.channel for row in facts], dtype=np.int64)
    return findings.decode(_means(findings, facts), channel)


def draw_channels(findings: Findings) -> Plate:
    """What each channel decodes to at the mean latent of its own inputs."""
    facts = shown_channels(findings)
    decoded = channel_decodings(findings, facts)
    columns, height = (10, 1.0) if is_image(findings.dataset.shape) else (5, 1.1)
    figure, axes = grid(len(facts), columns, height)
    for axis, row, x in zip(axes, facts, decoded, strict=True):
        show_rows(axis, [x[None]])
        said = f"{row.channel}: {short(row.label)} ({row.evidence:.1f})"
        axis.set_title(said, fontsize=8)
        _frame(axis, row, findings)
    return Plate(
        "channels",
        "What each channel stands for",
        f"{_which(findings)} Each is decoded at the mean latent of its own inputs. Over it: the "
        "channel, the map's label, and in brackets the labelled examples that speak for it.",
        "Decoded means of the channels: " + _listed(facts),
        figure,
    )


def _listed(facts: tuple[ChannelFacts, ...]) -> str:
    return ", ".join(f"{row.channel} {short(row.label)}" for row in facts)


def _frame(axis: Axes, row: ChannelFacts, findings: Findings) -> None:
    """Put the label's colour around a cell that has a frame."""
    colour = Palette(findings.names).of(row.label)
    for spine in axis.spines.values():
        spine.set(edgecolor=colour, linewidth=2.0)


def draw_latents(findings: Findings) -> Plate:
    """Every channel's own latents on their two main axes."""
    facts = shown_channels(findings)
    palette = Palette(findings.names)
    has_legend = len(findings.names) <= 20
    figure, axes = grid(len(facts), 6, 1.7, head=0.3 if has_legend else 0.0)
    for axis, row in zip(axes, facts, strict=True):
        _scatter(axis, row, findings, palette)
    if has_legend:
        text = tuple(short(name) for name in findings.names)
        figure.legend(
            handles=palette.legend(text),
            labels=list(text),
            loc="upper center",
            ncols=10,
            fontsize=8,
            frameon=False,
        )
    mixed = [row for row in facts if row.is_mixed]
    return Plate(
        "latents",
        "Latents within each channel",
        f"{_which(findings)} For each, the latents of its own inputs on their two main principal "
        "axes: test and held-out inputs in the colour of their true label, unlabelled ones grey, "
        "a frame in the colour of the map's label. Over it: the channel, the map's label, and the "
        "share of the majority label among its test inputs and their number; in red where it is "
        "below 90 % of at least ten, a mixed channel, whose classes may show as two clouds.",
        f"{len(facts)} small scatter plots; mixed channels: "
        + (", ".join(f"{row.channel} ({row.purity:.0%})" for row in mixed) or "none"),
        figure,
    )


def _scatter(axis: Axes, row: ChannelFacts, findings: Findings, palette: Palette) -> None:
    grey = findings.stream.mean[findings.stream.channel == row.channel]
    own = findings.known.channel == row.channel
    plane = principal_plane(np.concatenate([grey, findings.known.mean[own]]))
    unlabelled = plane[: len(grey)][:_MOST_GREY]
    axis.scatter(unlabelled[:, 0], unlabelled[:, 1], s=5, color=FREE, linewidths=0)
    labels, points = findings.known_label[own], plane[len(grey) :]
    found, counts = np.unique(labels, return_counts=True)
    # The rare ones last, or the frequent ones would cover them.
    for label in found[np.argsort(-counts, kind="stable")]:
        at = points[labels == label]
        axis.scatter(at[:, 0], at[:, 1], s=9, color=palette.of(str(label)), linewidths=0, alpha=0.8)
    purity = f", {row.purity:.0%} of {row.test_inputs}" if row.test_inputs else ""
    red = CHANNEL_FAULT if row.is_mixed else "black"
    axis.set_title(f"{row.channel}: {short(row.label)}{purity}", fontsize=7, color=red)
    axis.set(xticks=[], yticks=[])
    _frame(axis, row, findings)


def draw_reconstructions(findings: Findings) -> Plate:
    """A few inputs of every channel beside their decodings."""
    facts = tuple(row for row in shown_channels(findings) if row.test_inputs)
    channel = findings.test.channel
    figure, axes = grid(len(facts), 4, 1.05)
    for axis, row in zip(axes, facts, strict=True):
        pick = np.flatnonzero(channel == row.channel)[:_PAIRS]
        decoded = findings.decode(findings.known.mean[pick], channel[pick])
        rows = [findings.dataset.scaled(findings.dataset.test.x[pick]), decoded]
        # Blank cells keep the inputs of every channel equally large.
        show_rows(axis, [_filled(part, _PAIRS) for part in rows])
        axis.set_title(f"{row.channel}: {short(row.label)}", fontsize=8)
        _frame(axis, row, findings)
    return Plate(
        "reconstructions",
        "Reconstructions by channel",
        f"{_which(findings)} {_pairs_caption(findings)} Only channels with a test input are shown.",
        f"Inputs and decodings of {len(facts)} channels: " + _listed(facts),
        figure,
    )


def _pairs_caption(findings: Findings) -> str:
    first = f"The first test inputs of each, at most {_PAIRS}"
    if is_image(findings.dataset.shape):
        return f"{first}; the upper row is the inputs, the lower one their decodings."
    return f"{first}: solid lines are the features of an input, dashed ones of its decoding."


def _filled(x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Images with white ones behind them, so that there are ``count``; vectors as they are."""
    if not is_image(x.shape[1:]):
        return x
    return np.concatenate([x, np.ones((count - len(x), *x.shape[1:]), dtype=x.dtype)])


def draw_samples(findings: Findings) -> Plate:
    """Decodings of latents drawn from each channel's aggregate posterior."""
    facts = shown_channels(findings)
    generator = np.random.default_rng(0)
    columns, height = (3, 0.48) if is_image(findings.dataset.shape) else (4, 1.05)
    figure, axes = grid(len(facts), columns, height)
    for axis, row in zip(axes, facts, strict=True):
        z = _draws(findings, row, generator)
        show_rows(axis, [findings.decode(z, np.full(_SAMPLES, row.channel, dtype=np.int64))])
        axis.set_title(f"{row.channel}: {short(row.label)}", fontsize=8)
        _frame(axis, row, findings)
    return Plate(
        "samples",
        "Samples by channel",
        f"{_which(findings)} {_SAMPLES} latents of each are drawn from the Gaussian with the "
        "moments of the channel's aggregate posterior, that is of its own inputs' posteriors "
        "together, not from its prior, and decoded by the channel.",
        f"Decoded samples of {len(facts)} channels: " + _listed(facts),
        figure,
    )


def _draws(
    findings: Findings, row: ChannelFacts, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Latents drawn for a channel, (_SAMPLES, d)."""
    channel = np.concatenate([findings.stream.channel, findings.known.channel])
    own = channel == row.channel
    mean = np.concatenate([findings.stream.mean, findings.known.mean])[own]
    variance = np.concatenate([findings.stream.variance, findings.known.variance])[own]
    return sample_aggregate(mean, variance, _SAMPLES, generator)


def draw_picture(findings: Findings) -> Plate:
    """The 2-D picture of the reference points, coloured by the map's label of their channel."""
    figure, (axis,) = canvas(1, 6)
    arrays = findings.bundle.arrays(LATENT_MAP)
    position, channel, label = arrays["position"], arrays["channel"], arrays["label"]
    palette = Palette(findings.names)
    colour = {row.channel: palette.of(row.label) for row in findings.channels}
    colours = [colour[int(k)] for k in channel]
    axis.scatter(position[:, 0], position[:, 1], c=colours, s=9, alpha=0.6, linewidths=0)
    names = findings.bundle.manifest.labels
    for (x, y), index in zip(position[label >= 0], label[label >= 0], strict=True):
        axis.text(x, y, short(names[index]), fontsize=8, weight="bold", ha="center", va="center")
    axis.set(xticks=[], yticks=[])
    return Plate(
        "picture",
        "The 2-D picture",
        "The bundle's reference points, in the colour of the map's label of their channel, free "
        "channels grey; points with a label carry its name. Channels with alike features lie "
        "beside each other.",
        f"{len(position)} points, {int((label >= 0).sum())} of them labelled, in clouds by channel",
        figure,
    )
