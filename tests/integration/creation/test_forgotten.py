"""A container deleted in PVE holds neither its vmid nor its addresses: PVE is asked before they count as taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import InvalidInputError, PreflightError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import preflight
from lxc_dashboard.services.creation.form import choices
from lxc_dashboard.services.creation.form.addresses import next_free, parse_range
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from tests.integration.creation.conftest import content_of, spec_of
from tests.integration.endpoints import sign_in
from tests.worded import cause

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.views import CreationView
    from tests.integration.creation.conftest import Lab

ADDRESS = IpSettings(IpMode.STATIC, "10.66.3.91/16", "10.66.0.1")
ONE = parse_range("10.66.3.91-10.66.3.91/16")


async def made(lab: Lab) -> CreationView:
    """Create a container, then read all addresses so that they are cached."""
    job = await lab.finish(await lab.request(None, vmid=4711, ipv4=ADDRESS))
    await preflight.check(lab.rt, lab.session, spec_of(None, ipv4=ADDRESS))
    return job


async def delete(lab: Lab, vmid: int) -> None:
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.delete("pve1", vmid, purge=True, force=True))


async def test_its_vmid_and_address_are_given_to_the_next_request(lab: Lab) -> None:
    job = await made(lab)
    with pytest.raises(PreflightError):
        await lab.request(None, vmid=4711, ipv4=ADDRESS)
    await delete(lab, job.vmid)
    again = await lab.finish(await lab.request(None, vmid=4711, ipv4=ADDRESS))
    assert (again.vmid, again.container_id != job.container_id) == (4711, True)


async def test_a_range_that_only_it_filled_is_free(lab: Lab) -> None:
    job = await made(lab)
    with pytest.raises(InvalidInputError, match="all taken"):
        await next_free(lab.rt, lab.session, ONE)
    await delete(lab, job.vmid)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")  # has no cached addresses
    assert (await next_free(lab.rt, operator, ONE)).addresses == ("10.66.3.91/16",)


async def test_its_vmid_is_free_in_the_wizard(lab: Lab) -> None:
    job = await made(lab)
    assert await choices.vmid_fault(lab.rt, lab.session, 4711) == Message.of(FieldCode.VMID_OURS, vmid=4711)
    await delete(lab, job.vmid)
    assert await choices.vmid_fault(lab.rt, lab.session, 4711) is None


async def test_the_container_of_a_failed_job_is_forgotten_too(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-bad.sh", "exit 1")), vmid=4711, ipv4=ADDRESS)
    await lab.finish(job_id, state=JobState.FAILED)
    await delete(lab, 4711)
    assert (await lab.finish(await lab.request(None, vmid=4711, ipv4=ADDRESS))).vmid == 4711


async def test_what_the_asking_user_may_not_see_is_still_taken(lab: Lab) -> None:
    await made(lab)
    stranger = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    directory = lab.sandbox.api.directory
    directory.acl[:] = [entry for entry in directory.acl if entry.ugid != "viewer@pve"]
    directory.changed()
    found = await preflight.check(lab.rt, stranger, spec_of(None, vmid=4711, ipv4=ADDRESS))
    assert "4711 is held by a container of this dashboard" in [cause(finding) for finding in found]
    assert (await lab.finish(await lab.request(None))).exists
    async with lab.rt.db.transaction() as tx:
        assert await tx.containers.by_vmid(lab.session.endpoint_id, 4711) is not None
