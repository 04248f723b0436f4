"""A job ends within 15 s when its container is deleted in PVE. Nothing of it blocks other jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from lxc_dashboard.db.models import JobState
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import service
from tests.integration.creation.conftest import content_of, register
from tests.integration.endpoints import sign_in
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.services.creation.views import CreationView
    from lxc_dashboard.settings import Settings
    from pve_sandbox.guests.host import GuestHost
    from pve_sandbox.node import SandboxNode
    from tests.integration.creation.conftest import Lab
    from tests.integration.creation.other_pve import Answer, OtherPve

ENDS_WITHIN_S = 15
WAITS = content_of(("10-web.sh", "#!/bin/sh\necho waits\nsleep 600\n"))


@pytest.fixture(params=[("*",), pytest.param((), marks=pytest.mark.full)], ids=["pct", "ssh"])
async def rt(
    request: pytest.FixtureRequest, settings: Settings, sandbox: SandboxNode, guests: GuestHost
) -> AsyncIterator[Runtime]:
    if not request.param and guests.kind.startswith("rootless"):
        pytest.skip("guests of this kind have no address that this machine reaches")
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox, *request.param)
        yield runtime


async def delete(lab: Lab, vmid: int, userid: str = "operator@pve") -> None:
    """Stop and destroy the container in one call, as an administrator does."""
    client = await acting.client(lab.rt, await sign_in(lab.rt, lab.sandbox, userid))
    await client.tasks.wait(await client.lxc.delete("pve1", vmid, purge=True, force=True), deadline_s=30)


async def vmid_of(lab: Lab, job_id: UUID) -> int:
    return (await service.get_job(lab.rt, lab.session, job_id)).vmid


async def ended(lab: Lab, job_id: UUID, work: asyncio.Task[None]) -> CreationView:
    async with asyncio.timeout(ENDS_WITHIN_S):
        await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.state is JobState.FAILED
    assert (job.exists, job.may_retry, job.may_destroy, job.may_console) == (False, False, False, False)
    assert job.may_edit
    async with lab.rt.db.transaction() as tx:
        assert await tx.containers.by_vmid(lab.session.endpoint_id, job.vmid) is None
    return job


async def test_while_a_script_runs_it_is_told_with_the_user_who_did_it(lab: Lab) -> None:
    job_id = await lab.request(WAITS)
    work = lab.work(job_id)
    await lab.until_said(job_id, "waits")
    vmid = await vmid_of(lab, job_id)
    await delete(lab, vmid)
    job = await ended(lab, job_id, work)
    assert job.error
    assert cause(job.error) == f"CT {vmid} was deleted in PVE by operator@pve"
    assert remedy(job.error) == "Create it again"


async def test_a_user_whose_rights_went_with_the_container_is_told_of_the_container(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    job_id = await lab.request(WAITS)
    work = lab.work(job_id)
    await lab.until_said(job_id, "waits")
    vmid = await vmid_of(lab, job_id)
    directory = lab.sandbox.api.directory
    directory.acl[:] = [
        structs.replace(entry, path=f"/vms/{vmid}") if entry.ugid == "operator@pve" else entry
        for entry in directory.acl
    ]
    directory.changed()
    await delete(lab, vmid, "root@pam")
    job = await ended(lab, job_id, work)
    assert job.error
    assert cause(job.error).startswith(f"CT {vmid} was deleted in PVE")


async def test_while_it_waits_for_an_address(lab: Lab, other: OtherPve) -> None:
    def untold(answer: Answer) -> None:
        if answer.path.endswith("/interfaces"):
            answer.status, answer.body = 200, {"data": None}

    other.changes.append(untold)
    job_id = await lab.request(WAITS)
    work = lab.work(job_id)
    await lab.until(lambda: any("/interfaces" in line for line in other.asked), "asked for its address")
    vmid = await vmid_of(lab, job_id)
    await delete(lab, vmid)
    job = await ended(lab, job_id, work)
    assert job.error
    assert cause(job.error) == f"CT {vmid} was deleted in PVE by operator@pve"


async def test_while_it_is_paused(lab: Lab) -> None:
    job_id = await lab.request(None, pause_after_create=True)
    await lab.finish(job_id, state=JobState.PAUSED)
    await delete(lab, await vmid_of(lab, job_id))
    await service.go_on(lab.rt, lab.session, job_id)
    job = await ended(lab, job_id, lab.work(job_id))
    assert job.error
    assert cause(job.error) == f"CT {job.vmid} was deleted in PVE by operator@pve"


async def test_it_is_cancelled_without_a_word_of_what_may_go_on(lab: Lab) -> None:
    job_id = await lab.request(WAITS)
    work = lab.work(job_id)
    await lab.until_said(job_id, "waits")
    await delete(lab, await vmid_of(lab, job_id))
    await service.cancel(lab.rt, lab.session, job_id)
    async with asyncio.timeout(ENDS_WITHIN_S):
        await work
    assert not any("may go on" in event.message for event in await lab.events(job_id))
    assert not (await service.get_job(lab.rt, lab.session, job_id)).exists
