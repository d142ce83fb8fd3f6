"""Our service under swaps, overload and steady load, with an open-loop client, on this machine.

python -m benchmarks.serving_soak                          # all three; a quarter of an hour
python -m benchmarks.serving_soak --scenarios steady --minutes 60
python -m benchmarks.serving_soak --scenarios swaps overload --json soak.json

Needs wrk (Debian: apt-get install wrk), which finds the capacity: requests a second that it gets
answered as fast as it can. Then requests are sent on a schedule, whether answers come or not, and
latency counts from the moment a request was due (``benchmarks.open_loop``). Two short fits make the
bundles. The client and wrk take a part of the machine; with two cores one worker leaves them one.

swaps       two workers, 40 % of capacity, one batch of 64 for 15 single inputs: the pointer moves
            between two bundles. swaps_failed: answers other than 200; swaps_wrong: of 200, those
            whose rows are not all what the bundle they name says when nothing else is asked;
            swaps_CASE_p99_ratio: to the same load without swaps, half before and half after;
            swaps_by_workers: swaps times workers, where each took each
overload    one worker at three times capacity: overload_CASE_failed, answers other than 200, 429,
            503; _refused_p99_ms, of 429 and 503; _answered_share, 200 a second over capacity;
            _recovery_seconds, until at 70 % all is answered, as fast as before
steady      one worker at 70 % of capacity

NAME_growth_mb is the memory of all processes in the last quarter over that in the second;
NAME_lag_p99_ms how late the client was, without which no latency means anything.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from benchmarks.contestant import our_service
from benchmarks.open_loop import OtherProcess
from benchmarks.result import Result, figures_of, provenance, write_result
from benchmarks.run_options import run_config, run_parser
from benchmarks.serving import cases_of_bundle
from benchmarks.serving_case import Case
from benchmarks.serving_figures import print_medians
from benchmarks.short_fit import SHORT_FIT, short_draft
from benchmarks.soak_overload import overload
from benchmarks.soak_scenario import Soaked
from benchmarks.soak_steady import steady
from benchmarks.soak_swaps import swaps
from benchmarks.wrk import require_wrk
from rcmvae.bundle import new_version, publish_bundle, stage_bundle

SWAPS, OVERLOAD, STEADY = "swaps", "overload", "steady"
SCENARIOS = (SWAPS, OVERLOAD, STEADY)
SHOWN_NOTES = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    require_wrk()
    origin = provenance("serving_soak", given)
    with TemporaryDirectory(prefix="rcmvae-soak-") as scratch, OtherProcess() as client:
        folder = Path(scratch)
        versions = _two_bundles(options, folder / "models")
        found = [
            one
            for scenario in options.scenarios
            for one in _run(scenario, options, versions, folder, client)
        ]
    figures = figures_of([{name: v for one in found for name, v in one.figures.items()}])
    print_medians(figures)
    config: dict[str, JsonValue] = {
        "data": options.data,
        "minutes": options.minutes,
        "swaps": options.swaps,
        "pause": options.pause,
        "overload_seconds": options.overload_seconds,
    }
    if options.json:
        curves = tuple(_curve(one) for one in found)
        result = Result(origin.commit, origin.command, (0,), config, figures, curves)
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("serving_soak", __doc__, data="mnist", seeds=1)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the steady load")
    parser.add_argument("--swaps", type=int, default=100, help="an even number")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds from swap to swap")
    parser.add_argument("--overload-seconds", type=float, default=30.0)
    options = parser.parse_args(arguments)
    if options.quick:
        options.minutes, options.swaps, options.overload_seconds = 0.25, 6, 5.0
    if options.swaps < 2 or options.swaps % 2:
        parser.error("--swaps: expected an even number of at least 2")
    return options


def _two_bundles(options: argparse.Namespace, models: Path) -> tuple[str, str]:
    """Publish two bundles of different fits; the first is current."""
    config = run_config(options, SHORT_FIT)
    first, other = (short_draft(replace(config, seed=seed)) for seed in (0, 1))
    publish_bundle(models, first, expected_parent=None)
    # Two fits may end within a second; versions must differ.
    version = new_version(datetime.now(UTC), first.bundle_version)
    stage_bundle(models, replace(other, bundle_version=version))
    return first.bundle_version, version


def _run(
    scenario: str,
    options: argparse.Namespace,
    versions: tuple[str, str],
    folder: Path,
    client: OtherProcess,
) -> list[Soaked]:
    models = folder / "models"
    cases = {case.name: case for case in cases_of_bundle(models)}
    single, batch = cases["one_json"], cases["batch_binary"]
    workers = 2 if scenario == SWAPS else 1
    found: list[Soaked] = []
    with our_service(models, folder / scenario, workers) as server:
        if scenario == SWAPS:
            both: tuple[Case, Case] = (single, batch)
            count, pause = options.swaps, options.pause
            found.append(swaps(server, models, versions, both, client, count, pause, folder))
        elif scenario == OVERLOAD:
            for case in (single, batch):
                seconds = options.overload_seconds
                found.append(overload(server, case, client, seconds, folder))
        else:
            found.append(steady(server, single, client, 60 * options.minutes, folder))
    for one in found:
        _print_memory(one)
    return found


def _curve(soaked: Soaked) -> dict[str, JsonValue]:
    """Memory over time for a result: every note, in MB at seconds after the start."""
    seconds: list[JsonValue] = [*soaked.memory.seconds]
    mb: list[JsonValue] = [*soaked.memory.mb]
    return {"scenario": soaked.scenario, "seconds": seconds, "mb": mb}


def _print_memory(soaked: Soaked) -> None:
    """Some twenty notes of memory over time."""
    print(f"{soaked.scenario}: memory of all processes")
    notes = list(zip(soaked.memory.seconds, soaked.memory.mb, strict=True))
    for second, mb in notes[:: max(1, len(notes) // SHOWN_NOTES)]:
        print(f"{second:>8} s  {mb:>8.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
