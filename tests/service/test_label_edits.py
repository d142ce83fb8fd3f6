"""Labels edited over HTTP: what is asked for is in the store; retrain jobs do the rest."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from rcmvae.bundle import publish_bundle
from rcmvae.bundle.manifest import COUNTS
from rcmvae.counts import write_counts
from tests.service.app_client import AppClient, running_app
from tests.service.conftest import small_settings
from tests.service.problems import assert_problem
from tests.service.small_bundle import known_inputs, label_map, small_draft

INPUTS = known_inputs(3, seed=6).tolist()


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[AppClient]:
    """Circles are the fit's; squares came with feedback, and three more of them wait."""
    settings, draft, evidence = small_settings(tmp_path), small_draft("v1"), label_map()
    ids = tuple(
        name if label == 0 else f"feedback-{name}"
        for name, label in zip(evidence.ids, evidence.contribution_labels, strict=True)
    )
    contents = {**draft.contents, COUNTS: write_counts(replace(evidence, ids=ids))}
    publish_bundle(settings.models_dir, replace(draft, contents=contents), expected_parent=None)
    with running_app(settings) as client:
        items = [{"input": x, "label": "square"} for x in INPUTS]
        assert client.post("/feedback", json={"items": items}).status_code == 202
        yield client


def edited(client: AppClient, **document: object) -> httpx.Response:
    return client.post("/labels/edits", json=document)


def standing(client: AppClient) -> list[str]:
    """Labels of the corrections that count."""
    items = client.get("/feedback?status=queued").json()["items"]
    return sorted(item["label"] for item in items)


@pytest.mark.parametrize(
    ("edit", "into", "after"),
    [
        ("rename", "box", ["box"] * 3),
        ("rename", "bo\u0302x", ["b\u00f4x"] * 3),
        ("merge", "circle", ["circle"] * 3),
        ("delete", None, []),
    ],
)
def test_an_edit_is_asked_for_and_undone_once(
    taught: AppClient, edit: str, into: str | None, after: list[str]
) -> None:
    answer = edited(taught, edit=edit, label="square", into=into)
    assert (answer.status_code, answer.json()["corrections"]) == (202, 3)
    assert standing(taught) == after
    undo = f"/labels/edits/{answer.json()['edit_id']}"
    undone = taught.request("DELETE", undo)
    assert (undone.status_code, undone.json()["corrections"]) == (202, 3)
    assert standing(taught) == ["square"] * 3
    assert_problem(taught.request("DELETE", undo), 404, "edit_id")


def test_what_an_author_said_since_stands(taught: AppClient) -> None:
    """Bringing a label back speaks for nobody who has said something else meanwhile."""
    deleted = edited(taught, edit="delete", label="square").json()["edit_id"]
    said = {"items": [{"input": INPUTS[0], "label": "circle"}]}
    assert taught.post("/feedback", json=said).status_code == 202
    undone = taught.request("DELETE", f"/labels/edits/{deleted}")
    assert undone.json()["corrections"] == 2
    assert standing(taught) == ["circle", "square", "square"]


def test_what_an_edit_never_touched_does_not_pass_for_its_own(taught: AppClient) -> None:
    """Ids of edits can be read; undone, one would bring such a correction back, never doubted."""
    edit_id = edited(taught, edit="rename", label="square", into="box").json()["edit_id"]
    said = {"items": [{"input": known_inputs(1, seed=9)[0].tolist(), "label": "circle"}]}
    assert_problem(taught.post("/feedback", json=said | {"source": edit_id}), 422, "source")
    feedback_id = taught.post("/feedback", json=said).json()["items"][0]["feedback_id"]
    reason = f"taken back by {edit_id}"
    path = f"/feedback/{feedback_id}"
    assert_problem(taught.request("DELETE", path, params={"reason": reason}), 422, "reason")
    assert taught.request("DELETE", path).status_code == 202
    undone = taught.request("DELETE", f"/labels/edits/{edit_id}")
    assert undone.json()["corrections"] == 3
    assert standing(taught) == ["square"] * 3


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "edit"),
        ({"edit": "drop", "label": "square"}, "edit"),
        ({"edit": ["rename"], "label": "square"}, "edit"),
        ({"edit": "delete"}, "label"),
        ({"edit": "delete", "label": 7}, "label"),
        ({"edit": "delete", "label": "triangle"}, "label"),
        ({"edit": "delete", "label": "circle"}, "label"),
        ({"edit": "delete", "label": "square", "into": "circle"}, "into"),
        ({"edit": "rename", "label": "square"}, "into"),
        ({"edit": "rename", "label": "square", "into": "circle"}, "into"),
        ({"edit": "rename", "label": "square", "into": "square"}, "into"),
        ({"edit": "rename", "label": "square", "into": "a\u202eb"}, "into"),
        ({"edit": "merge", "label": "square", "into": "square"}, "into"),
        ({"edit": "merge", "label": "square", "into": "triangle"}, "into"),
        ({"edit": "rename", "label": "square", "into": "box", "by": "me"}, "body"),
    ],
)
def test_an_edit_that_makes_no_sense_changes_nothing(
    taught: AppClient, document: dict[str, object], field: str
) -> None:
    assert_problem(edited(taught, **document), 422, field)
    assert standing(taught) == ["square"] * 3


@pytest.mark.parametrize("edit_id", ["edit-000000000000", "nothing", "%00", "edit-0%00"])
def test_what_is_no_edit_is_not_undone(taught: AppClient, edit_id: str) -> None:
    assert_problem(taught.request("DELETE", f"/labels/edits/{edit_id}"), 404, "edit_id")


def test_it_needs_a_bundle(empty: AppClient) -> None:
    assert_problem(edited(empty, edit="delete", label="square"), 503)
