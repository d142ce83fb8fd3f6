"""Our application in place of BentoML's for everything that is HTTP."""

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send


class EverythingToApp:
    """Hands every HTTP request to our application.

    BentoML's own routes and its plain-text 404 stand before a mounted application; its lifespan
    still runs through the mount.

    BentoML puts its middleware around ours. Its timeout starts a task for every request and leaves
    a timer behind until the timeout has passed: 700 bytes for a minute and more, 300 MB at 6,000
    requests a second. So when the server starts, ours moves to the outside, ahead of all of it;
    with tracing it stays, since the spans are made there.

    Args:
        app: BentoML's application, which gets what is not HTTP.
        mounted: ours.
        outermost: whether to move.
    """

    def __init__(self, app: ASGIApp, mounted: ASGIApp, *, outermost: bool) -> None:
        self._app = app
        self._mounted = mounted
        self._outermost = outermost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "lifespan" and self._outermost:
            around: Starlette = scope["app"]
            stack = around.middleware_stack
            if stack is not None:
                around.middleware_stack = EverythingToApp(stack, self._mounted, outermost=False)
        await (self._mounted if scope["type"] == "http" else self._app)(scope, receive, send)
