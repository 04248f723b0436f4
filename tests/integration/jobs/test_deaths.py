"""A worker dies at each call that leaves it, before or after it took effect: the next one ends the act, which PVE did once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from lxc_dashboard.bus import Bus
from lxc_dashboard.bus.outbox import Outbox
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.journal import Journal
from lxc_dashboard.db.models import Job, JobState
from lxc_dashboard.db.standings import Standings
from lxc_dashboard.proxmox.client import ProxmoxClient, ProxmoxPool
from lxc_dashboard.proxmox.endpoint import Endpoint
from lxc_dashboard.proxmox.transport import EndpointTransport
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power, snapshots
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs import engine
from lxc_dashboard.services.jobs.acts import Act
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.timing import Timing
from pve_sandbox.node import SandboxNode
from tests.integration.crashes.gates import Death, Gate, GatedBus, GatedDatabase
from tests.integration.monitor.conftest import SignIn

EACH_WITHIN_S = 60


class GatedPve(ProxmoxPool):
    """The real client; each request is a call that the worker may die at."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def client(
        self, endpoint: Endpoint, auth: httpx.Auth | None = None, *, get_deadline_s: float = 20
    ) -> ProxmoxClient:
        if endpoint not in self._https:
            self._https[endpoint] = httpx.AsyncClient(transport=_Transport(endpoint, self._gate), trust_env=False)
        return ProxmoxClient(endpoint, self._https[endpoint], auth, get_deadline_s=get_deadline_s)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, endpoint: Endpoint, gate: Gate) -> None:
        self._inner = EndpointTransport(endpoint)
        self._gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = self._gate.before(f"{request.method} {request.url.path}")
        answer = await self._inner.handle_async_request(request)
        self._gate.after(number)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Workers:
    rt: Runtime

    async def live(self, job_id: UUID, dies_at: tuple[int, bool] | None) -> Gate:
        """One worker's life, to its death or to the end of the job."""
        gate = Gate(dies_at)
        rt = self._runtime(gate)
        worker = asyncio.create_task(engine.run(rt, job_id))
        died = asyncio.create_task(gate.died.wait())
        async with asyncio.timeout(EACH_WITHIN_S):
            await asyncio.wait((worker, died), return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if gate.died.is_set():
            worker.cancel()
            await asyncio.wait((worker,))
            async with self.rt.db.transaction() as tx:
                job = cast("Job", await tx.session.get(Job, job_id))
                if job.lease_until is not None:
                    job.lease_until = job.created_at
        with contextlib.suppress(Death, asyncio.CancelledError):
            await worker
        for part in (rt.journal, rt.standings, rt.outbox, rt.pve):
            with contextlib.suppress(Death):
                await (part.aclose() if isinstance(part, ProxmoxPool) else part.close())
        return gate

    def _runtime(self, gate: Gate) -> Runtime:
        database = cast("DatabaseService", GatedDatabase(self.rt.db, gate))
        bus = cast("Bus", GatedBus(self.rt.bus, gate))
        parts: dict[str, Any] = {
            "db": database,
            "timing": AT_ONCE,
            "journal": Journal(database, AT_ONCE),
            "standings": Standings(database),
            "bus": bus,
            "outbox": Outbox(bus),
            "pve": GatedPve(gate),
        }
        return replace(self.rt, **parts)

    async def check(self, job_id: UUID, why: str) -> None:
        async with self.rt.db.transaction() as tx:
            job = await tx.jobs.get(job_id)
            events = await tx.jobs.events_after(job_id, 0, 1000)
            (end,) = await tx.audit.list(action=f"{job.kind}.done", limit=1)
        assert (job.state, job.lease_owner, job.ticket_enc) == (JobState.DONE, None, None), (why, job.error)
        numbers = [number for event in events for number in range(event.seq, event.seq + event.lines)]
        assert numbers == list(range(1, len(numbers) + 1)), why
        assert [event.type for event in events].count("complete") == 1, why
        assert end.detail["job"] == str(job_id), why


# The sandbox shows a task at once: a later worker need not look for it again.
AT_ONCE = Timing(find_task_again_within_s=0, longest_journal_pause_s=0)


def tasks_of(sandbox: SandboxNode, vmid: int, kind: str) -> int:
    return sum(task["type"] == kind and task["id"] == str(vmid) for task in sandbox.api.tasks.values())


async def die_everywhere(
    rt: Runtime, session: Session, sandbox: SandboxNode, act: Act, params: Mapping[str, Any], *, status: str, kind: str
) -> int:
    """The act once for each call that its worker makes, with a death there; how many deaths there were."""
    workers = Workers(rt)
    guest_of_pve = next(guest for guest in sandbox.api.cts if guest.status == status)
    guest = await power.find(rt, session, guest_of_pve.vmid)
    for deaths in itertools.count():
        number, after = deaths // 2, bool(deaths % 2)
        guest_of_pve.status = status
        before = tasks_of(sandbox, guest.vmid, kind)
        named = {key: value.format(n=deaths) for key, value in params.items()}
        job_id = await request(rt, session, act, guest, named)
        gate = await workers.live(job_id, (number, after))
        if not gate.died.is_set():
            await workers.check(job_id, "without a death")
            return deaths
        last = await workers.live(job_id, None)
        why = f"died {'after' if after else 'before'} {gate.calls[-1]}; then {last.calls[:4]}"
        await workers.check(job_id, why)
        assert tasks_of(sandbox, guest.vmid, kind) == before + 1, why
    raise AssertionError("the worker made calls without end")


@pytest.mark.timeout(600)
async def test_a_start_is_done_once_wherever_its_worker_dies(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    session = await sign_in(rt, "root@pam")
    assert await die_everywhere(rt, session, sandbox, Power.START.act, {}, status="stopped", kind="vzstart") > 10


@pytest.mark.timeout(600)
@pytest.mark.full
async def test_a_snapshot_is_taken_once_wherever_its_worker_dies(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    session = await sign_in(rt, "root@pam")
    named = {"name": "snap{n}"}
    deaths = await die_everywhere(rt, session, sandbox, snapshots.create, named, status="stopped", kind="vzsnapshot")
    assert deaths > 10
