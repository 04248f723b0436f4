"""Who may destroy, cancel and see a job or its container. No act is done twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ConflictError, NotFoundError, PreflightError, PrivilegeError, UnreachableError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.jobs import listing
from tests.integration.creation.conftest import BASIC, content_of, entered_again_until_it_ends, spec_of, store
from tests.integration.endpoints import sign_in
from tests.worded import cause

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab


async def test_what_a_failed_job_left_is_destroyed_and_its_vmid_free(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert await lab.destroy(job_id) == f"Destroyed CT {job.vmid} {job.hostname}"
    assert lab.containers_named(job.hostname) == []
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert not job.exists
    with pytest.raises(ConflictError, match="gone already"):
        await service.destroy(lab.rt, lab.session, job_id)
    with pytest.raises(ConflictError):
        await service.retry(lab.rt, lab.session, job_id)
    async with lab.rt.db.transaction() as tx:
        actions = [entry.action for entry in await tx.audit.list()]
    assert actions[:4] == ["container.destroy.done", "container.destroy", "creation.failed", "creation.request"]


async def test_a_viewer_does_not_write_off_anothers_job_whose_container_is_gone(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    job = await lab.finish(job_id, state=JobState.FAILED)
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.stop(job.node, job.vmid))
    await client.tasks.wait(await client.lxc.delete(job.node, job.vmid, purge=True))
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PrivilegeError, match=r"VM\.Allocate"):
        await service.destroy(lab.rt, viewer, job_id)
    async with lab.rt.db.transaction() as tx:
        left = await tx.containers.get(job.container_id)
        [refused] = await tx.audit.list(action="container.destroy")
    assert left.deleted_at is None
    assert (refused.userid, refused.result) == ("viewer@pve", "refused")
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert "gone already" in await lab.destroy(job_id, operator)


async def test_a_ready_container_is_not_destroyed_by_its_job(lab: Lab) -> None:
    job_id = await lab.request(None)
    job = await lab.finish(job_id)
    with pytest.raises(ConflictError):
        await service.destroy(lab.rt, lab.session, job_id)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_another_container_with_the_vmid_is_left_alone(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    job = await lab.finish(job_id, state=JobState.FAILED)
    client = await acting.client(lab.rt, lab.session)
    await client.lxc.set_config(job.node, job.vmid, {"description": "somebody else's"})
    with pytest.raises(ConflictError, match="another container"):
        await service.destroy(lab.rt, lab.session, job_id)
    assert lab.containers_named(job.hostname) == [job.vmid]


async def test_the_same_request_twice_makes_one_container(lab: Lab) -> None:
    revision_id = await store(lab.rt, BASIC)
    spec, wanted = spec_of(revision_id), uuid4()
    first, second = await asyncio.gather(*(service.request(lab.rt, lab.session, spec, job_id=wanted) for _ in range(2)))
    assert first == second == wanted
    assert len(await service.list_jobs(lab.rt, lab.session)) == 1


async def test_a_vmid_that_is_taken_is_refused_before_anything_is_made(lab: Lab) -> None:
    job = await lab.finish(await lab.request(None))
    with pytest.raises(PreflightError) as raised:
        await lab.request(None, vmid=job.vmid)
    assert [finding.field for finding in raised.value.findings] == ["vmid"]  # type: ignore[attr-defined]  # the error types its findings as objects
    assert len(await service.list_jobs(lab.rt, lab.session)) == 1


async def test_rights_lost_while_it_runs_close_the_door(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    text = "#!/bin/sh\necho begun\nwhile [ ! -e /root/go ]; do sleep 0.1; done\n"
    job_id = await lab.request(content_of(("10-wait.sh", text), ("20-never.sh", "touch /root/never")))
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    lab.sandbox.api.directory.acl[:] = [
        entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "operator@pve"
    ]
    lab.sandbox.api.directory.changed()
    await entered_again_until_it_ends(lab, work)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert "VM.Console at /vms/" in cause(job.error)
    assert "never" not in await lab.in_guest(job.vmid, "ls", "/root")


async def test_others_jobs_are_seen_only_with_audit_on_the_container(lab: Lab) -> None:
    job_id = await lab.request(None)
    await lab.finish(job_id)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert (await service.get_job(lab.rt, operator, job_id)).id == job_id
    assert [job.id for job in await service.list_jobs(lab.rt, operator)] == [job_id]
    with pytest.raises(ConflictError):
        await service.retry(lab.rt, operator, job_id)

    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    lab.sandbox.api.directory.acl[:] = [entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    lab.sandbox.api.directory.changed()
    with pytest.raises(NotFoundError):
        await service.get_job(lab.rt, viewer, job_id)
    assert await service.list_jobs(lab.rt, viewer) == []


async def test_a_job_whose_node_is_down_is_not_lost_to_others_and_refused_to_who_may_not_see_it(lab: Lab) -> None:
    job = await lab.finish(await lab.request(None))
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    lab.sandbox.api.directory.acl[:] = [entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    lab.sandbox.api.directory.changed()
    lab.sandbox.node_offline(job.node)
    with pytest.raises(UnreachableError, match=f"whether CT {job.vmid} is still the container of this job"):
        await service.get_job(lab.rt, operator, job.id)
    with pytest.raises(NotFoundError):
        await service.get_job(lab.rt, viewer, job.id)
    lab.sandbox.node_offline(job.node, offline=False)
    assert (await service.get_job(lab.rt, operator, job.id)).id == job.id


async def test_while_pve_is_silent_ones_own_jobs_are_listed_and_that_is_said(lab: Lab) -> None:
    job_id = await lab.request(None)
    answered = await listing.page_of(lab.rt, lab.session, listing.Wanted(), limit=8)
    assert not answered.own_only
    await lab.rt.bus.delete(f"jobs:seen:{lab.session.id}")
    lab.sandbox.mute()
    try:
        found = await listing.page_of(lab.rt, lab.session, listing.Wanted(), limit=8)
    finally:
        lab.sandbox.mute(False)
    assert found.own_only
    assert [job.id for job in found.jobs] == [job_id]
    await service.cancel(lab.rt, lab.session, job_id)
    await lab.finish(job_id, state=JobState.CANCELLED)


async def test_only_one_who_may_allocate_cancels_anothers_job(lab: Lab) -> None:
    job_id = await lab.request(None)
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PrivilegeError, match=r"VM\.Allocate"):
        await service.cancel(lab.rt, viewer, job_id)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    seen = [await service.get_job(lab.rt, each, job_id) for each in (viewer, operator, lab.session)]
    assert [job.may_cancel for job in seen] == [False, True, True]
    assert [job.may_console for job in seen[:2]] == [False, True]
    await service.cancel(lab.rt, operator, job_id)
    await lab.finish(job_id, state=JobState.CANCELLED)
    assert not (await service.get_job(lab.rt, viewer, job_id)).may_destroy
