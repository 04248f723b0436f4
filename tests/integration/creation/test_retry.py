"""Scripts that fail, and a retry that continues from there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lxc_dashboard.db.models import EventType, JobState, Lifecycle
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.views import StepState
from tests.integration.creation.conftest import BASIC, content_of, script
from tests.integration.creation.failed import stop_the_create
from tests.worded import cause, remedy

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab

FLAKY = content_of(
    ("10-first.sh", "#!/bin/sh\necho first >> /root/runs\n"),
    (
        "20-flaky.sh",
        "#!/bin/sh\necho flaky >> /root/runs\n[ -e /root/mended ] || { echo frobnicate: not found; exit 127; }\n",
    ),
    ("30-last.sh", "#!/bin/sh\necho last >> /root/runs\n"),
    files=BASIC.files[:1],
)


async def test_a_failed_script_is_explained_and_retried_from_there(lab: Lab) -> None:
    job_id = await lab.request(FLAKY)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert job.error.step == "20-flaky.sh"
    assert "a command is missing in the guest: frobnicate" in cause(job.error)
    assert remedy(job.error)
    states = {step.title: step.state for step in job.steps}
    assert (states["10-first.sh"], states["20-flaky.sh"], states["30-last.sh"]) == (
        StepState.DONE, StepState.FAILED, StepState.WAITING,
    )  # fmt: skip
    async with lab.rt.db.transaction() as tx:
        assert (await tx.containers.get(job.container_id)).lifecycle == Lifecycle.ERROR.value

    await lab.in_guest(job.vmid, "touch", "/root/mended")
    again = await service.retry(lab.rt, lab.session, job_id)
    assert again.state is JobState.QUEUED
    job = await lab.finish(job_id)
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nflaky\nflaky\nlast\n"
    assert all(step.state is StepState.DONE for step in job.steps)


async def test_a_retry_that_another_overtook_begins_where_that_one_failed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await lab.request(FLAKY)
    job = await lab.finish(job_id, state=JobState.FAILED)
    looked, overtaken = service._require_same_user, False

    async def look_slowly(*args: Any) -> None:
        nonlocal overtaken
        await looked(*args)
        if not overtaken:
            overtaken = True
            await service.retry(lab.rt, lab.session, job_id)
            await lab.finish(job_id, state=JobState.FAILED)

    monkeypatch.setattr(service, "_require_same_user", look_slowly)
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id, state=JobState.FAILED)
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nflaky\nflaky\nflaky\n"


async def test_a_retry_starts_a_container_that_was_stopped_meanwhile(lab: Lab) -> None:
    job_id = await lab.request(FLAKY)
    job = await lab.finish(job_id, state=JobState.FAILED)
    await lab.in_guest(job.vmid, "touch", "/root/mended")
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.stop(job.node, job.vmid))
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nflaky\nflaky\nlast\n"


async def test_an_optional_script_may_fail(lab: Lab) -> None:
    content = replace(
        FLAKY, scripts=(script("10-may.sh", "exit 3", 0, optional=True), script("20-last.sh", "echo last", 1))
    )
    job_id = await lab.request(content)
    await lab.finish(job_id)
    warnings = [event.message for event in await lab.events(job_id) if event.type is EventType.WARNING]
    assert any("10-may.sh ended with status 3" in message for message in warnings)


async def test_a_script_over_its_time_is_ended_and_told(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-slow.sh", "#!/bin/sh\nsleep 300\n"), timeout_s=1))
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert "longer than its timeout" in cause(job.error)


async def test_a_file_without_a_directory_fails_after_the_scripts(lab: Lab) -> None:
    job_id = await lab.request(content_of(("10-a.sh", "true"), files=BASIC.files))
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert "/opt/late does not exist" in cause(job.error)
    await lab.in_guest(job.vmid, "mkdir", "-p", "/opt/late")
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    assert await lab.in_guest(job.vmid, "stat", "-c", "%s", "/opt/late/late.bin") == "16384\n"


async def test_scripts_run_as_the_user_ordered_them(lab: Lab) -> None:
    job_id = await lab.request(BASIC, scripts=("20-second.sh", "10-first.sh"))
    job = await lab.finish(job_id)
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "second\nfirst\n"


async def test_a_failed_create_is_retried_with_a_new_task(lab: Lab) -> None:
    lab.sandbox.hang_task("vzcreate")
    job_id = await lab.request(None)
    job = await stop_the_create(lab, job_id)
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    assert len(await (await lab.pve()).tasks.list("pve1", typefilter="vzcreate")) == 2
    assert lab.containers_named(job.hostname) == [job.vmid]
