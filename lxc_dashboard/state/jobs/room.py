"""What the pages that jobs move on share: the room of the hub that tells of changes."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from lxc_dashboard.errors import ServiceUnavailableError, UnreachableError
from lxc_dashboard.state.base import EMPTY, LOADING, READY, PageState, caller, requires, session

log = structlog.get_logger(__name__)

RIGHTS_HOLD_S: Final = 15.0
ANSWERS_WITHIN_S: Final = 4.0


class JobRoom(PageState, mixin=True):
    """``tick`` is never set here: the hub pushes it when anything changed. ``_read`` fills the page, and asks what may be seen."""

    tick: int = 0
    _read_at: float = 0.0

    @requires(unattended=True)
    async def watch(self) -> None:
        """From now on this socket is told of changes; what has changed until now is read."""
        await caller().process.jobs.watch(self.router.session.session_id, session().endpoint_id)
        if self.phase in {READY, EMPTY}:
            await self._follow()

    @requires(unattended=True)
    async def leave(self) -> None:
        """The page is not looked at any more."""
        await caller().process.jobs.leave(self.router.session.session_id, session().endpoint_id)

    @requires(unattended=True)
    async def follow(self) -> None:
        """Something changed at this endpoint. What is being read for the first time will have it anyway."""
        if self.phase != LOADING:
            await self._follow()

    async def _follow(self) -> None:
        """Reads what has changed."""
        raise NotImplementedError

    async def _read(self) -> None:
        """Reads what is to be shown now."""
        raise NotImplementedError

    async def _read_again(self) -> bool:
        """Whether all was read again, since that was long ago: rights may be lost. A PVE that is away takes nothing."""
        if time.monotonic() - self._read_at < RIGHTS_HOLD_S:
            return False
        self._read_at = time.monotonic()
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await self._read()
        except (TimeoutError, UnreachableError, ServiceUnavailableError) as error:
            log.info("rights not looked at", why=str(error))
            return False
        return True
