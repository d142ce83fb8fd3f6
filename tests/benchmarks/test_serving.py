"""What the serving benchmark sends, starts and divides; how fast anything is, no test says."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import serving
from benchmarks.contestant import OURS, Contestant, Lineup, our_request
from benchmarks.result import figures_of
from benchmarks.server import Unmeasurable, descendants, is_ready, launched
from benchmarks.serving import main
from benchmarks.serving_case import BATCH, cases_of
from benchmarks.serving_figures import BASE, FULL_BASE, Measured, print_table, round_figures
from tests.e2e.processes import runs
from tests.e2e.served import wait_until

READY = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def test_both_forms_hold_the_same_inputs() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (BATCH, 1, 3, 2)).astype(np.float32)
    one_json, one_binary, batch_json, batch_binary = cases_of(x, -1.0, 1.0)
    for case in (one_json, one_binary, batch_json, batch_binary):
        assert case.inputs.shape == (case.rows, 1, 3, 2)
        np.testing.assert_allclose(case.inputs, x[: case.rows], atol=1.01 / 255)
    for as_json, as_bytes in ((one_json, one_binary), (batch_json, batch_binary)):
        rows = np.array(json.loads(as_json.full.body)["inputs"])
        octets = np.frombuffer(as_bytes.full.body, np.uint8).reshape(rows.shape)
        assert rows.shape == (as_json.rows, 6)
        np.testing.assert_allclose(rows, octets / 255 * 2 - 1, atol=1.01 / 255)
        assert as_json.full.connections == as_bytes.full.connections
    assert json.loads(one_json.smallest.body)["include"] == []


def test_ratios_are_ours_over_fastapi(capsys: pytest.CaptureFixture[str]) -> None:
    cases = cases_of(np.zeros((BATCH, 1, 2, 2), np.float32), 0.0, 1.0)
    services = {
        BASE: Measured(100.0, 400.0, 50.0),
        FULL_BASE: Measured(50.0, 800.0, 99.0),
        OURS: Measured(300.0, 100.0, 10.0),
    }
    measured = {(name, case.name): one for name, one in services.items() for case in cases}
    # A peer without binary bodies.
    measured["bentoml", "one_json"] = Measured(20.0, 900.0, 70.0)
    figures = round_figures(measured, cases)
    assert {figures[f"{case.name}_ratio"] for case in cases} == {3.0}
    assert {figures[f"full_{case.name}_ratio"] for case in cases} == {6.0}
    assert {figures[f"fastapi_full_{case.name}_ratio"] for case in cases} == {0.5}
    assert (figures["p99_ratio"], figures["cpu_ratio"]) == (0.2, 0.25)
    assert figures["bentoml_one_json_ratio"] == 0.2
    assert "bentoml_one_binary_ratio" not in figures

    memory = {"fastapi_all_mb": 100.0, "ours_all_mb": 300.0}
    print_table(figures_of([figures | memory, figures | memory]), cases)
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]}
    assert lines["fastapi"] == ["1", "1", "1", "1", "50", "100"]
    assert lines["fastapi_full"] == ["0.5", "0.5", "0.5", "0.5", "99", "100"]
    assert lines["ours"] == ["3", "3", "3", "3", "10", "300"]
    assert lines["bentoml"] == ["0.2", "-", "-", "-", "70", "-"]


def test_who_fails_a_request_is_named_and_asked_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = cases_of(np.zeros((BATCH, 1, 2, 2), np.float32), 0.0, 1.0)
    asked: list[str] = []

    def measure(one: Contestant, *_: object) -> Measured:
        asked.append(one.name)
        if one.name == failing:
            raise Unmeasurable("3 errors")
        return Measured(1.0, 1.0, 1.0)

    monkeypatch.setattr(serving, "measure", measure)
    with launched([sys.executable, "-c", READY, "{port}"], tmp_path, {}, "/health") as server:
        there = [Contestant(name, server, our_request) for name in (BASE, "bentoml", OURS)]
        failing, lineup = "bentoml", Lineup(there, {}, {})
        found = serving.one_round(lineup, cases, 1, tmp_path)
        assert lineup.missing == {"bentoml": "3 errors"}
        assert asked.count("bentoml") == 1
        assert set(found) == {(name, case.name) for name in (BASE, OURS) for case in cases}
        failing = OURS
        with pytest.raises(Unmeasurable, match="3 errors"):
            serving.one_round(lineup, cases, 1, tmp_path)


def test_a_server_is_waited_for_watched_and_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", READY, "{port}", "{second_port}"]
    with launched(command, tmp_path, {}, "/health") as server:
        assert server.process.poll() is None
        assert not is_ready(server.url)
        assert server.cpu_seconds() >= 0.0
        assert 1.0 < server.largest_mb() < 1000.0
    assert server.process.poll() is not None


def test_processes_that_outlive_their_server_are_ended(tmp_path: Path) -> None:
    parent = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
{READY}"""
    command = [sys.executable, "-c", parent, "{port}"]
    with launched(command, tmp_path, {}, "/health") as server:
        (child,) = descendants(server.process.pid)
    wait_until(lambda: not runs(child), "ended")


def test_a_server_that_ends_is_shown_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(SystemExit, match="out of cheese"),
        launched([sys.executable, "-c", "raise SystemExit('out of cheese')"], tmp_path, {}),
    ):
        pass


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        main(["--quick", "--data", "digits"])
