"""Runs that stand in line, with a ticket that a session lent."""

from __future__ import annotations

from uuid import UUID

from lxc_dashboard.db.models import Container, Creation
from lxc_dashboard.db.repositories.tickets import JobTicket
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import identity


async def stored(rt: Runtime, session: Session, vmid: int) -> UUID:
    """A run without a ticket."""
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(
            Container(endpoint_id=session.endpoint_id, vmid=vmid, node="pve1", hostname=f"ct-{vmid}")
        )
        row = Creation(endpoint_id=session.endpoint_id, container_id=container.id, userid=session.userid)
        return (await tx.creations.add(row)).id


async def lent(rt: Runtime, session: Session, vmid: int) -> UUID:
    """A run with a copy of the session's ticket."""
    creation_id = await stored(rt, session, vmid)
    async with identity.lending(rt, session) as lending:
        await lending.give(creation_id)
    return creation_id


async def run_of(rt: Runtime, creation_id: UUID) -> Creation:
    async with rt.db.transaction() as tx:
        return await tx.creations.get(creation_id)


async def ticket_of(rt: Runtime, creation_id: UUID) -> JobTicket | None:
    async with rt.db.transaction() as tx:
        return await tx.creations.get_ticket(creation_id)
