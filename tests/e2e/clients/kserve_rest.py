"""Run by .venv-clients: KServe's REST client, unchanged, against a server. Prints JSON."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


async def main(url: str, rows: str) -> None:
    """Ask with a binary tensor and with JSON."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=1))
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    assert await client.is_model_ready(url, "rcmvae")
    x = np.array(json.loads(rows), dtype=np.float32)
    answers = []
    for as_bytes in (True, False):
        tensor = InferInput("input", list(x.shape), "FP32")
        tensor.set_data_from_numpy(x, binary_data=as_bytes)
        for outputs in (None, [RequestedOutput("label"), RequestedOutput("probabilities")]):
            request = InferRequest("rcmvae", [tensor], request_outputs=outputs)
            response = await client.infer(url, request, model_name="rcmvae")
            told = {output.name: output.as_numpy().tolist() for output in response.outputs}
            labels = [v.decode() if isinstance(v, bytes) else v for v in told["label"]]
            answers.append({"label": labels, "probabilities": told["probabilities"]})
    await client.close()
    print(json.dumps({"answers": answers}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
