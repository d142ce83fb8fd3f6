"""What to label next, over HTTP: from captured inputs, beside what people have said."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcmvae.candidates import Strategy
from rcmvae.feedback import Capture
from tests.service.app_client import AppClient, running_app
from tests.service.conftest import small_settings
from tests.service.problems import assert_problem
from tests.service.small_bundle import PROTOTYPES, publish_small

CIRCLE, SQUARE, UNLABELLED = (row.tolist() for row in PROTOTYPES)


@pytest.fixture
def seen(client: AppClient) -> AppClient:
    """A client whose service has answered one circle, one square, and the shape without a label."""
    for row in (CIRCLE, CIRCLE, SQUARE, UNLABELLED):
        assert client.post("/predict", json={"inputs": [row]}).status_code == 200
    client.call(client.runtime.captures.flush())
    return client


def _candidates(client: AppClient, query: str = "") -> dict[str, Any]:
    response = client.get(f"/candidates{query}")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_the_channel_without_labels_comes_first(seen: AppClient) -> None:
    answer = _candidates(seen, "?include=input")
    assert (answer["bundle_version"], answer["strategy"]) == ("v1", "representatives")
    assert answer["pool"] == 3, "equal inputs are offered once"
    first, *others = answer["candidates"]
    assert np.ravel(first["input"]).tolist() == UNLABELLED
    assert first["channel"] == 2
    assert first["reason"].startswith("typical of channel 2, which holds 33.3 % of the inputs")
    assert first["score"] > max(other["score"] for other in others)
    assert len(others) == 2


@pytest.mark.parametrize("strategy", list(Strategy))
def test_every_strategy_answers_from_the_pool(seen: AppClient, strategy: Strategy) -> None:
    answer = _candidates(seen, f"?strategy={strategy}&count=2")
    names = {entry["prediction_id"] for entry in answer["candidates"]}
    assert len(names) == 2
    for entry in answer["candidates"]:
        assert entry["input"] is None
        assert entry["reason"]
    # The ids are good for feedback.
    items = [{"prediction_id": name, "label": "a"} for name in names]
    assert seen.post("/feedback", json={"items": items}).status_code == 202


def test_what_was_labelled_is_not_offered_and_counts(seen: AppClient) -> None:
    before = _candidates(seen)["candidates"]
    first = before[0]["prediction_id"]
    item = {"prediction_id": first, "label": "bracket"}
    assert seen.post("/feedback", json={"items": [item]}).status_code == 202
    # Another input much like it: its channel is spoken for now, though nothing was retrained.
    near = (np.array(UNLABELLED) * 0.98).tolist()
    seen.post("/predict", json={"inputs": [near]})
    seen.call(seen.runtime.captures.flush())
    after = _candidates(seen)["candidates"]
    assert first not in {entry["prediction_id"] for entry in after}
    assert after[0]["channel"] == 2
    assert after[0]["score"] < before[0]["score"]
    assert "1.0 labelled examples" in after[0]["reason"]
    # The same input again is no question any more.
    seen.post("/predict", json={"inputs": [UNLABELLED]})
    seen.call(seen.runtime.captures.flush())
    assert len(_candidates(seen)["candidates"]) == len(after)


def test_without_captures_there_is_nothing(client: AppClient) -> None:
    answer = _candidates(client)
    assert (answer["pool"], answer["candidates"]) == (0, [])


def test_inputs_that_this_bundle_cannot_read_are_left_out(seen: AppClient) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    longer = Capture("longer", np.zeros(7, dtype=np.float32), "v0", now)
    higher = Capture("higher", np.full((2, 3), 1.5, dtype=np.float32), "v0", now)
    seen.runtime.store.store().save_captures([longer, higher])
    answer = _candidates(seen)
    assert answer["pool"] == len(answer["candidates"]) == 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?strategy=best", "strategy"),
        ("?strategy=", "strategy"),
        ("?count=0", "count"),
        ("?count=101", "count"),
        ("?count=-1", "count"),
        ("?count=1.5", "count"),
        ("?count=%C2%B2", "count"),
        (f"?count={'9' * 5000}", "count"),
        ("?include=thumbnail", "include"),
        ("?limit=3", "query"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    shared_client: AppClient, query: str, field: str
) -> None:
    assert_problem(shared_client.get(f"/candidates{query}"), 422, field)


def test_no_bundle_and_no_store(empty: AppClient, tmp_path: Path) -> None:
    assert empty.get("/candidates").status_code == 503


@pytest.fixture
def without_store(tmp_path: Path) -> Iterator[AppClient]:
    (tmp_path / "var").write_text("in the way")
    url = f"sqlite:///{tmp_path / 'var' / 'f.db'}"
    settings = small_settings(tmp_path).model_copy(update={"store_url": url})
    publish_small(settings.models_dir, "v1")
    with running_app(settings) as client:
        yield client


def test_a_store_that_is_away_is_said_so(without_store: AppClient) -> None:
    assert without_store.get("/candidates").status_code == 503
