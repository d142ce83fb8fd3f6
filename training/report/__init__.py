"""The report: one HTML page with pictures that says what a run learned, without any network."""

from training.report.cause import Errors, find_errors, majority_labels
from training.report.findings import Findings, find
from training.report.gallery import PICTURES
from training.report.plate import Plate
from training.report.writer import write_report

__all__ = [
    "PICTURES",
    "Errors",
    "Findings",
    "Plate",
    "find",
    "find_errors",
    "majority_labels",
    "write_report",
]
