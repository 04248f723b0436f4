"""Runs that are held by a worker, and that somebody has lent a ticket to."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.models import Creation
from lxc_dashboard.db.repositories.tickets import JobTicket

LEASE_S = 60
TICKET = JobTicket("PVE:root@pam:hunter2", "csrf-hunter2")


async def hold(database: DatabaseService, creation: Creation) -> None:
    async with database.transaction() as tx:
        assert await tx.creations.acquire_lease(creation.id, "a", LEASE_S)


async def sign_in(database: DatabaseService, creation: Creation, session_id: UUID) -> Creation:
    async with database.transaction() as tx:
        return await tx.creations.set_ticket(creation.id, TICKET, session_id=session_id, signed_in_at=datetime.now(UTC))
