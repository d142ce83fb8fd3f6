"""Pictures of the answers on the test set: which are wrong, and why."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.report.cause import label_counts
from training.report.channels import channel_decodings
from training.report.findings import Findings
from training.report.inputs import is_image, profile, show_rows
from training.report.palette import CHANNEL_FAULT, MAP_FAULT
from training.report.plate import Plate, canvas, grid, short

MOST_WRONG = 40
_MOST_NUMBERS = 30


def draw_confusion(findings: Findings) -> Plate:
    """Confusion on the test set; rows are the truth, classes without a label among them."""
    rows, columns = findings.dataset.held_labels, findings.bundle.manifest.labels
    counts = _confusion(findings)
    side = max(3.6, min(10.0, 0.42 * max(len(rows), len(columns)) + 1.2))
    figure, (axis,) = canvas(1, side)
    shade = np.log1p(counts)
    right = np.array([[row == column for column in columns] for row in rows])
    most = float(max(shade.max(), 1.0))
    # What is masked stays white, and so does an empty cell.
    empty = counts == 0
    axis.imshow(np.ma.masked_array(shade, ~right | empty), cmap="Blues", vmin=0, vmax=1.6 * most)
    axis.imshow(np.ma.masked_array(shade, right | empty), cmap="Reds", vmin=0, vmax=1.6 * most)
    if max(len(rows), len(columns)) <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            axis.text(
                column, row, str(count) if count else "", ha="center", va="center", fontsize=8
            )
        turned = any(len(name) > 3 for name in columns)
        names = [short(name) for name in columns]
        axis.set_xticks(range(len(columns)), names, rotation=90 if turned else 0)
        axis.set_yticks(range(len(rows)), [short(name) for name in rows])
    axis.set(xlabel="predicted", ylabel="truth")
    return Plate(
        "confusion",
        "Confusion on the test set",
        "Rows are the truth, columns the answer; right answers blue, wrong ones red. A class "
        "without a label has a row but no column.",
        f"Confusion matrix of {len(rows)} classes: {int(counts[right].sum())} of "
        f"{int(counts.sum())} test inputs are on the diagonal{_worst(counts, right, findings)}",
        figure,
    )


def _confusion(findings: Findings) -> NDArray[np.int64]:
    """Test inputs by true class and answered label, (classes of the test set, C)."""
    labels = findings.bundle.manifest.labels
    answer = findings.test.probabilities.argmax(axis=1)
    return label_counts(findings.truth, answer, len(findings.dataset.held_labels), len(labels))


def _worst(counts: NDArray[np.int64], right: NDArray[np.bool_], findings: Findings) -> str:
    wrong = np.where(right, 0, counts)
    if not wrong.any():
        return ""
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    truth = findings.dataset.held_labels[row]
    answer = findings.bundle.manifest.labels[column]
    return f"; the most frequent error is {truth} as {answer}, {int(wrong.max())} times"


def draw_causes(findings: Findings) -> Plate:
    """Wrong answers of every class by cause."""
    title, name = "Wrong answers by class and cause", "causes"
    classes = [row for row in findings.classes if row.is_labelled]
    if not len(findings.errors):
        none = "No test input of a class with a label is answered wrongly."
        return Plate(name, title, none, "", None)
    figure, (axis,) = canvas(1, max(2.4, min(10.0, 0.26 * len(classes) + 1.0)))
    place = np.arange(len(classes))
    by_map = np.array([row.by_map for row in classes])
    by_channel = np.array([row.by_channel for row in classes])
    axis.barh(place, by_map, color=MAP_FAULT, label=f"map ({by_map.sum()})")
    axis.barh(
        place, by_channel, left=by_map, color=CHANNEL_FAULT, label=f"channel ({by_channel.sum()})"
    )
    axis.set_yticks(place, [short(row.label) for row in classes], fontsize=8)
    axis.set_ylim(len(classes) - 0.5, -0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="wrong answers on the test set")
    axis.legend(fontsize=8)
    return Plate(
        name,
        title,
        "The map's fault: the input lies in a channel whose test inputs are mostly of its own "
        "class, and the map gives the channel another label. The channel's fault: the channel "
        "holds mostly another class, so that no map could answer right.",
        f"{by_map.sum()} wrong answers are the map's fault and {by_channel.sum()} the channel's",
        figure,
    )


def draw_wrong_by_map(findings: Findings) -> Plate:
    """Test inputs whose channel is right and whose map is wrong."""
    return _wrong(findings, findings.errors.by_map, "map", MAP_FAULT)


def draw_wrong_by_channel(findings: Findings) -> Plate:
    """Test inputs whose channel holds another class."""
    return _wrong(findings, findings.errors.by_channel, "channel", CHANNEL_FAULT)


def _wrong(findings: Findings, index: NDArray[np.int64], cause: str, colour: str) -> Plate:
    title, name = f"Wrong answers: the {cause}'s fault ({index.size})", f"wrong_by_{cause}"
    if not index.size:
        return Plate(name, title, f"No wrong answer is the {cause}'s fault.", "", None)
    shown = index[:MOST_WRONG]
    columns, height = (10, 1.0) if is_image(findings.dataset.shape) else (5, 1.2)
    figure, axes = grid(len(shown), columns, height, titles=2)
    majority = {row.channel: row.majority for row in findings.channels}
    said = [
        f"{short(findings.names[findings.truth[row]])} as {short(findings.test.predicted[row])}"
        for row in shown.tolist()
    ]
    for axis, row, text in zip(axes, shown.tolist(), said, strict=True):
        channel = int(findings.test.channel[row])
        _show(axis, findings, row, channel)
        holds = short(majority[channel])
        axis.set_title(f"{text}\nchannel {channel}: {holds}", fontsize=7, color=colour)
    return Plate(
        name,
        title,
        f"{_first(len(shown), index.size)} Over each: the truth as the answer, then the channel "
        "and what most of its test inputs are."
        + ("" if is_image(findings.dataset.shape) else _PROFILE),
        f"{len(shown)} test inputs: " + ", ".join(said),
        figure,
    )


_PROFILE = (
    " Solid lines are the features of the input, dashed ones what its channel decodes to at its "
    "mean latent."
)


def _first(shown: int, count: int) -> str:
    return "All of them." if shown == count else f"The first {shown} of {count}."


def _show(axis: Axes, findings: Findings, row: int, channel: int) -> None:
    """One wrong input; a vector with the decoded mean of its channel, to compare."""
    show_rows(axis, [findings.dataset.scaled(findings.dataset.test.x[[row]])])
    if not is_image(findings.dataset.shape):
        own = tuple(facts for facts in findings.channels if facts.channel == channel)
        profile(axis, channel_decodings(findings, own)[0], "--", color="0.5")
