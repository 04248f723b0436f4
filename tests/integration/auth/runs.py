"""Queued jobs, with a ticket that a session lent."""

from __future__ import annotations

from uuid import UUID

from lxc_dashboard.db.models import CREATE_KIND, Container, Job
from lxc_dashboard.db.repositories.tickets import JobTicket
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.jobs.engine import ticket


async def stored(rt: Runtime, session: Session, vmid: int) -> UUID:
    """Store a job without a ticket."""
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(
            Container(endpoint_id=session.endpoint_id, vmid=vmid, node="pve1", hostname=f"ct-{vmid}")
        )
        row = Job.about(container, CREATE_KIND, step="creating", userid=session.userid)
        return (await tx.jobs.add(row)).id


async def lent(rt: Runtime, session: Session, vmid: int) -> UUID:
    """Store a job with a copy of the session's ticket."""
    job_id = await stored(rt, session, vmid)
    async with ticket.lending(rt, session) as lending:
        await lending.give(job_id)
    return job_id


async def run_of(rt: Runtime, job_id: UUID) -> Job:
    async with rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


async def ticket_of(rt: Runtime, job_id: UUID) -> JobTicket | None:
    async with rt.db.transaction() as tx:
        return await tx.tickets.get(job_id)
