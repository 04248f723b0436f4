"""Health of the web process. The answers are public and hold nothing else."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lxc_dashboard import routes
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.api.request import caller_of
from lxc_dashboard.errors import ServiceUnavailableError


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
