"""What the pages that jobs move on share: the room of the hub that tells of changes."""

from __future__ import annotations

from lxc_dashboard.state.base import EMPTY, READY, PageState, caller, requires, session


class JobRoom(PageState, mixin=True):
    """``tick`` is never set here: the hub pushes it when anything changed."""

    tick: int = 0

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
        """Something changed at this endpoint."""
        await self._follow()

    async def _follow(self) -> None:
        """Reads what has changed."""
        raise NotImplementedError
