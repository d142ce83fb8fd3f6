"""A bound on requests in work."""

from contextlib import suppress

import pytest

from service.in_flight import InFlight
from service.problem import RequestRefused
from service.settings import Settings
from tests.service.app_client import running_app
from tests.service.small_bundle import known_inputs, publish_small


def test_one_too_many_is_refused_and_a_place_comes_back_whatever_happens() -> None:
    bound = InFlight(2)
    with bound:
        with suppress(ZeroDivisionError), bound:
            raise ZeroDivisionError
        with bound, pytest.raises(RequestRefused) as refused, bound:
            pass
    assert refused.value.problem.status == 503
    assert refused.value.problem.headers == {"Retry-After": "1"}
    with bound, bound:
        pass


@pytest.mark.parametrize("path", ["/predict", "/reconstruct", "/v2/models/rcmvae/infer"])
def test_a_full_worker_refuses_predictions_and_goes_on_with_the_rest(
    settings: Settings, path: str
) -> None:
    publish_small(settings.models_dir, "v1")
    with running_app(settings.model_copy(update={"requests_in_flight": 1})) as client:
        rows = known_inputs(1, seed=1).reshape(1, -1).tolist()
        with client.runtime.in_flight:
            refused = client.post(path, json={"inputs": rows})
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert "1 requests are in work" in refused.json()["error"]
            assert client.get("/readyz").status_code == 200
        assert client.post("/predict", json={"inputs": rows}).status_code == 200
