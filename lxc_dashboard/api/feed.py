"""The first state of a live page: the list of containers, and the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lxc_dashboard import routes
from lxc_dashboard.api.request import caller_of, session_of

if TYPE_CHECKING:
    from starlette.requests import Request


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
