"""The BentoML service: ``bentoml serve service.app:RcmVae``."""

import logging
import sys
from typing import Protocol, cast

import bentoml

from rcmvae.errors import RcmvaeError
from service.asgi import create_app
from service.bind_address import bind_address
from service.deployment import prepare
from service.everything_to_app import EverythingToApp
from service.settings import Settings

settings = Settings()
app = create_app(settings)

_log = logging.getLogger("bentoml.rcmvae")


@bentoml.asgi_app(app, path="/")
@bentoml.service(
    name="rcmvae",
    workers=settings.workers,
    # Ours comes first and answers in our form; BentoML keeps a timer until its own has passed.
    traffic={"timeout": settings.timeout_seconds + 5},
    # Loopback unless --host says otherwise.
    http={"host": "127.0.0.1"},
    # Its metrics label by URL path, which is unbounded; ours are in service/metrics.py.
    metrics={"enabled": False},
    # Its line has the path, which is from outside; ours is written in service/every_request.py.
    logging={"access": {"enabled": False}},
    # A span is made even at sample rate 0; only the exclusion spares the cost.
    tracing={} if settings.tracing else {"excluded_urls": [".*"]},
)
class RcmVae:
    """A classification service that knows what it does not know."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def prepare() -> None:
        """Once, before the workers are started."""
        try:
            prepare(settings, bind_address())
        except RcmvaeError as error:
            _log.error("not started: %s", error)
            sys.exit(1)


class _TakesMiddleware(Protocol):
    def add_asgi_middleware(self, middleware_cls: type, **options: object) -> None: ...


cast("_TakesMiddleware", RcmVae).add_asgi_middleware(
    EverythingToApp, mounted=app, outermost=not settings.tracing
)
