"""Seeing a batch and acting on all its containers, for users with the privileges."""

from __future__ import annotations

import pytest

from lxc_dashboard.db.models import JobState, new_id
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import batches
from tests.integration.creation.batches.asking import ask, view
from tests.integration.creation.conftest import OSTEMPLATE, Lab
from tests.integration.endpoints import sign_in


async def test_cancelling_all_ends_each_that_has_not_ended(lab: Lab) -> None:
    batch_id = await ask(lab)
    first, *rest = (each.job for each in (await view(lab, batch_id)).jobs)
    await lab.finish(first.id)
    outcome = await batches.cancel_all(lab.rt, lab.session, batch_id)
    assert (outcome.done, outcome.refused) == (("web-2", "web-3"), ())
    for job in rest:
        await lab.finish(job.id, state=JobState.CANCELLED)
    assert lab.containers_named("web-1") == [first.vmid]
    assert lab.containers_named("web-2") == lab.containers_named("web-3") == []
    assert (await batches.cancel_all(lab.rt, lab.session, batch_id)).done == ()


async def test_all_that_failed_are_retried_and_the_rest_is_left_alone(lab: Lab) -> None:
    batch_id = await ask(lab)
    jobs = [each.job for each in (await view(lab, batch_id)).jobs]
    await lab.finish(jobs[0].id)
    volumes = lab.sandbox.api.storages["local"]["volumes"]
    name = OSTEMPLATE.partition(":")[2]
    taken_away = volumes.pop(name)
    for job in jobs[1:]:
        await lab.finish(job.id, state=JobState.FAILED)
    volumes[name] = taken_away
    outcome = await batches.retry_failed(lab.rt, lab.session, batch_id)
    assert (outcome.done, outcome.refused) == (("web-2", "web-3"), ())
    for job in jobs[1:]:
        await lab.finish(job.id)
    assert all(lab.containers_named(f"web-{number}") for number in (1, 2, 3))


async def test_others_see_what_pve_lets_them_see_and_touch_nothing(lab: Lab) -> None:
    batch_id = await ask(lab)
    first, *_ = (each.job for each in (await view(lab, batch_id)).jobs)
    await lab.finish(first.id)
    lab.session = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    found = await view(lab, batch_id)
    assert [each.job.hostname for each in found.jobs] == ["web-1"]
    assert found.hidden == 2
    assert (await batches.cancel_all(lab.rt, lab.session, batch_id)).done == ()


async def test_who_sees_a_guest_does_not_see_the_job_that_had_its_vmid_before(lab: Lab) -> None:
    batch_id = await ask(lab)
    first, *_ = (each.job for each in (await view(lab, batch_id)).jobs)
    await lab.finish(first.id)
    client = await acting.client(lab.rt, lab.session)
    await client.lxc.set_config(first.node, first.vmid, {"description": "somebody else's"})
    lab.session = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(NotFoundError):
        await view(lab, batch_id)


async def test_a_batch_that_may_not_be_seen_is_as_one_that_is_not_there(lab: Lab) -> None:
    batch_id = await ask(lab)
    lab.session = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    for wanted in (batch_id, new_id()):
        with pytest.raises(NotFoundError):
            await view(lab, wanted)
        with pytest.raises(NotFoundError):
            await batches.cancel_all(lab.rt, lab.session, wanted)
