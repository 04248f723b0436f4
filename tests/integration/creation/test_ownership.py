"""A job finds its guest in the whole cluster by the marker. It never changes or deletes another guest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import ownership, service
from tests.integration.creation.conftest import OSTEMPLATE, content_of
from tests.worded import cause

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab

FAILING = content_of(("10-bad.sh", "exit 1"))
WAITING = content_of(("10-wait.sh", "#!/bin/sh\necho begun\nwhile [ ! -e /root/go ]; do sleep 0.1; done\n"))
ELSES = "somebody else's"


async def failed(lab: Lab) -> service.CreationView:
    return await lab.finish(await lab.request(FAILING), state=JobState.FAILED)


async def do(lab: Lab, upid: str) -> None:
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(upid, deadline_s=60)


async def remove(lab: Lab, job: service.CreationView) -> None:
    """Delete the container in PVE, as its operator does."""
    client = await acting.client(lab.rt, lab.session)
    await do(lab, await client.lxc.delete(job.node, job.vmid, force=True))


async def rewrite(lab: Lab, job: service.CreationView) -> None:
    client = await acting.client(lab.rt, lab.session)
    await client.lxc.set_config(job.node, job.vmid, {"description": ELSES})


async def test_what_was_migrated_meanwhile_is_destroyed_where_it_is(lab: Lab) -> None:
    job = await failed(lab)
    client = await acting.client(lab.rt, lab.session)
    lab.sandbox.freeze_statistics()
    await do(lab, await client.lxc.stop(job.node, job.vmid))
    await do(lab, await client.lxc.migrate(job.node, job.vmid, "pve2"))
    assert await lab.destroy(job.id) == f"Destroyed CT {job.vmid} {job.hostname}"
    assert await client.cluster.vmid_is_free(job.vmid)


async def test_what_ha_keeps_is_deleted_once_ha_has_stopped_it(lab: Lab) -> None:
    job = await failed(lab)
    api = lab.sandbox.api
    guest = api.cts.get(job.vmid)
    assert guest
    api.hosted.discard(job.vmid)  # the sandbox's HA does not stop real guests
    guest.ha_state, api.ha_delay = "started", 1 / api.time_scale
    assert await lab.destroy(job.id) == f"Destroyed CT {job.vmid} {job.hostname}"
    assert lab.containers_named(job.hostname) == []


async def test_what_is_gone_from_pve_is_called_gone_and_not_destroyed(lab: Lab) -> None:
    job = await failed(lab)
    await remove(lab, job)
    assert "is gone already" in await lab.destroy(job.id)
    assert not (await service.get_job(lab.rt, lab.session, job.id)).exists


async def test_a_vmid_that_is_taken_out_of_sight_is_not_called_free(lab: Lab) -> None:
    job = await failed(lab)
    client = await acting.client(lab.rt, lab.session)
    await do(lab, await client.lxc.stop(job.node, job.vmid))
    await do(lab, await client.lxc.migrate(job.node, job.vmid, "pve2"))
    lab.sandbox.node_offline("pve2")
    with pytest.raises(ConflictError, match="not to be found"):
        await ownership.locate(client, "pve1", job.vmid)


async def test_a_guest_that_is_not_the_jobs_is_not_started(lab: Lab) -> None:
    job = await failed(lab)
    client = await acting.client(lab.rt, lab.session)
    await do(lab, await client.lxc.stop(job.node, job.vmid))
    await rewrite(lab, job)
    await service.retry(lab.rt, lab.session, job.id)
    job = await lab.finish(job.id, state=JobState.FAILED)
    assert job.error
    assert "is not the container that this job has made" in cause(job.error)
    assert not (await client.lxc.status(job.node, job.vmid)).running


async def test_notes_of_a_guest_that_is_not_the_jobs_are_not_written(lab: Lab) -> None:
    job_id = await lab.request(WAITING)
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    job = await service.get_job(lab.rt, lab.session, job_id)
    await rewrite(lab, job)
    await lab.in_guest(job.vmid, "touch", "/root/go")
    await work
    await lab.finish(job_id, state=JobState.FAILED)
    client = await acting.client(lab.rt, lab.session)
    assert (await client.lxc.config(job.node, job.vmid)).description.strip() == ELSES


async def test_notes_are_written_over_another_change_of_the_same_moment(lab: Lab) -> None:
    job_id = await lab.request(WAITING)
    work = lab.work(job_id)
    await lab.until_said(job_id, "begun")
    job = await service.get_job(lab.rt, lab.session, job_id)
    (guest,) = [guest for guest in lab.sandbox.api.cts if guest.vmid == job.vmid]
    true_digest, told = guest.digest, list[str]()

    def digest() -> str:
        """Return an outdated digest at the first read."""
        told.append("0" * 40 if not told else true_digest())
        return told[-1]

    guest.digest = digest
    await lab.in_guest(job.vmid, "touch", "/root/go")
    await work
    await lab.finish(job_id)
    assert len(told) > 2
    assert "Built by LXC Dashboard" in guest.config["description"]


async def stopped_create(lab: Lab) -> service.CreationView:
    """A job whose create task was killed. PVE keeps only a locked configuration."""
    lab.sandbox.hang_task("vzcreate")
    job_id = await lab.request(None)
    work = lab.work(job_id)
    await stop_create(lab, "pve1")
    await work
    job = await lab.finish(job_id, state=JobState.FAILED)
    (guest,) = [guest for guest in lab.sandbox.api.cts if guest.vmid == job.vmid]
    assert guest.lock == "create"
    return job


async def stop_create(lab: Lab, node: str) -> None:
    client = await acting.client(lab.rt, lab.session)

    async def running() -> str:
        tasks = await client.tasks.list(node, typefilter="vzcreate")
        return next((task.upid for task in tasks if task.running), "")

    upid = await lab.until(running, "the task")
    await client.tasks.stop(upid)

    async def ended() -> bool:
        return (await client.tasks.status(upid)).ended

    await lab.until(ended, "the end of the task")


async def lock_of(lab: Lab, vmid: int) -> str:
    return str(next(guest.lock for guest in lab.sandbox.api.cts if guest.vmid == vmid))


async def test_the_lock_of_the_jobs_own_killed_create_is_lifted(lab: Lab) -> None:
    job = await stopped_create(lab)
    assert await lab.destroy(job.id) == f"Destroyed CT {job.vmid} {job.hostname}"
    assert lab.containers_named(job.hostname) == []


async def left_disk(lab: Lab, job: service.CreationView, *, before_it: bool = False) -> str:
    """Add a disk with the job's vmid and return its volid. ``before_it``: older than the job's create."""
    client = await acting.client(lab.rt, lab.session)
    (task,) = await client.tasks.list(job.node, vmid=job.vmid, typefilter="vzcreate")
    volumes = lab.sandbox.api.storages["local-lvm"]["volumes"]
    name = f"vm-{job.vmid}-disk-{len(volumes)}"
    ctime = task.starttime - 1 if before_it else task.endtime
    volumes[name] = {"content": "rootdir", "format": "raw", "size": 1 << 30, "ctime": ctime, "vmid": job.vmid}
    return f"local-lvm:{name}"


async def disks_of(lab: Lab, job: service.CreationView) -> list[str]:
    client = await acting.client(lab.rt, lab.session)
    return [volume.volid for volume in await client.storage.content(job.node, "local-lvm", vmid=job.vmid)]


async def test_a_disk_that_the_killed_create_made_is_destroyed_and_one_from_before_it_is_named(lab: Lab) -> None:
    job = await stopped_create(lab)
    old, made = await left_disk(lab, job, before_it=True), await left_disk(lab, job)
    assert await disks_of(lab, job) == [old, made]
    said = await lab.destroy(job.id)
    assert said.startswith(f"Destroyed CT {job.vmid} {job.hostname}. Storage still has {old} of its vmid")
    assert await disks_of(lab, job) == [old]


async def test_a_disk_that_pve_will_not_delete_is_named(lab: Lab) -> None:
    job = await stopped_create(lab)
    made = await left_disk(lab, job)
    lab.sandbox.api.storages["local-lvm"]["volumes"][made.partition(":")[2]]["protected"] = True
    assert f"Storage still has {made} of its vmid" in await lab.destroy(job.id)
    assert await disks_of(lab, job) == [made]
    assert lab.containers_named(job.hostname) == []


async def test_a_retry_forgets_none_of_the_jobs_own_creates(lab: Lab) -> None:
    job = await stopped_create(lab)
    await service.retry(lab.rt, lab.session, job.id)
    await lab.finish(job.id, state=JobState.FAILED)  # the leftovers of the create still take the vmid
    assert "Destroyed" in await lab.destroy(job.id)


async def test_the_lock_of_anothers_create_is_left_alone(lab: Lab) -> None:
    job = await stopped_create(lab)
    lab.sandbox.unlock_guest(job.vmid)
    await remove(lab, job)
    await anothers_create(lab, job.vmid)
    for running in (True, False):
        with pytest.raises(ConflictError, match="another container"):
            await lab.destroy(job.id)
        assert await lock_of(lab, job.vmid) == "create"
        if running:
            await stop_create(lab, "pve1")


async def anothers_create(lab: Lab, vmid: int) -> None:
    await asyncio.sleep(1.1)  # PVE distinguishes tasks only by the second of their start
    lab.sandbox.hang_task("vzcreate")
    client = await acting.client(lab.rt, lab.session)
    options = {"hostname": "other", "rootfs": "local-lvm:1"}
    await client.lxc.create("pve1", vmid, OSTEMPLATE, unprivileged=True, options=options)


async def test_a_lock_that_others_set_is_not_lifted_for_a_deletion(lab: Lab) -> None:
    job = await failed(lab)
    lab.sandbox.lock_guest(job.vmid, "create")
    assert "locked by a task that is not of this job" in await lab.destroy(job.id)
    assert await lock_of(lab, job.vmid) == "create"
