"""What the graph costs, from the command line. How much is no matter for a test."""

import json
from pathlib import Path

import pytest

from benchmarks.graph_cost import BATCHES, main, quiet_medians
from tests.benchmarks.small import flags


def test_a_run_times_the_encoder_and_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    assert main(["--data", "digits", "--quick", *flags(), "--json", str(path)]) == 0
    figures = {name: f["mean"] for name, f in json.loads(path.read_text())["figures"].items()}
    assert 0 < figures["encoder_operators"] < figures["served_operators"]
    for batch in BATCHES:
        alone, whole = (figures[f"{part}_microseconds_{batch}"] for part in ("encoder", "served"))
        assert alone > 0.0
        assert figures[f"served_over_encoder_{batch}"] == pytest.approx(whole / alone - 1.0)
        assert figures[f"predict_microseconds_{batch}"] > 0.0


def test_rounds_that_other_load_disturbed_do_not_count() -> None:
    quiet = [{"encoder": 1.0 + 0.01 * i, "served": 1.5} for i in range(3)]
    loud = [{"encoder": 0.9, "served": 9.0 + i} for i in range(9)]
    assert quiet_medians([*loud, *quiet]) == {"encoder": 1.01, "served": 1.5}
    assert quiet_medians(loud[:1]) == loud[0]
