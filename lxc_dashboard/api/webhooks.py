"""Webhooks of git servers about pushes. Public; a signature with the source's secret proves the sender."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.address import headers_of
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.api.request import BODY_BYTES, caller_of, client_of, read_body
from lxc_dashboard.services.templates.sources import webhooks

if TYPE_CHECKING:
    from starlette.requests import Request


def webhook_routes() -> list[BaseRoute]:
    return [Route(f"{routes.WEBHOOKS}/templates/{{source_id}}", template_source, methods=["POST"])]


async def template_source(request: Request) -> Response:
    """``POST /api/webhooks/templates/{source_id}``: 202 if a discovery follows, 401 without a valid signature, 413 above 1 MiB."""
    caller = caller_of(request)
    address = client_of(request).address
    await webhooks.limit(caller.runtime, address)
    body = await read_body(request)
    if body is None:
        return _problem(413, text.API_BODY_TOO_LARGE.format(mib=BODY_BYTES >> 20))
    try:
        source_id = UUID(request.path_params["source_id"])
    except ValueError:
        return _refused()
    if not await webhooks.accept(caller.runtime, source_id, headers_of(request.scope), body, address):
        return _refused()
    return JSONResponse({"accepted": True}, status_code=202, headers=NO_STORE)


def _refused() -> Response:
    return _problem(401, text.WEBHOOK_REFUSED)


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers=NO_STORE)
