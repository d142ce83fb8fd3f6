"""The micro-batcher: what runs together, what waits, what is refused, what a failure costs."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from rcmvae.bundle import load_bundle
from rcmvae.prediction import PredictionBatch
from rcmvae.predictor import Predictor
from rcmvae.sampled import Sampling
from rcmvae.uncertainty import Uncertainty
from service.batching import Limits, MicroBatcher
from service.problem import RequestRefused
from service.question import Question
from service.queue_metrics import QueueMetrics
from service.schemas import PredictAnswer
from service.served import Served, open_served
from tests.service.app_client import AppClient
from tests.service.small_bundle import known_inputs, publish_small

POISON = -1.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    models = tmp_path_factory.mktemp("models")
    publish_small(models, "v1")
    return open_served(load_bundle(models / "v1"), providers=("CPUExecutionProvider",), threads=1)


def _echo(x: NDArray[np.float32]) -> PredictionBatch:
    """Predictions whose fused score is the first value of each row, so that each can be told."""
    n, told = len(x), x.reshape(len(x), -1)[:, 0]
    ones = np.ones(n)
    return PredictionBatch(
        labels=("a",),
        probabilities=np.ones((n, 1), np.float32),
        responsibilities=np.ones((n, 1), np.float32),
        channel=np.zeros(n, np.int64),
        position=np.zeros((n, 2), np.float32),
        uncertainty=Uncertainty(ones, ones, ones, ones),
        score_names=("fused",),
        scores=told.reshape(n, 1),
        p_familiar=ones,
        p_owned=ones,
        label_p_values=np.ones((n, 1)),
    )


class _Session:
    """Stands for the session: remembers runs, fails on poison, waits where told to."""

    def __init__(self) -> None:
        self.runs: list[int] = []
        self.threads: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, question: Question) -> PredictionBatch:
        assert self.go_on.wait(10)
        self.runs.append(len(question.x))
        self.threads.append(threading.current_thread().name)
        if (question.x == POISON).any():
            raise RuntimeError("a row that no session survives")
        return _echo(question.x)


class _Bench:
    """A batcher over a fake session, with short ways to ask it."""

    def __init__(self, served: Served, limits: Limits, thread: ThreadPoolExecutor) -> None:
        self.session = _Session()
        self.registry = CollectorRegistry()
        self.served = served
        self.batcher = MicroBatcher(self.session, thread, limits, QueueMetrics(self.registry))

    def question(self, value: float, rows: int = 1) -> Question:
        x = np.full((rows, 2, 3), value, dtype=np.float32)
        return Question(self.served, x, "marginal")

    async def ask(self, value: float, rows: int = 1, within: float = 10.0) -> list[float]:
        return await self.batcher.answer(self.question(value, rows), _told, within_seconds=within)


def _told(batch: PredictionBatch) -> list[float]:
    told: list[float] = batch.scores[:, 0].tolist()
    return told


def _bench(served: Served, scenario: Callable[[_Bench], Any], **limits: int) -> Any:
    chosen = Limits(**{"inline_rows": 4, "batch_rows": 8, "queue_rows": 32, **limits})

    async def run(thread: ThreadPoolExecutor) -> Any:
        return await scenario(_Bench(served, chosen, thread))

    with ThreadPoolExecutor(1, thread_name_prefix="beside") as thread:
        return asyncio.run(run(thread))


def test_what_comes_in_one_turn_of_the_loop_runs_together(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        answers = await asyncio.gather(*(bench.ask(i / 8, rows=1 + i % 2) for i in range(5)))
        assert answers == [[i / 8] * (1 + i % 2) for i in range(5)]
        # Four rows at most on the loop: 1 + 2 + 1, then 2 + 1.
        assert bench.session.runs == [4, 3]
        assert set(bench.session.threads) == {"MainThread"}

    _bench(served, scenario)


def test_a_turn_of_the_loop_leaves_nothing_queued(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        asked = [asyncio.create_task(bench.ask(i / 32)) for i in range(18)]
        await asyncio.sleep(0)  # all have queued, and the run is due
        await asyncio.sleep(0)
        assert bench.session.runs == [4, 4, 4, 4, 2]
        assert await asyncio.gather(*asked) == [[i / 32] for i in range(18)]

    _bench(served, scenario)


def test_large_requests_run_in_the_thread_and_collect_while_it_is_busy(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        first = asyncio.create_task(bench.ask(0.125, rows=5))
        await asyncio.sleep(0)
        bench.session.go_on.clear()
        await asyncio.sleep(0.01)
        others = [asyncio.create_task(bench.ask(v, rows=r)) for v, r in ((0.25, 5), (0.375, 9))]
        await asyncio.sleep(0.01)
        bench.session.go_on.set()
        assert await first == [0.125] * 5
        assert await asyncio.gather(*others) == [[0.25] * 5, [0.375] * 9]
        assert bench.session.runs == [5, 5, 9]
        assert {name[:6] for name in bench.session.threads} == {"beside"}

    _bench(served, scenario)


def test_large_requests_share_a_run_up_to_the_bound(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        await asyncio.gather(*(bench.ask(i / 8, rows=3) for i in range(5)))
        assert bench.session.runs == [6, 6, 3]

    _bench(served, scenario, inline_rows=0)


def test_small_requests_do_not_wait_for_large_ones(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        go_on = threading.Event()
        blocking = bench.batcher._thread.submit(go_on.wait, 10)
        large = asyncio.create_task(bench.ask(0.125, rows=5))
        await asyncio.sleep(0.01)
        assert await asyncio.wait_for(bench.ask(0.25), 5) == [0.25]
        assert not large.done()
        go_on.set()
        assert await large == [0.125] * 5
        assert blocking.result()

    _bench(served, scenario)


def test_a_full_queue_refuses_and_says_when_to_come_again(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        waiting = [asyncio.create_task(bench.ask(0.125, rows=8)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RequestRefused) as refused:
            await bench.ask(0.25)
        assert refused.value.problem.status == 503
        assert refused.value.problem.kind == "queue-full"
        assert refused.value.problem.headers == {"Retry-After": "1"}
        await asyncio.gather(*waiting)
        assert await bench.ask(0.25) == [0.25]

    _bench(served, scenario, queue_rows=16)


def test_a_request_larger_than_the_queue_is_taken_where_none_waits(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        assert await bench.ask(0.125, rows=20) == [0.125] * 20

    _bench(served, scenario, queue_rows=16)


def test_what_waited_past_its_deadline_is_not_run(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        go_on = threading.Event()
        bench.batcher._thread.submit(go_on.wait, 10)
        running = asyncio.create_task(bench.ask(0.125, rows=8))
        await asyncio.sleep(0.01)
        late = asyncio.create_task(bench.ask(0.25, rows=8, within=0.02))
        patient = asyncio.create_task(bench.ask(0.375, rows=8))
        await asyncio.sleep(0.05)
        go_on.set()
        with pytest.raises(RequestRefused) as refused:
            await late
        assert refused.value.problem.status == 504
        assert (await running, await patient) == ([0.125] * 8, [0.375] * 8)
        assert bench.session.runs == [8, 8]

    _bench(served, scenario)


def test_a_client_that_leaves_costs_the_others_nothing(served: Served) -> None:
    """One leaves before its run, one while it runs."""

    async def scenario(bench: _Bench) -> None:
        queued = asyncio.create_task(bench.ask(0.125))
        stays = asyncio.create_task(bench.ask(0.25))
        await asyncio.sleep(0)
        queued.cancel()
        assert await stays == [0.25]
        assert bench.session.runs == [1]
        bench.session.go_on.clear()
        running = [asyncio.create_task(bench.ask(v, rows=5)) for v in (0.375, 0.75)]
        await asyncio.sleep(0.01)
        running[0].cancel()
        bench.session.go_on.set()
        assert await running[1] == [0.75] * 5
        for task in (queued, running[0]):
            with suppress(asyncio.CancelledError):
                await task
            assert task.cancelled()
        assert await bench.ask(0.5) == [0.5]

    _bench(served, scenario)


def test_a_row_that_breaks_the_run_breaks_its_own_request_alone(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        answers = await asyncio.gather(
            *(bench.ask(v) for v in (0.125, POISON, 0.25)), return_exceptions=True
        )
        assert answers[0] == [0.125]
        assert isinstance(answers[1], RuntimeError)
        assert answers[2] == [0.25]

    _bench(served, scenario)


def test_an_answer_that_cannot_be_made_fails_alone(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        def fails(_: PredictionBatch) -> None:
            raise ValueError("no answer")

        failing = bench.batcher.answer(bench.question(0.125), fails, within_seconds=5)
        answers = await asyncio.gather(failing, bench.ask(0.25), return_exceptions=True)
        assert isinstance(answers[0], ValueError)
        assert answers[1] == [0.25]
        assert bench.session.runs == [2]

    _bench(served, scenario)


def test_closing_finishes_what_waits_and_takes_nothing_more(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        waiting = [asyncio.create_task(bench.ask(0.5, rows=r)) for r in (1, 8, 8, 4, 1)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(bench.batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(RequestRefused) as refused:
            await bench.ask(0.5)
        assert refused.value.problem.kind == "shutting-down"
        await closing
        assert await asyncio.gather(*waiting) == [[0.5] * r for r in (1, 8, 8, 4, 1)]

    _bench(served, scenario)


def test_the_queue_is_measured(served: Served) -> None:
    async def scenario(bench: _Bench) -> None:
        await asyncio.gather(*(bench.ask(0.1) for _ in range(3)))
        sample = bench.registry.get_sample_value
        assert sample("rcmvae_queue_wait_seconds_count") == 3
        assert sample("rcmvae_queue_depth_rows_count") == 1
        assert sample("rcmvae_queue_depth_rows_sum") == 3

    _bench(served, scenario)


def test_what_runs_together(served: Served) -> None:
    x = np.zeros((1, 2, 3), np.float32)
    other = Served(served.predictor, served.label_map, served.labels, served.loaded)
    alone = Question(served, x, "marginal", Sampling(2))
    assert Question(served, x, "marginal").runs_with(Question(served, x, "marginal"))
    assert not Question(served, x, "marginal").runs_with(Question(other, x, "marginal"))
    assert not Question(served, x, "marginal").runs_with(Question(served, x, "class_conditional"))
    assert not alone.runs_with(alone)
    assert alone.rows == 3


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 10_000))
def test_an_answer_does_not_depend_on_its_batch(
    served: Served, sizes: list[int], seed: int
) -> None:
    """Alone, and at any place in any batch.

    Not to the bit: ONNX Runtime multiplies one row by another kernel than many. p-values are
    ranks, so a score that rounding moves past a calibration score moves its p-value by one rank.
    """
    predictor: Predictor = served.predictor
    rng = np.random.default_rng(seed)
    x = rng.random((sum(sizes), 2, 3), dtype=np.float32)
    whole = predictor.predict(x)
    rank = 1.001 / (len(predictor.calibration.fused) + 1)
    start = 0
    for size in sizes:
        alone, inside = predictor.predict(x[start : start + size]), whole.rows(start, start + size)
        for name in ("probabilities", "responsibilities", "scores", "position"):
            a, b = getattr(alone, name), getattr(inside, name)
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=name)
        for name in ("p_familiar", "p_owned", "label_p_values"):
            a, b = getattr(alone, name), getattr(inside, name)
            np.testing.assert_allclose(a, b, atol=rank, err_msg=name)
        assert alone.predicted == inside.predicted
        start += size


_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "alpha": st.sampled_from([0.01, 0.1, 0.5, 0.9]),
        "fdr": st.sampled_from([0.05, 0.5]),
        "coverage": st.sampled_from(["marginal", "class_conditional"]),
        "samples": st.just(2),
        "include": st.lists(
            st.sampled_from(["probabilities", "prediction_set", "scores", "position"]),
            unique=True,
        ),
    },
)


@settings(deadline=None, max_examples=40)
@given(asked=st.lists(st.tuples(st.integers(1, 2), _OPTIONS), min_size=2, max_size=6))
def test_options_stay_with_their_request(
    shared_client: AppClient, asked: list[tuple[int, dict[str, object]]]
) -> None:
    """Several requests at once are answered as each by itself."""
    rng = np.random.default_rng(len(asked))
    bodies = [
        {"inputs": rng.random((rows, 6), dtype=np.float32).tolist(), **options}
        for rows, options in asked
    ]

    async def together() -> list[Any]:
        return list(
            await asyncio.gather(*(shared_client._http.post("/predict", json=b) for b in bodies))
        )

    at_once = [_answer_of(response) for response in shared_client.call(together())]
    alone = [_answer_of(shared_client.post("/predict", json=body)) for body in bodies]
    for a, b in zip(at_once, alone, strict=True):
        _assert_alike(a.model_dump(), b.model_dump())


def _answer_of(response: Any) -> PredictAnswer:
    assert response.status_code == 200, response.text
    return PredictAnswer.model_validate_json(response.content)


def _assert_alike(a: Any, b: Any) -> None:
    """Equal, floats within rounding and ids aside."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a.keys() - {"prediction_id"}:
            _assert_alike(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            _assert_alike(one, other)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)
    else:
        assert a == b


def test_many_connections_share_runs_over_http(client: AppClient) -> None:
    """The fixture takes two rows a run on the loop: eight requests are four runs."""
    bodies = [{"inputs": known_inputs(1, seed=i).tolist()} for i in range(8)]

    async def together() -> None:
        await asyncio.gather(*(client._http.post("/predict", json=body) for body in bodies))

    client.call(together())
    text = client.get("/metrics").text
    assert "rcmvae_batch_rows_count 4.0" in text
    assert "rcmvae_batch_rows_sum 8.0" in text
    assert "rcmvae_queue_wait_seconds_count 8.0" in text
