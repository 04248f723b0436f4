"""Cancel while the door or PVE does not answer, or after a worker died: what may run on is named, and ended later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.guest import supervisor
from lxc_dashboard.services.creation import access, service
from lxc_dashboard.services.creation import cancel as settling
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.kind import CREATION
from lxc_dashboard.services.creation.steps import sync
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.integration.creation.cancelled import (
    ALL_PROCESSES,
    SLEEPS,
    STUBBORN,
    cancel,
    check_clean,
    check_settled,
    said,
)
from tests.integration.creation.conftest import content_of

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab


@dataclass
class Relay:
    """A relay to the SSH door that can freeze: it then accepts connections and bytes but forwards nothing."""

    port: int
    going: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.going.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        both = [asyncio.create_task(self._pass(*pair)) for pair in ((reader, back), (there, writer))]
        self.tasks.update(both)
        await asyncio.wait(both)
        for end in (back, writer):
            end.close()

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                await self.going.wait()
                to.write(data)
                await to.drain()
            to.write_eof()


@asynccontextmanager
async def relayed(lab: Lab) -> AsyncIterator[Relay]:
    relay = Relay(lab.sandbox.ssh_port)
    relay.going.set()
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door = {"host": "127.0.0.1", "port": port, "host_key": lab.sandbox.ssh_host_key}
    async with lab.rt.db.transaction() as tx:
        await tx.nodes.update(lab.session.endpoint_id, doors={"*": door})
    try:
        yield relay
    finally:
        for task in relay.tasks:
            task.cancel()
        await asyncio.gather(*relay.tasks, return_exceptions=True)
        server.close()


@pytest.mark.usefixtures("sooner_given_up")
@pytest.mark.full
async def test_with_a_door_that_hangs_names_what_may_go_on_in_the_guest(lab: Lab) -> None:
    async with relayed(lab) as relay:
        job_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
        lab.work(job_id)
        await lab.until_said(job_id, "begun")
        relay.going.clear()
        job = await cancel(lab, job_id)
        assert "What ran in the guest could not be stopped" in await said(lab, job_id)
        assert job.may_destroy
        relay.going.set()
        await check_settled(lab, job_id, CreationCode.SETTLED_GUEST)
        await check_clean(lab, job)


async def test_with_a_door_that_is_shut_names_what_may_go_on_in_the_guest(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    lab.work(job_id)
    await lab.until_said(job_id, "begun")
    door = lab.sandbox._door
    assert door
    door.refuse = True
    door.drop_connections()
    job = await cancel(lab, job_id)
    assert "What ran in the guest could not be stopped" in await said(lab, job_id)
    door.refuse = False
    assert SLEEPS in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)


@pytest.mark.usefixtures("sooner_given_up")
@pytest.mark.full
async def test_in_a_script_while_pve_hangs_what_runs_is_named_and_ended_when_pve_answers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    lab.work(job_id)
    await lab.until_said(job_id, "begun")
    lab.sandbox.mute()
    with monkeypatch.context() as forgetful:
        forgetful.setattr(access, "RIGHTS_HOLD_FOR_S", 0.0)
        job = await cancel(lab, job_id)
    assert "What ran in the guest could not be stopped" in await said(lab, job_id)
    assert job.may_destroy
    with monkeypatch.context() as hasty:
        hasty.setattr(settling, "TRY_WITHIN_S", 0.5)
        assert await settling.settle_due(lab.rt) == 0
    lab.sandbox.mute(False)
    assert SLEEPS in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)
    await check_settled(lab, job_id, CreationCode.SETTLED_GUEST)
    await check_clean(lab, job)


@pytest.mark.usefixtures("sooner_given_up")
@pytest.mark.full
async def test_while_pve_hangs_over_the_look_at_the_ticket(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-long.sh", STUBBORN)))
    lab.retime(check_ticket_every_s=0.2)
    lab.work(job_id)
    await lab.until_said(job_id, "begun")
    lab.sandbox.mute()
    await lab.until(lambda: lab.sandbox.faults.unanswered, "PVE was asked whether it takes the ticket")
    await cancel(lab, job_id)


@pytest.mark.full
async def test_a_script_that_began_as_its_worker_died_does_not_go_on_unnamed(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-short.sh", "true"), ("20-long.sh", STUBBORN)))
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    await forget_what_was_told_of(lab, job_id, "script.002.20-long.sh")
    await service.cancel(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id, state=JobState.CANCELLED)
    await check_clean(lab, job)


@pytest.mark.full
async def test_a_script_that_runs_since_its_door_went_away_is_ended_where_the_retry_is_cancelled_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await lab.request(content_of(("10-short.sh", "true"), ("20-long.sh", STUBBORN)))
    work, door = lab.work(job_id), lab.sandbox._door
    assert door
    await lab.until_said(job_id, "begun")
    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "RECONNECT_FOR_S", 0.0)
        patched.setattr(CREATION, "patience_s", 0.0)
        door.refuse = True
        door.drop_connections()
        await work
    door.refuse = False
    await service.retry(lab.rt, lab.session, job_id)
    await service.cancel(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id, state=JobState.CANCELLED)
    assert "could not be stopped" not in await said(lab, job_id)
    await check_clean(lab, job)


@pytest.mark.full
async def test_a_script_that_had_not_begun_when_its_worker_died_never_does(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = asyncio.Event()

    async def never(*_: object) -> None:
        begins.set()
        await asyncio.Event().wait()

    job_id = await lab.request(content_of(("10-first.sh", "#!/bin/sh\ntouch /root/ran\n")))
    with monkeypatch.context() as patched:
        patched.setattr(sync, "run_step", never)
        work = lab.work(job_id)
        await begins.wait()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    await service.cancel(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id, state=JobState.CANCELLED)
    await check_clean(lab, job)
    assert "could not be stopped" not in await said(lab, job_id)
    assert await lab.in_guest(job.vmid, "sh", "-c", "ls /root/ran 2>/dev/null; true") == ""


async def forget_what_was_told_of(lab: Lab, job_id: UUID, step: str) -> None:
    """Change the row as if the worker died before the journal wrote that the step began."""
    async with lab.rt.db.transaction() as tx:
        creation = await tx.jobs.get(job_id)
        checkpoint = Checkpoint.from_json(creation.checkpoint)
        assert checkpoint.active == step
        checkpoint.active = ""
        checkpoint.offset.pop(step, None)
        checkpoint.told.remove(step)
        creation.checkpoint = checkpoint.to_json()
