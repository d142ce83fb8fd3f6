"""The pictures of the page, in order."""

from collections.abc import Callable

from training.report.answers import (
    draw_causes,
    draw_confusion,
    draw_wrong_by_channel,
    draw_wrong_by_map,
)
from training.report.channels import (
    draw_channels,
    draw_label_map,
    draw_latents,
    draw_picture,
    draw_reconstructions,
    draw_samples,
)
from training.report.curves import draw_curves, draw_usage
from training.report.findings import Findings
from training.report.plate import Plate
from training.report.reliability import draw_reliability
from training.report.scores import draw_scores

PICTURES: tuple[Callable[[Findings], Plate], ...] = (
    draw_curves,
    draw_usage,
    draw_channels,
    draw_label_map,
    draw_latents,
    draw_reconstructions,
    draw_samples,
    draw_picture,
    draw_scores,
    draw_reliability,
    draw_confusion,
    draw_causes,
    draw_wrong_by_map,
    draw_wrong_by_channel,
)
