"""Run by .venv-clients: the client that openapi-python-client wrote from /openapi.json.

Its package ``generated_client`` is in the working directory. Prints what it got as JSON.
"""

import importlib
import io
import json
import sys
from array import array
from typing import Any


def main(url: str, rows: str, admin: str, reader: str) -> None:
    """Predict in JSON, octets and the inference protocol, correct an answer, and meet errors."""
    sys.path.insert(0, ".")
    inputs = json.loads(rows)
    package = importlib.import_module("generated_client")
    models = importlib.import_module("generated_client.models")
    with package.AuthenticatedClient(base_url=url, token=admin) as client:
        ready = _call("get_readyz", client)
        asked = models.PredictBody(inputs=inputs, alpha=0.2)
        answer = _call("post_predict", client, body=asked)
        first = answer.predictions[0]
        entry = models.FeedbackEntry(label="circle", prediction_id=first.prediction_id)
        receipt = _call("post_feedback", client, body=models.FeedbackBody(items=[entry]))
        state = _call("get_feedback_feedback_id", client, receipt.items[0].feedback_id)
        in_octets = _call("post_predict", client, **_octets(inputs))
        infer = models.InferBody.from_dict(_infer(inputs))
        inferred = _call("post_v2_models_model_infer", client, "rcmvae", body=infer)
        refused = {
            "a bad row": _call("post_predict", client, body=models.PredictBody(inputs=[[0.5]])),
            "no such item": _call("get_feedback_feedback_id", client, "nobody"),
        }
    for reason, key in (("no scope", reader), ("no key of ours", "nonsense")):
        with package.AuthenticatedClient(base_url=url, token=key) as client:
            refused[reason] = _call("post_predict", client, body=asked)
    print(
        json.dumps(
            {
                "ready": ready.bundle_version,
                "labels": [p.label for p in answer.predictions],
                "decisions": [str(p.ood.decision) for p in answer.predictions],
                "alpha": answer.alpha,
                "corrected": state.prediction_id == first.prediction_id,
                "in octets": [p.label for p in in_octets.predictions],
                "inferred": inferred.outputs[0].data,
                "refused": {why: [p.status, p.errors[0].field] for why, p in refused.items()},
            }
        )
    )


def _octets(inputs: list[list[list[float]]]) -> dict[str, Any]:
    """The same inputs as float32."""
    types = importlib.import_module("generated_client.types")
    dtypes = importlib.import_module("generated_client.models").PostPredictDtype
    numbers = array("f", [value for x in inputs for row in x for value in row])
    body = types.File(payload=io.BytesIO(numbers.tobytes()))
    return {"body": body, "dtype": dtypes.FLOAT32}


def _infer(inputs: list[list[list[float]]]) -> dict[str, Any]:
    shape = [len(inputs), len(inputs[0]), len(inputs[0][0])]
    tensor = {"name": "input", "shape": shape, "datatype": "FP32", "data": inputs}
    return {"inputs": [tensor], "outputs": [{"name": "label"}]}


def _call(operation: str, client: Any, *path: str, **options: Any) -> Any:
    api = importlib.import_module(f"generated_client.api.default.{operation}")
    return api.sync(*path, client=client, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
