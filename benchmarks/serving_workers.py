"""Our service with two workers beside one, and beside ONNX Runtime in two processes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from benchmarks.contestant import our_service
from benchmarks.onnx_limit import limit_of
from benchmarks.serving_case import Case
from benchmarks.wrk import send

WARM_UP_SECONDS = 1


def two_workers(
    models: Path, folder: Path, cases: Sequence[Case], rounds: int, seconds: float
) -> list[dict[str, float]]:
    """Inputs a second of two workers, of one, and of ONNX Runtime in two processes."""
    (case,) = (case for case in cases if case.name == "batch_binary")
    # Twice the connections, so that each worker has as many as one had alone.
    double = replace(case.full, connections=2 * case.full.connections)
    found: list[dict[str, float]] = []
    with (
        our_service(models, folder / "one", workers=1) as one,
        our_service(models, folder / "two", workers=2) as two,
    ):
        turns = (
            (case.full, f"{one.url}/predict{case.query}"),
            (double, f"{two.url}/predict{case.query}"),
        )
        for load, url in turns:
            send(load, url, WARM_UP_SECONDS, folder)
        for _ in tqdm(range(rounds), desc="two workers", disable=None):
            limit = limit_of(models, 2, seconds)
            alone, both = (
                send(load, url, seconds, folder, on_last_core=True) for load, url in turns
            )
            found.append(
                {
                    "two_worker_limit_share": case.rows * both.rate / limit,
                    "two_worker_speedup": both.rate / alone.rate,
                    "two_worker_inputs_rate": case.rows * both.rate,
                    "two_worker_client_share": both.client_cores,
                    "two_process_limit": limit,
                }
            )
    return found
