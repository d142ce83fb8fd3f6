"""Run by .venv-clients: the client that openapi-python-client wrote from /openapi.json.

Its package ``generated_client`` is in the working directory. Prints what it got as JSON.
"""

import importlib
import json
import sys
from typing import Any


def main(url: str, rows: str) -> None:
    """Predict, correct one answer, read the correction, and meet an error."""
    sys.path.insert(0, ".")
    package = importlib.import_module("generated_client")
    with package.Client(base_url=url) as client:
        ready = _call("get_readyz", client)
        body = _model("PredictBody")(inputs=json.loads(rows), alpha=0.2)
        answer = _call("post_predict", client, body=body)
        first = answer.predictions[0]
        entry = _model("FeedbackEntry")(label="circle", prediction_id=first.prediction_id)
        receipt = _call("post_feedback", client, body=_model("FeedbackBody")(items=[entry]))
        state = _call("get_feedback_feedback_id", client, receipt.items[0].feedback_id)
        refused = _call("post_predict", client, body=_model("PredictBody")(inputs=[[0.5]]))
    print(
        json.dumps(
            {
                "ready": ready.bundle_version,
                "labels": [p.label for p in answer.predictions],
                "decisions": [str(p.ood.decision) for p in answer.predictions],
                "alpha": answer.alpha,
                "corrected": state.prediction_id == first.prediction_id,
                "refused": refused.errors[0].field,
            }
        )
    )


def _call(operation: str, client: Any, *path: str, **options: Any) -> Any:
    api = importlib.import_module(f"generated_client.api.default.{operation}")
    return api.sync(*path, client=client, **options)


def _model(name: str) -> Any:
    return getattr(importlib.import_module("generated_client.models"), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
