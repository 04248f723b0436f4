"""Acts on a container: a worker does each once, for users with the privilege. Each is shown and audited."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from fakepve.lxc import FakeCt

from lxc_dashboard import text
from lxc_dashboard.db.models import Job, JobState
from lxc_dashboard.errors import BusyGuestError, PrivilegeError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.state.jobs import room
from pve_sandbox.node import SandboxNode
from tests.integration.monitor.conftest import SignIn
from tests.integration.monitor.viewers import Seen, hub_of, looking

STOPPED_WITHIN_S = 20


async def ended(rt: Runtime, job_id: UUID) -> Job:
    await engine.run(rt, job_id)
    async with rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


async def act(rt: Runtime, session: Session, guest: Guest, what: Power) -> Job:
    return await ended(rt, await request(rt, session, what.act, guest))


def task_of(sandbox: SandboxNode, vmid: int, kind: str) -> list[str]:
    return [task["upid"] for task in sandbox.api.tasks.values() if task["type"] == kind and task["id"] == str(vmid)]


async def test_an_act_is_done_shown_and_audited_before_and_after(rt: Runtime, sign_in: SignIn) -> None:
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        session = await sign_in(rt, "operator@pve")
        await looking(hub, session, seen)
        vmid, row = next((vmid, row) for vmid, row in seen.rows.items() if row["name"] == "web-01")
        job = await act(rt, session, Guest(int(vmid), row["node"], name="web-01"), Power.STOP)
        assert (job.state, text.in_words_of(job.result)) == (JobState.DONE, f"Stopped CT {vmid} web-01")
        await seen.until(lambda: seen.rows[vmid]["status"] == "stopped")
    async with rt.db.transaction() as tx:
        after, before = await tx.audit.list(action="container.stop")
    assert (before.action, after.action) == ("container.stop", "container.stop.done")
    for entry in (before, after):
        assert (entry.userid, entry.result, entry.subject) == ("operator@pve", "ok", f"CT {vmid} web-01")


async def test_what_ha_does_later_is_waited_for(rt: Runtime, sandbox: SandboxNode, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    held = next(guest for guest in sandbox.api.cts if guest.status == "running")
    held.ha_state, sandbox.api.ha_delay = "started", 1 / sandbox.api.time_scale
    guest = Guest(held.vmid, held.node, name="kept")
    for what, said, status in ((Power.STOP, "Stopped", "stopped"), (Power.START, "Started", "running")):
        assert text.in_words_of((await act(rt, session, guest, what)).result) == f"{said} CT {held.vmid} kept"
        assert held.status == status


async def test_an_act_without_the_privilege_is_refused_and_audited(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "viewer@pve")
    with pytest.raises(PrivilegeError) as caught:
        await request(rt, session, Power.STOP.act, Guest(101, "pve2", name="x"))
    assert caught.value.privilege == "VM.PowerMgmt"
    async with rt.db.transaction() as tx:
        (entry,) = await tx.audit.list(action="container.stop")
    assert entry.result == "refused"


async def test_the_same_button_twice_acts_once_and_the_second_names_the_first(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    client = await acting.client(rt, session)
    stopped = next(guest for guest in await client.cluster.resources("vm") if guest.status == "stopped")
    guest = Guest(stopped.vmid, stopped.node, name="twice")
    asked = await asyncio.gather(
        request(rt, session, Power.START.act, guest),
        request(rt, session, Power.START.act, guest),
        return_exceptions=True,
    )
    (first,) = [one for one in asked if isinstance(one, UUID)]
    (refused,) = [one for one in asked if isinstance(one, BusyGuestError)]
    assert (refused.job_id, refused.kind, refused.userid) == (first, "container.start", "root@pam")
    job = await ended(rt, first)
    assert job.state == JobState.DONE
    await act(rt, session, guest, Power.STOP)


async def test_a_guest_that_is_gone_fails_its_job(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    job = await act(rt, session, Guest(7777, "pve1", name="gone"), Power.START)
    assert (job.state, text.in_words_of(job.error)) == (JobState.FAILED, "There is no CT 7777, or you may not see it")


async def begin(rt: Runtime, session: Session, sandbox: SandboxNode, what: Power) -> tuple[FakeCt, UUID]:
    """Request the act on a running container."""
    running = next(guest for guest in sandbox.api.cts if guest.status == "running")
    return running, await request(rt, session, what.act, await power.find(rt, session, running.vmid))


async def until_begun(sandbox: SandboxNode, vmid: int, kind: str) -> str:
    """Wait for the guest's first task of this kind and return its UPID."""
    async with asyncio.timeout(STOPPED_WITHIN_S):
        while not (found := task_of(sandbox, vmid, kind)):
            await asyncio.sleep(0.02)
    return found[0]


async def cancel(rt: Runtime, job_id: UUID) -> None:
    async with rt.db.transaction() as tx:
        await tx.jobs.request_cancel(job_id, "root@pam")


async def results(rt: Runtime, action: str) -> list[str]:
    async with rt.db.transaction() as tx:
        return [entry.result for entry in await tx.audit.list(action=action)]


async def test_a_cancelled_act_stops_its_task(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.api, "time_scale", 1.0)
    guest, job_id = await begin(rt, await sign_in(rt, "root@pam"), sandbox, Power.SHUTDOWN)
    guest.shutdown_secs = 30
    worker = asyncio.create_task(ended(rt, job_id))
    upid = await until_begun(sandbox, guest.vmid, "vzshutdown")
    await cancel(rt, job_id)
    job = await worker
    assert (job.state, text.in_words_of(job.error)) == (
        JobState.CANCELLED,
        "Cancelled by root@pam: its task in PVE was stopped",
    )
    assert (sandbox.api.tasks[upid]["exitstatus"], guest.status) == ("received interrupt", "running")
    assert await results(rt, "container.shutdown.cancelled") == ["ok"]


async def test_a_cancelled_act_whose_task_pve_does_not_stop_says_that_it_may_go_on(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.api, "time_scale", 1.0)
    guest, job_id = await begin(rt, await sign_in(rt, "root@pam"), sandbox, Power.SHUTDOWN)
    guest.shutdown_secs = 30
    worker = asyncio.create_task(ended(rt, job_id))
    upid = await until_begun(sandbox, guest.vmid, "vzshutdown")
    sandbox.api.fail("DELETE", upid, 500, "got timeout")
    await cancel(rt, job_id)
    job = await worker
    assert (job.state, text.in_words_of(job.error)) == (
        JobState.CANCELLED,
        "Cancelled by root@pam: its task in PVE could not be stopped and may go on",
    )
    assert sandbox.api.tasks[upid]["status"] == "running"


async def test_an_act_cancelled_after_the_end_of_its_task_says_so(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    guest, job_id = await begin(rt, await sign_in(rt, "root@pam"), sandbox, Power.SHUTDOWN)
    guest.shutdown_secs = 50
    worker = asyncio.create_task(engine.run(rt, job_id))
    upid = await until_begun(sandbox, guest.vmid, "vzshutdown")
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    async with asyncio.timeout(STOPPED_WITHIN_S):
        while sandbox.api.tasks[upid]["status"] == "running":
            await asyncio.sleep(0.02)
    await cancel(rt, job_id)
    job = await ended(rt, job_id)
    assert (job.state, text.in_words_of(job.error)) == (
        JobState.CANCELLED,
        "Cancelled by root@pam: its task in PVE had already ended",
    )


async def test_an_act_cancelled_before_its_task_speaks_of_none(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    guest, job_id = await begin(rt, await sign_in(rt, "root@pam"), sandbox, Power.STOP)
    await cancel(rt, job_id)
    job = await ended(rt, job_id)
    assert (job.state, text.in_words_of(job.error)) == (JobState.CANCELLED, "Cancelled by root@pam")
    assert (task_of(sandbox, guest.vmid, "vzstop"), guest.status) == ([], "running")


async def test_a_task_that_fails_in_pve_fails_its_job_with_its_last_lines(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    session = await sign_in(rt, "root@pam")
    stopped = next(guest for guest in sandbox.api.cts if guest.status == "stopped")
    stopped.start_error = "startup for container failed"
    job = await act(rt, session, await power.find(rt, session, stopped.vmid), Power.START)
    assert job.state == JobState.FAILED
    assert "startup for container failed" in text.in_words_of(job.error)
    assert job.error["tail"][-1] == "TASK ERROR: startup for container failed"
    assert await results(rt, "container.start.failed") == ["failed"]


async def test_a_post_that_pve_refuses_is_audited_as_refused(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode
) -> None:
    guest, job_id = await begin(rt, await sign_in(rt, "root@pam"), sandbox, Power.STOP)
    refusal = f"Permission check failed (/vms/{guest.vmid}, VM.PowerMgmt)"
    sandbox.api.fail("POST", f"/lxc/{guest.vmid}/status/stop", 403, refusal)
    job = await ended(rt, job_id)
    assert (job.state, guest.status) == (JobState.FAILED, "running")
    assert "VM.PowerMgmt" in text.in_words_of(job.error)
    assert await results(rt, "container.stop.failed") == ["refused"]


async def test_a_sign_in_that_ends_leaves_the_task_alone_and_the_next_one_adopts_it(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.api, "time_scale", 1.0)
    session = await sign_in(rt, "root@pam")
    guest, job_id = await begin(rt, session, sandbox, Power.SHUTDOWN)
    guest.shutdown_secs = 5
    worker = asyncio.create_task(ended(rt, job_id))
    upid = await until_begun(sandbox, guest.vmid, "vzshutdown")
    await sessions.end(rt, session)
    assert (await worker).state == JobState.WAITING
    assert sandbox.api.tasks[upid]["status"] == "running"
    await service.resume_after_sign_in(rt, await sign_in(rt, "root@pam"))
    job = await ended(rt, job_id)
    assert (job.state, guest.status) == (JobState.DONE, "stopped")
    assert task_of(sandbox, guest.vmid, "vzshutdown") == [upid]


async def test_a_worker_that_dies_leaves_the_task_to_pve_and_the_next_one_adopts_it(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await sign_in(rt, "root@pam")
    running = next(guest for guest in sandbox.api.cts if guest.status == "running")
    guest = await power.find(rt, session, running.vmid)
    known = task_of(sandbox, running.vmid, "vzshutdown")
    monkeypatch.setattr(sandbox.api, "time_scale", 1.0)
    job_id = await request(rt, session, Power.SHUTDOWN.act, guest)
    worker = asyncio.create_task(engine.run(rt, job_id))
    async with asyncio.timeout(STOPPED_WITHIN_S):
        while len(task_of(sandbox, running.vmid, "vzshutdown")) == len(known):
            await asyncio.sleep(0.02)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert running.status == "running"
    job = await ended(rt, job_id)
    assert (job.state, running.status) == (JobState.DONE, "stopped")
    assert len(task_of(sandbox, running.vmid, "vzshutdown")) == len(known) + 1


@pytest.mark.full
async def test_a_node_that_does_not_answer_fails_the_act_after_some_seconds(
    rt: Runtime, sign_in: SignIn, sandbox: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Power.START.act, "patience_s", 0.5)
    session = await sign_in(rt, "root@pam")
    client = await acting.client(rt, session)
    stopped = next(guest for guest in await client.cluster.resources("vm") if guest.status == "stopped")
    sandbox.pvedaemon_down(stopped.node)
    job = await act(rt, session, Guest(stopped.vmid, stopped.node, name="away"), Power.START)
    assert job.state == JobState.FAILED
    assert "does not answer" in text.in_words_of(job.error)


async def test_a_page_says_where_no_worker_takes_the_act_and_then_how_it_ended(
    rt: Runtime, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BEGINS_WITHIN_S", 0.2)
    session = await sign_in(rt, "root@pam")
    client = await acting.client(rt, session)
    stopped = next(guest for guest in await client.cluster.resources("vm") if guest.status == "stopped")
    job_id = await request(rt, session, Power.START.act, Guest(stopped.vmid, stopped.node, name="late"))
    shown = room.notices(rt, job_id)
    assert text.NO_WORKER in str(await anext(shown))
    await engine.run(rt, job_id)
    told = str(await anext(shown))
    assert f"Started CT {stopped.vmid} late" in told
    assert str(job_id) in told, "the notice links to the job"
