"""Bodies of requests, never longer than they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

BODY_BYTES: Final = 1024 * 1024


async def bounded(request: Request) -> bytes | None:
    """None where it is longer than ``BODY_BYTES``, of which no more is read."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
