"""Run by .venv-clients: tritonclient, unchanged, against a server. Prints what it got as JSON."""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def main(url: str, rows: str) -> None:
    """Ask with binary tensors and with JSON, for binary outputs and for JSON."""
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("rcmvae")
    assert client.is_model_ready("rcmvae", "v1")
    assert not client.is_model_ready("rcmvae", "v0")
    extensions = client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("rcmvae", "v1")
    x = np.array(json.loads(rows), dtype=np.float32)
    answers = []
    for as_bytes in (True, False):
        tensor = triton.InferInput("input", list(x.shape), "FP32")
        tensor.set_data_from_numpy(x, binary_data=as_bytes)
        for version in ("", "v1"):
            result = client.infer("rcmvae", [tensor], model_version=version, request_id="7")
            assert result.get_response()["id"] == "7"
            answers.append(_told(result))
        wanted = [
            triton.InferRequestedOutput(name, binary_data=as_bytes)
            for name in ("label", "probabilities", "decision", "scores")
        ]
        answers.append(_told(client.infer("rcmvae", [tensor], outputs=wanted)))
    bad = triton.InferInput("input", [1, 2], "FP32")
    bad.set_data_from_numpy(np.zeros((1, 2), np.float32))
    try:
        client.infer("rcmvae", [bad])
    except InferenceServerException as error:
        refused = error.message()
    else:
        refused = ""
    print(
        json.dumps(
            {
                "extensions": extensions,
                "outputs": [output["name"] for output in metadata["outputs"]],
                "answers": answers,
                "refused": refused,
            }
        )
    )


def _told(result: triton.InferResult) -> dict[str, list[object]]:
    labels = result.as_numpy("label").tolist()
    return {
        "label": [v.decode() if isinstance(v, bytes) else v for v in labels],
        "probabilities": result.as_numpy("probabilities").tolist(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
