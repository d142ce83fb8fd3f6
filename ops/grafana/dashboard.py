"""The Grafana dashboard as code; ``python -m ops.grafana.dashboard`` writes rcmvae.json."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from string import ascii_uppercase

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef

FILE = Path(__file__).with_name("rcmvae.json")
PANEL_WIDTH, PANEL_HEIGHT = 8, 8
"""Of the grid's 24 columns; in units of 30 pixels."""
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_JOB = 'job=~"$job"'
_PREDICT = f'{_JOB},route=~"/predict|/v2/.*/infer"'


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, and how its series are named."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Graph:
    """One panel.

    Attributes:
        title: of the panel.
        meaning: what to read off it.
        unit: of the vertical axis, as Grafana names units.
        queries: drawn together.
    """

    title: str
    meaning: str
    unit: str
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Graphs under one heading."""

    title: str
    graphs: tuple[Graph, ...]


def _rate(metric: str, by: str, labels: str = _JOB) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _quantiles(metric: str, labels: str = _JOB) -> tuple[Query, ...]:
    buckets = _rate(f"{metric}_bucket", "le", labels)
    return tuple(
        Query(f"histogram_quantile({share}, {buckets})", name)
        for share, name in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
    )


def _windows(decision: str) -> tuple[Query, ...]:
    labels = f'{_JOB},decision="{decision}"'
    return tuple(
        Query(f"job_decision:rcmvae_predictions:ratio_rate{window}{{{labels}}}", window)
        for window in ("5m", "1h", "1d")
    )


ROWS = (
    Row(
        "Requests",
        (
            Graph(
                "Requests by status",
                "Answers a second, with health checks and scrapes.",
                "reqps",
                (Query(_rate("rcmvae_requests_total", "status"), "{{status}}"),),
            ),
            Graph(
                "Errors",
                "Share of requests answered with 500 and above; the objective is 0.1 %.",
                "percentunit",
                tuple(
                    Query(f"job:rcmvae_request_errors:ratio_rate{window}{{{_JOB}}}", window)
                    for window in ("5m", "1h", "6h", "3d")
                ),
            ),
            Graph(
                "Time of a prediction",
                "From the request to the end of the answer; 99 % are to be below 250 ms.",
                "s",
                _quantiles("rcmvae_request_duration_seconds", _PREDICT),
            ),
            Graph(
                "Refused and turned away",
                "Problems by their kind.",
                "reqps",
                (Query(_rate("rcmvae_rejected_requests_total", "reason"), "{{reason}}"),),
            ),
            Graph(
                "Owners",
                "Requests by the owner of their key.",
                "reqps",
                (Query(_rate("rcmvae_owner_requests_total", "owner"), "{{owner}}"),),
            ),
            Graph(
                "Slow predictions",
                "Share above 250 ms.",
                "percentunit",
                tuple(
                    Query(f"job:rcmvae_predictions_slow:ratio_rate{window}{{{_JOB}}}", window)
                    for window in ("5m", "1h", "6h")
                ),
            ),
        ),
    ),
    Row(
        "Queue and model",
        (
            Graph(
                "Wait in the queue",
                "Of a request before its run.",
                "s",
                _quantiles("rcmvae_queue_wait_seconds"),
            ),
            Graph(
                "Time of a run",
                "Of ONNX Runtime.",
                "s",
                _quantiles("rcmvae_inference_duration_seconds"),
            ),
            Graph(
                "Inputs in a run and in the queue",
                "Medians and 99 %: how well requests run together.",
                "short",
                (
                    Query(_quantiles("rcmvae_batch_rows")[0].expression, "run, median"),
                    Query(_quantiles("rcmvae_batch_rows")[2].expression, "run, 99 %"),
                    Query(_quantiles("rcmvae_queue_depth_rows")[2].expression, "queue, 99 %"),
                ),
            ),
        ),
    ),
    Row(
        "Answers",
        (
            Graph(
                "Out of distribution",
                "Share of inputs unlike the training stream; alpha and less is as it should be.",
                "percentunit",
                _windows("out_of_distribution"),
            ),
            Graph(
                "Unknown class",
                "Share of inputs that no labelled channel owns.",
                "percentunit",
                _windows("unknown_class"),
            ),
            Graph(
                "Labels",
                "Most probable label of the inputs answered.",
                "cps",
                (Query(_rate("rcmvae_predictions_total", "label"), "{{label}}"),),
            ),
            Graph("Entropy", "Total, of the label.", "short", _quantiles("rcmvae_entropy_nats")),
            Graph(
                "Entropy by part",
                "Means. Label-map ignorance falls with labels, channel ambiguity with a refit, "
                "aleatoric with neither.",
                "short",
                (
                    Query(
                        f"{_rate('rcmvae_entropy_part_nats_sum', 'part')}"
                        f" / {_rate('rcmvae_entropy_part_nats_count', 'part')}",
                        "{{part}}",
                    ),
                ),
            ),
            Graph(
                "Strangeness",
                "Fused out-of-distribution score.",
                "short",
                _quantiles("rcmvae_ood_fused_score"),
            ),
            Graph(
                "Small p-values",
                "Share of inputs with p <= 0.01: of known inputs, 1 %.",
                "percentunit",
                tuple(
                    Query(
                        f"sum(rate(rcmvae_ood_p_{question}_bucket"
                        f'{{{_JOB},le="0.01"}}[$__rate_interval]))'
                        f" / sum(rate(rcmvae_ood_p_{question}_count{{{_JOB}}}[$__rate_interval]))",
                        question,
                    )
                    for question in ("familiar", "owned")
                ),
            ),
        ),
    ),
    Row(
        "Drift and bundles",
        (
            Graph(
                "Evidence of drift",
                "An alarm is raised where it reaches 1.",
                "short",
                (
                    Query(
                        f"max by (question) (rcmvae_drift_evidence_ratio{{{_JOB}}})", "{{question}}"
                    ),
                ),
            ),
            Graph(
                "Workers by bundle",
                "Every bundle in service.",
                "short",
                (
                    Query(
                        f"sum by (bundle_version) (rcmvae_bundle_info{{{_JOB}}})",
                        "{{bundle_version}}",
                    ),
                ),
            ),
            Graph(
                "Swaps and refusals",
                "Of bundles, in an hour.",
                "short",
                (
                    Query(f"sum(increase(rcmvae_bundle_swaps_total{{{_JOB}}}[1h]))", "taken"),
                    Query(
                        "sum by (reason)"
                        f" (increase(rcmvae_bundle_swap_failures_total{{{_JOB}}}[1h]))",
                        "refused: {{reason}}",
                    ),
                    Query(
                        f"sum by (reason) (rcmvae_bundle_refusing_workers{{{_JOB}}}) > 0",
                        "workers that refuse: {{reason}}",
                    ),
                ),
            ),
            Graph(
                "Age of the newest bundle",
                "Since it was made.",
                "s",
                (Query(f"time() - max(rcmvae_bundle_created_timestamp_seconds{{{_JOB}}})", "age"),),
            ),
        ),
    ),
    Row(
        "Learning",
        (
            Graph(
                "Corrections by status",
                "What the store holds.",
                "short",
                (Query(f"job_status:rcmvae_feedback_stored:max{{{_JOB}}}", "{{status}}"),),
            ),
            Graph(
                "Oldest waiting correction",
                "Nothing is drawn where none waits.",
                "s",
                (
                    Query(
                        f"time() - min(rcmvae_feedback_oldest_queued_timestamp_seconds{{{_JOB}}})",
                        "age",
                    ),
                ),
            ),
            Graph(
                "Corrections posted",
                "By what they name: a prediction's id, or the input.",
                "cps",
                (Query(_rate("rcmvae_feedback_items_total", "source"), "{{source}}"),),
            ),
            Graph(
                "Retrain jobs, ended",
                "In a day. Every replica reads the one store.",
                "short",
                (
                    Query(
                        "max by (method, state)"
                        f" (increase(rcmvae_retrain_jobs_total{{{_JOB}}}[1d]))",
                        "{{method}} {{state}}",
                    ),
                ),
            ),
            Graph(
                "Retrain jobs, open",
                "Waiting and running.",
                "short",
                (Query(f"job_state:rcmvae_retrain_open_jobs:max{{{_JOB}}}", "{{state}}"),),
            ),
            Graph(
                "Captures skipped, dropped",
                "Inputs over the rate of captures, and those that memory had no room for.",
                "cps",
                (
                    Query(_rate("rcmvae_captures_skipped_total", "job"), "skipped"),
                    Query(_rate("rcmvae_captures_dropped_total", "job"), "dropped"),
                ),
            ),
        ),
    ),
)


def build() -> str:
    """The dashboard as JSON, the same every time."""
    board = (
        dashboard.Dashboard("RCM-VAE")
        .uid("rcmvae")
        .description(
            "Requests, answers, drift, bundles and learning. ops/README.md has the runbook."
        )
        .tags(["rcmvae"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("job")
            .datasource(_SOURCE)
            .query("label_values(rcmvae_bundle_info, job)")
            .multi(True)
            .include_all(True)
        )
    )
    numbers = count(1)
    for row in ROWS:
        board = board.with_row(dashboard.Row(row.title).id(next(numbers)))
        for graph in row.graphs:
            board = board.with_panel(_panel(graph).id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=1).encode(board.build()) + "\n"


def _panel(graph: Graph) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(graph.title)
        .description(graph.meaning)
        .unit(graph.unit)
        .min(0)
        .datasource(_SOURCE)
        .span(PANEL_WIDTH)
        .height(PANEL_HEIGHT)
    )
    for letter, query in zip(ascii_uppercase, graph.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend)
        panel = panel.with_target(target.ref_id(letter))
    return panel


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
