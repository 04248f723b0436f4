"""A reused vmid: users of the new guest do not see acts on the former one, and the acts do not run on the new one."""

from __future__ import annotations

from uuid import UUID

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import Job, JobState
from lxc_dashboard.db.repositories.leases import update_job
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import lifecycle, power
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs import listing, service
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.monitor.rows import Row
from pve_sandbox.node import SandboxNode
from tests.integration.jobs.test_visibility import listed
from tests.integration.monitor.conftest import SignIn

OSTEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"


async def stored(rt: Runtime, job_id: UUID) -> Job:
    async with rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


async def stopped(rt: Runtime, session: Session, sandbox: SandboxNode) -> Guest:
    """A stopped container that the product did not create."""
    vmid = next(guest.vmid for guest in sandbox.api.cts if guest.status == "stopped")
    return await power.find(rt, session, vmid)


async def replace(rt: Runtime, session: Session, guest: Guest) -> None:
    """Destroy the guest in PVE and create another container with the same vmid and name."""
    client = await acting.client(rt, session)
    await client.tasks.wait(await client.lxc.delete(guest.node, guest.vmid))
    options = {"hostname": guest.name, "rootfs": "local-lvm:1", "net0": "name=eth0,bridge=vmbr0,ip=dhcp"}
    made = client.lxc.create(guest.node, guest.vmid, OSTEMPLATE, unprivileged=True, options=options)
    await client.tasks.wait(await made)


async def test_an_ended_act_is_shown_to_those_who_see_its_guest_and_not_a_later_one(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    session, viewer = await sign_in(rt, "root@pam"), await sign_in(rt, "viewer@pve")
    guest = await stopped(rt, session, sandbox)
    job_id = await request(rt, session, Power.STOP.act, guest)
    await service.visible(rt, viewer, job_id)
    await engine.run(rt, job_id)
    await service.visible(rt, viewer, job_id)
    assert await listed(rt, viewer) == [job_id]
    await replace(rt, session, guest)
    later = await sign_in(rt, "viewer@pve")  # PVE's answers are cached for seconds per session
    with pytest.raises(NotFoundError):
        await service.visible(rt, later, job_id)
    assert await listed(rt, later) == []
    assert await listing.named(rt, later, {guest.vmid: Row(guest.vmid, guest.name)}, "", 8) == ()
    await service.visible(rt, session, job_id)
    assert await listed(rt, session) == [job_id]


async def test_an_act_is_neither_retried_nor_begun_again_on_a_later_guest_of_its_vmid(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    session = await sign_in(rt, "root@pam")
    guest = await stopped(rt, session, sandbox)
    sandbox.fail("POST", f"/lxc/{guest.vmid}/status/start", 500, "no")
    job_id = await request(rt, session, Power.START.act, guest)
    await engine.run(rt, job_id)
    sandbox.heal()
    failed = await stored(rt, job_id)
    assert failed.state == JobState.FAILED
    again = await service.retry(rt, session, job_id)
    await replace(rt, session, guest)
    with pytest.raises(NotFoundError, match="another container by now"):
        await service.retry(rt, session, job_id)
    async with rt.db.transaction() as tx:
        await update_job(tx.session, again, checkpoint=failed.checkpoint)  # as after the death of its worker
    await engine.run(rt, again)
    assert "another container by now" in text.in_words_of((await stored(rt, again)).error)


async def test_a_deletion_that_another_worker_takes_over_spares_a_later_guest_of_its_vmid(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    session = await sign_in(rt, "root@pam")
    guest = await stopped(rt, session, sandbox)
    sandbox.fail("DELETE", f"/lxc/{guest.vmid}", 500, "no")
    job_id = await request(rt, session, lifecycle.delete, guest, {"confirm": guest.vmid})
    await engine.run(rt, job_id)
    sandbox.heal()
    failed = await stored(rt, job_id)
    assert failed.state == JobState.FAILED
    again = await service.retry(rt, session, job_id)
    await replace(rt, session, guest)
    async with rt.db.transaction() as tx:
        await update_job(tx.session, again, checkpoint=failed.checkpoint)  # as after the death of its worker
    await engine.run(rt, again)
    assert "another container by now" in text.in_words_of((await stored(rt, again)).error)
    assert (await power.find(rt, session, guest.vmid)).vmid == guest.vmid
