"""Asking for retrain jobs, and looking at jobs and versions."""

import errno
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rcmvae.bundle import GateCheck, GateOutcome, GateReport, read_pointer, stage_bundle
from rcmvae.errors import BundleConflict
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobClaim, JobCounts, JobMethod, JobResult, JobState, JobStore
from service.retrain_schemas import (
    RetrainAnswer,
    RetrainJob,
    RetrainState,
    VersionAnswer,
    VersionsAnswer,
)
from service.settings import Settings
from tests.service.app_client import AppClient
from tests.service.problems import assert_problem
from tests.service.small_bundle import publish_small, small_draft

REPORT = GateReport(
    outcome=GateOutcome.HOLD,
    reason="golden accuracy: expected at least 0.9700, got 0.9600",
    examples=200,
    parent_accuracy=0.98,
    candidate_accuracy=0.96,
    checks=(
        GateCheck(
            check="accuracy", outcome=GateOutcome.HOLD, detail="golden accuracy", p_value=0.1
        ),
    ),
)


def _retrain(client: AppClient) -> RetrainAnswer:
    response = client.get("/retrain")
    assert response.status_code == 200
    return RetrainAnswer.model_validate_json(response.content)


def _work(settings: Settings, result: JobResult | None) -> JobClaim:
    """What a watcher does: take the job, and finish it unless there is no result."""
    with FeedbackStore.open(settings.store_url) as store:
        jobs = JobStore.of(store)
        claim = jobs.claim("watcher", timedelta(minutes=1))
        assert claim is not None
        jobs.report(claim.token, 0.5, "half way")
        if result is not None:
            jobs.finish(claim.token, result)
        return claim


def test_a_job_from_the_request_to_its_result(client: AppClient, settings: Settings) -> None:
    assert _retrain(client) == RetrainAnswer(state=RetrainState.IDLE, job=None, history=[])
    asked = client.post("/retrain", json={"method": "relabel"})
    assert asked.status_code == 202
    job_id = asked.json()["job_id"]
    waiting = _retrain(client)
    assert waiting.job is not None
    assert (waiting.state, waiting.job.job_id) == ("requested", job_id)
    assert (waiting.job.method, waiting.job.requested_by) == ("relabel", "anonymous")
    _work(settings, None)
    running = _retrain(client)
    assert running.job is not None
    assert (running.state, running.job.progress, running.job.message) == (
        "running",
        0.5,
        "half way",
    )


def test_the_history_is_newest_first(client: AppClient, settings: Settings) -> None:
    first = client.post("/retrain").json()["job_id"]
    counts = JobCounts(applied=3, quarantined=2)
    result = JobResult(JobState.DONE, "relabel", JobMethod.RELABEL, "v9", REPORT, counts)
    _work(settings, result)
    second = client.post("/retrain", json={"method": "refit"}).json()["job_id"]
    answer = _retrain(client)
    assert [job.job_id for job in answer.history] == [second, first]
    done = answer.history[1]
    assert (done.state, done.method, done.version) == ("done", "relabel", "v9")
    assert (done.gate, done.counts, done.progress) == (REPORT, counts, 1.0)


def test_the_same_request_twice_is_one_job(client: AppClient) -> None:
    ids = {client.post("/retrain", json={"method": "auto"}).json()["job_id"] for _ in range(3)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"method": "magic"}, "method"),
        ({"method": "rollback"}, "method"),
        ({"method": 3}, "method"),
        ({"how": "relabel"}, "body"),
        ([], "body"),
    ],
)
def test_what_nobody_can_ask_for_is_refused(
    shared_client: AppClient, body: Any, field: str
) -> None:
    assert_problem(shared_client.post("/retrain", json=body), 422, field)


def test_versions_say_where_they_come_from(client: AppClient, settings: Settings) -> None:
    models = settings.models_dir
    publish_small(models, "v2", "v1", extra=1)
    held = small_draft("v3", "v2", extra=2)
    stage_bundle(models, replace(held, lineage=held.lineage.model_copy(update={"gate": REPORT})))
    answer = VersionsAnswer.model_validate_json(client.get("/versions").content)
    assert answer.current == "v2"
    assert [(v.bundle_version, v.state, v.parent_version) for v in answer.versions] == [
        ("v3", "held", "v2"),
        ("v2", "current", "v1"),
        ("v1", "retired", None),
    ]
    assert answer.versions[0].gate == REPORT
    with FeedbackStore.open(settings.store_url) as store:
        JobStore.of(store).record_move(JobMethod.PROMOTE, "v3", "anna", "", JobCounts())
    (after, *_) = VersionsAnswer.model_validate_json(client.get("/versions").content).versions
    assert after.state == "retired", "promoted once, so no longer held"


def test_one_version_has_its_whole_lineage(client: AppClient, settings: Settings) -> None:
    response = client.get("/versions?version=v1")
    version = VersionAnswer.model_validate_json(response.content)
    draft = small_draft("v1")
    assert version.lineage == draft.lineage
    assert version.configuration == draft.configuration
    assert set(version.files) == set(draft.contents)
    assert version.libraries == draft.libraries


@pytest.mark.parametrize("version", ["v8", "..", "CURRENT", "", "a/b", "x" * 99])
def test_an_unknown_version_is_said(shared_client: AppClient, version: str) -> None:
    response = shared_client.get("/versions", params={"version": version})
    assert_problem(response, 404, "version")


def test_a_damaged_version_is_left_out(client: AppClient, settings: Settings) -> None:
    publish_small(settings.models_dir, "v2", "v1", extra=1)
    (settings.models_dir / "v1" / "manifest.json").write_text("{}")
    answer = VersionsAnswer.model_validate_json(client.get("/versions").content)
    assert [version.bundle_version for version in answer.versions] == ["v2"]


def _two_versions(settings: Settings) -> None:
    publish_small(settings.models_dir, "v2", "v1", extra=1)


def test_roll_back_and_forth(client: AppClient, settings: Settings) -> None:
    _two_versions(settings)
    back = client.post("/bundle/rollback", json={})
    assert back.status_code == 200
    job = RetrainJob.model_validate_json(back.content)
    assert (job.method, job.version, job.requested_by) == ("rollback", "v1", "anonymous")
    assert read_pointer(settings.models_dir) == "v1"
    forth = client.post("/bundle/promote", json={"version": "v2"})
    assert RetrainJob.model_validate_json(forth.content).version == "v2"
    client.runtime.bundles.refresh()
    assert client.get("/bundle").json()["bundle_version"] == "v2"
    moves = [job.method.value for job in _retrain(client).history]
    assert moves == ["promote", "rollback"]


def test_a_named_version_is_rolled_back_to(client: AppClient, settings: Settings) -> None:
    _two_versions(settings)
    assert client.post("/bundle/rollback", json={"version": "v1"}).status_code == 200
    assert read_pointer(settings.models_dir) == "v1"


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("promote", {}, 422, "version"),
        ("promote", {"version": 3}, 422, "version"),
        ("promote", {"version": "v1"}, 422, "version"),
        ("promote", {"version": "../v1"}, 404, "version"),
        ("rollback", {"version": "v7"}, 404, "version"),
        ("rollback", {}, 422, "version"),
        ("rollback", {"to": "v1"}, 422, "body"),
    ],
)
def test_moves_that_cannot_be_are_refused(
    shared_client: AppClient, path: str, body: Any, status: int, field: str
) -> None:
    assert_problem(shared_client.post(f"/bundle/{path}", json=body), status, field)


def test_a_damaged_version_is_not_made_current(client: AppClient, settings: Settings) -> None:
    _two_versions(settings)
    (settings.models_dir / "v1" / "encoder.onnx").write_bytes(b"something else")
    assert_problem(client.post("/bundle/rollback"), 409)
    assert read_pointer(settings.models_dir) == "v2"


def test_a_pointer_that_moves_meanwhile_is_said(
    client: AppClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_versions(settings)

    def late(*_: object) -> None:
        raise BundleConflict("CURRENT: expected v2, got v3")

    monkeypatch.setattr("rcmvae.jobs.moves.move_pointer", late)
    assert_problem(client.post("/bundle/rollback"), 409)


def test_a_models_folder_that_cannot_be_written_to_is_said(
    client: AppClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Kubernetes the service has it read-only."""
    _two_versions(settings)

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("rcmvae.jobs.moves.move_pointer", read_only)
    refused = client.post("/bundle/rollback")
    assert_problem(refused, 503)
    assert refused.json()["type"].endswith("models-unavailable")


def test_a_models_folder_that_cannot_be_read_is_said(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: Path) -> tuple[str, ...]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("service.versions.list_versions", unreadable)
    monkeypatch.setattr("service.routes.versions.list_versions", unreadable)
    for refused in (
        client.get("/versions"),
        client.get("/versions?version=v1"),
        client.post("/bundle/promote", json={"version": "v1"}),
    ):
        assert_problem(refused, 503)
        assert refused.json()["type"].endswith("models-unavailable")
    assert client.get("/readyz").status_code == 200


def test_a_damaged_version_is_said(client: AppClient, settings: Settings) -> None:
    _two_versions(settings)
    (settings.models_dir / "v1" / "manifest.json").write_text("{")
    assert_problem(client.get("/versions?version=v1"), 409)
    assert [each["bundle_version"] for each in client.get("/versions").json()["versions"]] == ["v2"]
