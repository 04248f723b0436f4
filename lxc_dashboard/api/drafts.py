"""Files of a draft over HTTP: sent as they are, whatever they hold, and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.access import asked_for
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES
from lxc_dashboard.services.templates.library import drafts

if TYPE_CHECKING:
    from starlette.requests import Request


NO_STORE: Final = {"Cache-Control": "no-store"}
HEARD_OUT_BYTES: Final = 4 * MAX_FILE_BYTES
TOO_LONG: Final = text.FILE_AT_MOST.format(mib=MAX_FILE_BYTES >> 20)


def draft_routes() -> list[Route]:
    base = f"{routes.DRAFTS}/{{draft_id}}/files"
    return [
        Route(base, put_file, methods=["POST"]),
        Route(f"{base}/{{sha256}}", read_file, methods=["GET"]),
    ]


async def put_file(request: Request) -> Response:
    """The body is the file: ``{sha256, size}``. Nothing is read from who may not change templates."""
    rt, session, draft_id = asked_for(request, "draft_id")
    await rights.require_author(rt, session)
    data = await _body(request)
    sha256 = await drafts.put_file(rt, session, draft_id, data)
    body = msgspec.json.encode({"sha256": sha256, "size": len(data)})
    return Response(body, media_type="application/json", headers=NO_STORE)


async def read_file(request: Request) -> Response:
    """The file as it is, to be kept and never to be shown: it may be a page."""
    rt, session, draft_id = asked_for(request, "draft_id")
    data = await drafts.read_file(rt, session, draft_id, request.path_params["sha256"])
    headers = {**NO_STORE, "Content-Disposition": "attachment"}
    return Response(data, media_type="application/octet-stream", headers=headers)


async def _body(request: Request) -> bytes:
    """Raises ``InvalidInputError`` for one that is too long, which is read on for a while: who is still sending hears nothing."""
    received = bytearray()
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= MAX_FILE_BYTES:
            received += chunk
        elif length > HEARD_OUT_BYTES:
            break
    if length > MAX_FILE_BYTES:
        raise InvalidInputError({"content": TOO_LONG}, TOO_LONG)
    return bytes(received)
