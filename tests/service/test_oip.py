"""The inference protocol as its documents write it; stock clients are in tests/e2e."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.oip.outputs import DEFAULT_OUTPUTS, OUTPUTS
from service.oip.schemas import InferAnswer, ModelMetadata
from tests.service.app_client import AppClient
from tests.service.bad_requests import MAX_ROWS
from tests.service.small_bundle import LABELS, known_inputs

MODEL = "/v2/models/rcmvae"
INFER = f"{MODEL}/infer"
LENGTH = "inference-header-content-length"
X = known_inputs(2, seed=3)


def _tensor(x: NDArray[Any], datatype: str = "FP32", **members: Any) -> dict[str, Any]:
    return {"name": "input", "shape": list(x.shape), "datatype": datatype, **members}


def _binary(document: dict[str, Any], tail: bytes) -> dict[str, Any]:
    head = json.dumps(document).encode()
    headers = {LENGTH: str(len(head)), "content-type": "application/octet-stream"}
    return {"content": head + tail, "headers": headers}


def _outputs(response: Any) -> dict[str, Any]:
    """Name to values, from JSON or from the bytes behind it."""
    assert response.status_code == 200, response.text
    if LENGTH not in response.headers:
        answer = InferAnswer.model_validate_json(response.content)
        return {o.name: np.array(o.data).reshape(o.shape) for o in answer.outputs}
    assert response.headers["content-type"] == "application/octet-stream"
    length = int(response.headers[LENGTH])
    head, tail = json.loads(response.content[:length]), response.content[length:]
    values: dict[str, Any] = {}
    for output in head["outputs"]:
        if "data" in output:
            values[output["name"]] = np.array(output["data"]).reshape(output["shape"])
            continue
        size = output["parameters"]["binary_data_size"]
        part, tail = tail[:size], tail[size:]
        values[output["name"]] = _decoded(part, output["datatype"], output["shape"])
    assert tail == b""
    return values


def _decoded(part: bytes, datatype: str, shape: list[int]) -> NDArray[Any]:
    dtypes = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "BOOL": "?"}
    if datatype != "BYTES":
        return np.frombuffer(part, dtypes[datatype]).reshape(shape)
    texts = []
    while part:
        (length,) = struct.unpack_from("<I", part)
        texts.append(part[4 : 4 + length].decode())
        part = part[4 + length :]
    return np.array(texts).reshape(shape)


def test_server_and_model_say_what_they_are(shared_client: AppClient) -> None:
    server = shared_client.get("/v2").json()
    assert server["name"] == "rcmvae"
    assert server["extensions"] == ["binary_tensor_data"]
    assert shared_client.get("/v2/health/live").json() == {"live": True}
    assert shared_client.get("/v2/health/ready").json() == {"ready": True}
    for path in (MODEL, f"{MODEL}/versions/v1"):
        model = ModelMetadata.model_validate_json(shared_client.get(path).content)
        assert model.versions == ["v1"]
        assert [(t.name, t.datatype, t.shape) for t in model.inputs] == [
            ("input", "FP32", [-1, 2, 3])
        ]
        shapes = {t.name: t.shape for t in model.outputs}
        assert shapes.keys() == OUTPUTS.keys()
        assert shapes["probabilities"] == [-1, 2]
        assert shapes["label"] == [-1]
        assert shared_client.get(f"{path}/ready").json()["ready"] is True


def test_metadata_is_what_infer_returns(shared_client: AppClient) -> None:
    model = ModelMetadata.model_validate_json(shared_client.get(MODEL).content)
    body = {"inputs": [_tensor(X, data=X.tolist())], "outputs": [{"name": n} for n in OUTPUTS]}
    answer = InferAnswer.model_validate_json(shared_client.post(INFER, json=body).content)
    for described, output in zip(model.outputs, answer.outputs, strict=True):
        assert (described.name, described.datatype) == (output.name, output.datatype)
        assert [2, *described.shape[1:]] == output.shape


def test_the_answer_is_that_of_predict(shared_client: AppClient) -> None:
    predict = shared_client.post("/predict", json={"inputs": X.tolist(), "alpha": 0.2}).json()
    body = {"id": "mine", "parameters": {"alpha": 0.2}, "inputs": [_tensor(X, data=X.tolist())]}
    response = shared_client.post(INFER, json=body)
    assert response.json()["id"] == "mine"
    assert response.json()["model_version"] == "v1"
    outputs = _outputs(response)
    assert tuple(outputs) == DEFAULT_OUTPUTS
    for i, prediction in enumerate(predict["predictions"]):
        assert outputs["label"][i] == prediction["label"]
        assert outputs["decision"][i] == prediction["ood"]["decision"]
        assert outputs["p_owned"][i] == pytest.approx(prediction["ood"]["p_owned"])
        assert outputs["probabilities"][i] == pytest.approx(
            list(prediction["probabilities"].values())
        )
        assert outputs["scores"][i] == pytest.approx(list(prediction["ood"]["scores"].values()))
        kept = [LABELS[j] for j in np.flatnonzero(outputs["prediction_set"][i])]
        assert kept == prediction["prediction_set"]


def test_data_may_be_flat_nested_or_binary(shared_client: AppClient) -> None:
    asked = {"outputs": [{"name": "probabilities"}, {"name": "label"}]}
    wide = X.reshape(2, 6).astype("<f8")
    ways: list[dict[str, Any]] = [
        {"json": {"inputs": [_tensor(X, data=X.ravel().tolist())], **asked}},
        {"json": {"inputs": [_tensor(X, data=X.reshape(2, 6).tolist())], **asked}},
        {"json": {"inputs": [_tensor(wide, "FP64", data=wide.tolist())], **asked}},
        _binary(
            {"inputs": [_tensor(X, parameters={"binary_data_size": 48})], **asked},
            X.astype("<f4").tobytes(),
        ),
        _binary(
            {"inputs": [_tensor(wide, "FP64", parameters={"binary_data_size": 96})], **asked},
            wide.tobytes(),
        ),
    ]
    answers = [_outputs(shared_client.post(f"{MODEL}/versions/v1/infer", **way)) for way in ways]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer["probabilities"], answers[0]["probabilities"])
        assert answer["label"].tolist() == answers[0]["label"].tolist()


def test_uint8_is_scaled(shared_client: AppClient) -> None:
    pixels = np.array([[255, 200, 255, 0, 51, 0]], dtype=np.uint8)
    expected = shared_client.post("/predict", json={"inputs": (pixels / 255).tolist()}).json()
    in_json = {"inputs": [_tensor(pixels, "UINT8", data=pixels.tolist())]}
    size = {"parameters": {"binary_data_size": 6}}
    binary = _binary({"inputs": [_tensor(pixels, "UINT8", **size)]}, pixels.tobytes())
    for request in ({"json": in_json}, binary):
        outputs = _outputs(shared_client.post(INFER, **request))
        assert outputs["probabilities"][0] == pytest.approx(
            list(expected["predictions"][0]["probabilities"].values())
        )


def test_binary_is_chosen_output_by_output(shared_client: AppClient) -> None:
    inputs = [_tensor(X, data=X.tolist())]
    plain = _outputs(shared_client.post(INFER, json={"inputs": inputs}))
    every = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    response = shared_client.post(INFER, json=every)
    assert "data" not in json.loads(response.content[: int(response.headers[LENGTH])])["outputs"][0]
    binary = _outputs(response)
    assert tuple(binary) == tuple(plain)
    for name in set(plain) - {"prediction_id"}:
        if plain[name].dtype.kind == "f":
            np.testing.assert_allclose(binary[name], plain[name], rtol=1e-6)
        else:
            assert binary[name].tolist() == plain[name].tolist()
    mixed = [
        {"name": "label", "parameters": {"binary_data": True}},
        {"name": "total"},
        {"name": "position", "parameters": {"binary_data": True}},
    ]
    outputs = _outputs(shared_client.post(INFER, json={"inputs": inputs, "outputs": mixed}))
    assert list(outputs) == ["label", "total", "position"]
    assert outputs["position"].shape == (2, 2)


def test_an_id_of_the_protocol_can_be_corrected(shared_client: AppClient) -> None:
    body = {"inputs": [_tensor(X, data=X.tolist())], "outputs": [{"name": "prediction_id"}]}
    ids = _outputs(shared_client.post(INFER, json=body))["prediction_id"].tolist()
    items = [{"prediction_id": name, "label": "circle"} for name in ids]
    assert shared_client.post("/feedback", json={"items": items}).status_code == 202


GOOD = _tensor(X, data=X.tolist())
SIZED = _tensor(X, parameters={"binary_data_size": 48})


def _bad(**changes: Any) -> dict[str, Any]:
    return {"json": {"inputs": [{**GOOD, **changes}]}}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"content": b"{", "headers": {"content-type": "application/json"}}, "body"),
        ({"json": []}, "body"),
        ({"json": {"inputs": [GOOD], "x": 1}}, "body"),
        ({"json": {}}, "inputs"),
        ({"json": {"inputs": [GOOD, GOOD]}}, "inputs"),
        ({"json": {"inputs": [1]}}, "inputs[0]"),
        ({"json": {"inputs": [GOOD], "id": 1}}, "id"),
        ({"json": {"inputs": [GOOD], "id": "x" * 129}}, "id"),
        ({"json": {"inputs": [GOOD], "parameters": 1}}, "parameters"),
        ({"json": {"inputs": [GOOD], "parameters": {"alpha": 2}}}, "alpha"),
        ({"json": {"inputs": [GOOD], "parameters": {"timeout": -1}}}, "parameters.timeout"),
        ({"json": {"inputs": [GOOD], "parameters": {"timeout": False}}}, "parameters.timeout"),
        (
            {"json": {"inputs": [GOOD], "parameters": {"binary_data_output": 1}}},
            "parameters.binary_data_output",
        ),
        ({"json": {"inputs": [GOOD], "outputs": [{"name": "x"}]}}, "outputs[0].name"),
        ({"json": {"inputs": [GOOD], "outputs": {}}}, "outputs"),
        ({"json": {"inputs": [GOOD], "outputs": [{"name": "label"}] * 99}}, "outputs"),
        (
            {"json": {"inputs": [GOOD], "outputs": [{"name": "label", "parameters": []}]}},
            "outputs[0].parameters",
        ),
        (
            {
                "json": {
                    "inputs": [GOOD],
                    "outputs": [{"name": "label", "parameters": {"shared_memory_region": "r"}}],
                }
            },
            "outputs[0].parameters",
        ),
        (_bad(parameters={"shared_memory_region": "r"}), "inputs[0].parameters"),
        (_bad(name="x"), "inputs[0].name"),
        (_bad(datatype="BYTES"), "inputs[0].datatype"),
        (_bad(datatype=["FP32"]), "inputs[0].datatype"),
        (_bad(shape=[2, 5]), "inputs[0].shape"),
        (_bad(shape=[True, 6]), "inputs[0].shape"),
        (_bad(shape=[10**30, 6]), "inputs[0].shape"),
        (_bad(shape=[MAX_ROWS + 1, 6]), "inputs[0].shape"),
        (_bad(shape=[0, 6]), "inputs[0].shape"),
        (_bad(shape="2"), "inputs[0].shape"),
        (_bad(shape=[1, 6]), "inputs[0].data"),
        (_bad(data=[0.5] * 11), "inputs[0].data"),
        (_bad(data="0.5"), "inputs[0].data"),
        (_bad(data=[[[0.5]]] * 2), "inputs[0].data[0]"),
        (_bad(data=[2.0] * 12), "inputs[0].data[0]"),
        (_bad(datatype="UINT8", data=[0.5] * 12), "inputs[0].data"),
        (_bad(datatype="UINT8", data=[256] * 12), "inputs[0].data[0]"),
        (_binary({"inputs": [SIZED]}, b"\0" * 47), "body"),
        (_binary({"inputs": [SIZED]}, b"\0" * 49), "body"),
        (_binary({"inputs": [GOOD]}, b"\0"), "body"),
        (_binary({"inputs": [{**SIZED, "data": []}]}, b"\0" * 48), "inputs[0].data"),
        (
            _binary({"inputs": [_tensor(X, parameters={"binary_data_size": True})]}, b"\0" * 48),
            "inputs[0].parameters.binary_data_size",
        ),
        ({"content": b"{}", "headers": {LENGTH: "3"}}, "Inference-Header-Content-Length"),
        ({"content": b"{}", "headers": {LENGTH: "-1"}}, "Inference-Header-Content-Length"),
        ({"content": b"{}", "headers": {LENGTH: "9" * 40}}, "Inference-Header-Content-Length"),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, "Content-Type"),
        ({"content": b"\x1f\x8b", "headers": {"content-encoding": "gzip"}}, "Content-Encoding"),
    ],
)
def test_an_error_has_the_protocols_form(
    shared_client: AppClient, request_: dict[str, Any], field: str
) -> None:
    response = shared_client.post(INFER, **request_)
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert document.keys() == {"error"}
    assert document["error"].startswith(f"{field}: expected ")


@pytest.mark.parametrize("path", ["/v2/models/other", f"{MODEL}/versions/v0", f"{MODEL}%00"])
def test_another_model_or_version_is_not_found(shared_client: AppClient, path: str) -> None:
    for suffix, method in (("", "GET"), ("/ready", "GET"), ("/infer", "POST")):
        response = shared_client.request(method, path + suffix)
        assert response.status_code == 404
        assert response.json().keys() == {"error"}


def test_without_a_bundle_the_server_lives_and_is_not_ready(empty: AppClient) -> None:
    assert empty.get("/v2/health/live").status_code == 200
    for path in ("/v2/health/ready", MODEL, f"{MODEL}/ready"):
        response = empty.get(path)
        assert response.status_code == 503
        assert response.json().keys() == {"error"}
        assert response.headers["retry-after"] == "1"
