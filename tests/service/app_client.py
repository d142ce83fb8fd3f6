"""The application in this process, with its lifespan, behind a blocking client."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from service.asgi import create_app
from service.runtime import Runtime
from service.settings import Settings
from tests.service.witness import Witness


class AppClient:
    """Sends requests into an application; its event loop turns only while a call runs.

    A reply that the OpenAPI document does not describe fails the test.
    """

    def __init__(self, app: Starlette, runner: asyncio.Runner) -> None:
        has_keys = app.state.runtime.settings.keys_file is not None
        self._witness = Witness(app, app.routes, has_keys=has_keys)
        transport = httpx.ASGITransport(self._witness, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        self._runner = runner
        self._app = app

    @property
    def runtime(self) -> Runtime:
        """What the application holds."""
        runtime: Runtime = self._app.state.runtime
        return runtime

    def call(self, coroutine: Any) -> Any:
        """Run a coroutine on the application's loop."""
        return self._runner.run(coroutine)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request."""
        response: httpx.Response = self.call(self._http.request(method, path, **options))
        undocumented = self._witness.take()
        assert not undocumented, undocumented
        return response

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """POST."""
        return self.request("POST", path, **options)

    def close(self) -> None:
        """Close the client."""
        self.call(self._http.aclose())


@contextmanager
def running_app(settings: Settings) -> Iterator[AppClient]:
    """Start the application, and stop it at the end."""
    app = create_app(settings)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        client = AppClient(app, runner)
        try:
            yield client
        finally:
            client.close()
            runner.run(lifespan.__aexit__(None, None, None))
