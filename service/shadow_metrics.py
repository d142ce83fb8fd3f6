"""How far a candidate in the shadow answers differently."""

from prometheus_client import CollectorRegistry, Counter

from service.shared_drift import Question


class ShadowMetrics:
    """Counters; a share is one over the inputs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.inputs = Counter(
            "rcmvae_shadow_inputs", "Inputs that a candidate scored too.", registry=registry
        )
        self.labels = Counter(
            "rcmvae_shadow_label_changes",
            "Of these, inputs for which the candidate says another label.",
            registry=registry,
        )
        self.decisions = Counter(
            "rcmvae_shadow_decision_changes",
            "Of these, inputs for which the candidate decides otherwise.",
            registry=registry,
        )
        self.p_differences = Counter(
            "rcmvae_shadow_p_difference",
            "Sum of the absolute differences between both p-values.",
            ["question"],
            registry=registry,
        )
        self.failures = Counter(
            "rcmvae_shadow_failures",
            "Candidates that could not be opened or run.",
            registry=registry,
        )
        for question in Question:
            self.p_differences.labels(question)

    def observe(
        self, *, inputs: int, labels: int, decisions: int, familiar: float, owned: float
    ) -> None:
        """Count the differences of some inputs."""
        self.inputs.inc(inputs)
        self.labels.inc(labels)
        self.decisions.inc(decisions)
        self.p_differences.labels(Question.FAMILIAR).inc(familiar)
        self.p_differences.labels(Question.OWNED).inc(owned)
