"""Both ways of running a session give the same tensors; which one is taken."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import parser

from rcmvae import session_run
from rcmvae.provider import CPU, CUDA, TENSORRT
from rcmvae.session_run import ROWS, bound_run, direct_run, run_of

_GRAPH = """
<ir_version: 10, opset_import: ["": 20]>
twice (float[N, 3] x) => (float[N, 3] doubled, float[N] total)
<int64[1] last = {1}>
{
    doubled = Add (x, x)
    total = ReduceSum <keepdims = 0> (x, last)
}
"""


@pytest.fixture
def session() -> onnxruntime.InferenceSession:
    model = parser.parse_model(_GRAPH).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=[CPU])


@pytest.mark.parametrize("rows", [1, 5])
def test_bound_and_direct_runs_agree(session: onnxruntime.InferenceSession, rows: int) -> None:
    """The device is this machine's; the calls are those for CUDA."""
    x = np.random.default_rng(0).random((3, rows), dtype=np.float32).T
    bound = bound_run(session, "cpu")
    for outputs in (("total",), ("total", "doubled")):
        expected = direct_run(session)(outputs, np.ascontiguousarray(x))
        for _ in range(2):
            got = bound(outputs, x)
            assert tuple(got) == outputs
            for name in outputs:
                np.testing.assert_array_equal(got[name], expected[name])


class _Counting:
    """Returns its inputs and their sums, and keeps how many there were."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def run(self, _: tuple[str, ...], feed: dict[str, Any]) -> list[Any]:
        self.runs.append(len(feed["x"]))
        return [feed["x"], feed["x"].sum(axis=1)]


@pytest.mark.parametrize("rows", [ROWS, ROWS + 1, 3 * ROWS])
def test_many_rows_are_run_in_parts(rows: int) -> None:
    session, x = _Counting(), np.random.default_rng(0).random((rows, 3), dtype=np.float32)
    got = direct_run(session)(("itself", "total"), x)
    np.testing.assert_array_equal(got["itself"], x)
    np.testing.assert_array_equal(got["total"], x.sum(axis=1))
    assert sum(session.runs) == rows
    assert max(session.runs) == ROWS


class _Session:
    def __init__(self, *providers: str) -> None:
        self._providers = list(providers)

    def get_providers(self) -> list[str]:
        return self._providers


@pytest.mark.parametrize(
    ("providers", "way"),
    [((CPU,), "direct"), ((CUDA, CPU), "cuda"), ((TENSORRT, CUDA, CPU), "cuda")],
)
def test_the_provider_chooses_the_way(
    monkeypatch: pytest.MonkeyPatch, providers: tuple[str, ...], way: str
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(session_run, "bound_run", lambda _, device: taken.append(device))
    monkeypatch.setattr(session_run, "direct_run", lambda _: taken.append("direct"))
    run_of(_Session(*providers))
    assert taken == [way]
