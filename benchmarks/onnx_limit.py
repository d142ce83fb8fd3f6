"""The most that ONNX Runtime does of a graph in process, with no server around it.

python -m benchmarks.onnx_limit --models DIR --seconds 2

Prints the served graph's inputs a second on one thread, at the best of a few batch sizes. Several
of these processes at once are the limit of as many workers.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.result import ROOT
from rcmvae.bundle import Bundle, load_current
from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.graph import SERVED_OUTPUTS, Graphs, served_graph
from rcmvae.predictor import open_session

BATCHES = (32, 64, 128)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure in this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onnx_limit", description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder of the bundles")
    parser.add_argument("--seconds", type=float, default=2.0, help="in all")
    options = parser.parse_args(arguments)
    bundle = load_current(options.models)
    session = _session(bundle)
    each = options.seconds / len(BATCHES)
    print(max(_rate(session, batch, bundle.manifest.input.shape, each) for batch in BATCHES))
    return 0


def limit_of(models: Path, processes: int, seconds: float) -> float:
    """Inputs a second of some processes that run at once, together."""
    command = [sys.executable, "-m", "benchmarks.onnx_limit"]
    command += ["--models", str(models), "--seconds", str(seconds)]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return sum(float(process.communicate()[0]) for process in started)


def _session(bundle: Bundle) -> ort.InferenceSession:
    graphs = Graphs(*(bundle.read(name) for name in (ENCODER, TAU, DECODER, SCORES)))
    return open_session(served_graph(graphs, SERVED_OUTPUTS), ("CPUExecutionProvider",), 1)


def _rate(
    session: ort.InferenceSession, batch: int, shape: tuple[int, ...], seconds: float
) -> float:
    x = np.random.default_rng(0).random((batch, *shape), dtype=np.float32)
    session.run(SERVED_OUTPUTS, {"x": x})
    started = time.perf_counter()
    runs, taken = 0, 0.0
    while taken < seconds:
        session.run(SERVED_OUTPUTS, {"x": x})
        runs, taken = runs + 1, time.perf_counter() - started
    return runs * batch / taken


if __name__ == "__main__":
    sys.exit(main())
