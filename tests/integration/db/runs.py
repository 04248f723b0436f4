"""Jobs that are queued, held by a worker, or have a lent ticket."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import CREATE_KIND, Container, Job
from lxc_dashboard.db.repositories.tickets import JobTicket

LEASE_S = 60
TICKET = JobTicket("PVE:root@pam:hunter2", "csrf-hunter2")


async def queued(database: DatabaseService, container: Container, userids: Iterable[str]) -> list[Job]:
    """One queued job for each user."""
    async with database.transaction() as tx:
        return [
            await tx.jobs.add(Job.about(container, CREATE_KIND, step="creating", locks_guest=False, userid=userid))
            for userid in userids
        ]


async def hold(database: DatabaseService, creation: Job) -> None:
    async with database.transaction() as tx:
        assert await tx.leases.acquire(creation.id, "a", LEASE_S)


async def sign_in(database: DatabaseService, creation: Job, session_id: UUID) -> Job:
    async with database.transaction() as tx:
        return await tx.tickets.set(creation.id, TICKET, session_id=session_id, signed_in_at=datetime.now(UTC))
