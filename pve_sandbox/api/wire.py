"""The outermost layer: PVE's headers, bare 401 and 595, refused methods, gzip, and faults."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import json
from typing import Any

import msgspec
from aiohttp import web
from fakepve.server import FORMATS, FakePve

from pve_sandbox.faults import Faults

METHODS = ("GET", "POST", "PUT", "DELETE")
JSON_TYPE = "application/json;charset=UTF-8"
NOTICE = "This is the sandbox node of LXC Template Manager Dashboard, a test double. It is not Proxmox VE.\n"
UNANSWERED = range(595, 600)  # the peer or its daemon does not answer: no body
SMALLEST_GZIP_BYTES = 1024
GZIP_LEVEL = 1
TICKET_PATHS = tuple(prefix + "/access/ticket" for prefix in FORMATS)
FILESYSTEM_DOWN = "RPCEnvironment init request failed: Unable to load access control list: Connection refused"
FAILED_SIGN_IN_PVE_S = 3.0
DAEMON_DOWN = "Connection refused"
UNANSWERED_PVE_S = 3.0  # for a peer without a route; a refused connection fails at once


def json_answer(data: Any, **fields: Any) -> web.Response:
    """Answer with ``{"data": data}`` and other top-level fields (``total``)."""
    return web.Response(body=msgspec.json.encode({"data": data, **fields}), content_type="application/json")


class Wire(FakePve):
    """``faults`` are applied here. ``auth_delay_s`` is the delay of a 401."""

    faults: Faults
    auth_delay_s: float | None = None

    def _build_app(self) -> web.Application:
        app: web.Application = super()._build_app()
        app.middlewares.insert(0, self._front)
        app.on_response_prepare.append(_pve_headers)
        app.router.add_get("/", _notice)
        return app

    @web.middleware
    async def _front(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if await self.faults.drops_request(request):
            return _cut(request)
        if self.faults.filesystem_down:
            return web.Response(status=500, reason=FILESYSTEM_DOWN)
        if request.method not in METHODS:
            return web.Response(status=501, reason=f"method '{request.method}' not available")
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            response = _no_such_format(request)
        if self.faults.drops_answer(request):
            return _cut(request)
        return await self._as_pve(request, response) if isinstance(response, web.Response) else response

    async def _as_pve(self, request: web.Request, response: web.Response) -> web.Response:
        if response.status == web.HTTPUnauthorized.status_code:
            delay = FAILED_SIGN_IN_PVE_S * self.time_scale if self.auth_delay_s is None else self.auth_delay_s
            await asyncio.sleep(delay)
            return response if request.path in TICKET_PATHS else _bare(response)
        if response.status in UNANSWERED:
            if response.reason != DAEMON_DOWN:
                await self.pause(UNANSWERED_PVE_S)
            return _bare(response)
        if response.status == web.HTTPNotImplemented.status_code and response.content_type == "application/json":
            body = json.loads(response.text or "{}")
            body["message"] = str(body.get("message", "")).rstrip("\n")
            response.body = json.dumps(body).encode()
        return _zipped(request, response)


def _bare(response: web.Response) -> web.Response:
    """The status line without a body."""
    return web.Response(status=response.status, reason=response.reason)


def _zipped(request: web.Request, response: web.Response) -> web.Response:
    body = response.body
    if (
        isinstance(body, bytes)
        and len(body) >= SMALLEST_GZIP_BYTES
        and "gzip" in request.headers.get("Accept-Encoding", "")
    ):
        response.body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    return response


def _cut(request: web.Request) -> web.Response:
    """Abort the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _no_such_format(request: web.Request) -> web.Response:
    parts = request.path.split("/")
    if len(parts) > 3 and parts[1] == "api2":  # noqa: PLR2004 - "", "api2", format, path
        text = f"no formatter for uri /{'/'.join(parts[3:])}, {parts[2]}"
        return web.Response(status=501, reason=text, text=text)
    return web.Response(status=404, reason="no such file", text=NOTICE)


async def _notice(_request: web.Request) -> web.Response:
    return web.Response(text=NOTICE)


async def _pve_headers(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    headers["Server"] = "pve-api-daemon/3.0"
    headers["Cache-Control"] = "max-age=0"
    headers["Pragma"] = "no-cache"
    headers["Expires"] = email.utils.formatdate(usegmt=True)
    headers["X-Sandbox"] = "lxc-dashboard"
    if isinstance(response, web.Response) and not response.body:
        headers.popall("Content-Type", None)
    elif response.content_type == "text/plain":
        # PVE sends plain errors without a content type, and logs without a charset.
        headers.popall("Content-Type")
        if response.status == web.HTTPOk.status_code:
            headers["Content-Type"] = "text/plain"
    elif response.content_type == "application/json":
        headers["Content-Type"] = JSON_TYPE
    if request.version < (1, 1):
        response.force_close()
