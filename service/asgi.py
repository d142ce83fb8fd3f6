"""The ASGI application: routes and error handlers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from rcmvae.errors import RcmvaeError
from service.every_request import EveryRequest
from service.problem import on_disconnect, on_http, on_raised
from service.routes.bundle import get_bundle, get_labels
from service.routes.candidates import get_candidates
from service.routes.channels import get_channel_image, get_channels
from service.routes.drift import get_drift
from service.routes.feedback import get_feedback, post_feedback
from service.routes.health import livez, metrics, readyz
from service.routes.latent_map import get_latent_map
from service.routes.page import page, page_asset
from service.routes.pages import docs, openapi, swagger_script, swagger_style
from service.routes.predict import predict
from service.routes.reconstruct import reconstruct
from service.routes.thumbnails import get_sprite, get_thumbnail
from service.runtime import running
from service.settings import Settings

ROUTES = (
    Route("/predict", predict, methods=["POST"]),
    Route("/feedback", post_feedback, methods=["POST"]),
    Route("/feedback/{feedback_id}", get_feedback, methods=["GET"]),
    Route("/labels", get_labels, methods=["GET"]),
    Route("/bundle", get_bundle, methods=["GET"]),
    Route("/candidates", get_candidates, methods=["GET"]),
    Route("/latent-map", get_latent_map, methods=["GET"]),
    Route("/thumbnails", get_sprite, methods=["GET"]),
    Route("/thumbnails/{point_id}", get_thumbnail, methods=["GET"]),
    Route("/channels", get_channels, methods=["GET"]),
    Route("/channels/{channel}/image", get_channel_image, methods=["GET"]),
    Route("/reconstruct", reconstruct, methods=["POST"]),
    Route("/drift", get_drift, methods=["GET"]),
    Route("/livez", livez, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
    Route("/openapi.json", openapi, methods=["GET"]),
    Route("/docs", docs, methods=["GET"]),
    Route("/docs/swagger-ui-bundle.js", swagger_script, methods=["GET"]),
    Route("/docs/swagger-ui.css", swagger_style, methods=["GET"]),
    Route("/assets/{name}", page_asset, methods=["GET"]),
    Route("/", page, methods=["GET"]),
)


def create_app(settings: Settings) -> Starlette:
    """The application; what it holds is made when it starts, not here."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with running(settings) as runtime:
            app.state.runtime = runtime
            yield

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(EveryRequest)],
        exception_handlers={
            RcmvaeError: on_raised,
            ClientDisconnect: on_disconnect,
            HTTPException: on_http,
        },
        lifespan=lifespan,
    )
    # A path with a slash too many is an unknown path, not a redirect.
    app.router.redirect_slashes = False
    return app
