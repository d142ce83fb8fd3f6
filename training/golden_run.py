"""The golden set through a bundle's graphs: the costly part of a relabel, done once a foundation.

Channel logits and fused scores of the golden set depend on no label. A watcher makes bundle after
bundle on one foundation, so it keeps what the last ones gave, by the content of the files.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import CALIBRATION, DECODER, ENCODER, GOLDEN, SCORES, TAU
from rcmvae.calibration import PValues, parse_calibration
from rcmvae.graph import Graphs
from rcmvae.label_map import LabelMap
from rcmvae.tau_graph import tau_graph
from training.encode import run_served, session_of
from training.golden_set import read_golden


@dataclass(frozen=True, slots=True)
class GoldenRun:
    """What a foundation says of the m inputs of a golden set.

    Attributes:
        logits: channel logits, (m, K).
        fused: fused scores, (m,).
    """

    logits: NDArray[np.floating]
    fused: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class GoldenAnswers:
    """What a bundle answers for the m inputs of its golden set.

    Attributes:
        labels: names of the C labels.
        alpha: the bundle's false-alarm rate.
        predicted: index of the most probable label, (m,).
        p_familiar: (m,).
        p_owned: (m,).
        label_p_values: of the bundle's own prediction sets, (m, C).
    """

    labels: tuple[str, ...]
    alpha: float
    predicted: NDArray[np.int64]
    p_familiar: NDArray[np.float64]
    p_owned: NDArray[np.float64]
    label_p_values: NDArray[np.float64]


@lru_cache(maxsize=2)
def golden_run(encoder: bytes, decoder: bytes, scores: bytes, golden: bytes) -> GoldenRun:
    """Run a golden set through the graph that is served; the arguments are files of a bundle."""
    x = read_golden(golden).examples.x
    outputs = {output.name: output.shape for output in session_of(encoder).get_outputs()}
    channels = int(outputs["logits"][1])
    graphs = Graphs(encoder, _any_tau(channels), decoder, scores)
    logits, fused = run_served(graphs, ("logits", "fused"), x)
    for array in (logits, fused):
        array.flags.writeable = False
    return GoldenRun(logits, fused)


def _any_tau(num_channels: int) -> bytes:
    """A label map for the graph to be whole: neither output depends on it."""
    none = np.empty(0, dtype=np.int64)
    label_map = LabelMap(("any",), np.empty((0, num_channels)), none, (), 1.0)
    return bytes(tau_graph(label_map, 1.0, np.zeros(num_channels)).SerializeToString())


def golden_answers(bundle: Bundle) -> GoldenAnswers:
    """What a bundle would answer for its golden set if it were served."""
    run = golden_run(*(bundle.read(name) for name in (ENCODER, DECODER, SCORES, GOLDEN)))
    tau = session_of(bundle.read(TAU))
    probabilities, unowned = tau.run(["probabilities", "unowned"], {"logits": run.logits})
    calibration = parse_calibration(bundle.read(CALIBRATION))
    p_values = PValues(calibration)
    return GoldenAnswers(
        labels=bundle.manifest.labels,
        alpha=calibration.alpha,
        predicted=probabilities.argmax(axis=1),
        p_familiar=p_values.familiar(run.fused),
        p_owned=p_values.owned(unowned),
        label_p_values=p_values.labels(probabilities, calibration.coverage),
    )
