"""What the graph costs, from the command line. How much is no matter for a test."""

import json
from pathlib import Path

from benchmarks.graph_cost import BATCHES, main
from tests.benchmarks.small import flags


def test_a_run_times_the_encoder_and_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    assert main(["--data", "digits", "--quick", *flags(), "--json", str(path)]) == 0
    figures = {name: f["mean"] for name, f in json.loads(path.read_text())["figures"].items()}
    for batch in BATCHES:
        alone, whole = (figures[f"{part}_microseconds_{batch}"] for part in ("encoder", "served"))
        assert alone > 0.0
        assert figures[f"served_over_encoder_{batch}"] == whole / alone - 1.0
