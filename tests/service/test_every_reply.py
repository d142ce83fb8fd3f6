"""What every reply and every log line has."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.asgi import ROUTES
from service.log_form import JsonLines, LogForm, TextLines, form_logs
from service.request_id import current_request_id
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import BAD_REQUESTS, ROW, BadRequest
from tests.service.conftest import small_settings
from tests.service.small_bundle import known_inputs, publish_small
from tests.service.test_keys import added

_LOG = logging.getLogger("bentoml.rcmvae")
SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.fixture(scope="module")
def brief_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    """With bundle v1, and with streams that end soon: the client waits for the end of a reply."""
    settings = small_settings(tmp_path_factory.mktemp("brief"))
    publish_small(settings.models_dir, "v1")
    with running_app(settings.model_copy(update={"timeout_seconds": 1.0})) as client:
        yield client


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES} | {"/nowhere"}))
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_security_headers(brief_client: AppClient, method: str, path: str) -> None:
    headers = brief_client.request(method, path).headers
    assert {name: headers[name] for name in SECURITY} == SECURITY
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'unsafe" not in policy
    assert "cache-control" in headers
    assert not [name for name in headers if name.startswith("access-control-")]
    assert len(headers.get_list("content-security-policy")) == 1


def test_answers_are_not_kept_by_caches(shared_client: AppClient) -> None:
    response = shared_client.post("/predict", json={"inputs": [ROW]})
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("sent", ["4f1a", "a-b_c.D:E+f/g=", "x" * 128])
def test_a_clients_own_request_id_comes_back(shared_client: AppClient, sent: str) -> None:
    response = shared_client.get("/nowhere", headers={"X-Request-ID": sent})
    assert response.headers.get_list("x-request-id") == [sent]
    assert response.json()["request_id"] == sent


@pytest.mark.parametrize("sent", [None, "", "two words", "x" * 129, 'a"b', "a\tb", "\u00e4"])
def test_another_gets_a_new_one(shared_client: AppClient, sent: str | None) -> None:
    headers = {} if sent is None else {"X-Request-ID": sent.encode("latin-1")}
    ids = {shared_client.get("/livez", headers=headers).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch("[0-9a-f]{24}", made) for made in ids)


@pytest.mark.parametrize("bad", BAD_REQUESTS[::5], ids=lambda bad: bad.name)
def test_every_problem_says_its_request(shared_client: AppClient, bad: BadRequest) -> None:
    response = shared_client.request(
        bad.method, bad.path, content=bad.content, headers=dict(bad.headers)
    )
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert current_request_id.get() == ""


def _record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    record = logging.LogRecord("bentoml.x", logging.INFO, "f.py", 1, message, arguments, None)
    vars(record).update(extra)
    return record


def test_a_json_line() -> None:
    token = current_request_id.set("r1")
    try:
        line = JsonLines().format(_record("took %s\n\u2028", "v1", status=200, trace_msg=" (t=1)"))
        text = TextLines().format(_record("took %s", "v1"))
    finally:
        current_request_id.reset(token)
    assert "\n" not in line
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told.pop("process") > 0
    assert told == {
        "level": "info",
        "logger": "bentoml.x",
        "message": "took v1\n\u2028",
        "request_id": "r1",
        "status": 200,
        "trace": "t=1",
    }
    assert text.endswith("[INFO] took v1 (request r1)")
    assert "request" not in TextLines().format(_record("took"))
    assert "request_id" not in json.loads(JsonLines().format(_record("took")))


@pytest.fixture
def handler() -> Iterator[logging.StreamHandler]:  # type: ignore[type-arg]
    """Hung where BentoML hangs its own."""
    handler = logging.StreamHandler()
    logging.getLogger("bentoml").addHandler(handler)
    yield handler
    logging.getLogger("bentoml").removeHandler(handler)


@pytest.mark.parametrize(
    ("form", "expected"),
    [(LogForm.JSON, JsonLines), (LogForm.TEXT, TextLines), (LogForm.AUTO, JsonLines)],
)
def test_the_form_of_the_log(
    handler: logging.Handler, form: LogForm, expected: type[logging.Formatter]
) -> None:
    """Standard output is no terminal in a test."""
    form_logs(form)
    assert isinstance(handler.formatter, expected)


def test_a_line_for_every_request_without_what_it_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_small(tmp_path / "models", "v1")
    path = tmp_path / "keys.json"
    key = added(path, "ada", *("predict", "feedback", "labels"))  # type: ignore[arg-type]
    told = {"access_log": True, "keys_file": path}
    settings = Settings.model_validate(small_settings(tmp_path).model_dump() | told)
    caplog.set_level(logging.INFO, "bentoml.rcmvae")
    marked = known_inputs(1, seed=1)[0].tolist()
    headers = {"Authorization": f"Bearer {key}", "X-Request-ID": "r7"}
    with running_app(settings) as client:
        caplog.clear()
        item = {"input": marked, "label": "a secret label"}
        assert client.post("/feedback", json={"items": [item]}, headers=headers).is_success
        client.get("/nowhere?secret=1", headers=headers)
        client.post("/predict?secret=1", content=b"secret", headers=headers)
    lines = [JsonLines().format(record) for record in caplog.records]
    first = json.loads(lines[0])
    assert (first["method"], first["route"], first["status"]) == ("POST", "/feedback", 202)
    assert (first["owner"], first["message"]) == ("ada", "POST /feedback 202")
    assert first["seconds"] > 0
    everything = "".join(lines)
    assert "secret" not in everything
    assert str(marked[0]) not in everything
    assert key not in everything
