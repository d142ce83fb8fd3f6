import yaml

from tests.house.dockerfile import parse_dockerfile, values
from tests.house.repository import ROOT


def test_prometheus_scrapes_the_port_that_the_service_has() -> None:
    config = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (port,) = values(parse_dockerfile((ROOT / "Dockerfile").read_text()), "EXPOSE")
    assert job["metrics_path"] == "/metrics"
    assert [target for one in job["static_configs"] for target in one["targets"]] == [
        f"127.0.0.1:{port}"
    ]
