"""Jobs whose events a test writes itself, as a worker would."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from lxc_dashboard import routes
from lxc_dashboard.db.models import CREATE_KIND, Container, EventType, Job, JobState, Phase
from lxc_dashboard.db.repositories.events import NewEvent
from lxc_dashboard.db.repositories.tickets import JobTicket
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.events import lines as wire
from tests.integration.web.conftest import Visitor

OWNER = "test:1"
LEASE_S = 600
NODE = "pve1"
VMIDS = itertools.count(7000)


@dataclass
class ToldJob:
    """A job that the test works on."""

    rt: Runtime
    row: Job

    @property
    def base(self) -> str:
        return f"{routes.CREATIONS}/{self.row.id}"

    async def tell(self, *events: NewEvent, checkpoint: dict[str, Any] | None = None) -> None:
        """Store events and publish them, as a worker does."""
        async with self.rt.db.transaction() as tx:
            rows = await tx.events.append(self.row.id, OWNER, events, checkpoint=checkpoint)
        entries = [wire.encode(wire.of_row(row)) for row in rows]
        await self.rt.bus.publish(wire.stream_of(self.row.id), entries, maxlen=10_000, ttl_s=600)

    async def finish(self, state: JobState, **result: Any) -> None:
        kind = EventType.COMPLETE if state is JobState.DONE else EventType.ERROR
        event = NewEvent(kind, Phase.SYNCING, 90, "the end")
        async with self.rt.db.transaction() as tx:
            rows = await tx.events.append(self.row.id, OWNER, [event])
            await tx.jobs.finish(self.row.id, OWNER, state, result=result, error={"message": "it failed"})
        entries = [wire.encode(wire.of_row(row)) for row in rows]
        await self.rt.bus.publish(wire.stream_of(self.row.id), entries, maxlen=10_000, ttl_s=600)


async def begin(rt: Runtime, visitor: Visitor, vmid: int | None = None) -> ToldJob:
    """Start a job of the visitor."""
    session = await session_of(rt, visitor)
    spec = ContainerSpec(NODE, "local:vztmpl/debian.tar.zst", "web-01", "local-lvm")
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(
            Container(endpoint_id=session.endpoint_id, vmid=vmid or next(VMIDS), node=NODE, hostname="web-01")
        )
        row = Job.about(container, CREATE_KIND, step="creating", userid=session.userid, params=spec.to_json())
        await tx.jobs.add(row)
        ticket = JobTicket(session.ticket, session.csrf_token)
        await tx.tickets.set(row.id, ticket, session_id=session.id, signed_in_at=session.signed_in_at)
        assert await tx.leases.acquire(row.id, OWNER, LEASE_S)
    return ToldJob(rt, row)


async def again(job: ToldJob, visitor: Visitor) -> None:
    """Retry the job and take its lease, as a worker does."""
    session = await session_of(job.rt, visitor)
    async with job.rt.db.transaction() as tx:
        ticket = JobTicket(session.ticket, session.csrf_token)
        await tx.jobs.reopen(job.row.id, {})
        await tx.tickets.set(job.row.id, ticket, session_id=session.id, signed_in_at=session.signed_in_at)
        assert await tx.leases.acquire(job.row.id, OWNER, LEASE_S)


async def session_of(rt: Runtime, visitor: Visitor) -> Session:
    session = await sessions.find(rt, visitor.cookie)
    assert session is not None
    return session


def log(message: str, lines: int = 1, phase: Phase = Phase.SYNCING) -> NewEvent:
    return NewEvent(EventType.LOG, phase, 70, message, lines=lines, script="20-nginx.sh")


def step(message: str, phase: Phase = Phase.SYNCING, percent: int = 70) -> NewEvent:
    return NewEvent(EventType.STEP, phase, percent, message)


def coded(code: str, phase: Phase = Phase.SYNCING, **params: Any) -> NewEvent:
    return NewEvent(EventType.STEP, phase, 70, code=code, params=params)


async def read(visitor: Visitor, path: str, status: int = 200) -> Any:
    response = await visitor.get(path, headers={"Accept": "application/json"})
    assert response.status_code == status, response.text
    assert "no-store" in response.headers["cache-control"]
    return response.json()


def texts(page: dict[str, Any]) -> list[str]:
    return [line["text"] for line in page["lines"]]
