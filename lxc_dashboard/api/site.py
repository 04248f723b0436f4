"""All HTTP routes of the product, and how they wrap Reflex's app.

Each module with routes is listed in ``site_routes``. Handlers take a Starlette ``Request`` and get runtime and session from
``request.session_of``. ``AccessMiddleware`` requires a session for every path that is not public.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from lxc_dashboard.api.console import console_routes
from lxc_dashboard.api.feed import feed_routes
from lxc_dashboard.api.health import health_routes
from lxc_dashboard.api.job_log import job_log_routes
from lxc_dashboard.api.middleware.access import AccessMiddleware
from lxc_dashboard.api.middleware.connections import Connections
from lxc_dashboard.api.middleware.headers import inline_scripts
from lxc_dashboard.api.sign_in import sign_in_routes
from lxc_dashboard.api.templates import template_routes
from lxc_dashboard.api.v1.site import v1_routes
from lxc_dashboard.api.webhooks import webhook_routes

if TYPE_CHECKING:
    from lxc_dashboard.state.process import WebProcess


def site_routes() -> list[BaseRoute]:
    return [
        *sign_in_routes(),
        *health_routes(),
        *feed_routes(),
        *job_log_routes(),
        *console_routes(),
        *webhook_routes(),
        *template_routes(),
        *v1_routes(),
    ]


def wrap_reflex(process: WebProcess, bundle: Path, connections: Connections) -> Callable[[ASGIApp], ASGIApp]:
    """For Reflex's ``api_transformer``. ``bundle`` is the folder of the built pages, read when the server starts."""

    def transform(reflex_app: ASGIApp) -> ASGIApp:
        router = Router(routes=[*site_routes(), Mount("", app=Pages(reflex_app, bundle))])
        return connections.wrap(AccessMiddleware(router, process, inline_scripts(bundle)))

    return transform


class Pages:
    """Serves ``/templates`` from ``templates.html``. Reflex redirects to ``/templates/`` with a host name of its own instead."""

    def __init__(self, app: ASGIApp, bundle: Path) -> None:
        self._app = app
        self._pages = {f"/{page.relative_to(bundle).with_suffix('').as_posix()}" for page in bundle.rglob("*.html")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in self._pages:
            path = f"{scope['path']}.html"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
