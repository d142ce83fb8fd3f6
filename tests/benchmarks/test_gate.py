"""How often the gate stops what it should not, by simulation."""

import json
from pathlib import Path

import numpy as np

from benchmarks.gate import Kind, main, outcome
from rcmvae.bundle import GateOutcome


def test_a_candidate_as_good_as_its_parent_is_hardly_ever_rejected() -> None:
    rng = np.random.default_rng(0)
    drawn = [outcome(Kind(2000, 0.005, 0.005), rng) for _ in range(100)]
    assert drawn.count(GateOutcome.REJECT) <= 1
    assert drawn.count(GateOutcome.PROMOTE) > 95


def test_from_the_command_line(tmp_path: Path) -> None:
    result = tmp_path / "gate.json"
    assert main(["--quick", "--json", str(result)]) == 0
    figures = json.loads(result.read_text())["figures"]
    value = {name: figure["values"][0] for name, figure in figures.items()}
    assert value["2000: 5% worse: rejected"] > 0.95
    assert value["2000: as good, 0% differ: rejected"] == 0.0
