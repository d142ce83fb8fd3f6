"""The ASGI application: routes and error handlers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from rcmvae.errors import RcmvaeError
from service.access import Access, Scope, ScopedRoute
from service.direct import DirectRoutes
from service.every_request import EveryRequest
from service.oip.routes import OIP_ROUTES
from service.problem import on_disconnect, on_http, on_raised
from service.routes.bundle import get_bundle, get_labels
from service.routes.candidates import get_candidates
from service.routes.channels import get_channel_image, get_channels
from service.routes.drift import get_drift
from service.routes.events import get_events
from service.routes.feedback import post_feedback
from service.routes.feedback_life import (
    accept_feedback,
    delete_feedback,
    get_feedback,
    get_feedback_events,
    list_disputes,
    list_feedback,
)
from service.routes.health import livez, metrics, readyz
from service.routes.key import get_key
from service.routes.label_edits import delete_label_edit, post_label_edit
from service.routes.latent_map import get_latent_map
from service.routes.page import page, page_asset
from service.routes.pages import docs, docs_script, openapi, swagger_script, swagger_style
from service.routes.points import get_point
from service.routes.predict import predict
from service.routes.reconstruct import reconstruct
from service.routes.retrain import get_retrain, post_retrain
from service.routes.thumbnails import get_sprite, get_thumbnail
from service.routes.versions import get_versions, post_promote, post_rollback
from service.runtime import running
from service.settings import Settings

PREDICT = ScopedRoute("/predict", predict, methods=["POST"], needs=Scope.PREDICT)

ROUTES: tuple[ScopedRoute, ...] = (
    PREDICT,
    *OIP_ROUTES,
    ScopedRoute("/feedback", post_feedback, methods=["POST"], needs=Scope.FEEDBACK),
    ScopedRoute("/feedback", list_feedback, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/feedback/{feedback_id}", get_feedback, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute(
        "/feedback/{feedback_id}", delete_feedback, methods=["DELETE"], needs=Scope.FEEDBACK
    ),
    ScopedRoute(
        "/feedback/{feedback_id}/events", get_feedback_events, methods=["GET"], needs=Scope.PREDICT
    ),
    ScopedRoute(
        "/feedback/{feedback_id}/accept", accept_feedback, methods=["POST"], needs=Scope.ADMIN
    ),
    ScopedRoute("/disputes", list_disputes, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/key", get_key, methods=["GET"], needs=Access.ANY_KEY),
    ScopedRoute("/points/{point_id}", get_point, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/labels", get_labels, methods=["GET"], needs=Access.ANY_KEY),
    ScopedRoute("/labels/edits", post_label_edit, methods=["POST"], needs=Scope.ADMIN),
    ScopedRoute(
        "/labels/edits/{edit_id}", delete_label_edit, methods=["DELETE"], needs=Scope.ADMIN
    ),
    ScopedRoute("/bundle", get_bundle, methods=["GET"], needs=Access.ANY_KEY),
    ScopedRoute("/candidates", get_candidates, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/latent-map", get_latent_map, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/thumbnails", get_sprite, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/thumbnails/{point_id}", get_thumbnail, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/channels", get_channels, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute(
        "/channels/{channel}/image", get_channel_image, methods=["GET"], needs=Scope.PREDICT
    ),
    ScopedRoute("/reconstruct", reconstruct, methods=["POST"], needs=Scope.PREDICT),
    ScopedRoute("/retrain", get_retrain, methods=["GET"], needs=Access.ANY_KEY),
    ScopedRoute("/retrain", post_retrain, methods=["POST"], needs=Scope.ADMIN),
    ScopedRoute("/versions", get_versions, methods=["GET"], needs=Access.ANY_KEY),
    ScopedRoute("/bundle/promote", post_promote, methods=["POST"], needs=Scope.ADMIN),
    ScopedRoute("/bundle/rollback", post_rollback, methods=["POST"], needs=Scope.ADMIN),
    ScopedRoute("/events", get_events, methods=["GET"], needs=Scope.PREDICT),
    ScopedRoute("/drift", get_drift, methods=["GET"], needs=Access.ANY_KEY),
    ScopedRoute("/livez", livez, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/readyz", readyz, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/metrics", metrics, methods=["GET"], needs=Access.ANY_KEY),
    ScopedRoute("/openapi.json", openapi, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/docs", docs, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/docs/start.js", docs_script, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/docs/swagger-ui-bundle.js", swagger_script, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/docs/swagger-ui.css", swagger_style, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/assets/{name}", page_asset, methods=["GET"], needs=Access.OPEN),
    ScopedRoute("/", page, methods=["GET"], needs=Access.OPEN),
)
"""Every route, and what a key must be good for to use it."""


class Application(Starlette):
    """Starlette without its outermost layer, whose work `EveryRequest` does in our form."""

    def build_middleware_stack(self) -> ASGIApp:
        """The layers, from the router outwards."""
        handled = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        return EveryRequest(DirectRoutes(handled, routes=(PREDICT,)))


def create_app(settings: Settings) -> Starlette:
    """The application; what it holds is made when it starts, not here."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with running(settings) as runtime:
            app.state.runtime = runtime
            yield

    app = Application(
        routes=ROUTES,
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
