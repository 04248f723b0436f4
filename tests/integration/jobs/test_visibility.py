"""Who sees a job of any kind: its user, and users to whom PVE shows the guest. All lists and pages agree."""

from __future__ import annotations

from uuid import UUID

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Container, Job, JobState
from lxc_dashboard.errors import NotFoundError, PrivilegeError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.containers import power
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.jobs import listing, service
from lxc_dashboard.services.jobs.identity import line_of
from lxc_dashboard.services.jobs.listing import Wanted, page_of
from lxc_dashboard.services.jobs.request import request
from lxc_dashboard.services.monitor.rows import Row
from pve_sandbox.node import SandboxNode
from tests.integration.monitor.conftest import SignIn

SHOWN, HIDDEN = 101, 102


def grant_only(sandbox: SandboxNode, userid: str, path: str, *privileges: str) -> None:
    directory = sandbox.api.directory
    directory.acl[:] = [entry for entry in directory.acl if entry.ugid != userid]
    if privileges:
        sandbox.api.grant(userid, path, *privileges)
    directory.changed()


async def stop(rt: Runtime, session: Session, vmid: int) -> UUID:
    """Request a stop. Its job waits for a worker."""
    return await request(rt, session, Power.STOP.act, await power.find(rt, session, vmid))


async def listed(rt: Runtime, session: Session, wanted: Wanted | None = None) -> list[UUID]:
    return [job.id for job in (await page_of(rt, session, wanted or Wanted(), limit=50)).jobs]


async def taken(rt: Runtime, *job_ids: UUID) -> None:
    """Give each job a lease, as if a worker held it."""
    async with rt.db.transaction() as tx:
        for job_id in job_ids:
            assert await tx.leases.acquire(job_id, f"test:{job_id}", 60)


async def made_as(rt: Runtime, session: Session, vmid: int) -> UUID:
    """Store a container of the product with this vmid, and return the id of its creation."""
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(
            Container(endpoint_id=session.endpoint_id, vmid=vmid, node="pve1", hostname="was-ours")
        )
        made = Job.about(container, CREATE_KIND, step="ready", userid=session.userid, params={})
        await tx.jobs.add(made)
        await tx.leases.acquire(made.id, "test:made", 60)
        await tx.jobs.finish(made.id, "test:made", JobState.DONE)
    return made.id


def row(name: str, job: UUID | str = "") -> Row:
    return Row(0, name, job=str(job))


async def test_a_job_on_a_guest_that_pve_hides_is_nowhere_to_be_seen(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    root = await sign_in(rt, "root@pam")
    shown, hidden = await stop(rt, root, SHOWN), await stop(rt, root, HIDDEN)
    await taken(rt, shown, hidden)
    grant_only(sandbox, "viewer@pve", f"/vms/{SHOWN}", "VM.Audit")
    viewer = await sign_in(rt, "viewer@pve")

    found = await page_of(rt, viewer, Wanted(), limit=50)
    assert ([job.id for job in found.jobs], found.total) == ([shown], 1)
    assert (found.choices.kinds, found.choices.users) == (("container.stop",), ("root@pam",))
    assert [job.id for job in await listing.running(rt, viewer, {SHOWN: row("web-01")})] == [shown]
    assert [job.id for job in await listing.named(rt, viewer, {SHOWN: row("web-01")}, "", 8)] == [shown]
    assert (await service.get_job(rt, viewer, shown)).vmid == SHOWN
    with pytest.raises(NotFoundError):
        await service.get_job(rt, viewer, hidden)
    with pytest.raises(NotFoundError):
        await service.cancel(rt, viewer, hidden)
    with pytest.raises(PrivilegeError, match=r"VM\.Allocate"):
        await service.cancel(rt, viewer, shown)
    assert await listed(rt, root) == [hidden, shown]


async def test_what_a_user_may_do_with_a_job_is_told(rt: Runtime, sandbox: SandboxNode, sign_in: SignIn) -> None:
    operator = await sign_in(rt, "operator@pve")
    job_id = await stop(rt, operator, SHOWN)
    own = await service.get_job(rt, operator, job_id)
    assert (own.own, own.may_cancel, own.kind, own.state) == (True, True, "container.stop", JobState.QUEUED)
    assert own.place is not None
    seen = await service.get_job(rt, await sign_in(rt, "viewer@pve"), job_id)
    assert (seen.own, seen.may_cancel) == (False, False)
    manages = await service.get_job(rt, await sign_in(rt, "root@pam"), job_id)
    assert (manages.own, manages.may_cancel) == (False, True)


async def test_ones_own_job_stays_visible_when_its_guest_is_gone_and_others_lose_it(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    root, viewer = await sign_in(rt, "root@pam"), await sign_in(rt, "viewer@pve")
    job_id = await stop(rt, root, SHOWN)
    sandbox.api.cts[:] = [guest for guest in sandbox.api.cts if guest.vmid != SHOWN]
    assert (await service.get_job(rt, root, job_id)).id == job_id
    with pytest.raises(NotFoundError):
        await service.get_job(rt, viewer, job_id)
    assert (await listed(rt, root), await listed(rt, viewer)) == ([job_id], [])


async def test_an_act_on_a_container_of_ours_is_hidden_once_its_vmid_is_another_guest(
    rt: Runtime, sandbox: SandboxNode, sign_in: SignIn
) -> None:
    """PVE shows the viewer a foreign guest that now has the vmid. The marker shows that it is foreign."""
    root, viewer = await sign_in(rt, "root@pam"), await sign_in(rt, "viewer@pve")
    made = await made_as(rt, root, SHOWN)
    client = await acting.client(rt, root)
    former = (await client.lxc.config("pve1", SHOWN)).description
    await client.lxc.set_config("pve1", SHOWN, {"description": line_of(made)})
    job_id = await stop(rt, root, SHOWN)
    await taken(rt, job_id)
    await client.lxc.set_config("pve1", SHOWN, {"description": former or "a stranger's"})
    with pytest.raises(NotFoundError):
        await service.get_job(rt, viewer, job_id)
    assert await listed(rt, viewer) == []
    assert await listing.running(rt, viewer, {SHOWN: row("stranger")}) == ()
    shown = await listing.running(rt, viewer, {SHOWN: row("was-ours", made)})
    assert [job.id for job in shown] == [job_id], "the feed says that the guest is the container"


async def test_an_act_on_a_stranger_with_the_vmid_of_a_container_of_ours_is_about_the_stranger(
    rt: Runtime, sign_in: SignIn
) -> None:
    root, viewer = await sign_in(rt, "root@pam"), await sign_in(rt, "viewer@pve")
    await made_as(rt, root, SHOWN)
    job_id = await stop(rt, root, SHOWN)
    assert (await service.get_job(rt, viewer, job_id)).container_id is None
    assert await listed(rt, viewer) == [job_id]


async def test_jobs_are_filtered_by_kind_guest_and_user(rt: Runtime, sign_in: SignIn) -> None:
    root, operator = await sign_in(rt, "root@pam"), await sign_in(rt, "operator@pve")
    first, second = await stop(rt, root, SHOWN), await stop(rt, operator, HIDDEN)
    guest = await power.find(rt, root, 103)
    third = await request(rt, root, Power.START.act, guest)
    wanted = {
        "kind": (Wanted(kind="container.stop"), [second, first]),
        "vmid": (Wanted(vmid=103), [third]),
        "name": (Wanted(name=guest.name.upper()), [third]),
        "user": (Wanted(userid="operator@pve"), [second]),
        "all of it": (Wanted(kind="container.stop", vmid=SHOWN, userid="root@pam"), [first]),
        "no such kind": (Wanted(kind="guest.polish"), []),
        "what is no text of the database": (Wanted(userid="\0", name="\0", kind="\0"), []),
    }
    for what, (each, expected) in wanted.items():
        assert await listed(rt, root, each) == expected, what
