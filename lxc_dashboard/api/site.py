"""All HTTP routes of the product, and how they wrap Reflex's app. Also the feed's snapshot and the process's health.

Each module with routes is listed in ``site_routes``. Handlers take a Starlette ``Request`` and get runtime and session from
``request.session_of``. ``AccessMiddleware`` requires a session for every path that is not public.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from lxc_dashboard import routes
from lxc_dashboard.api.console import console_routes
from lxc_dashboard.api.job_log import job_log_routes
from lxc_dashboard.api.middleware.access import AccessMiddleware
from lxc_dashboard.api.middleware.connections import Connections
from lxc_dashboard.api.middleware.headers import NO_STORE, inline_scripts
from lxc_dashboard.api.request import caller_of, session_of
from lxc_dashboard.api.sign_in import sign_in_routes
from lxc_dashboard.api.templates import template_routes, webhook_routes
from lxc_dashboard.api.v1.site import v1_routes
from lxc_dashboard.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from lxc_dashboard.state.process import WebProcess


def feed_routes() -> list[BaseRoute]:
    return [
        Route(routes.FEED, snapshot, methods=["GET"]),
        Route(routes.NODES_FEED, nodes, methods=["GET"]),
    ]


async def snapshot(request: Request) -> Response:
    """``GET /api/containers``: ``{v, columns: {field: [value]}, meta}``, gzipped once for all viewers."""
    _, session = session_of(request)
    body = await caller_of(request).hub.snapshot(session)
    headers = {"Content-Encoding": "gzip", "Cache-Control": "no-store", "Vary": "Cookie"}
    return Response(body, media_type="application/json", headers=headers)


async def nodes(request: Request) -> Response:
    """``GET /api/nodes``: ``{v, meta}`` of the same feed, without rows."""
    _, session = session_of(request)
    body = await caller_of(request).hub.nodes(session)
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store", "Vary": "Cookie"})


def health_routes() -> list[Route]:
    return [
        Route(routes.LIVE, live, methods=["GET"]),
        Route(routes.READY, ready, methods=["GET"]),
        Route(routes.SESSION, session, methods=["GET"]),
    ]


async def live(_request: Request) -> Response:
    """200 while the process runs."""
    return JSONResponse({"live": True})


async def ready(request: Request) -> Response:
    """200 if PostgreSQL and Redis answer, else 503: ``{database, redis}`` as booleans."""
    runtime = caller_of(request).runtime
    pings = {"database": runtime.db.ping(), "redis": runtime.bus.ping()}
    answers = await asyncio.gather(*pings.values(), return_exceptions=True)
    up = {name: not isinstance(answer, ServiceUnavailableError) for name, answer in zip(pings, answers, strict=True)}
    return JSONResponse(up, status_code=200 if all(up.values()) else 503)


async def session(_request: Request) -> Response:
    """200 while the caller is signed in; the middleware answers 401 otherwise.

    A page asks this when its websocket is refused.
    """
    return JSONResponse({"open": True}, headers=NO_STORE)


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
    """The ``api_transformer`` for Reflex. ``bundle``: the folder of the built pages, read when the server starts."""

    def transform(reflex_app: ASGIApp) -> ASGIApp:
        router = Router(routes=[*site_routes(), Mount("", app=Pages(reflex_app, bundle))])
        return connections.wrap(AccessMiddleware(router, process, inline_scripts(bundle)))

    return transform


class Pages:
    """Serves ``/templates`` from ``templates.html``. Reflex would redirect to ``/templates/`` at its own host name."""

    def __init__(self, app: ASGIApp, bundle: Path) -> None:
        self._app = app
        self._pages = {f"/{page.relative_to(bundle).with_suffix('').as_posix()}" for page in bundle.rglob("*.html")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in self._pages:
            path = f"{scope['path']}.html"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
