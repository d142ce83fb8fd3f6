"""What scores, label map and decoding cost beside the encoder alone, in ONNX Runtime on one thread.

python -m benchmarks.graph_cost --data mnist --labels 100
python -m benchmarks.graph_cost --runs runs/a

Four graphs run in turn, each with what the one before computes: ``encoder`` (channel logits, all
channels' moments, features), ``label_map``, ``decoding`` of the best channel, and ``served``, with
all scores. ``predict`` is the whole ``Predictor.predict``: what a request pays beside its body and
its answer. What is measured is CPU time of the calling thread, in rounds of all of them. Other load
still lengthens it, through caches and memory that are shared, and longer graphs more than in
proportion. So a figure is the median over the quietest quarter of the rounds, those in which all
together took least. ``operators`` counts what ONNX Runtime runs after its own fusions, the
same on every machine. Without ``--runs`` the weights are untrained, which costs the same.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.result import (
    Result,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from rcmvae.bundle import Bundle, Lineage, as_bundle
from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.graph import LABEL_MAP_OUTPUTS, SERVED_OUTPUTS, Graphs, served_graph
from rcmvae.predictor import Predictor
from training.assemble import assemble
from training.config import RunConfig
from training.data import Dataset, label_ids, load_dataset
from training.encode import session_of
from training.model.network import RcmVae, channel_count
from training.recipe import settled
from training.run import RunFolder
from training.run_io import read_run

Call = Callable[[NDArray[np.float32]], object]
"""Answers inputs (N, *shape)."""

BATCHES = (1, 16, 64)
STAGES = {
    "encoder": ("logits", "mu", "logvar", "features"),
    "label_map": LABEL_MAP_OUTPUTS,
    "decoding": (*LABEL_MAP_OUTPUTS, "reconstruction"),
    "served": SERVED_OUTPUTS,
}
UNTRAINED = ("data.limit=2000",)
REPEATS = 3
QUIETEST = 4
"""One round in so many counts."""
ERROR = 3
"""Severity from which on ONNX Runtime speaks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("graph_cost", given)
    rounds = 5 if options.quick else options.rounds
    networks = _networks(options)
    runs: list[dict[str, float]] = []
    for run, dataset, network in tqdm(networks, desc="networks"):
        draft = assemble(network, dataset, run, Lineage(method="fit"), label_ids(dataset))
        runs.append(cost_figures(as_bundle(draft), dataset.test.x, rounds))
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(run.seed for run, _, _ in networks),
        config={"run": shown(networks[0][0])},
        figures=figures_of(runs),
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("graph_cost", __doc__, data="mnist", seeds=1)
    parser.add_argument("--runs", type=Path, nargs="+", metavar="DIR", help="trained already")
    parser.add_argument("--rounds", type=int, default=400, help="of each batch size")
    return parser.parse_args(arguments)


def _networks(options: argparse.Namespace) -> list[tuple[RunConfig, Dataset, RcmVae]]:
    if options.runs:
        found = [read_run(RunFolder(path)) for path in options.runs]
        return [(run, dataset, state.served) for run, dataset, state in found]
    config = run_config(options, UNTRAINED)
    return [_untrained(config, seed) for seed in seeds_of(options)]


def _untrained(config: RunConfig, seed: int) -> tuple[RunConfig, Dataset, RcmVae]:
    dataset = load_dataset(config.data, seed)
    run = settled(replace(config, seed=seed), dataset)
    torch.manual_seed(seed)
    channels = channel_count(run.model, len(dataset.held_labels))
    return run, dataset, RcmVae(dataset.shape, run.model, channels, dataset.scaling)


def cost_figures(bundle: Bundle, x: NDArray[np.float32], rounds: int) -> dict[str, float]:
    """Microseconds of one run at each stage and batch size, and its share over the encoder.

    Args:
        bundle: whose graphs and predictor are timed.
        x: inputs, as many as the largest batch or more.
        rounds: how often each is timed, in turn.
    """
    graphs = Graphs(*(bundle.read(name) for name in (ENCODER, TAU, DECODER, SCORES)))
    models = {name: served_graph(graphs, outputs) for name, outputs in STAGES.items()}
    figures = {f"{name}_operators": float(operators(model)) for name, model in models.items()}
    calls = {name: _graph_call(model, STAGES[name]) for name, model in models.items()}
    calls["predict"] = Predictor.open(bundle).predict
    for batch in BATCHES:
        taken = quiet_medians(_in_turn(calls, x[:batch], rounds))
        for name, seconds in taken.items():
            figures[f"{name}_microseconds_{batch}"] = 1e6 * seconds
        for name in list(taken)[1:]:
            figures[f"{name}_over_encoder_{batch}"] = taken[name] / taken["encoder"] - 1.0
    return figures


def _graph_call(model: bytes, outputs: Sequence[str]) -> Call:
    session = session_of(model)
    return lambda x: session.run(outputs, {"x": x})


def operators(model: bytes) -> int:
    """Operators of a graph after ONNX Runtime's optimisation."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(path)
        # What it writes suits this machine alone, and it warns of that.
        options.log_severity_level = ERROR
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return len(onnx.load(path).graph.node)


def quiet_medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median of each over the quarter of the rounds whose sum is least.

    Args:
        rounds: at least one, all with the same names.
    """
    quiet = sorted(rounds, key=lambda one: sum(one.values()))[: -(-len(rounds) // QUIETEST)]
    return {name: median(one[name] for one in quiet) for name in quiet[0]}


def _in_turn(
    calls: Mapping[str, Call], x: NDArray[np.float32], rounds: int
) -> list[dict[str, float]]:
    """CPU seconds of each call in every round."""
    return [{name: _seconds(call, x) for name, call in calls.items()} for _ in range(rounds)]


def _seconds(call: Call, x: NDArray[np.float32]) -> float:
    """Of one call, after one that brings its weights back into the caches."""
    call(x)
    started = time.thread_time()
    for _ in range(REPEATS):
        call(x)
    return (time.thread_time() - started) / REPEATS


if __name__ == "__main__":
    sys.exit(main())
