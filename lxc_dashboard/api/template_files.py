"""Scripts and files of a template's revision, to be downloaded as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lxc_dashboard import routes
from lxc_dashboard.api.middleware.access import asked_for
from lxc_dashboard.services.templates.library import catalog

if TYPE_CHECKING:
    from starlette.requests import Request


# What a guest would run must not run in the browser of who looks at it.
HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def template_file_routes() -> list[BaseRoute]:
    base = f"{routes.TEMPLATE_REVISIONS}/{{revision_id}}"
    return [
        Route(f"{base}/scripts/{{name}}", script, methods=["GET"]),
        Route(f"{base}/files/{{name}}", file, methods=["GET"]),
    ]


async def script(request: Request) -> Response:
    rt, session, revision_id = asked_for(request, "revision_id")
    found = await catalog.get_script(session, rt.db, revision_id, request.path_params["name"])
    return _attached(found.name, found.content.encode())


async def file(request: Request) -> Response:
    rt, session, revision_id = asked_for(request, "revision_id")
    found = await catalog.get_file(session, rt.db, revision_id, request.path_params["name"])
    return _attached(found.name, found.content)


def _attached(name: str, content: bytes) -> Response:
    headers = {**HEADERS, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(content, media_type="application/octet-stream", headers=headers)
