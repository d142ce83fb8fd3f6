"""How much one sender may ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from service.access import ANONYMOUS, Principal, Scope
from service.access.quota import parse_quota
from service.access.rate import ADDRESSES, Rates
from service.problem import RequestRefused
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import ROW
from tests.service.conftest import small_settings
from tests.service.problems import assert_problem
from tests.service.small_bundle import known_inputs, publish_small
from tests.service.test_keys import added


@contextmanager
def limited(folder: Path, **limits: object) -> Iterator[AppClient]:
    publish_small(folder / "models", "v1")
    settings = Settings.model_validate(small_settings(folder).model_dump() | limits)
    with running_app(settings) as client:
        yield client


def _from(host: str) -> dict[str, object]:
    return {"type": "http", "client": (host, 1234), "headers": []}


def _passes(rates: Rates, host: str, principal: Principal = ANONYMOUS) -> bool:
    try:
        rates.charge_request(_from(host), principal)
    except RequestRefused:
        return False
    return True


def test_the_quota_is_used_up_and_told(tmp_path: Path) -> None:
    with limited(tmp_path, rate_requests="3/hour") as client:
        for left in (2, 1, 0):
            response = client.get("/bundle")
            assert response.status_code == 200
            assert response.headers["ratelimit-policy"] == '"requests";q=3;w=3600'
            name, remaining, reset = response.headers["ratelimit"].split(";")
            assert (name, remaining) == ('"requests"', f"r={left}")
            assert 0 < int(reset.removeprefix("t=")) <= 3600
        refused = client.get("/bundle")
        assert_problem(refused, 429, "requests")
        assert refused.json()["type"].endswith("rate-limit")
        assert refused.headers["ratelimit"] == f'"requests";r=0;t={refused.headers["retry-after"]}'
        # What orchestrators and people ask without a key is not counted.
        for path in ("/livez", "/readyz", "/docs"):
            assert client.get(path).status_code == 200
            assert "ratelimit" not in client.get(path).headers


def test_rows_are_counted_with_their_draws(tmp_path: Path) -> None:
    inputs = known_inputs(4, seed=1).tolist()
    with limited(tmp_path, rate_rows="20/hour") as client:
        first = client.post("/predict", json={"inputs": inputs})
        assert first.headers["ratelimit-policy"] == '"rows";q=20;w=3600;qu="rows"'
        assert ";r=16;" in first.headers["ratelimit"]
        sampled = client.post("/predict", json={"inputs": inputs[:2], "samples": 2})
        assert ";r=10;" in sampled.headers["ratelimit"]
        items = {"items": [{"input": ROW, "label": "a"}] * 3}
        assert ";r=7;" in client.post("/feedback", json=items).headers["ratelimit"]
        assert client.post("/predict", json={"inputs": inputs}).status_code == 200
        assert_problem(client.post("/predict", json={"inputs": inputs}), 429, "rows")
        assert client.post("/predict", json={"inputs": inputs[:3]}).status_code == 200


def test_more_rows_than_the_whole_quota_cost_the_whole(tmp_path: Path) -> None:
    inputs = known_inputs(4, seed=1).tolist()
    with limited(tmp_path, rate_rows="3/hour") as client:
        assert client.post("/predict", json={"inputs": inputs}).status_code == 200
        assert client.post("/predict", json={"inputs": inputs[:1]}).status_code == 429


def test_a_quota_is_of_an_owner_with_all_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first, second, other = (added(path, name, Scope.PREDICT) for name in ("ada", "ada", "bob"))
    with limited(tmp_path, rate_requests="2/hour", keys_file=path) as client:

        def status(key: str) -> int:
            return client.get("/bundle", headers={"Authorization": f"Bearer {key}"}).status_code

        assert [status(key) for key in (first, second, first, other)] == [200, 200, 429, 200]


def test_guessing_keys_is_counted_by_address(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    good = added(path, "ada")
    with limited(tmp_path, rate_requests="3/hour", keys_file=path) as client:
        guess = {"Authorization": "Bearer guess"}
        statuses = [client.get("/bundle", headers=guess).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        # Who has a key is not kept out by somebody who guesses from the same address.
        headers = {"Authorization": f"Bearer {good}"}
        assert client.get("/bundle", headers=headers).status_code == 200


def test_addresses_have_quotas_of_their_own_and_an_ipv6_customer_has_one() -> None:
    rates = Rates(parse_quota("requests", "1/hour"), None)
    assert _passes(rates, "192.0.2.1")
    assert not _passes(rates, "192.0.2.1")
    # Two addresses fall on one number once in 1024.
    assert any(_passes(rates, f"192.0.2.{i}") for i in range(2, 5))
    assert _passes(rates, "2001:db8:1:2::1")
    assert not _passes(rates, "2001:db8:1:2:ffff::9")
    assert any(_passes(rates, f"2001:db8:1:{i}::1") for i in range(3, 6))
    # A socket for both kinds of addresses writes IPv4 so.
    assert not _passes(rates, "::ffff:192.0.2.1")
    assert any(_passes(rates, f"::ffff:192.0.2.{i}") for i in range(9, 12))


def test_memory_is_bounded_however_many_addresses_come() -> None:
    rates = Rates(parse_quota("requests", "5/hour"), None)
    for i in range(3 * ADDRESSES):
        _passes(rates, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}")
    # An hour may end in between.
    assert len(rates.storage.storage) <= 2 * ADDRESSES


@given(amount=st.integers(1, 50), costs=st.lists(st.integers(1, 60), max_size=40))
@examples(max_examples=25, deadline=None)
def test_no_more_passes_than_the_quota(amount: int, costs: list[int]) -> None:
    rates = Rates(None, parse_quota("rows", f"{amount}/day"))
    passed = 0
    for cost in costs:
        try:
            rates.charge_rows(_from("192.0.2.1"), ANONYMOUS, cost)
            passed += min(cost, amount)
        except RequestRefused:
            assert passed + min(cost, amount) > amount
    assert passed <= amount


class _Clock:
    """Stands for the module ``time`` in the library and beside it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@given(
    limit=st.integers(1, 40),
    window=st.integers(1, 90),
    asked=st.lists(st.tuples(st.floats(0, 60), st.integers(1, 50)), min_size=1, max_size=30),
)
@examples(max_examples=60, deadline=None)
def test_after_retry_after_the_same_rows_pass_and_not_long_before(
    limit: int, window: int, asked: list[tuple[float, int]]
) -> None:
    clock = _Clock()
    with (
        patch("limits.storage.memory.time", clock),
        patch("limits.strategies.time", clock),
        patch("service.access.rate.time", clock),
    ):
        rates = Rates(None, parse_quota("rows", f"{limit} per {window} seconds"))

        def refused(rows: int) -> int:
            """Seconds to wait; 0 where the rows pass."""
            try:
                rates.charge_rows(_from("192.0.2.1"), ANONYMOUS, rows)
            except RequestRefused as error:
                return int(error.problem.headers["Retry-After"])
            return 0

        for pause, rows in asked:
            clock.now += pause
            if wait := refused(rows):
                began = clock.now
                if wait > 1:
                    clock.now = began + wait - 1.02
                    assert refused(rows)
                clock.now = began + wait
                assert not refused(rows)


@pytest.mark.parametrize("notation", ["", "x", "0/minute", "5", "-1/second"])
def test_a_quota_that_makes_no_sense_is_refused(notation: str) -> None:
    with pytest.raises(ValueError, match="rate_requests"):
        Settings(rate_requests=notation)
