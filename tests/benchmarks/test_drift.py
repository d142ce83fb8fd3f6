"""The drift benchmark: its peer by hand, and the command line in seconds."""

import json
from pathlib import Path

import numpy as np

from benchmarks.drift import CAPITAL, JUMP, main, passed


def _capital(p: list[float]) -> float:
    """The Simple Jumper's capital by the sum over its three states."""
    capital = np.full(3, 1 / 3)
    stay = (1 - JUMP) * np.eye(3) + JUMP / 3
    for value in p:
        capital = (stay @ capital) * (1.0 + np.array([-1.0, 0.0, 1.0]) * (value - 0.5))
    return float(capital.sum())


def test_the_jumper_passes_when_its_capital_does() -> None:
    p = np.full(60, 0.01)
    found = passed(p)
    assert found is not None
    assert _capital(p[: found - 1].tolist()) < CAPITAL <= _capital(p[:found].tolist())
    assert passed(np.tile([0.25, 0.75], 500)) is None


def test_from_the_command_line(tmp_path: Path) -> None:
    result = tmp_path / "drift.json"
    assert main(["--quick", "--json", str(result)]) == 0
    figures = json.loads(result.read_text())["figures"]
    value = {name: figure["values"][0] for name, figure in figures.items()}
    assert value["1600: false alarms, of those allowed"] <= 1.0
    few, many = (value[f"{n}: 5 % outliers, inputs to the alarm, median"] for n in (240, 1600))
    assert 1 <= many < few
