"""The options that name a run, and the configuration that follows from them."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from benchmarks.result import add_options
from training.config import RunConfig, to_json
from training.config_file import load_config
from training.data import SHIPPED


def run_parser(module: str, about: str | None, *, data: str, seeds: int) -> argparse.ArgumentParser:
    """The parser of a benchmark that trains: data, labels, seeds, threads, settings and result.

    Args:
        module: the benchmark's, within this package.
        about: its docstring.
        data: that it takes by default.
        seeds: how many it takes by default.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", default=data, help="a set that scikit-learn ships, or one in RCMVAE_DATA_DIR"
    )
    parser.add_argument("--labels", type=int, default=100, help="labelled examples in all")
    parser.add_argument("--seeds", type=int, default=seeds, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="of torch; without it as fit.threads has it")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    add_options(parser)
    return parser


def run_config(options: argparse.Namespace, more: Sequence[str] = ()) -> RunConfig:
    """The defaults, then what the options say, then ``more``, then ``--set``."""
    given = [f'data.source="{source_of(options.data)}"', f"data.labels={options.labels}"]
    if options.threads is not None:
        given.append(f"fit.threads={options.threads}")
    return load_config(None, [*given, *more, *options.set])


def shown(config: RunConfig) -> JsonValue:
    """The configuration for a result: data by their name, as folders are those of one machine."""
    name = Path(config.data.source).name
    return to_json(replace(config, data=replace(config.data, source=name)))


def seeds_of(options: argparse.Namespace, most: int | None = None) -> range:
    """The seeds asked for, or the first ``most`` of them.

    Raises:
        SystemExit: fewer than one.
    """
    if options.seeds < 1:
        raise SystemExit(f"--seeds: expected at least 1, got {options.seeds}")
    count = options.seeds if most is None else min(most, options.seeds)
    return range(options.first_seed, options.first_seed + count)


def source_of(data: str) -> str:
    """Where the data of a name lie: the name itself for what scikit-learn ships.

    Raises:
        SystemExit: RCMVAE_DATA_DIR does not say.
    """
    if data in SHIPPED:
        return data
    folder = os.environ.get("RCMVAE_DATA_DIR")
    if folder is None:
        raise SystemExit("RCMVAE_DATA_DIR: expected the folder that holds mnist/, got nothing")
    return str(Path(folder) / data)
