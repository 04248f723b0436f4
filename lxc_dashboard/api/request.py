"""Work for one who may go away before it is done: nobody waits for the answer then, and others wait for the database."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

LEFT: Final = "http.disconnect"


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What ``work`` comes to; None where the client left meanwhile, and it was cancelled. For requests without a body."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait({working, leaving})


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != LEFT:
        pass
