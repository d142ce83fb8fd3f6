"""Where the time of one training step goes, and what other ways to compute it would cost.

python -m benchmarks.step_profile --data mnist
python -m benchmarks.step_profile --data digits --quick --set objective.second_view=learning

The table of parts is from torch.profiler on one thread: the time of the CPU in every operator, that
of the backward pass with the part whose forward pass it belongs to. The profiler costs time of its
own, so the shares count, not their sum. The ways are timed without it, a step of each in turn, so
that other load on the machine meets all of them alike; their ratios are what counts.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import count
from typing import Literal, ParamSpec, TypeVar
from unittest.mock import patch

import torch
from pydantic import JsonValue
from torch import Tensor
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function
from tqdm import tqdm

import training.batch
import training.fit
from benchmarks.result import (
    Result,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, shown
from training.batch import Batch
from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.fit import batches, tensors_of
from training.machine import Machine, set_up
from training.recipe import settled
from training.state import FitState, new_state

_P = ParamSpec("_P")
_R = TypeVar("_R")

MARK = "part: "
BACKWARD = "autograd::engine::evaluate_function"
_STEPS, _QUICK_STEPS = 40, 3
_WARM = 2
_AT = 0.5
"""Progress of the run at the steps that are looked at: every term is on by then."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute a step; the defaults are those of a fit on a CPU.

    Attributes:
        threads: of torch.
        bfloat16: encoder and decoder in it.
        channels_last: memory format of the encoder's convolutions.
        adamw: its ``foreach`` or ``fused`` form, or tensor by tensor, ``single``.
        compiled: encoder and decoder through torch.compile.
    """

    threads: int = 1
    bfloat16: bool = False
    channels_last: bool = True
    adamw: Literal["foreach", "fused", "single"] = "foreach"
    compiled: bool = False


WAYS: Mapping[str, Way] = {
    "one thread": Way(),
    "two threads": Way(threads=2),
    "bfloat16": Way(bfloat16=True),
    "two threads, bfloat16": Way(threads=2, bfloat16=True),
    "channels first": Way(channels_last=False),
    "AdamW tensor by tensor": Way(adamw="single"),
    "fused AdamW": Way(adamw="fused"),
    "compiled": Way(compiled=True),
}
REFERENCE = "one thread"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("step_profile", given)
    open_config = run_config(options)
    dataset = load_dataset(open_config.data, open_config.seed)
    config = settled(open_config, dataset)
    steps = _QUICK_STEPS if options.quick else _STEPS
    chosen = {name: WAYS[name] for name in WAYS if options.compiled or not WAYS[name].compiled}
    shares = part_figures(dataset, config, steps)
    seconds = time_ways(dataset, config, chosen, steps)
    figures = figures_of([{**shares, **way_figures(seconds)}])
    print_figures(figures)
    if options.json is not None:
        run: dict[str, JsonValue] = {"run": shown(config), "steps": steps}
        result = Result(origin.commit, origin.command, (config.seed,), run, figures)
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("step_profile", __doc__, data="mnist", seeds=1)
    parser.add_argument("--compiled", action="store_true", help="time torch.compile too; minutes")
    return parser.parse_args(arguments)


@contextmanager
def stepping(
    dataset: Dataset, config: RunConfig, way: Way
) -> Iterator[tuple[FitState, Callable[[], None]]]:
    """A new state, and what takes one step of the fit on it in one way."""
    state, cpu = new_state(dataset, config), torch.device("cpu")
    if not way.channels_last:
        for parameter in state.network.encoder.trunk.parameters():
            parameter.data = parameter.data.contiguous()
    (group,) = state.optimizer.param_groups
    group.update(foreach=way.adamw == "foreach", fused=way.adamw == "fused")
    tensors = tensors_of(dataset, cpu)
    shares = _endless(tensors.unlabelled, config)

    def take() -> None:
        torch.set_num_threads(way.threads)
        with record_function(MARK + "data"):
            x = next(shares)
        training.fit.step(state, Batch(x, tensors, _AT), config)

    with set_up(state.network, Machine(cpu, way.bfloat16, way.compiled)):
        yield state, take


def _endless(x: Tensor, config: RunConfig) -> Iterator[Tensor]:
    for epoch in count():
        for share, _ in batches(x, config, epoch):
            yield share


def part_figures(dataset: Dataset, config: RunConfig, steps: int) -> dict[str, float]:
    """Share of each part, forward and backward, in the time of a step; they sum to one."""
    with ExitStack() as stack:
        state, take = stack.enter_context(stepping(dataset, config, Way()))
        for target, name, part in (
            (training.fit, "step", "optimiser"),  # what is left of it
            (training.fit, "compute_terms", "terms"),  # likewise
            (training.batch, "views", "augmentation"),
            (state.network, "look", "encoder"),
            (state.network.encoder, "read", "encoder"),
            (state.network, "decode_under", "decoder"),
        ):
            original = getattr(target, name)
            stack.enter_context(patch.object(target, name, marked(part, original)))
        for _ in range(_WARM):
            take()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(steps):
                take()
    microseconds = time_by_part(profiler.events() or [])
    whole = sum(microseconds.values())
    return {f"share of {part}": spent / whole for part, spent in sorted(microseconds.items())}


def marked(part: str, function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The same function, whose operators the profiler finds under the part's name."""

    @wraps(function)
    def within(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with record_function(MARK + part):
            return function(*args, **kwargs)

    return within


def time_by_part(events: Iterable[FunctionEvent]) -> dict[str, float]:
    """Microseconds of every part, forward and backward.

    A node of the backward pass carries the sequence number of the operator that made it; what
    carries no operator's number, such as keeping a gradient, stays where it is called.
    """
    ordered = sorted(events, key=lambda event: event.time_range.start)
    makers = {
        event.sequence_nr: part_of(event)
        for event in ordered
        if event.sequence_nr >= 0 and not _node(event)
    }
    spent: dict[str, float] = defaultdict(float)
    for event in ordered:
        node = _node(event)
        maker = makers.get(node.sequence_nr) if node is not None else None
        part = part_of(event) if maker is None else f"{maker}, backward"
        spent[part] += event.self_cpu_time_total
    # Outside of every part: the profiler's own frame around the steps.
    spent.pop("", None)
    return dict(spent)


def part_of(event: FunctionEvent) -> str:
    """The innermost part around an event; empty where there is none."""
    at: FunctionEvent | None = event
    while at is not None:
        if at.name.startswith(MARK):
            return at.name.removeprefix(MARK)
        at = at.cpu_parent
    return ""


def _node(event: FunctionEvent) -> FunctionEvent | None:
    """The node of the backward pass that an event is part of; None in the forward pass."""
    at: FunctionEvent | None = event
    while at is not None:
        if at.name.startswith(BACKWARD):
            return at
        at = at.cpu_parent
    return None


def time_ways(
    dataset: Dataset, config: RunConfig, ways: Mapping[str, Way], steps: int
) -> dict[str, list[float]]:
    """Seconds of ``steps`` steps in each way, taken in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        takers = {
            name: stack.enter_context(stepping(dataset, config, way))[1]
            for name, way in ways.items()
        }
        for _ in tqdm(range(_WARM + steps), desc="steps of each way"):
            for name, take in takers.items():
                started = time.perf_counter()
                take()
                seconds[name].append(time.perf_counter() - started)
    return {name: taken[_WARM:] for name, taken in seconds.items()}


def way_figures(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Median milliseconds of a step in each way; ratios of medians, and of the fastest steps.

    The fastest step is the one that met the least of other load.
    """
    reference = seconds[REFERENCE]
    figures: dict[str, float] = {}
    for name, taken in seconds.items():
        figures[f"{name}, ms"] = 1e3 * statistics.median(taken)
        figures[f"{name}, ratio"] = statistics.median(taken) / statistics.median(reference)
        figures[f"{name}, fastest ratio"] = min(taken) / min(reference)
    return figures


if __name__ == "__main__":
    sys.exit(main())
