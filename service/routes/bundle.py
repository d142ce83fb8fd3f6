"""GET /bundle and GET /labels."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from service.answered import default_alpha
from service.json_response import json_response
from service.runtime import Runtime, runtime_of
from service.schemas import AlphaState, BundleAnswer, LabelsAnswer, LabelState
from service.served import Served


async def get_bundle(request: Request) -> Response:
    """What is served: version, lineage, input signature, figures, provider, alpha."""
    runtime = runtime_of(request)
    return json_response(_bundle(runtime, runtime.bundles.current()))


async def get_labels(request: Request) -> Response:
    """The labels in the bundle's order, and what speaks for each."""
    served = runtime_of(request).bundles.current()
    labels = [LabelState(**asdict(evidence)) for evidence in served.labels]
    return json_response(LabelsAnswer(bundle_version=served.version, labels=labels))


def _bundle(runtime: Runtime, served: Served) -> BundleAnswer:
    manifest = served.manifest
    smallest = served.predictor.calibration.smallest_alpha
    return BundleAnswer(
        bundle_version=manifest.bundle_version,
        parent_version=manifest.lineage.parent_version,
        created=manifest.created,
        loaded=served.loaded,
        input=manifest.input,
        labels=list(manifest.labels),
        num_channels=manifest.num_channels,
        latent_dim=manifest.latent_dim,
        lineage=manifest.lineage,
        metrics=manifest.metrics,
        providers=list(served.predictor.active_providers),
        alpha=AlphaState(default=default_alpha(runtime, served), smallest=smallest),
    )
