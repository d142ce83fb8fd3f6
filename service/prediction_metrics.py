"""What is measured of the answers: how long, how many, how sure and how strange."""

from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from rcmvae.decision import Decision
from rcmvae.prediction import PredictionBatch
from service.bulk_histogram import BulkHistogram

MAX_LABELS = 256
OTHER_LABEL = "(other)"

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_P_VALUES = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    1,
)
_NATS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 2.5, 3, 4, 5)
_SCORES = (0.5, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 32, 50, 100, 200, 500, 1000, 10_000)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


class PredictionMetrics:
    """Metrics of what was answered.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._labels_seen: set[str] = set()
        # Finding a labelled child costs as much as counting with it.
        self._children: dict[tuple[Decision, str], Counter] = {}
        self.inference_duration = Histogram(
            "rcmvae_inference_duration_seconds",
            "Time of one ONNX Runtime run.",
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "rcmvae_batch_rows", "Inputs in one run.", buckets=ROWS, registry=registry
        )
        self.predictions = Counter(
            "rcmvae_predictions", "Inputs answered.", ["decision", "label"], registry=registry
        )
        self.fused_score = BulkHistogram(
            "rcmvae_ood_fused_score",
            "Fused out-of-distribution score, higher is stranger.",
            buckets=_SCORES,
            registry=registry,
        )
        self.p_familiar = BulkHistogram(
            "rcmvae_ood_p_familiar",
            "Conformal p-value of being like the training stream.",
            buckets=_P_VALUES,
            registry=registry,
        )
        self.p_owned = BulkHistogram(
            "rcmvae_ood_p_owned",
            "Conformal p-value of being owned by labelled channels.",
            buckets=_P_VALUES,
            registry=registry,
        )
        self.entropy = BulkHistogram(
            "rcmvae_entropy_nats",
            "Total entropy of the label.",
            buckets=_NATS,
            registry=registry,
        )

        parts = BulkHistogram(
            "rcmvae_entropy_part_nats",
            "What the total entropy consists of.",
            ["part"],
            buckets=_NATS,
            registry=registry,
        )
        self.aleatoric = parts.labels("aleatoric")
        self.channel_ambiguity = parts.labels("channel_ambiguity")
        self.label_map_ignorance = parts.labels("label_map_ignorance")

    def observe_run(self, batch: PredictionBatch, seconds: float) -> None:
        """Count one run of the session and what it says of its inputs.

        Args:
            batch: N answers, of one request or several.
            seconds: how long the run took.
        """
        self.inference_duration.observe(seconds)
        self.batch_rows.observe(len(batch))
        self.p_familiar.observe_all(batch.p_familiar)
        self.p_owned.observe_all(batch.p_owned)
        uncertainty = batch.uncertainty
        self.entropy.observe_all(uncertainty.total)
        self.aleatoric.observe_all(uncertainty.aleatoric)
        self.channel_ambiguity.observe_all(uncertainty.channel_ambiguity)
        self.label_map_ignorance.observe_all(uncertainty.label_map_ignorance)
        self.fused_score.observe_all(batch.scores[:, batch.score_names.index("fused")])

    def count_answers(self, decisions: Sequence[Decision], labels: Sequence[str]) -> None:
        """Count what one request was answered: N decisions and the N most probable labels."""
        if len(labels) == 1:
            self._child(decisions[0], labels[0]).inc()
            return
        answered = Tally(zip(decisions, labels, strict=True))
        for (decision, label), count in answered.items():
            self._child(decision, label).inc(count)

    def _child(self, decision: Decision, label: str) -> Counter:
        child = self._children.get((decision, label))
        if child is None:
            child = self.predictions.labels(decision, self._bounded(label))
            if label in self._labels_seen:
                self._children[decision, label] = child
        return child

    def _bounded(self, label: str) -> str:
        if label not in self._labels_seen:
            if len(self._labels_seen) >= MAX_LABELS:
                return OTHER_LABEL
            self._labels_seen.add(label)
        return label
