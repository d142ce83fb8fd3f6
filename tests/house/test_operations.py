"""What Prometheus is told: it reads it, the alerts do what they say, and nothing is made up."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.dockerfile import parse_dockerfile, values
from tests.house.promtool import promtool
from tests.house.repository import ROOT

PROMETHEUS = ROOT / "ops/prometheus"
UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    files = [load(path) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def test_prometheus_scrapes_the_port_that_the_service_has() -> None:
    config = load(PROMETHEUS / "prometheus.yml")
    (job,) = config["scrape_configs"]
    (port,) = values(parse_dockerfile((ROOT / "Dockerfile").read_text()), "EXPOSE")
    assert job["metrics_path"] == "/metrics"
    assert [target for one in job["static_configs"] for target in one["targets"]] == [
        f"127.0.0.1:{port}"
    ]


def test_promtool_takes_the_configuration_with_its_rules() -> None:
    promtool("check", "config", "ops/prometheus/prometheus.yml")


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_quiet(path: Path) -> None:
    promtool("test", "rules", str(path.relative_to(ROOT)))


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_unit_tested_to_fire_and_to_stay_quiet(alert: str) -> None:
    cases = [
        case
        for path in UNIT_TESTS
        for test in load(path)["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


def test_unit_tests_name_alerts_that_there_are() -> None:
    named = {
        case["alertname"]
        for path in UNIT_TESTS
        for test in load(path)["tests"]
        for case in test["alert_rule_test"]
    }
    assert named == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_bad_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^### (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert.lower()
    assert alert in headings


def test_the_runbook_has_no_other_alerts() -> None:
    text = (ROOT / "ops/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (Rcmvae\w+)$", text, re.MULTILINE)) == set(ALERTS)


def test_rules_name_metrics_that_the_service_has() -> None:
    documented = set(re.findall(r"^\| `(rcmvae_\w+)`", _api_text(), re.MULTILINE))
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        used = set(re.findall(r"(?<!:)\brcmvae_\w+", rule["expr"]))
        assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in used} <= documented
        assert set(re.findall(r"\bjob\w*:[\w:]+", rule["expr"])) <= recorded


def _api_text() -> str:
    return (ROOT / "docs/api.md").read_text(encoding="utf-8")
