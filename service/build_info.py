"""Which build runs here."""

import platform
from collections.abc import Iterator

import onnxruntime
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rcmvae.bundle.manifest import FORMAT_VERSION
from service.version import VERSION


class BuildInfo(Collector):
    """One sample that is always 1; what it says stands in its labels."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The one family."""
        family = GaugeMetricFamily(
            "rcmvae_build_info",
            "Always 1: what runs here.",
            labels=["version", "bundle_format", "python", "onnxruntime"],
        )
        labels = [VERSION, str(FORMAT_VERSION)]
        labels += [platform.python_version(), str(onnxruntime.__version__)]
        family.add_metric(labels, 1)
        yield family
