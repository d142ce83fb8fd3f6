"""The report: one HTML page with pictures that says what a run learned, without any network."""

import base64
import html
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, load_bundle, load_current
from rcmvae.bundle.manifest import DECODER, ENCODER, LATENT_MAP
from rcmvae.counts import read_label_map
from rcmvae.label_map import LabelMap
from rcmvae.prediction import PredictionBatch
from rcmvae.predictor import Predictor
from training.checkpoint import replace_file
from training.config import from_json
from training.data import Dataset, load_dataset
from training.encode import decode, encode, session_of
from training.evaluate import Evaluation, evaluate, inverted, predict_all, uniform_noise
from training.run import RunFolder
from training.run_io import read_history
from training.state import EpochRecord

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}}img{{max-width:100%}}table{{border-collapse:collapse}}
td,th{{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:left}}
figure{{margin:2rem 0}}figcaption{{color:#555}}</style>
<h1>{title}</h1><table>{rows}</table>{figures}</html>
"""
_STRANGE_ROWS = 500


@dataclass(frozen=True, slots=True)
class Findings:
    """What the pictures are drawn from."""

    bundle: Bundle
    dataset: Dataset
    label_map: LabelMap
    test: PredictionBatch
    noise: PredictionBatch
    inverted: PredictionBatch
    evaluation: Evaluation
    history: list[EpochRecord]

    @property
    def truth(self) -> NDArray[np.str_]:
        """Label names of the test inputs."""
        return np.array(self.dataset.held_labels)[self.dataset.test.y]


def write_report(
    run: RunFolder, models: Path, version: str | None, pictures: Path | None = None
) -> Path:
    """Write `report.html` into the run's folder and return its path.

    Args:
        run: a finished run, for the curves.
        models: folder of the bundles.
        version: the bundle to look into; None for the current one.
        pictures: a folder that gets every picture as PNG, named after what draws it; or None.
    """
    # A server or a CI job has no screen.
    mpl.use("Agg")
    bundle = load_bundle(models / version) if version else load_current(models)
    findings = _find(bundle, read_history(run))
    drawn = [
        (draw.__name__.removeprefix("draw_"), _png(draw(findings)), caption)
        for draw, caption in PICTURES
    ]
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        for name, png, _ in drawn:
            replace_file(pictures / f"{name}.png", png)
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{value:.4g}</td></tr>"
        for name, value in findings.evaluation.figures().items()
    )
    figures = "".join(_figure(png, caption) for _, png, caption in drawn)
    page = _PAGE.format(title=html.escape(bundle.version), rows=rows, figures=figures)
    replace_file(run.report, page.encode())
    return run.report


def _find(bundle: Bundle, history: list[EpochRecord]) -> Findings:
    config = from_json(bundle.manifest.configuration)
    dataset = load_dataset(config.data, config.seed)
    predictor = Predictor.open(bundle)
    noise = dataset.raw(uniform_noise(_STRANGE_ROWS, dataset.shape, seed=0))
    return Findings(
        bundle=bundle,
        dataset=dataset,
        label_map=read_label_map(bundle),
        test=predict_all(predictor, dataset.test.x),
        noise=predict_all(predictor, noise),
        inverted=predict_all(predictor, inverted(dataset)[:_STRANGE_ROWS]),
        evaluation=evaluate(predictor, dataset, predictor.calibration.alpha),
        history=history,
    )


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, bbox_inches="tight")
    return content.getvalue()


def _figure(png: bytes, caption: str) -> str:
    encoded = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _canvas(columns: int, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(11, height), layout="constrained")
    return figure, [figure.add_subplot(1, columns, i + 1) for i in range(columns)]


def draw_curves(findings: Findings) -> Figure:
    """Terms of the objective over the epochs."""
    figure, axes = _canvas(4)
    names = ("reconstruction", "effective_channels", "channel_agreement", "label_agreement")
    for axis, name in zip(axes, names, strict=True):
        axis.plot([getattr(record, name) for record in findings.history])
        axis.set_title(name.replace("_", " "), fontsize=10)
        axis.set_xlabel("epoch")
    return figure


def draw_label_map(findings: Findings) -> Figure:
    """The map tau and the evidence behind each channel."""
    figure, (left, right) = _canvas(2, 4.2)
    image = left.imshow(findings.label_map.tau.T, aspect="auto", cmap="viridis", vmin=0, vmax=1)
    left.set_yticks(range(len(findings.label_map.labels)), findings.label_map.labels)
    left.set(xlabel="channel", ylabel="label", title="tau")
    figure.colorbar(image, ax=left)
    right.bar(range(findings.label_map.num_channels), findings.label_map.evidence)
    right.set(xlabel="channel", ylabel="labelled examples", title="evidence")
    return figure


def draw_confusion(findings: Findings) -> Figure:
    """Confusion on the test set; rows are the truth, classes without a label among them."""
    figure, (axis,) = _canvas(1, 4.6)
    rows, columns = findings.dataset.held_labels, findings.bundle.manifest.labels
    predicted = np.array(findings.test.predicted)
    counts = np.array(
        [[int(((findings.truth == r) & (predicted == c)).sum()) for c in columns] for r in rows]
    )
    axis.imshow(np.log1p(counts), cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        axis.text(column, row, str(count) if count else "", ha="center", va="center", fontsize=8)
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(xlabel="predicted", ylabel="truth")
    return figure


def draw_scores(findings: Findings) -> Figure:
    """Both scores, for what is known and what is not, with the thresholds at the default alpha."""
    figure, (left, right) = _canvas(2)
    known = np.isin(findings.truth, findings.bundle.manifest.labels)
    for axis, name in ((left, "fused"), (right, "unowned")):
        column = findings.test.score_names.index(name)
        groups = {
            "known": findings.test.scores[known, column],
            "unlabelled class": findings.test.scores[~known, column],
            "inverted": findings.inverted.scores[:, column],
            "noise": findings.noise.scores[:, column],
        }
        values = np.concatenate(list(groups.values()))
        low, high = float(values.min()), float(values.max())
        edges = (
            np.geomspace(max(low, 1e-3), high, 40)
            if name == "fused"
            else np.linspace(low, high, 40)
        )
        for label, group in groups.items():
            if group.size:
                axis.hist(group, edges.tolist(), alpha=0.55, label=f"{label} ({group.size})")
        axis.set_xscale("log" if name == "fused" else "linear")
        axis.set_yscale("log")
        axis.set(title=name, xlabel="score (higher is stranger)", ylabel="inputs")
        axis.legend(fontsize=8)
    return figure


def draw_picture(findings: Findings) -> Figure:
    """The 2-D picture of the reference points by channel."""
    figure, (axis,) = _canvas(1, 6)
    arrays = findings.bundle.arrays(LATENT_MAP)
    position, channel, label = arrays["position"], arrays["channel"], arrays["label"]
    axis.scatter(position[:, 0], position[:, 1], c=channel, cmap="tab20", s=8, alpha=0.6)
    names = findings.bundle.manifest.labels
    for (x, y), index in zip(position[label >= 0], label[label >= 0], strict=True):
        axis.text(x, y, names[index], fontsize=9, weight="bold")
    axis.set(title="reference points by channel; labelled ones by name", xticks=[], yticks=[])
    return figure


def draw_channels(findings: Findings) -> Figure:
    """What each channel decodes to at the mean latent of its own inputs."""
    encoded = encode(session_of(findings.bundle.read(ENCODER)), findings.dataset.unlabelled)
    used = np.flatnonzero(np.bincount(encoded.channel, minlength=encoded.logits.shape[1]))
    z = np.stack([encoded.latent[encoded.channel == k].mean(axis=0) for k in used])
    decoded = decode(session_of(findings.bundle.read(DECODER)), z, used.astype(np.int64))
    tau, labels = findings.label_map.tau, findings.label_map.labels
    rows = -(-len(used) // 10)
    figure = Figure(figsize=(11, 1.35 * rows), layout="constrained")
    for place, (k, image) in enumerate(zip(used, decoded, strict=True)):
        axis = figure.add_subplot(rows, 10, place + 1)
        axis.imshow(image.reshape(-1, image.shape[-1]), cmap="gray", vmin=0, vmax=1)
        evidence = findings.label_map.evidence[k]
        title = labels[int(tau[k].argmax())] if evidence >= 0.5 else "free"
        axis.set_title(f"{k}: {title} ({evidence:.1f})", fontsize=8)
        axis.axis("off")
    return figure


def draw_errors(findings: Findings) -> Figure:
    """Test inputs of known labels that are answered wrongly."""
    predicted = np.array(findings.test.predicted)
    known = np.isin(findings.truth, findings.bundle.manifest.labels)
    wrong = np.flatnonzero(known & (predicted != findings.truth))[:20]
    figure = Figure(figsize=(11, 3), layout="constrained")
    for place, index in enumerate(wrong):
        axis = figure.add_subplot(2, 10, place + 1)
        (image,) = findings.dataset.scaled(findings.dataset.test.x[[index]])
        axis.imshow(image.reshape(-1, image.shape[-1]), cmap="gray", vmin=0, vmax=1)
        channel = findings.test.channel[index]
        title = f"{findings.truth[index]} as {predicted[index]}\nchannel {channel}"
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    return figure


PICTURES: tuple[tuple[Callable[[Findings], Figure], str], ...] = (
    (draw_curves, "Training: terms of the objective by epoch"),
    (draw_channels, "Channels: what each decodes to, its label and labelled examples"),
    (draw_label_map, "The channel-to-label map, and how many labelled examples speak for it"),
    (draw_picture, "The 2-D picture"),
    (draw_scores, "The two questions: how strange, and how unowned"),
    (draw_confusion, "Confusion on the test set"),
    (draw_errors, "Wrong answers on the test set (at most 20)"),
)
