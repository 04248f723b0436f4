"""A pause after the create: no worker holds the job, the user's changes in PVE stay, and only the user continues it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from lxc_dashboard.services.creation.report import Mark, report
from lxc_dashboard.services.creation.steps.create import PAUSE
from lxc_dashboard.services.creation.views import StepState
from lxc_dashboard.services.jobs.engine import ending, reaper
from tests.integration.creation.conftest import BASIC
from tests.integration.endpoints import sign_in
from tests.worded import cause

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.db.models import Job
    from lxc_dashboard.services.creation.views import CreationView
    from tests.integration.creation.conftest import Lab


async def row(lab: Lab, job_id: UUID) -> Job:
    async with lab.rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


async def paused(lab: Lab) -> tuple[UUID, CreationView]:
    job_id = await lab.request(BASIC, pause_after_create=True)
    return job_id, await lab.finish(job_id, state=JobState.PAUSED)


async def test_the_run_stops_before_its_first_start_and_goes_on_there(lab: Lab) -> None:
    job_id, job = await paused(lab)
    held = await row(lab, job_id)
    assert (held.lease_owner, held.lease_until, held.ticket_enc) == (None, None, None)
    assert (job.may_go_on, job.may_cancel, job.may_retry, job.may_destroy) == (True, True, False, False)
    assert next(step for step in job.steps if step.key == PAUSE).state is StepState.ACTIVE
    client = await acting.client(lab.rt, lab.session)
    assert not (await client.lxc.status(job.node, job.vmid)).running
    await client.lxc.set_config(job.node, job.vmid, {"mp0": "local-lvm:1,mp=/srv/data"})

    await service.go_on(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    assert "mp=/srv/data" in (await client.lxc.config(job.node, job.vmid)).values["mp0"]
    said = [event.message for event in await lab.events(job_id) if event.type is EventType.STEP]
    assert len([message for message in said if message.startswith("Creating CT")]) == 1
    assert len([message for message in said if "paused until" in message]) == 1
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nsecond\n"


async def test_a_paused_run_is_taken_by_no_worker(lab: Lab) -> None:
    job_id, _ = await paused(lab)
    await lab.work(job_id)
    assert await reaper.reap(lab.rt) == 0
    assert await service.resume_after_sign_in(lab.rt, await sign_in(lab.rt, lab.sandbox)) == 0
    assert (await row(lab, job_id)).state == JobState.PAUSED.value


async def test_a_sign_out_leaves_it_paused_and_it_goes_on_with_the_next_sign_in(lab: Lab) -> None:
    job_id, _ = await paused(lab)
    async with lab.rt.db.transaction() as tx:
        await tx.tickets.wipe_of_session(lab.session.id)
    assert (await row(lab, job_id)).state == JobState.PAUSED.value
    lab.session = await sign_in(lab.rt, lab.sandbox)
    await service.go_on(lab.rt, lab.session, job_id)
    assert (await row(lab, job_id)).session_id == lab.session.id
    await lab.finish(job_id)


@pytest.mark.full
async def test_who_saw_it_before_it_paused_takes_nothing_back_that_was_done_since(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await lab.request(BASIC, pause_after_create=True)
    whole = service._require_same_user

    async def pauses_meanwhile(*args: object) -> None:
        await whole(*args)  # type: ignore[arg-type]  # passed on unchanged
        await lab.finish(job_id, state=JobState.PAUSED)

    monkeypatch.setattr(service, "_require_same_user", pauses_meanwhile)
    await service.go_on(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id)
    assert lab.containers_named(job.hostname) == [job.vmid]
    said = [event.message for event in await lab.events(job_id)]
    assert len([message for message in said if message.startswith("Creating CT")]) == 1


async def test_only_its_own_user_lets_it_go_on_and_only_while_it_is_paused(lab: Lab) -> None:
    job_id, _ = await paused(lab)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert not (await service.get_job(lab.rt, operator, job_id)).may_go_on
    with pytest.raises(ConflictError, match="acts as its own user"):
        await service.go_on(lab.rt, operator, job_id)
    await service.go_on(lab.rt, lab.session, job_id)
    with pytest.raises(ConflictError, match="Only a paused job goes on"):
        await service.go_on(lab.rt, lab.session, job_id)


async def test_a_paused_run_is_cancelled_and_what_it_made_destroyed(lab: Lab) -> None:
    job_id, job = await paused(lab)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    asked = await service.cancel(lab.rt, operator, job_id)
    assert asked.state is JobState.CANCELLING
    await lab.finish(job_id, state=JobState.CANCELLED)
    assert lab.containers_named(job.hostname) == [job.vmid]
    await lab.destroy(job_id)
    assert lab.containers_named(job.hostname) == []


@pytest.mark.full
async def test_a_cancel_that_comes_as_it_pauses_is_not_lost(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await lab.request(None, pause_after_create=True)
    give_back = ending.give_back

    async def late(*args: object, **named: object) -> None:
        async with lab.rt.db.transaction() as tx:
            await tx.jobs.request_cancel(job_id, lab.session.userid)
        await give_back(*args, **named)  # type: ignore[arg-type]  # passed on unchanged

    monkeypatch.setattr(ending, "give_back", late)
    await lab.work(job_id)
    assert (await row(lab, job_id)).state == JobState.CANCELLING.value
    assert await reaper.reap(lab.rt) == 1
    await lab.finish(job_id, state=JobState.CANCELLED)


@pytest.mark.full
async def test_a_worker_that_dies_as_it_pauses_leaves_it_to_be_paused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await lab.request(BASIC, pause_after_create=True)
    reached = asyncio.Event()

    async def dies(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(ending, "give_back", dies)
        work = lab.work(job_id)
        await reached.wait()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    job = await lab.finish(job_id, state=JobState.PAUSED)
    assert lab.containers_named(job.hostname) == [job.vmid]
    said = [event.message for event in await lab.events(job_id)]
    assert len([message for message in said if "paused until" in message]) == 1
    await service.go_on(lab.rt, lab.session, job_id)
    await lab.finish(job_id)


async def test_the_time_of_the_pause_is_nobodys(lab: Lab) -> None:
    job_id, _ = await paused(lab)
    before = await report(lab.rt, lab.session, job_id)
    assert before.phases[0].mark is Mark.WAITING
    await asyncio.sleep(1)  # the time of the pause
    assert (await report(lab.rt, lab.session, job_id)).phases[0].seconds == before.phases[0].seconds
    await service.go_on(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    after = await report(lab.rt, lab.session, job_id)
    assert after.phases[0].seconds == pytest.approx(before.phases[0].seconds)
    assert after.phases[0].mark is Mark.DONE


async def test_a_container_that_was_deleted_meanwhile_is_told(lab: Lab) -> None:
    job_id, job = await paused(lab)
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.delete(job.node, job.vmid))
    await service.go_on(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert cause(job.error)


async def test_one_that_may_not_see_it_cannot_let_it_go_on(lab: Lab) -> None:
    job_id, _ = await paused(lab)
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    lab.sandbox.api.directory.acl[:] = [entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    lab.sandbox.api.directory.changed()
    with pytest.raises(NotFoundError):
        await service.go_on(lab.rt, viewer, job_id)


@pytest.mark.full
async def test_one_that_was_given_to_ha_meanwhile_is_ready_once_ha_has_started_it(lab: Lab) -> None:
    address = IpSettings(IpMode.STATIC, "10.9.0.5/24")
    job_id = await lab.request(None, pause_after_create=True, ipv4=address)
    job = await lab.finish(job_id, state=JobState.PAUSED)
    api = lab.sandbox.api
    guest = api.cts.get(job.vmid)
    assert guest
    api.hosted.discard(job.vmid)  # the sandbox's HA does not start real guests
    guest.ha_state, api.ha_delay = "stopped", 1 / api.time_scale
    await service.go_on(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    assert guest.status == "running"
