"""All routes that are ours, and how they are put around Reflex's app.

A new module with routes is named in ``site_routes``. Its handlers take a Starlette ``Request`` and get runtime and session from
``door.caller_of(request)``. They are closed to whoever is not signed in: the door sees to that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from lxc_dashboard.api.console import console_routes
from lxc_dashboard.api.drafts import draft_routes
from lxc_dashboard.api.feed import feed_routes
from lxc_dashboard.api.health import health_routes
from lxc_dashboard.api.job_log import creation_routes
from lxc_dashboard.api.middleware.access import Door
from lxc_dashboard.api.middleware.connections import Connections
from lxc_dashboard.api.middleware.headers import inline_scripts
from lxc_dashboard.api.sign_in import sign_in_routes
from lxc_dashboard.api.template_files import template_file_routes
from lxc_dashboard.api.templates import archive_routes
from lxc_dashboard.api.v1.site import v1_routes
from lxc_dashboard.api.webhooks import webhook_routes

if TYPE_CHECKING:
    from lxc_dashboard.state.process import WebProcess


def site_routes() -> list[BaseRoute]:
    return [
        *sign_in_routes(),
        *health_routes(),
        *feed_routes(),
        *creation_routes(),
        *console_routes(),
        *draft_routes(),
        *template_file_routes(),
        *webhook_routes(),
        *archive_routes(),
        *v1_routes(),
    ]


def around(process: WebProcess, bundle: Path, connections: Connections) -> Callable[[ASGIApp], ASGIApp]:
    """For Reflex's ``api_transformer``. ``bundle`` is the folder of the compiled pages, looked at when the server starts."""

    def transform(reflex_app: ASGIApp) -> ASGIApp:
        router = Router(routes=[*site_routes(), Mount("", app=Pages(reflex_app, bundle))])
        return connections.around(Door(router, process, inline_scripts(bundle)))

    return transform


class Pages:
    """Serves ``/templates`` from ``templates.html``: Reflex would redirect to ``/templates/`` first, with a host of its own."""

    def __init__(self, app: ASGIApp, bundle: Path) -> None:
        self._app = app
        self._pages = {f"/{page.relative_to(bundle).with_suffix('').as_posix()}" for page in bundle.rglob("*.html")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in self._pages:
            path = f"{scope['path']}.html"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
