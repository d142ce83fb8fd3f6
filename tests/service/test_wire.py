"""Wire formats of POST /predict: every way in and every way out says the same."""

import base64
import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput
from service.column_schemas import PredictColumnsAnswer
from service.problem import RequestRefused
from service.schemas import PredictAnswer
from service.wire.accept import negotiate
from service.wire.arrow_in import read_stream
from service.wire.columns import rows_of_columns
from service.wire.media_types import ARROW, NPY, PNG, WRITTEN
from service.wire.npy import read_npy
from service.wire.png import read_png
from tests.service.app_client import AppClient
from tests.service.problems import assert_problem
from tests.service.small_bundle import known_inputs

SIGNATURE = InputSignature(shape=(2, 3))
VECTOR = InputSignature(shape=(2,), low=-10, high=10, features=("width", "height"))
MEDIA = {NPY: {"content-type": NPY}, PNG: {"content-type": PNG}, ARROW: {"content-type": ARROW}}


def _npy(array: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def _png(pixels: NDArray[np.uint8], mode: str | None = None, **options: Any) -> bytes:
    image, file = Image.fromarray(pixels), io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, "PNG", **options)
    return file.getvalue()


def _stream(columns: dict[str, pa.Array], **options: Any) -> bytes:
    batch, sink = pa.record_batch(columns), pa.BufferOutputStream()
    chosen = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(sink, batch.schema, options=chosen) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def _lists(x: NDArray[Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])


def _predictions(client: AppClient, **request: Any) -> PredictAnswer:
    response = client.post(request.pop("path", "/predict"), **request)
    assert response.status_code == 200, response.text
    return PredictAnswer.model_validate_json(response.content)


def _values(answer: PredictAnswer) -> list[dict[str, Any]]:
    return [p.model_dump(exclude={"prediction_id"}) for p in answer.predictions]


def test_every_way_in_gives_the_same_answer(shared_client: AppClient) -> None:
    x = known_inputs(3, seed=8)
    rows = x.reshape(3, 6)
    expected = _values(_predictions(shared_client, json={"inputs": rows.tolist()}))
    ways: list[dict[str, Any]] = [
        {"json": {"columns": rows.T.tolist()}},
        {"content": _npy(x), "headers": MEDIA[NPY]},
        {"content": _npy(rows.astype(np.float64), allow_pickle=False), "headers": MEDIA[NPY]},
        {"content": _stream({"inputs": _lists(rows)}), "headers": MEDIA[ARROW]},
        {"content": _stream({"inputs": pa.array(rows.tolist())}), "headers": MEDIA[ARROW]},
    ]
    for way in ways:
        assert _values(_predictions(shared_client, **way)) == expected


def test_png_and_uint8_agree(shared_client: AppClient) -> None:
    pixels = np.array([[255, 200, 255], [0, 51, 0]], dtype=np.uint8)
    as_png = _predictions(shared_client, content=_png(pixels), headers=MEDIA[PNG])
    as_npy = _predictions(shared_client, content=_npy(pixels[np.newaxis]), headers=MEDIA[NPY])
    assert _values(as_png) == _values(as_npy)


def test_options_of_binary_bodies_are_in_the_query(shared_client: AppClient) -> None:
    path = "/predict?alpha=0.3&include=scores&format=columns"
    response = shared_client.post(path, content=_npy(known_inputs(2, seed=1)), headers=MEDIA[NPY])
    answer = PredictColumnsAnswer.model_validate_json(response.content)
    assert answer.alpha == 0.3
    assert answer.columns.probabilities is None
    assert answer.columns.ood.scores is not None
    fewest = shared_client.post(
        "/predict?include=", content=_npy(known_inputs(1, seed=1)), headers=MEDIA[NPY]
    )
    assert set(fewest.json()["predictions"][0]) == {"prediction_id", "label", "ood", "channel"}
    refused = shared_client.post("/predict?dtype=uint8", content=b"", headers=MEDIA[NPY])
    assert_problem(refused, 422, "query")


_PARTS = [
    "probabilities", "prediction_set", "uncertainty", "scores", "position", "responsibilities"
]  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(
    include=st.lists(st.sampled_from(_PARTS), unique=True) | st.none(),
    rows=st.integers(1, 4),
    samples=st.sampled_from([None, 2]),
)
def test_columns_and_arrow_hold_what_records_hold(
    shared_client: AppClient, include: list[str] | None, rows: int, samples: int | None
) -> None:
    rows = rows if samples is None else min(rows, 2)
    body = {"inputs": known_inputs(rows, seed=rows).tolist(), "include": include}
    body |= {"samples": samples, "seed": None if samples is None else 5}
    records = _predictions(shared_client, json=body)
    response = shared_client.post("/predict", json={**body, "format": "columns"})
    columns = PredictColumnsAnswer.model_validate_json(response.content)
    table = _table(shared_client.post("/predict", json=body, headers={"accept": ARROW}))
    assert table.schema.metadata == {
        b"bundle_version": b"v1", b"alpha": b"0.02", b"coverage": b"marginal"
    }  # fmt: skip
    expected = [p.model_dump(exclude_none=True) for p in records.predictions]
    from_columns = _transposed(columns.columns.model_dump(exclude_none=True), rows)
    for got in (from_columns, table.to_pylist()):
        for one, other in zip(got, expected, strict=True):
            _assert_alike(one, other)


def _table(response: Any) -> pa.Table:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == ARROW
    return pa.ipc.open_stream(response.content).read_all()


def _transposed(columns: dict[str, Any], rows: int) -> list[dict[str, Any]]:
    def pick(value: Any, i: int) -> Any:
        return {k: pick(v, i) for k, v in value.items()} if isinstance(value, dict) else value[i]

    return [pick(columns, i) for i in range(rows)]


def _assert_alike(a: Any, b: Any) -> None:
    """Equal; floats as float32, and ids aside."""
    if isinstance(b, dict):
        assert a.keys() == b.keys()
        for key in a.keys() - {"prediction_id"}:
            _assert_alike(a[key], b[key])
    elif isinstance(b, float) or (isinstance(b, list) and b and isinstance(b[0], float)):
        assert a == pytest.approx(b, rel=1e-6, abs=1e-7)
    else:
        assert a == b


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        ("", WRITTEN[0]),
        ("*/*", WRITTEN[0]),
        (ARROW, ARROW),
        (f"application/json;q=0.5, {ARROW}", ARROW),
        (f"{ARROW};q=0.1, */*;q=0.9", WRITTEN[0]),
        ("application/*", WRITTEN[0]),
        (f"application/json;q=0, {ARROW.upper()}", ARROW),
        ("text/html, application/xhtml+xml, */*;q=0.8", WRITTEN[0]),
    ],
)
def test_accept_chooses_the_answer(accept: str, written: str) -> None:
    assert negotiate(accept, WRITTEN) == written


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=x", ";;,,", "q=1"])
def test_what_cannot_be_written_is_406(shared_client: AppClient, accept: str) -> None:
    with pytest.raises(RequestRefused):
        negotiate(accept, WRITTEN)
    response = shared_client.post(
        "/predict", json={"inputs": [[0.5] * 6]}, headers={"accept": accept}
    )
    assert_problem(response, 406, "Accept")


@given(
    hnp.arrays(
        st.sampled_from(["u1", "<f4", "<f8"]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=4),
        elements={"allow_nan": False},
    )
)
def test_npy_reads_what_numpy_writes(array: NDArray[Any]) -> None:
    np.testing.assert_array_equal(read_npy(_npy(array)), array)


class _Trap:
    """Would say so if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


def _with_header(text: str, values: bytes = b"\0" * 24) -> bytes:
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        _npy(np.array([_Trap()], dtype=object), allow_pickle=True),
        _npy(np.zeros((1, 6), ">f4")),
        _npy(np.zeros((1, 6), "<i8")),
        _npy(np.asfortranarray(np.zeros((2, 6), "<f4"))),
        _npy(np.zeros((), "<f4")),
        _npy(np.zeros((1, 6), "<f4"))[:-1],
        _npy(np.zeros((1, 6), "<f4")) + b"\0",
        _with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 6), }"),
        _with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os'),), }"),
        _with_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }"),
        b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\xff" + b"{" * 100,
        b"\x93NUMPY\x09\x00" + b"\x10\x00" + b" " * 100,
        _npy(np.zeros((1, 5), "<f4")),
        _npy(np.full((1, 6), np.nan, "<f4")),
        _npy(np.zeros((0, 6), "<f4")),
        _npy(np.zeros((5, 6), "<f4")),
        _npy(np.full((1, 6), 1e300, "<f8")),
    ],
)
def test_a_bad_npy_body_is_refused(shared_client: AppClient, body: bytes) -> None:
    response = shared_client.post("/predict", content=body, headers=MEDIA[NPY])
    assert_problem(response, 422)


GREY = np.zeros((2, 3), dtype=np.uint8)


def _bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that unpacks to width x height."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * min(width * height, 3_000_000))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"GIF89a" + b"\0" * 40,
        _png(np.zeros((3, 2), np.uint8)),
        _png(np.zeros((2, 3, 4), np.uint8)),
        _png(np.zeros((2, 3), np.uint16)),
        _png(GREY, transparency=0),
        _png(GREY)[:40],
        _png(GREY).replace(b"IDAT", b"IDAX"),
        _bomb(60_000, 60_000),
        _bomb(1500, 1500),
    ],
)
def test_a_bad_png_is_refused(shared_client: AppClient, body: bytes) -> None:
    assert_problem(shared_client.post("/predict", content=body, headers=MEDIA[PNG]), 422, "body")


def test_png_of_every_mode_that_is_read() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (2, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_png(_png(grey), SIGNATURE), grey)
    np.testing.assert_array_equal(read_png(_png(grey, "RGB"), SIGNATURE), grey)
    binary = np.where(grey > 127, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(read_png(_png(binary, "1"), SIGNATURE), binary)
    colour = rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    by_channel = read_png(_png(colour), InputSignature(shape=(3, 2, 3)))
    np.testing.assert_array_equal(by_channel, colour.transpose(2, 0, 1))
    with pytest.raises(InvalidInput, match="no images"):
        read_png(_png(grey), VECTOR)


def test_a_feature_is_a_column() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    columns = {"height": pa.array(x[:, 1]), "width": pa.array(x[:, 0].astype(np.float32))}
    np.testing.assert_array_equal(read_stream(_stream(columns), VECTOR), x)
    assert rows_of_columns({"height": [2.0, 4.0], "width": [1.0, 3.0]}, VECTOR) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("columns", "signature"),
    [
        (7, SIGNATURE),
        ({"width": [1.0]}, SIGNATURE),
        ([[1.0]] * 5, SIGNATURE),
        ([[1.0]] * 5 + [[1.0, 2.0]], SIGNATURE),
        ([[1.0]] * 5 + [3], SIGNATURE),
        ([3] * 6, SIGNATURE),
        ({"width": [1.0]}, VECTOR),
        ({"width": [1.0], "height": [1.0], "depth": [1.0]}, VECTOR),
    ],
)
def test_bad_columns_are_refused(columns: object, signature: InputSignature) -> None:
    with pytest.raises(InvalidInput, match="columns"):
        rows_of_columns(columns, signature)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"inputs": [[0.5] * 6], "columns": [[0.5]] * 6}, "columns"),
        ({"columns": [[]] * 6}, "columns"),
        ({"columns": [[0.5] * 5] * 6}, "columns"),
        ({"columns": [["a"]] * 6}, "inputs[0]"),
        ({"inputs": [[0.5] * 6], "format": "rows"}, "format"),
        ({"inputs": [[0.5] * 6], "format": 1}, "format"),
    ],
)
def test_bad_json_of_the_new_members(
    shared_client: AppClient, document: dict[str, Any], field: str
) -> None:
    assert_problem(shared_client.post("/predict", json=document), 422, field)


ROWS = np.full((2, 6), 0.5, dtype=np.float32)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xff\xff\xff",
        base64.b64encode(_stream({"inputs": _lists(ROWS)})),
        _stream({"inputs": _lists(ROWS)}, compression="zstd"),
        _stream({"inputs": _lists(np.zeros((1000, 6), np.float32))}, compression="lz4"),
        _stream({"inputs": _lists(ROWS[:, :5])}),
        _stream({"input": _lists(ROWS)}),
        _stream({"inputs": pa.array([[0.5] * 6, None], pa.list_(pa.float32()))}),
        _stream({"inputs": pa.array([[0.5] * 6, [0.5] * 5], pa.list_(pa.float32()))}),
        _stream({"inputs": pa.array([[0.5] * 5 + [None]], pa.list_(pa.float32(), 6))}),
        _stream({"inputs": pa.array([[1] * 6], pa.list_(pa.int64(), 6))}),
        _stream({"inputs": pa.nulls(10**9)}),
        _stream({"inputs": pa.array(["a"]).dictionary_encode()}),
        _stream({"inputs": _lists(ROWS)[:0]}),
        _stream({"inputs": _lists(2 * ROWS + 1)}),
        _stream({"inputs": _lists(np.repeat(ROWS, 3, axis=0))}),
    ],
)
def test_a_bad_arrow_stream_is_refused(shared_client: AppClient, body: bytes) -> None:
    response = shared_client.post("/predict", content=body, headers=MEDIA[ARROW])
    assert_problem(response, 422)


def test_no_changed_stream_ends_the_process() -> None:
    """Bytes changed at random: an answer or a refusal, never another exception or a crash."""
    rng = random.Random(0)
    streams = (
        _stream({"inputs": _lists(ROWS)}),
        _stream({"inputs": pa.array(ROWS.tolist(), pa.list_(pa.float64()))}),
    )
    read = refused = 0
    for i in range(1500):
        body = bytearray(streams[i % 2])
        for _ in range(rng.randint(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        if rng.random() < 0.3:
            del body[rng.randrange(len(body)) :]
        try:
            assert read_stream(bytes(body), SIGNATURE).shape[1] == 6
            read += 1
        except InvalidInput:
            refused += 1
    assert read > 50
    assert refused > 50
