"""What a route reads from its request: the caller, ids in the path, the client's address and the body."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from lxc_dashboard.api.middleware.address import Trust, client_address, headers_of
from lxc_dashboard.errors import NotFoundError, SessionExpiredError
from lxc_dashboard.services.auth.sign_in import Origin

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.state.guard import Caller
    from lxc_dashboard.state.process import WebProcess

T = TypeVar("T")

CALLER: Final = "lxc_dashboard.caller"
DISCONNECT: Final = "http.disconnect"
BODY_BYTES: Final = 1024 * 1024


def caller_of(request: Request) -> Caller:
    """Runtime and session of a request. ``session`` is None only on a public path."""
    caller: Caller = request.scope[CALLER]
    return caller


def session_of(request: Request) -> tuple[Runtime, Session]:
    """Raises ``SessionExpiredError`` without a session."""
    caller = caller_of(request)
    if caller.session is None:
        raise SessionExpiredError
    return caller.runtime, caller.session


def session_and_id(request: Request, name: str) -> tuple[Runtime, Session, UUID]:
    """The caller, and the id in the path parameter ``name``. Raises ``NotFoundError`` for an invalid id."""
    return *session_of(request), parse_id(request.path_params[name])


def parse_id(value: str) -> UUID:
    """Raises ``NotFoundError`` for an invalid id."""
    try:
        return UUID(value)
    except ValueError:
        raise NotFoundError from None


def trust_of(process: WebProcess) -> Trust:
    settings = process.runtime.settings
    return Trust.of(settings.TRUSTED_PROXIES, settings.PUBLIC_URL)


def client_of(request: Request) -> Origin:
    """Address and user agent of the client, for limits and audit."""
    headers = headers_of(request.scope)
    address = client_address(request.scope, headers, trust_of(caller_of(request).process))
    return Origin(address, headers.get("user-agent", ""))


async def read_body(request: Request) -> bytes | None:
    """Read the body; None if it is longer than ``BODY_BYTES``, and the rest is not read."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


async def until_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Await ``work``; cancel it and return None when the client disconnects. For requests without a body."""
    working, disconnecting = asyncio.create_task(work), asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait({working, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        disconnecting.cancel()
        await asyncio.wait({working, disconnecting})


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != DISCONNECT:
        pass
