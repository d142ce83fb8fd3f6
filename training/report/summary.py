"""The head of the page: the run in a few lines."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from training.config import RunConfig, to_json
from training.data import Dataset
from training.recipe import settled
from training.report.findings import Findings


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the summary.

    Attributes:
        name: what it is.
        value: as text.
        remark: how it is counted.
    """

    name: str
    value: str
    remark: str


def summarise(findings: Findings) -> tuple[Line, ...]:
    """The lines at the top of the page."""
    figures, errors = findings.evaluation, findings.errors
    return (
        Line(
            "accuracy",
            f"{figures.accuracy:.2%}",
            f"{figures.known_inputs} test inputs of classes that carry a label",
        ),
        Line(
            "calibration error",
            f"{figures.expected_calibration_error:.2%}",
            "of the confidence, over 15 bins (ECE)",
        ),
        Line(
            "prediction sets",
            f"{figures.coverage:.1%} hold the truth",
            f"at alpha {figures.alpha:g}; {figures.set_size:.2f} labels in a set on the mean",
        ),
        Line("wrong answers", str(len(errors)), "of those test inputs"),
        Line(
            "by the map",
            str(errors.by_map.size),
            "most of the channel's test inputs are of the true class: a right map had been right",
        ),
        Line(
            "by the channel",
            str(errors.by_channel.size),
            "most of the channel's test inputs are of another class: no map could be right",
        ),
        Line(
            "effective channels",
            f"{effective_channels(findings.stream.usage):.1f} of {findings.label_map.num_channels}",
            f"exp of the entropy of the usage by {len(findings.stream.channel)} unlabelled inputs",
        ),
        Line(
            "mixed channels",
            _listed([str(row.channel) for row in findings.channels if row.is_mixed]),
            "less than 90 % of at least ten test inputs are of one class",
        ),
        Line(
            "classes that share a channel",
            _listed([row.label for row in findings.classes if row.shares_with]),
            "the channel that most of their test inputs go to is the same",
        ),
        Line(
            "classes without a channel",
            _listed(
                [row.label for row in findings.classes if row.test_inputs and not row.channels]
            ),
            "the majority of no channel's test inputs",
        ),
        Line("training time", training_time(findings), "wall time of the epochs"),
    )


def effective_channels(usage: NDArray[np.float64]) -> float:
    """Exponential of the entropy of a distribution over channels, (K,): in [1, K]."""
    share = usage[usage > 0]
    return math.exp(-float((share * np.log(share)).sum()))


def training_time(findings: Findings) -> str:
    """Wall time of all epochs, or that it is not known."""
    seconds = [record.seconds for record in findings.history]
    if not seconds or not all(seconds):
        return "not recorded"
    return f"{sum(seconds):.1f} s, {len(seconds)} epochs"


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


def differences(config: RunConfig, dataset: Dataset) -> tuple[Line, ...]:
    """Fields that differ from the default as it settles for these data; that is the remark.

    Args:
        config: of the run, settled.
        dataset: what it settled for.
    """
    own, default = _flat(to_json(config)), _flat(to_json(settled(RunConfig(), dataset)))
    return tuple(
        Line(name, _said(name, value), f"default: {_said(name, default[name])}")
        for name, value in own.items()
        if value != default[name]
    )


def _flat(tree: Mapping[str, JsonValue], prefix: str = "") -> Mapping[str, JsonValue]:
    flat: dict[str, JsonValue] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        flat |= _flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return flat


def _said(name: str, value: JsonValue) -> str:
    # A page may be passed on; the folders of the machine that trained need not be.
    if name == "data.source":
        return Path(str(value)).name
    if isinstance(value, list):
        return "[" + ", ".join(str(part) for part in value) + "]"
    return str(value)
