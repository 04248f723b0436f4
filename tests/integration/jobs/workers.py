"""Workers in this process that meet one fault each, and the checks of a finished job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from lxc_dashboard.bus import Bus
from lxc_dashboard.bus.outbox import Outbox
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.journal import Journal, Standings
from lxc_dashboard.db.models import EventType, Job, JobState
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.proxmox.client import ProxmoxPool
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.jobs.engine import execution as engine
from tests.integration.jobs.gates import Death, Fault, Gate, GatedBus, GatedDatabase
from tests.integration.jobs.subjects import Asked, Subject

EACH_WITHIN_S = 60


@dataclass
class Workers:
    """``calls``: how many calls a worker without a fault makes; 0 until they are counted."""

    subject: Subject
    deaths: int = 0
    calls: int = 0

    async def ask(self) -> Asked:
        return await self.subject.ask()

    async def live(self, asked: Asked, fault: Fault | None = None) -> Gate:
        """Run one worker until it dies, stops at a lost answer, or ends the job."""
        gate = Gate(fault)
        async with self._runtime(asked, gate) as rt:
            work = asyncio.create_task(engine.run(rt, asked.job_id))
            died = asyncio.create_task(gate.died.wait())
            async with asyncio.timeout(EACH_WITHIN_S):
                await asyncio.wait((work, died), return_when=asyncio.FIRST_COMPLETED)
            died.cancel()
            if gate.died.is_set():
                work.cancel()
                await asyncio.wait((work,))
            with contextlib.suppress(Death, asyncio.CancelledError, ServiceUnavailableError):
                await work
        if gate.struck.is_set():
            await self.end_lease(asked)
        self.deaths += gate.died.is_set()
        return gate

    @asynccontextmanager
    async def stalled(self, asked: Asked, fault: Fault) -> AsyncIterator[Gate]:
        """Run a worker that pauses at the fault until the block ends, then let it finish."""
        gate = Gate(fault)
        async with self._runtime(asked, gate) as rt:
            work = asyncio.create_task(engine.run(rt, asked.job_id))
            struck = asyncio.create_task(gate.struck.wait())
            async with asyncio.timeout(EACH_WITHIN_S):
                await asyncio.wait((work, struck), return_when=asyncio.FIRST_COMPLETED)
            struck.cancel()
            try:
                yield gate
            finally:
                gate.released.set()
                async with asyncio.timeout(EACH_WITHIN_S):
                    await work

    async def survive(self, schedule: Sequence[Fault]) -> None:
        """Run one worker per fault and a last one without a fault, then check the job."""
        asked = await self.ask()
        lives = [await self.live(asked, fault) for fault in schedule]
        last = await self.live(asked)
        await self.check(asked, f"{schedule}: {[gate.calls[-1:] for gate in lives]}; the last one: {last.calls[:3]}")

    async def check(self, asked: Asked, why: str) -> Job:
        """Check that the job is done, holds nothing, and has each event once."""
        async with self.subject.rt.db.transaction() as tx:
            job = await tx.jobs.get(asked.job_id)
            events = list(await tx.events.after(asked.job_id, 0, 10_000))
            ends = [entry for entry in await tx.audit.list(limit=500) if entry.detail.get("job") == str(asked.job_id)]
        assert job.state == JobState.DONE.value, (why, job.error)
        assert (job.lease_owner, job.ticket_enc, job.secrets_enc) == (None, None, None), why
        numbers = [number for event in events for number in range(event.seq, event.seq + event.lines)]
        assert numbers == list(range(1, len(numbers) + 1)), why
        percents = [event.percent for event in events]
        assert percents == sorted(percents), why
        steps = [
            (event.step, event.script, event.code, str(event.params))
            for event in events
            if event.type == EventType.STEP.value
        ]
        assert len(steps) == len(set(steps)), (why, steps)
        assert [event.type for event in events].count(EventType.COMPLETE.value) == 1, why
        assert sum(entry.action.endswith(".done") for entry in ends) == 1, why
        asked.check(events, why)
        return job

    async def end_lease(self, asked: Asked) -> None:
        """Let the lease expire."""
        async with self.subject.rt.db.transaction() as tx:
            job = cast("Job", await tx.session.get(Job, asked.job_id))
            if job.lease_until is not None:
                job.lease_until = job.created_at

    @asynccontextmanager
    async def _runtime(self, asked: Asked, gate: Gate) -> AsyncIterator[Runtime]:
        """A runtime of its own for one worker, with every outgoing call through the gate."""
        rt = self.subject.rt
        database = cast("DatabaseService", GatedDatabase(rt.db, gate))
        bus = cast("Bus", GatedBus(rt.bus, gate))
        parts: dict[str, Any] = {
            "db": database,
            "journal": Journal(database, rt.timing),
            "standings": Standings(database),
            "bus": bus,
            "outbox": Outbox(bus, rt.timing),
            **asked.parts(gate),
        }
        try:
            yield replace(rt, **parts)
        finally:
            gate.fault = None
            for name in ("journal", "standings", "outbox", "pve"):
                part = parts[name]
                with contextlib.suppress(Death):
                    await (part.aclose() if isinstance(part, ProxmoxPool) else part.close())
