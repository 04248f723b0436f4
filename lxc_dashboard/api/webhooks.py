"""Where git servers tell that something was pushed. Open to anybody who signs with the source's own secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lxc_dashboard import routes
from lxc_dashboard.api.body import bounded
from lxc_dashboard.api.middleware.access import caller_of, origin_of, trust_of
from lxc_dashboard.api.middleware.address import headers_of
from lxc_dashboard.services.templates.sources import webhooks

if TYPE_CHECKING:
    from starlette.requests import Request

NO_STORE: Final = {"Cache-Control": "no-store"}


def webhook_routes() -> list[BaseRoute]:
    return [Route(f"{routes.WEBHOOKS}/templates/{{source_id}}", template_source, methods=["POST"])]


async def template_source(request: Request) -> Response:
    """``POST /api/webhooks/templates/{source_id}``: 202 where a pass will follow, 401 for anything unproven, 413 above 1 MiB."""
    caller = caller_of(request)
    address = origin_of(request, trust_of(caller.process)).address
    await webhooks.limit(caller.runtime, address)
    body = await bounded(request)
    if body is None:
        return _said(413, "The body is larger than 1 MiB")
    try:
        source_id = UUID(request.path_params["source_id"])
    except ValueError:
        return _refused()
    if not await webhooks.accept(caller.runtime, source_id, headers_of(request.scope), body, address):
        return _refused()
    return JSONResponse({"accepted": True}, status_code=202, headers=NO_STORE)


def _refused() -> Response:
    return _said(401, "No source takes webhooks here, or the signature is wrong")


def _said(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status_code=status, headers=NO_STORE)
