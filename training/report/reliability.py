"""Picture of the confidence: what share is right where the answer is how sure."""

import numpy as np

from training.reliability import BINS, reliability
from training.report.findings import Findings
from training.report.plate import Plate, canvas

_NAME, _TITLE = "reliability", "Confidence: is it right as often as it says?"


def draw_reliability(findings: Findings) -> Plate:
    """Reliability diagram of the test inputs of labelled classes, and how sure they are."""
    known = findings.is_labelled
    if not known.any():
        return Plate(_NAME, _TITLE, "No test input is of a class with a label.", "", None)
    confidence = findings.test.probabilities[known].max(axis=1)
    names = np.array(findings.names)[findings.truth[known]]
    right = np.array(findings.test.predicted)[known] == names
    found = reliability(confidence, right)
    figure, (left, right_axis) = canvas(2)
    left.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="as often as it says")
    # What a right confidence would scatter by, two standard errors to each side.
    spread = 2.0 * np.sqrt(found.confidence * (1.0 - found.confidence) / found.count)
    left.errorbar(found.confidence, found.right, yerr=spread, fmt="o", capsize=3, markersize=4)
    left.set(xlabel="mean confidence of the bin", ylabel="share that is right")
    left.legend(fontsize=8)
    right_axis.hist(confidence, np.linspace(0.0, 1.0, BINS + 1).tolist(), color="0.6")
    right_axis.set_yscale("log")
    right_axis.set(xlabel="confidence", ylabel="test inputs")
    modest = "too modest" if found.overconfidence < 0 else "too sure"
    calibration = findings.calibration
    return Plate(
        _NAME,
        _TITLE,
        "Test inputs of labelled classes in bins of their highest p(y|x). The whiskers are two "
        "standard errors of the bin: a point that is further from the line than its whisker is "
        f"no chance. Expected calibration error {found.expected_error:.2%}; on the whole "
        f"{abs(found.overconfidence):.2%} {modest}. Temperature {calibration.temperature:.3g} and "
        f"alpha0 {calibration.alpha0:.2g} were chosen by "
        f"{calibration.probability_source.replace('_', '-')} labels.",
        f"Reliability diagram of {right.size} answers, {right.mean():.1%} of them right at a mean "
        f"confidence of {confidence.mean():.1%}",
        figure,
    )
