"""How well a few labels go: ours beside its peers on the same splits, over several seeds.

python -m benchmarks.learning --data digits --labels 100 --seeds 5
python -m benchmarks.learning --data digits --labels 100 --seeds 5 --unlabelled-class 9
python -m benchmarks.learning --data mnist --peers all --first-seed 5 --seeds 5 --json b.json
python -m benchmarks.learning --merge a.json b.json --json both.json

With an unlabelled class the run also asks whether it is found, and whether ten labels teach it.
The result is written after every seed; results over different seeds can be merged.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.merge import merged
from benchmarks.peers.choice import add_peer_options, choose_peers
from benchmarks.peers.peer import Peer
from benchmarks.result import (
    Provenance,
    Result,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from benchmarks.seed_run import measure_seed
from training.config import RunConfig

QUICK_SEEDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, or merge what it wrote."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("learning", given)
    result = merged(options.merge, origin) if options.merge else _measured(options, origin)
    print_figures(result.figures)
    seed, accuracy = worst_seed(result)
    print(f"worst seed: {seed}, accuracy {accuracy:.4f}")
    if options.json is not None:
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("learning", __doc__, data="digits", seeds=5)
    parser.add_argument("--unlabelled-class", action="append", default=[])
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the runs, one folder a seed")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="PATH", help="results to merge")
    add_peer_options(parser)
    return parser.parse_args(arguments)


def _measured(options: argparse.Namespace, origin: Provenance) -> Result:
    classes = ", ".join(f'"{name}"' for name in options.unlabelled_class)
    config = run_config(options, [f"data.unlabelled_classes=[{classes}]"])
    peers = choose_peers(options)
    seeds = seeds_of(options, QUICK_SEEDS if options.quick else None)
    runs: list[Mapping[str, float]] = []
    for seed in tqdm(seeds, desc="seeds", unit="seed"):
        runs.append(measure_seed(config, seed, peers, options.keep))
        tqdm.write(_line(seed, runs[-1]), file=sys.stderr)
        if options.json is not None:
            write_result(_result(origin, seeds[: len(runs)], config, peers, runs), options.json)
    return _result(origin, seeds, config, peers, runs)


def _result(
    origin: Provenance,
    seeds: Sequence[int],
    config: RunConfig,
    peers: Mapping[str, Peer],
    runs: Sequence[Mapping[str, float]],
) -> Result:
    settings: dict[str, JsonValue] = {name: asdict(peer) for name, peer in peers.items()}
    return Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(seeds),
        config={"run": shown(config), "peers": settings},
        figures=figures_of(runs),
    )


def _line(seed: int, figures: Mapping[str, float]) -> str:
    """The figures of one seed that one wants to see at once."""
    shown = [name for name in figures if name.endswith(("accuracy", "seconds", "_channel"))]
    return f"seed {seed}: " + "  ".join(f"{name} {figures[name]:.4g}" for name in shown)


def worst_seed(result: Result) -> tuple[int, float]:
    """The seed with the lowest accuracy of ours, and that accuracy."""
    values = [value for value in result.figures["accuracy"].values if value is not None]
    lowest = min(values)
    return result.seeds[values.index(lowest)], lowest


if __name__ == "__main__":
    sys.exit(main())
