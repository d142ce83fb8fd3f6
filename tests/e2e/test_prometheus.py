"""Debian's Prometheus scrapes the real service; every expression is asked for there."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from ops.grafana.dashboard import ROWS
from rcmvae.decision import Decision
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobMethod, JobOrigin, JobResult, JobState, JobStore
from tests.e2e.served import PATIENCE, ROOT, Server, free_port, serving, wait_until
from tests.house.promtool import program
from tests.service.small_bundle import SHAPE, known_inputs, publish_small

pytestmark = pytest.mark.e2e

RULES = ROOT / "ops/prometheus/rules"
INPUTS = known_inputs(2, seed=4).tolist()
SELECTOR = re.compile(r"(?<![\w:])(?:rcmvae_\w+|job\w*:[\w:]+)(?:\{[^}]*\})?")

DECISION = re.compile(r'decision="(\w+)"')


def expressions() -> list[str]:
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    rules = [rule["expr"] for file in files for group in file["groups"] for rule in group["rules"]]
    drawn = [query.expression for row in ROWS for graph in row.graphs for query in graph.queries]
    shown = [one.replace("$__rate_interval", "1m").replace("$job", ".*") for one in drawn]
    return [*rules, *shown]


@contextmanager
def scraping(port: str, folder: Path) -> Iterator[httpx.Client]:
    """A Prometheus with the rules, that looks at a port every half second; a client of it."""
    config = yaml.safe_load((RULES.parent / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    config["global"]["evaluation_interval"] = "500ms"
    config["rule_files"] = [str(RULES / "*.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    # Else targets that are found five seconds after the start may be taken after ten.
    command += ["--scrape.discovery-reload-interval=100ms"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", timeout=30) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def answer(client: httpx.Client, path: str, **parameters: str) -> Any:
    reply = client.get(path, params=parameters).json()
    assert reply["status"] == "success", (parameters, reply)
    return reply["data"]


def series(client: httpx.Client, selector: str) -> list[dict[str, str]]:
    """What a selector finds; nothing as long as Prometheus starts."""
    try:
        found: list[dict[str, str]] = answer(client, "/series", **{"match[]": selector})
    except httpx.TransportError:
        return []
    return found


def end_a_job(store: JobStore, state: JobState) -> None:
    store.request(JobMethod.RELABEL, JobOrigin.REQUEST)
    claim = store.claim("test", timedelta(minutes=1))
    assert claim is not None
    store.finish(claim.token, JobResult(state, "for the test"))


def send_traffic(server: Server) -> None:
    """A known input, a strange one, and none."""
    for row in (INPUTS[0], np.zeros(SHAPE).tolist()):
        assert server.post("/predict", {"inputs": [row]}).status_code == 200
    assert server.post("/predict", {"inputs": []}).status_code == 422


def test_prometheus_answers_every_expression_and_knows_every_series(tmp_path: Path) -> None:
    named = {one for text in expressions() for one in SELECTOR.findall(text)}
    assert {one for text in named for one in DECISION.findall(text)} <= set(Decision)
    # The small bundle answers no input so.
    selectors = {one for one in named if Decision.UNKNOWN_CLASS not in one}
    port = str(free_port())
    with (
        # Ahead of the service: it looks for its target once in five seconds.
        scraping(port, tmp_path / "prometheus") as client,
        serving(tmp_path / "service", port=port) as server,
    ):
        assert server.post("/predict", {"inputs": INPUTS}).status_code == 503
        publish_small(server.models, "v1")
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        item = {"input": INPUTS[0], "label": "circle"}
        assert server.post("/feedback", {"items": [item]}).status_code == 202
        with FeedbackStore.open(server.store_url) as feedback:
            for state in (JobState.DONE, JobState.FAILED):
                end_a_job(JobStore.of(feedback), state)
        wait_until(lambda: bool(series(client, "rcmvae_build_info")), "the first look")
        absent, end = selectors, time.monotonic() + PATIENCE
        while absent:
            assert time.monotonic() < end, absent
            send_traffic(server)
            absent = {one for one in absent if not series(client, one)}
        for text in expressions():
            answer(client, "/query", query=text)
        groups = answer(client, "/rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
