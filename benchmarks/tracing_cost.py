"""What RCMVAE_TRACING costs: a worker's CPU time, rate and latency for one input, with and without.

python -m benchmarks.tracing_cost --models models
python -m benchmarks.tracing_cost --models models --rounds 3 --seconds 1 --json tracing.json

Needs wrk. Two servers of one worker each, one of them with tracing, take turns; every request is
one input as JSON, over 16 connections. Spans are recorded, and exported nowhere, which is what
BentoML does without an exporter. Without ``--models`` a short fit makes the bundle.

off_, on_  rate, cpu_us, p99_ms    requests a second, CPU microseconds a request, 99th percentile
cpu_ratio, rate_ratio              with tracing over without, within a round
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.contestant import OURS, Contestant, our_request, our_service
from benchmarks.result import Result, figures_of, provenance, write_result
from benchmarks.run_options import run_config, run_parser
from benchmarks.serving import cases_of_bundle, measure
from benchmarks.serving_case import Case
from benchmarks.serving_figures import print_medians
from benchmarks.serving_workers import WARM_UP_SECONDS
from benchmarks.short_fit import SHORT_FIT, publish_short
from benchmarks.wrk import require_wrk

QUICK_ROUNDS, QUICK_SECONDS = 2, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    require_wrk()
    origin = provenance("tracing_cost", given)
    rounds = QUICK_ROUNDS if options.quick else options.rounds
    seconds = QUICK_SECONDS if options.quick else options.seconds
    with TemporaryDirectory(prefix="rcmvae-tracing-") as scratch:
        folder = Path(scratch)
        models = options.models or publish_short(run_config(options, SHORT_FIT), folder / "models")
        case = next(case for case in cases_of_bundle(models) if case.name == "one_json")
        figures = figures_of(_rounds(models, folder, case, rounds, seconds))
    print_medians(figures)
    config: dict[str, JsonValue] = {"seconds": seconds, "data": options.data}
    if options.json:
        result = Result(origin.commit, origin.command, tuple(range(rounds)), config, figures)
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("tracing_cost", __doc__, data="mnist", seeds=1)
    parser.add_argument("--models", type=Path, help="folder of bundles; without it a short fit")
    parser.add_argument("--rounds", type=int, default=7, help="in which both take turns")
    parser.add_argument("--seconds", type=int, default=3, help="of one server in one round")
    return parser.parse_args(arguments)


def _rounds(
    models: Path, folder: Path, case: Case, rounds: int, seconds: float
) -> list[dict[str, float]]:
    request = our_request(case)
    found: list[dict[str, float]] = []
    with (
        our_service(models, folder / "off", 1) as off,
        our_service(models, folder / "on", 1, {"RCMVAE_TRACING": "1"}) as on,
    ):
        both = [Contestant(OURS, server, our_request) for server in (off, on)]
        for one in both:
            measure(one, request, WARM_UP_SECONDS, folder)
        for _ in tqdm(range(rounds), desc="rounds", disable=None):
            without, traced = (measure(one, request, seconds, folder) for one in both)
            found.append(
                {
                    "cpu_ratio": traced.cpu_us / without.cpu_us,
                    "rate_ratio": traced.rate / without.rate,
                    "off_cpu_us": without.cpu_us,
                    "on_cpu_us": traced.cpu_us,
                    "off_rate": without.rate,
                    "on_rate": traced.rate,
                    "off_p99_ms": without.p99_ms,
                    "on_p99_ms": traced.p99_ms,
                }
            )
    return found


if __name__ == "__main__":
    sys.exit(main())
