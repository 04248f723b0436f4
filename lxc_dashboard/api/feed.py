"""What a live page begins with: the list of containers, and the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lxc_dashboard import routes
from lxc_dashboard.api.middleware.access import caller_of
from lxc_dashboard.errors import SessionExpiredError

if TYPE_CHECKING:
    from starlette.requests import Request


def feed_routes() -> list[BaseRoute]:
    return [
        Route(routes.FEED, snapshot, methods=["GET"]),
        Route(routes.NODES_FEED, glance, methods=["GET"]),
    ]


async def snapshot(request: Request) -> Response:
    """``GET /api/containers``: ``{v, columns: {field: [value]}, meta}``, gzipped once for all viewers."""
    caller = caller_of(request)
    if caller.session is None:
        raise SessionExpiredError
    body = await caller.hub.snapshot(caller.session)
    headers = {"Content-Encoding": "gzip", "Cache-Control": "no-store", "Vary": "Cookie"}
    return Response(body, media_type="application/json", headers=headers)


async def glance(request: Request) -> Response:
    """``GET /api/nodes``: ``{v, meta}`` of the same feed, without the rows."""
    caller = caller_of(request)
    if caller.session is None:
        raise SessionExpiredError
    body = await caller.hub.glance(caller.session)
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store", "Vary": "Cookie"})
