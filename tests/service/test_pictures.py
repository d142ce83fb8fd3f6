"""The routes that show: thumbnails of points, channels and what they decode to, reconstructions."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rcmvae.bundle import load_current
from rcmvae.bundle.manifest import DECODER
from rcmvae.predictor import open_session
from service.routes.thumbnails import MOST_IDS
from tests.service.app_client import AppClient
from tests.service.problems import assert_problem
from tests.service.small_bundle import CIRCLE, SQUARE, UNLABELLED


def pixels(client: AppClient, path: str) -> NDArray[np.uint8]:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as image:
        return np.asarray(image)


def as_bytes(row: list[float]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.array(row).reshape(2, 3) * 255), dtype=np.uint8)


def test_thumbnails_of_every_kind_of_point(client: AppClient) -> None:
    row = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    answer = client.post("/predict", json={"inputs": [row]}).json()
    prediction_id = answer["predictions"][0]["prediction_id"]
    item = {"input": row[::-1], "label": "ramp"}
    posted = client.post("/feedback", json={"items": [item]}).json()
    feedback_id = posted["items"][0]["feedback_id"]
    expected = {"r-11": UNLABELLED, prediction_id: row, feedback_id: row[::-1]}
    for name, values in expected.items():
        np.testing.assert_array_equal(pixels(client, f"/thumbnails/{name}"), as_bytes(values))
    sheet = pixels(client, f"/thumbnails?ids={','.join(expected)},r-99")
    assert sheet.shape == (2 * 2, 2 * 3, 4)
    np.testing.assert_array_equal(sheet[:2, 3:, 0], as_bytes(row))
    assert (sheet[2:, 3:, 3] == 0).all()


def test_the_values_of_a_point(client: AppClient) -> None:
    row = [0.0, 0.25, 0.5, 0.75, 1.0, 0.125]
    answer = client.post("/predict", json={"inputs": [row]}).json()
    prediction_id = answer["predictions"][0]["prediction_id"]
    for name, values in {"r-11": UNLABELLED, prediction_id: row}.items():
        point = client.get(f"/points/{name}").json()
        assert point["point_id"] == name
        np.testing.assert_allclose(np.ravel(point["input"]), values, atol=1e-6)
        assert np.shape(point["input"]) == (2, 3)
    assert_problem(client.get("/points/r-99"), 404, "point_id")
    assert_problem(client.get("/points/r-11?colour=red"), 422, "query")


def test_what_a_browser_may_keep(client: AppClient) -> None:
    answer = client.post("/predict", json={"inputs": [CIRCLE]}).json()
    name = answer["predictions"][0]["prediction_id"]
    first = client.get(f"/thumbnails/{name}")
    assert "immutable" in first.headers["cache-control"]
    assert "immutable" not in client.get("/thumbnails/r-3").headers["cache-control"]
    tag = {"If-None-Match": first.headers["etag"]}
    assert client.get(f"/thumbnails/{name}", headers=tag).status_code == 304
    assert client.get("/thumbnails/r-3", headers=tag).status_code == 200


def test_sprites_say_how_they_are_laid_out(shared_client: AppClient) -> None:
    response = shared_client.get("/thumbnails?ids=r-3,r-7,r-11")
    assert response.headers["x-sprite-columns"] == "2"
    assert response.headers["x-sprite-cell"] == "3x2"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/thumbnails/r-4", 404, "point_id"),
        ("/thumbnails/nobody-0", 404, "point_id"),
        ("/thumbnails/" + "0" * 32, 404, "point_id"),
        ("/thumbnails/%00", 404, "point_id"),
        ("/thumbnails/" + "x" * 300, 404, "point_id"),
        ("/thumbnails/r-3?size=2", 422, "query"),
        ("/thumbnails", 422, "ids"),
        ("/thumbnails?ids=" + ",".join(["r-3"] * (MOST_IDS + 1)), 422, "ids"),
        ("/thumbnails?ids=r-3,,r-7", 422, "ids"),
        ("/channels?x=1", 422, "query"),
        ("/channels/3/image", 404, "channel"),
        ("/channels/-1/image", 404, "channel"),
        ("/channels/one/image", 404, "channel"),
        ("/channels/1/image?kind=mode", 422, "kind"),
        ("/channels/1/image?kind=sample&seed=-1", 422, "seed"),
        ("/channels/1/image?kind=sample&seed=1.5", 422, "seed"),
    ],
)
def test_what_does_not_fit_is_refused(
    shared_client: AppClient, path: str, status: int, field: str
) -> None:
    assert_problem(shared_client.get(path), status, field)


def test_vectors_have_no_thumbnails(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.routes.thumbnails.is_image", lambda signature: False)
    for path in ("/thumbnails/r-3", "/thumbnails?ids=r-3", "/channels/0/image"):
        assert_problem(client.get(path), 404, "bundle")


def test_channels_say_what_the_map_says(shared_client: AppClient) -> None:
    answer = shared_client.get("/channels").json()
    assert answer["bundle_version"] == "v1"
    circle, square, unlabelled = answer["channels"]
    assert [c["channel"] for c in answer["channels"]] == [0, 1, 2]
    assert (circle["label"], circle["evidence"]) == ("circle", {"circle": 10.0})
    assert (square["label"], square["evidence"]) == ("square", {"square": 10.0})
    assert (unlabelled["label"], unlabelled["free"], unlabelled["evidence"]) == (None, True, {})
    assert [c["usage"] for c in answer["channels"]] == [0.5, 0.25, 0.25]
    assert [c["points"] for c in answer["channels"]] == [1, 1, 1]
    assert [c["position"] for c in answer["channels"]] == [[1, 0], [0, 1], [0, 0]]
    for channel in answer["channels"]:
        assert sum(channel["tau"].values()) == pytest.approx(1.0)
    assert circle["tau"]["circle"] == pytest.approx(10.05 / 10.1)


def test_the_mean_of_a_channel_is_its_decoding_at_the_prior_mean(client: AppClient) -> None:
    bundle = load_current(client.runtime.settings.models_dir)
    session = open_session(bundle.read(DECODER), ("CPUExecutionProvider",), 1)
    feeds = {"z": np.zeros((1, 2), dtype=np.float32), "channel": np.array([1])}
    (expected,) = session.run(["reconstruction"], feeds)
    actual = pixels(client, "/channels/1/image")
    np.testing.assert_array_equal(actual, np.rint(expected[0] * 255))
    np.testing.assert_array_equal(actual > 127, np.array(SQUARE).reshape(2, 3) > 0.5)


def test_samples_of_a_channel_differ_by_their_seed_alone(shared_client: AppClient) -> None:
    path = "/channels/0/image?kind=sample"
    drawn = [pixels(shared_client, f"{path}&seed={seed}").tobytes() for seed in range(8)]
    assert len(set(drawn)) > 1
    assert drawn[0] == pixels(shared_client, path).tobytes()
    assert drawn[3] == pixels(shared_client, f"{path}&seed=3").tobytes()


def test_a_channel_image_is_asked_about_again_and_not_sent_again(client: AppClient) -> None:
    first = client.get("/channels/0/image")
    tag = {"If-None-Match": first.headers["etag"]}
    assert client.get("/channels/0/image", headers=tag).status_code == 304
    assert client.get("/channels/1/image", headers=tag).status_code == 200


def reconstruct(client: AppClient, query: str = "", **body: Any) -> Any:
    response = client.post(f"/reconstruct{query}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_reconstructions_are_those_of_the_best_channels(shared_client: AppClient) -> None:
    answer = reconstruct(shared_client, "?channels=2", inputs=[CIRCLE, UNLABELLED])
    assert answer["bundle_version"] == "v1"
    said = shared_client.post(
        "/predict", json={"inputs": [CIRCLE, UNLABELLED], "include": ["responsibilities"]}
    ).json()["predictions"]
    for rows, prediction, x in zip(
        answer["reconstructions"], said, (CIRCLE, UNLABELLED), strict=True
    ):
        r = prediction["responsibilities"]
        order = sorted(range(3), key=lambda k: -r[k])[:2]
        assert [row["channel"] for row in rows] == order
        np.testing.assert_allclose([row["responsibility"] for row in rows], [r[k] for k in order])
        best = np.array(rows[0]["values"])
        assert best.shape == (2, 3)
        np.testing.assert_array_equal(best > 0.5, np.array(x).reshape(2, 3) > 0.5)
        assert rows[0]["sigma"] is None


def test_reconstruction_by_octets_is_that_by_json(shared_client: AppClient) -> None:
    body = np.array(CIRCLE, dtype="<f4").tobytes()
    response = shared_client.post(
        "/reconstruct?dtype=float32",
        content=body,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert response.json() == reconstruct(shared_client, inputs=[CIRCLE])


@pytest.mark.parametrize(
    ("query", "inputs", "field"),
    [
        ("?channels=0", [CIRCLE], "channels"),
        ("?channels=4", [CIRCLE], "channels"),
        ("?channels=two", [CIRCLE], "channels"),
        ("?channels=3", [CIRCLE, CIRCLE], "channels"),
        ("?color=1", [CIRCLE], "query"),
        ("", [[0.0]], "inputs[0]"),
    ],
)
def test_a_reconstruction_that_does_not_fit_is_refused(
    shared_client: AppClient, query: str, inputs: object, field: str
) -> None:
    assert_problem(shared_client.post(f"/reconstruct{query}", json={"inputs": inputs}), 422, field)


def test_a_reference_point_is_labelled_by_its_id(client: AppClient) -> None:
    items = [{"reference_id": "r-11", "label": "cross"}, {"reference_id": "r-3", "label": "circle"}]
    response = client.post("/feedback", json={"items": items})
    assert response.status_code == 202
    store = client.runtime.store.store()
    for posted, expected in zip(response.json()["items"], (UNLABELLED, CIRCLE), strict=True):
        record = store.get(posted["feedback_id"])
        assert record.input.reshape(-1).tolist() == expected
        assert (record.prediction_id, record.bundle_version) == (None, "v1")


@pytest.mark.parametrize(
    ("item", "status", "field"),
    [
        ({"reference_id": "r-4"}, 404, "items[0].reference_id"),
        ({"reference_id": "r-x"}, 422, "items[0].reference_id"),
        ({"reference_id": 11}, 422, "items[0].reference_id"),
        ({"reference_id": "r-11", "prediction_id": "a-0"}, 422, "items[0]"),
        ({"reference_id": None}, 422, "items[0]"),
    ],
)
def test_a_reference_id_that_does_not_fit_is_refused(
    client: AppClient, item: dict[str, object], status: int, field: str
) -> None:
    response = client.post("/feedback", json={"items": [item | {"label": "cross"}]})
    assert_problem(response, status, field)
