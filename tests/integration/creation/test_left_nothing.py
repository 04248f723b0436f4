"""A failed job that left nothing in PVE: it says so, holds no vmid or address, and can be retried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import replacement, service
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from tests.integration.creation.conftest import OSTEMPLATE, content_of

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.views import CreationView
    from tests.integration.creation.conftest import Lab

ARCHIVE = OSTEMPLATE.partition(":")[2]
ADDRESS = IpSettings(IpMode.STATIC, "10.66.3.90/16", "10.66.0.1")


def volumes(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.sandbox.api.storages["local"]["volumes"]
    return found


async def fails_in_the_check(lab: Lab, **changes: Any) -> CreationView:
    """Remove the OS template after the request, and restore it after the job has failed."""
    job_id = await lab.request(None, **changes)
    archive = volumes(lab).pop(ARCHIVE)
    job = await lab.finish(job_id, state=JobState.FAILED)
    volumes(lab)[ARCHIVE] = archive
    return job


async def fails_in_the_create(lab: Lab, **changes: Any) -> CreationView:
    """Damage the OS template until the job has failed."""
    job_id = await lab.request(None, **changes)
    volumes(lab)[ARCHIVE]["corrupt"] = True
    job = await lab.finish(job_id, state=JobState.FAILED)
    volumes(lab)[ARCHIVE]["corrupt"] = False
    return job


@pytest.fixture(params=[fails_in_the_check, fails_in_the_create], ids=["check", "create"])
def fails(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_it_offers_a_retry_and_nothing_to_destroy(lab: Lab, fails: Any) -> None:
    job = await fails(lab)
    assert (job.exists, job.may_destroy, job.may_console) == (False, False, False)
    assert (job.may_retry, job.may_edit) == (True, True)
    [listed] = await service.list_jobs(lab.rt, lab.session)
    assert (listed.exists, listed.may_destroy, listed.may_retry) == (False, False, True)


async def test_its_retry_makes_the_container_with_the_vmid_and_the_address_that_were_chosen(
    lab: Lab, fails: Any
) -> None:
    job = await fails(lab, vmid=4711, ipv4=ADDRESS)
    await service.retry(lab.rt, lab.session, job.id)
    made = await lab.finish(job.id)
    assert (made.vmid, made.exists) == (4711, True)
    assert lab.containers_named(job.hostname) == [4711]


async def test_others_get_its_vmid_and_address_at_once(lab: Lab, fails: Any) -> None:
    job = await fails(lab, vmid=4711, ipv4=ADDRESS)
    made = await lab.finish(await lab.request(None, vmid=4711, ipv4=ADDRESS))
    assert made.vmid == 4711
    with pytest.raises(ConflictError, match=r"10\.66\.3\.90 is the address of CT 4711"):
        await service.retry(lab.rt, lab.session, job.id)


async def test_a_retry_takes_another_vmid_where_nobody_chose_the_one_that_is_taken(lab: Lab, fails: Any) -> None:
    job = await fails(lab)
    other = await lab.finish(await lab.request(None))
    assert other.vmid == job.vmid
    await service.retry(lab.rt, lab.session, job.id)
    made = await lab.finish(job.id)
    assert made.vmid != other.vmid
    async with lab.rt.db.transaction() as tx:
        assert (await tx.jobs.get(job.id)).vmid == made.vmid
    assert lab.containers_named(job.hostname) == [made.vmid]
    assert lab.containers_named(other.hostname) == [other.vmid]


async def test_a_retry_does_not_take_a_chosen_vmid_from_another_container(lab: Lab, fails: Any) -> None:
    job = await fails(lab, vmid=4711)
    await lab.finish(await lab.request(None, vmid=4711))
    with pytest.raises(ConflictError, match="4711 is taken"):
        await service.retry(lab.rt, lab.session, job.id)


async def test_one_that_was_replaced_is_not_run_again(lab: Lab, fails: Any) -> None:
    job = await fails(lab, vmid=4711)
    spec = replace(await replacement.editable(lab.rt, lab.session, job.id), cores=2)
    made = await lab.finish(await replacement.replace(lab.rt, lab.session, job.id, spec))
    assert made.vmid == 4711
    assert not (await service.get_job(lab.rt, lab.session, job.id)).may_retry
    with pytest.raises(ConflictError, match="create a new one"):
        await service.retry(lab.rt, lab.session, job.id)


async def test_a_failed_job_whose_container_is_deleted_in_pve_offers_to_create_again_alone(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert (job.exists, job.may_destroy, job.may_retry) == (True, True, True)
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.delete(job.node, job.vmid, purge=True, force=True))
    job = await service.get_job(lab.rt, lab.session, job_id)
    assert (job.exists, job.may_destroy, job.may_retry, job.may_edit) == (False, False, False, True)
    [listed] = await service.list_jobs(lab.rt, lab.session)
    assert (listed.exists, listed.may_destroy, listed.may_retry) == (False, False, False)


async def test_while_pve_is_silent_a_job_is_shown_as_it_was_known(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-bad.sh", "exit 1")))
    await lab.finish(job_id, state=JobState.FAILED)
    lab.sandbox.mute()
    job = await service.get_job(lab.rt, lab.session, job_id)
    lab.sandbox.mute(False)
    assert (job.exists, job.may_destroy, job.may_retry) == (True, True, True)
