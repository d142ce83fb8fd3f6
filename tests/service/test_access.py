"""Who gets in: every route by its scope, with keys and without."""

import ipaddress
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from rcmvae.errors import KeyFileError, KeysRequired
from service.access import Access, Scope, ScopedRoute
from service.access.loopback import is_loopback
from service.asgi import ROUTES
from service.deployment import prepare
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.conftest import small_settings
from tests.service.problems import assert_problem
from tests.service.small_bundle import known_inputs, publish_small
from tests.service.test_keys import added

OPEN = {
    *("/", "/livez", "/readyz", "/openapi.json", "/docs"),
    *("/v2", "/v2/health/live", "/v2/health/ready"),
    *("/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready"),
}
LABELLED = {"items": [{"input": known_inputs(1, seed=1)[0].tolist(), "label": "never heard of"}]}


class Owners:
    """Keys by the scopes they have, and a service that knows them."""

    def __init__(self, client: AppClient, path: Path) -> None:
        self.client = client
        self.nothing = added(path, "prometheus")
        self.by_scope = {scope: added(path, scope.value, scope) for scope in Scope}
        self.labeller = added(path, "labeller", Scope.FEEDBACK, Scope.LABELS)
        keys = client.runtime.admission.keys
        assert keys is not None
        keys.refresh()

    def request(self, method: str, path: str, key: str, **options: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return self.client.request(method, path, headers=headers, **options)


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owners]:
    folder = tmp_path_factory.mktemp("owners")
    path = folder / "keys.json"
    added(path, "first")
    publish_small(folder / "models", "v1")
    with running_app(small_settings(folder).model_copy(update={"keys_file": path})) as client:
        yield Owners(client, path)


def test_every_route_says_whom_it_is_for() -> None:
    assert all(isinstance(route, ScopedRoute) for route in ROUTES)
    is_open = {route.path for route in ROUTES if route.needs is Access.OPEN}
    assert {path for path in is_open if not path.startswith(("/docs/", "/assets/"))} == OPEN
    changes = [route for route in ROUTES if (route.methods or set()) - {"GET", "HEAD"}]
    assert all(isinstance(route.needs, Scope) for route in changes)


def _methods() -> list[tuple[str, ScopedRoute]]:
    return [(method, route) for route in ROUTES for method in sorted(route.methods or ())]


@pytest.mark.parametrize(
    ("method", "route"), _methods(), ids=lambda value: getattr(value, "path", value)
)
def test_a_route_lets_in_whom_it_is_for(owners: Owners, method: str, route: ScopedRoute) -> None:
    """With every key in turn: only 401 and 403 matter here."""
    # With a parameter that no route has: GET /events refuses it, where it would go on for a minute.
    path = f"{route.path}?no_such_parameter=1"
    refused = owners.client.request(method, path).status_code == 401
    assert refused == (route.needs is not Access.OPEN)
    keys = [(None, owners.nothing), *owners.by_scope.items()]
    for scope, key in keys:
        status = owners.request(method, path, key).status_code
        may = not isinstance(route.needs, Scope) or scope in {route.needs, Scope.ADMIN}
        assert (status not in {401, 403}) == may, (scope, status)


@pytest.mark.parametrize(
    ("header", "kind", "challenge"),
    [
        (None, "key-missing", 'Bearer realm="rcmvae"'),
        ("Basic YTpi", "key-missing", 'Bearer realm="rcmvae"'),
        ("Bearer", "key-invalid", 'error="invalid_token"'),
        ("Bearer nonsense", "key-invalid", 'error="invalid_token"'),
        (f"Bearer rcmvae_{'0' * 12}_{'A' * 43}", "key-invalid", 'error="invalid_token"'),
    ],
)
def test_without_a_good_key_it_is_401(
    owners: Owners, header: str | None, kind: str, challenge: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = owners.client.get("/bundle", headers=headers)
    assert_problem(response, 401, "Authorization")
    assert response.json()["type"].endswith(kind)
    assert challenge in response.headers["www-authenticate"]
    assert ("error=" in response.headers["www-authenticate"]) == (kind == "key-invalid")


def test_a_key_without_the_scope_is_403_and_names_it(owners: Owners) -> None:
    response = owners.request("POST", "/predict", owners.by_scope[Scope.FEEDBACK])
    assert_problem(response, 403, "Authorization")
    challenge = response.headers["www-authenticate"]
    assert 'error="insufficient_scope", scope="predict"' in challenge


def test_a_key_is_told_what_it_is_good_for(owners: Owners, shared_client: AppClient) -> None:
    for key, owner, scopes in (
        (owners.nothing, "prometheus", []),
        (owners.labeller, "labeller", ["feedback", "labels"]),
        (owners.by_scope[Scope.ADMIN], "admin", [*Scope]),
    ):
        answer = owners.request("GET", "/key", key).json()
        assert answer == {"owner": owner, "has_key": True, "scopes": scopes}
    answer = shared_client.get("/key").json()
    assert answer == {"owner": "anonymous", "has_key": False, "scopes": [*Scope]}


def test_the_scheme_is_read_in_any_case(owners: Owners) -> None:
    headers = {"Authorization": f"bEARER  {owners.nothing} "}
    assert owners.client.get("/bundle", headers=headers).status_code == 200


def test_a_refused_body_is_not_read(owners: Owners) -> None:
    reads = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal reads
        for _ in range(100):
            reads += 1
            yield b" " * 2**16

    assert_problem(owners.client.post("/predict", content=chunks()), 401)
    assert reads == 0


def test_new_labels_need_their_scope(owners: Owners) -> None:
    feedback = owners.by_scope[Scope.FEEDBACK]
    known = {"items": [LABELLED["items"][0] | {"label": "a"}]}
    labels = owners.client.get("/labels", headers={"Authorization": f"Bearer {feedback}"}).json()
    known["items"][0]["label"] = labels["labels"][0]["label"]
    assert owners.request("POST", "/feedback", feedback, json=known).status_code == 202
    assert_problem(owners.request("POST", "/feedback", feedback, json=LABELLED), 403)
    accepted = owners.request("POST", "/feedback", owners.labeller, json=LABELLED)
    assert accepted.status_code == 202


def test_without_keys_loopback_is_open(shared_client: AppClient) -> None:
    for base in ("http://127.0.0.1:3000", "http://[::1]:3000", "http://127.8.7.6"):
        assert shared_client.get(f"{base}/bundle").status_code == 200
    # A key that nobody asked for is no harm.
    headers = {"Authorization": "Bearer nonsense"}
    assert shared_client.get("/bundle", headers=headers).status_code == 200


_OF_A_PAGE = [
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    # Another port of this machine.
    ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8888"}, 403),
    ({"Sec-Fetch-Site": "SAME-ORIGIN"}, 403),
    ({"Origin": "http://evil.test"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1.evil.test"}, 403),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"}, 202),
    # As behind a proxy that gives another Host.
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:5173"}, 202),
    ({"Sec-Fetch-Site": "none"}, 202),
    ({"Origin": "http://127.0.0.1"}, 202),
    ({}, 202),
]


@pytest.mark.parametrize(("headers", "status"), _OF_A_PAGE)
def test_without_keys_another_page_changes_nothing(
    shared_client: AppClient, headers: dict[str, str], status: int
) -> None:
    """A browser sends a POST without a body for any page, and does not ask first."""
    response = shared_client.post("/retrain", headers=headers)
    assert response.status_code == status
    if status == 403:
        assert_problem(response, 403, "Origin")
        assert response.json()["type"].endswith(":cross-site")
    # What changes nothing is answered, but a page without leave to read it gets no leave here.
    seen = shared_client.get("/bundle", headers=headers)
    assert seen.status_code == 200
    assert "access-control-allow-origin" not in seen.headers


def test_a_key_is_what_another_page_has_not(owners: Owners) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert_problem(owners.client.post("/retrain", headers=headers), 401, "Authorization")
    headers |= {"Authorization": f"Bearer {owners.by_scope[Scope.ADMIN]}"}
    assert owners.client.post("/retrain", headers=headers).status_code == 202


@pytest.mark.parametrize("base", ["http://192.0.2.7:3000", "http://[2001:db8::7]", "http://a.test"])
def test_without_keys_nothing_else_is(shared_client: AppClient, base: str) -> None:
    response = shared_client.get(f"{base}/bundle")
    assert_problem(response, 403, "address")
    assert shared_client.get(f"{base}/livez").status_code == 200


@pytest.mark.parametrize("name", ["rebound.test", "rebound.test:3000", "localhost.rebound.test"])
def test_without_keys_another_name_for_this_machine_is_refused(
    shared_client: AppClient, name: str
) -> None:
    assert_problem(shared_client.get("/bundle", headers={"Host": name}), 421, "Host")
    good_names = ("localhost", "localhost:3000", "[::1]:80", "[::1]", "127.0.0.1")
    for good in (*good_names, "LocalHost:3000", "localhost:"):
        assert shared_client.get("/bundle", headers={"Host": good}).status_code == 200


def test_told_so_everybody_gets_in_without_keys(tmp_path: Path) -> None:
    publish_small(tmp_path / "models", "v1")
    told = small_settings(tmp_path).model_copy(update={"public_without_keys": True})
    with running_app(told) as client:
        assert client.get("http://192.0.2.7/bundle").status_code == 200


@given(st.ip_addresses())
@examples(deadline=None)
def test_loopback_is_what_the_standard_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    v4 = ipaddress.ip_network("127.0.0.0/8")
    if address.version == 4:
        assert is_loopback(str(address)) == is_loopback(f"::ffff:{address}") == (address in v4)
    else:
        mapped = address in ipaddress.ip_network("::ffff:127.0.0.0/104")
        assert is_loopback(str(address)) == (mapped or address == ipaddress.ip_address("::1"))


def test_a_public_address_needs_keys(tmp_path: Path) -> None:
    settings = Settings(metrics_dir=tmp_path)
    for address in ("0.0.0.0", "::", "192.0.2.7", "example.test"):
        with pytest.raises(KeysRequired, match="RCMVAE_KEYS_FILE"):
            prepare(settings, address)
    prepare(settings, "127.0.0.1")
    prepare(settings, "::1")
    prepare(settings.model_copy(update={"public_without_keys": True}), "0.0.0.0")
    keyed = settings.model_copy(update={"keys_file": tmp_path / "keys.json"})
    with pytest.raises(KeyFileError):
        prepare(keyed, "0.0.0.0")
    added(tmp_path / "keys.json", "ada")
    prepare(keyed, "0.0.0.0")


def test_what_workers_of_an_earlier_server_said_is_gone_at_the_start(tmp_path: Path) -> None:
    """In a container that starts anew, its process ids come again."""
    (tmp_path / "mine.txt").touch()
    for name in ("served_7.json", "refused_7.json", "refused_7.next", "counter_7.db"):
        (tmp_path / name).touch()
    prepare(Settings(metrics_dir=tmp_path), "127.0.0.1")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_label_is_taken_back_by_its_author_or_an_administrator(owners: Owners) -> None:
    ids = []
    for x in known_inputs(2, seed=3).tolist():
        body = {"items": [{"input": x, "label": "mine"}]}
        posted = owners.request("POST", "/feedback", owners.labeller, json=body)
        ids.append(posted.json()["items"][0]["feedback_id"])
    another = owners.by_scope[Scope.FEEDBACK]
    assert_problem(owners.request("DELETE", f"/feedback/{ids[0]}", another), 403)
    for feedback_id, key in zip(ids, (owners.labeller, owners.by_scope[Scope.ADMIN]), strict=True):
        answer = owners.request("DELETE", f"/feedback/{feedback_id}", key)
        assert (answer.status_code, answer.json()["status"]) == (202, "withdrawn")
        assert answer.json()["author"] == "labeller"
