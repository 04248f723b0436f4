"""Edit and retry: what the job left is destroyed for the new request, and stays if that is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, PreflightError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import replacement, service
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings, PasswordMode, Secrets
from lxc_dashboard.services.creation.preflight.findings import FindingSeverity
from tests.integration.creation.conftest import content_of, store
from tests.integration.endpoints import sign_in
from tests.worded import said

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.services.creation.views import CreationView
    from tests.integration.creation.conftest import Lab

BAD = content_of(("10-bad.sh", "exit 1"))
GOOD = content_of(("10-good.sh", "echo good > /root/made"))


async def failed(lab: Lab, **changes: object) -> tuple[UUID, CreationView]:
    job_id = await lab.request(BAD, **changes)
    return job_id, await lab.finish(job_id, state=JobState.FAILED)


async def test_a_failed_job_is_replaced_under_the_vmid_name_and_address_that_were_chosen(lab: Lab) -> None:
    address = IpSettings(IpMode.STATIC, "10.66.3.77/16", "10.66.0.1")
    job_id, job = await failed(lab, vmid=4711, hostname="edited-01", ipv4=address)
    spec = await replacement.editable(lab.rt, lab.session, job_id)
    assert (spec.vmid, spec.hostname, spec.ipv4) == (4711, "edited-01", address)
    spec = replace(spec, revision_id=await store(lab.rt, GOOD), cores=2)
    found = await replacement.check(lab.rt, lab.session, job_id, spec)
    assert [said(each) for each in found if each.field in {"vmid", "hostname", "ipv4_address"}] == []
    again = await replacement.replace(lab.rt, lab.session, job_id, spec)
    made = await lab.finish(again)
    assert (made.vmid, made.hostname) == (4711, "edited-01")
    assert await lab.in_guest(4711, "cat", "/root/made") == "good\n"
    assert lab.containers_named("edited-01") == [4711]
    before = await service.get_job(lab.rt, lab.session, job_id)
    assert (before.state, before.exists) == (JobState.FAILED, False)
    async with lab.rt.db.transaction() as tx:
        actions = [entry.action for entry in await tx.audit.list(action="creation")]
    assert actions == ["creation.done", "creation.request", "creation.replace", "creation.failed", "creation.request"]
    assert job.container_id != made.container_id


async def test_what_is_filled_in_says_which_revision_the_job_had(lab: Lab) -> None:
    job_id, _ = await failed(lab)
    assert (await replacement.of_job(lab.rt, lab.session, job_id)).revision_number == 1
    without = await lab.request(None)
    await service.cancel(lab.rt, lab.session, without)
    await lab.finish(without, state=JobState.CANCELLED)
    assert (await replacement.of_job(lab.rt, lab.session, without)).revision_number == 0


async def test_a_vmid_that_nobody_chose_is_used_again(lab: Lab) -> None:
    job_id, job = await failed(lab)
    spec = replace(await replacement.editable(lab.rt, lab.session, job_id), revision_id=None)
    assert spec.vmid is None
    made = await lab.finish(await replacement.replace(lab.rt, lab.session, job_id, spec))
    assert made.vmid == job.vmid


async def test_a_request_that_is_refused_destroys_nothing(lab: Lab) -> None:
    job_id, job = await failed(lab)
    spec = await replacement.editable(lab.rt, lab.session, job_id)
    with pytest.raises(PreflightError, match="vmbr77"):
        await replacement.replace(lab.rt, lab.session, job_id, replace(spec, bridge="vmbr77"))
    given = replace(spec, password_mode=PasswordMode.GIVEN)
    with pytest.raises(InvalidInputError):
        await replacement.replace(lab.rt, lab.session, job_id, given, Secrets("four"))
    assert lab.containers_named(job.hostname) == [job.vmid]
    again = await service.get_job(lab.rt, lab.session, job_id)
    assert again.may_retry
    assert again.exists
    assert len(await service.list_jobs(lab.rt, lab.session)) == 1


@pytest.mark.full
async def test_what_pve_will_not_delete_stays_and_nothing_new_is_asked_for(lab: Lab) -> None:
    job_id, job = await failed(lab)
    client = await acting.client(lab.rt, lab.session)
    await client.lxc.set_config(job.node, job.vmid, {"description": "somebody else's"})
    spec = await replacement.editable(lab.rt, lab.session, job_id)
    with pytest.raises(ConflictError, match="another container"):
        await replacement.replace(lab.rt, lab.session, job_id, spec)
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert len(await service.list_jobs(lab.rt, lab.session)) == 1


async def test_a_cancelled_job_that_left_nothing_is_edited_too(lab: Lab) -> None:
    job_id = await lab.request(None, vmid=4712)
    await service.cancel(lab.rt, lab.session, job_id)
    assert not (await lab.finish(job_id, state=JobState.CANCELLED)).exists
    spec = await replacement.editable(lab.rt, lab.session, job_id)
    made = await lab.finish(await replacement.replace(lab.rt, lab.session, job_id, spec))
    assert made.vmid == 4712


async def test_the_same_replacement_twice_makes_one(lab: Lab) -> None:
    job_id, job = await failed(lab)
    spec = replace(await replacement.editable(lab.rt, lab.session, job_id), revision_id=None)
    wanted = uuid4()
    assert await replacement.replace(lab.rt, lab.session, job_id, spec, wanted=wanted) == wanted
    assert await replacement.replace(lab.rt, lab.session, job_id, spec, wanted=wanted) == wanted
    await lab.finish(wanted)
    assert lab.containers_named(job.hostname) == [job.vmid]
    assert len(await service.list_jobs(lab.rt, lab.session)) == 2


async def test_only_a_job_of_ones_own_that_did_not_succeed_is_edited(lab: Lab) -> None:
    ready = await lab.request(None)
    with pytest.raises(ConflictError, match="this one is queued"):
        await replacement.editable(lab.rt, lab.session, ready)
    await lab.finish(ready)
    with pytest.raises(ConflictError, match="this one is done"):
        await replacement.editable(lab.rt, lab.session, ready)
    job_id, _ = await failed(lab)
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    with pytest.raises(ConflictError, match="acts as the user or token"):
        await replacement.editable(lab.rt, operator, job_id)
    with pytest.raises(NotFoundError):
        await replacement.editable(lab.rt, lab.session, uuid4())


@pytest.mark.full
async def test_a_retry_and_a_replacement_at_once_do_not_both_happen(lab: Lab) -> None:
    job_id, job = await failed(lab)
    spec = replace(await replacement.editable(lab.rt, lab.session, job_id), revision_id=None)
    both = await asyncio.gather(
        service.retry(lab.rt, lab.session, job_id),
        replacement.replace(lab.rt, lab.session, job_id, spec),
        return_exceptions=True,
    )
    assert [isinstance(each, ConflictError) for each in both].count(True) == 1, both
    assert len(lab.containers_named(job.hostname)) <= 1


@pytest.mark.full
async def test_what_else_is_in_the_way_is_still_named(lab: Lab) -> None:
    other = await lab.finish(await lab.request(None))
    job_id, _ = await failed(lab)
    spec = replace(await replacement.editable(lab.rt, lab.session, job_id), vmid=other.vmid)
    found = await replacement.check(lab.rt, lab.session, job_id, spec)
    assert [each.field for each in found if each.severity is FindingSeverity.ERROR] == ["vmid"]
