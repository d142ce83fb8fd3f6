"""What is measured of every HTTP request."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from service.prediction_metrics import MAX_LABELS, OTHER_LABEL, SECONDS


class RequestMetrics:
    """Metrics of requests by route template and status.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "rcmvae_requests", "HTTP requests.", ["route", "status"], registry=registry
        )
        self._duration = Histogram(
            "rcmvae_request_duration_seconds",
            "Time from the request to the end of the response.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._by_owner = Counter(
            "rcmvae_owner_requests",
            "Requests by the owner of their key, refused ones included; anonymous without a key.",
            ["owner"],
            registry=registry,
        )
        self._owners: dict[str, Counter] = {}
        # Finding a labelled child costs as much as counting with it.
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def count_owner(self, owner: str) -> None:
        """Count one request of the owner of a key."""
        if owner not in self._owners and len(self._owners) >= MAX_LABELS:
            owner = OTHER_LABEL
        child = self._owners.get(owner)
        if child is None:
            child = self._owners[owner] = self._by_owner.labels(owner)
        child.inc()

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one request; route and status come from a bounded set."""
        children = self._children.get((route, status))
        if children is None:
            children = (
                self._requests.labels(route, str(status)),
                self._duration.labels(route),
            )
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)
