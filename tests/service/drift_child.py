"""Another worker: adds p-values to the detectors that a server's workers share, and is gone.

Run as ``python -m tests.service.drift_child FOLDER VERSION JSON``.
"""

import json
import sys
from pathlib import Path

import numpy as np

from service.shared_drift import DriftRule, Question, SharedDrift


def main(folder: str, version: str, document: str) -> None:
    sizes, p_values, run_length, window = json.loads(document)
    SharedDrift(Path(folder)).add(
        version,
        {Question(name): size for name, size in sizes.items()},
        [np.array(values) for values in p_values],
        DriftRule(run_length, window),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
