"""A run's lease: renewed in the background until its end, with an event that says that it is lost."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

import structlog

from lxc_dashboard.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from types import TracebackType

    from lxc_dashboard.runtime import Runtime

log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 0.5


def new_owner() -> str:
    """One attempt of one worker, never used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(6)}"


class Lease:
    """Held from the acquisition on. While PostgreSQL is away nobody else can take it either."""

    def __init__(self, rt: Runtime, job_id: UUID, owner: str) -> None:
        self._rt = rt
        self._id = job_id
        self.owner = owner
        self.lost = asyncio.Event()
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._rt.timing.renew_lease_every_s)
            if not await self.renew():
                log.warning("lease lost", job_id=str(self._id), owner=self.owner)
                self.lost.set()
                return

    async def renew(self) -> bool:
        """Once the database answers: whether it is held still. It may have run out, as long as nobody else took the run."""
        while True:
            try:
                async with self._rt.db.transaction() as tx:
                    return await tx.leases.renew(self._id, self.owner, self._rt.timing.lease_s)
            except ServiceUnavailableError as error:
                log.warning("lease not renewed", job_id=str(self._id), why=str(error))
                await asyncio.sleep(AGAIN_AFTER_S)
