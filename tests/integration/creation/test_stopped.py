"""A guest stops while a step runs in it, by both doors: the job fails within 15 s, and a retry starts the guest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.creation import service
from tests.integration.creation.conftest import content_of, register
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.services.creation.views import CreationView
    from lxc_dashboard.settings import Settings
    from pve_sandbox.guests.host import GuestHost
    from pve_sandbox.guests.namespaced import NamespaceHost
    from pve_sandbox.node import SandboxNode
    from pve_sandbox.ssh.server import SshServer
    from tests.integration.creation.conftest import Lab

NOTICED_WITHIN_S = 15
WAITS = content_of(
    ("10-web.sh", "#!/bin/sh\necho run >> /root/runs\necho waits\nuntil [ -e /root/mended ]; do sleep 0.1; done\n")
)
POWERS_OFF = content_of(
    (
        "10-web.sh",
        # Prints nothing before poweroff: late output may be lost with the guest.
        "#!/bin/sh\necho run >> /root/runs\n[ -e /root/mended ] && exit\npoweroff -f\nsleep 600\n",
    )
)
SILENT = content_of(
    ("10-web.sh", "#!/bin/sh\necho waits\nwhile [ ! -e /root/mended ]; do sleep 0.1; done\necho goes on\n")
)


@pytest.fixture(params=[("*",), pytest.param((), marks=pytest.mark.full)], ids=["pct", "ssh"])
async def rt(
    request: pytest.FixtureRequest, settings: Settings, sandbox: SandboxNode, guests: GuestHost
) -> AsyncIterator[Runtime]:
    if guests.kind.startswith("rootless"):
        pytest.skip("guests of this kind have no address that this machine reaches")
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox, *request.param)
        yield runtime


async def begun(lab: Lab, job_id: UUID) -> tuple[asyncio.Task[None], int]:
    work = lab.work(job_id)
    await lab.until_said(job_id, "waits")
    return work, (await service.get_job(lab.rt, lab.session, job_id)).vmid


async def failed(lab: Lab, job_id: UUID, work: asyncio.Task[None]) -> CreationView:
    async with asyncio.timeout(NOTICED_WITHIN_S):
        await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    return job


def server_of(lab: Lab, vmid: int) -> SshServer:
    """The SSH server that the job uses to enter the guest."""
    inside = cast("NamespaceHost", lab.guests)._running[vmid].ssh
    server = inside or lab.sandbox._door
    assert server is not None
    return server


def statuses_asked(lab: Lab, vmid: int) -> int:
    return sum(path.endswith(f"/lxc/{vmid}/status/current") for _, path, *_ in lab.sandbox.api.requests)


async def mended(lab: Lab, job_id: UUID, vmid: int) -> None:
    """Retry the job, and check that the guest starts, the step runs again and the job is done."""
    await service.retry(lab.rt, lab.session, job_id)
    work = lab.work(job_id)
    await lab.until(lambda: lab.guests.is_running(vmid), "started again")
    await lab.in_guest(vmid, "touch", "/root/mended")
    await work
    assert (await service.get_job(lab.rt, lab.session, job_id)).state is JobState.DONE


async def test_a_script_that_powers_the_guest_off_is_told_so(lab: Lab) -> None:
    job_id = await lab.request(POWERS_OFF)
    work = lab.work(job_id)
    await lab.until_said(job_id, "Running 10-web.sh")
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    await lab.until(lambda: not lab.guests.is_running(vmid), "powered off")
    job = await failed(lab, job_id, work)
    assert job.error
    assert cause(job.error) == (
        f"CT {vmid} was stopped while 10-web.sh ran: a script powered it off, or somebody stopped it"
    )
    assert job.error.step == "10-web.sh"
    assert "starts it again" in remedy(job.error)
    assert not (await (await lab.pve()).lxc.status(job.node, vmid)).running


async def test_a_guest_that_somebody_stops_is_told_so_and_started_by_a_retry(lab: Lab) -> None:
    job_id = await lab.request(WAITS)
    work, vmid = await begun(lab, job_id)
    client = await lab.pve()
    await client.tasks.wait(await client.lxc.stop("pve1", vmid), deadline_s=30)
    job = await failed(lab, job_id, work)
    assert job.error
    assert cause(job.error).startswith(f"CT {vmid} was stopped while 10-web.sh ran")
    await mended(lab, job_id, vmid)
    assert (await lab.in_guest(vmid, "cat", "/root/runs")).split() == ["run", "run"]


async def test_a_guest_that_is_restarted_is_told_so(lab: Lab) -> None:
    job_id = await lab.request(WAITS)
    work, vmid = await begun(lab, job_id)
    await lab.guests.stop(vmid)
    await lab.guests.start(vmid)
    job = await failed(lab, job_id, work)
    assert job.error
    assert cause(job.error) == (
        f"CT {vmid} was restarted while 10-web.sh ran: a script rebooted it, or somebody restarted it"
    )
    assert (await lab.in_guest(vmid, "cat", "/root/runs")).split() == ["run"]


@pytest.mark.full
async def test_a_guest_that_is_merely_silent_is_waited_for(lab: Lab) -> None:
    job_id = await lab.request(SILENT)
    work, vmid = await begun(lab, job_id)
    asked, door = statuses_asked(lab, vmid), server_of(lab, vmid)
    door.latency_s = 8
    await lab.until(lambda: statuses_asked(lab, vmid) > asked, "PVE is asked")
    door.latency_s = 0
    await lab.in_guest(vmid, "touch", "/root/mended")
    await work
    assert (await service.get_job(lab.rt, lab.session, job_id)).state is JobState.DONE
    assert await lab.log_of(job_id, "10-web.sh") == ["waits", "goes on"]
    assert not any("again" in event.message for event in await lab.events(job_id))
