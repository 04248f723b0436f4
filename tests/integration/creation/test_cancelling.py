"""Cancel in every phase: acknowledged at once and done within 15 s. What ran is stopped or named."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation import cancel as cancelling
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.creation.codes import CreationCode
from lxc_dashboard.services.creation.steps import deploy, discovery, start
from lxc_dashboard.services.templates.model import Bucket, PackageEntry
from pve_sandbox.errors import SandboxError
from tests.integration.creation.cancelled import (
    ALL_PROCESSES,
    CANCEL_WITHIN_S,
    STUBBORN,
    cancel,
    check_clean,
    check_settled,
    said,
    tasks_of,
)
from tests.integration.creation.conftest import BASIC, content_of

if TYPE_CHECKING:
    from lxc_dashboard.guest.files import Placement
    from tests.integration.creation.conftest import Lab

DOWNLOAD = "ubuntu-25.04-standard_25.04-1.1_amd64.tar.zst"


# ----------------------------------------------------------------------------- creating


async def test_in_the_download_of_an_os_template(lab: Lab) -> None:
    lab.sandbox.hang_task("download")
    job_id = await lab.request(None, ostemplate=f"local:vztmpl/{DOWNLOAD}", ostemplate_download=DOWNLOAD)
    lab.work(job_id)
    await lab.until_said(job_id, "Downloading")
    await lab.until(lambda: tasks_of(lab, "download"), "it is downloaded")
    job = await cancel(lab, job_id)
    assert not job.exists
    assert [task["status"] for task in tasks_of(lab, "download")] == ["stopped"]


async def test_in_the_very_moment_at_which_pve_is_asked_to_create(lab: Lab) -> None:
    job_id = await lab.request(None)
    lab.sandbox.hang_task("vzcreate")
    lab.work(job_id)
    await lab.until_said(job_id, "Creating the container")
    lab.sandbox.slow(0.5)
    await lab.until_said(job_id, "Creating CT")
    job = await cancel(lab, job_id)
    lab.sandbox.slow(0)
    assert job.exists == bool(lab.sandbox.api.cts.get(job.vmid))
    assert [task["status"] for task in tasks_of(lab, "vzcreate") if task["status"] == "running"] == []


@pytest.mark.usefixtures("sooner_given_up")
@pytest.mark.parametrize(
    ("kind", "moment"), [("vzcreate", "Creating CT"), pytest.param("vzstart", "Starting CT", marks=pytest.mark.full)]
)
async def test_while_pve_hangs_names_the_task_that_may_go_on(lab: Lab, kind: str, moment: str) -> None:
    lab.sandbox.hang_task(kind)
    job_id = await lab.request(None)
    lab.work(job_id)
    await lab.until_said(job_id, moment)
    await lab.until(lambda: tasks_of(lab, kind), "the task runs")
    lab.sandbox.mute()
    job = await cancel(lab, job_id)
    assert job.exists
    told = await said(lab, job_id)
    assert "Its task in PVE could not be stopped" in told
    assert ("what PVE has made of the container is kept as it is" in told) == (kind == "vzcreate")
    lab.sandbox.mute(False)
    await check_settled(lab, job_id, CreationCode.SETTLED_TASK)
    assert [task for task in tasks_of(lab, kind) if task["status"] == "running"] == []


async def test_who_does_not_answer_the_stop_is_asked_shortly_what_remains(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "STOP_WITHIN_S", 0.2)
    monkeypatch.setattr(cancelling, "LOOK_WITHIN_S", CANCEL_WITHIN_S)
    lab.sandbox.hang_task("vzstart")
    job_id = await lab.request(None)
    lab.work(job_id)
    await lab.until(lambda: tasks_of(lab, "vzstart"), "the task runs")
    lab.sandbox.mute()
    assert (await cancel(lab, job_id)).exists


async def test_between_two_tries_of_a_pve_that_cannot_be_reached(lab: Lab) -> None:
    job_id = await lab.request(None)
    lab.sandbox.drop(1.0)
    lab.work(job_id)
    await lab.until_said(job_id, "trying again")
    job = await cancel(lab, job_id)
    assert not job.exists


# ----------------------------------------------------------------------------- starting


async def test_while_init_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    never = "echo still-starting; n=$1; while [ $n -gt 0 ]; do sleep 0.2; n=$((n - 1)); done; exit 1 # waits-for-init"
    monkeypatch.setattr(start, "_WAIT_FOR_INIT", never)
    job_id = await lab.request()
    lab.work(job_id)
    job = await service.get_job(lab.rt, lab.session, job_id)

    async def waits() -> bool:
        with contextlib.suppress(SandboxError):  # the guest does not run yet
            return "waits-for-init" in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)
        return False

    await lab.until(waits, "init is waited for")
    job = await cancel(lab, job_id)

    async def is_over() -> bool:
        return "waits-for-init" not in await lab.in_guest(job.vmid, "sh", "-c", ALL_PROCESSES)

    async with asyncio.timeout(CANCEL_WITHIN_S):
        await lab.until(is_over, "nothing looks at its init any more")
    await check_clean(lab, job)


async def test_while_an_address_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "global_addresses", lambda _: [])
    job_id = await lab.request()
    lab.work(job_id)
    await lab.until_said(job_id, "Its init is up")
    await check_clean(lab, await cancel(lab, job_id))


# ----------------------------------------------------------------------------- deploying to finalizing


async def test_in_the_placing_of_a_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    placing = asyncio.Event()

    async def hangs(*_: object) -> Placement:
        placing.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(deploy, "place", hangs)
    job_id = await lab.request(BASIC)
    lab.work(job_id)
    await placing.wait()
    await check_clean(lab, await cancel(lab, job_id))


async def test_in_an_installation_that_ignores_term(lab: Lab) -> None:
    install = "trap '' TERM INT HUP; echo installing; while :; do sleep 987; done"
    tool = PackageEntry("stubborn-tool", check="false", install=install)
    content = content_of(buckets=[Bucket("tools", PackageManager.CUSTOM, (tool,))])
    job_id = await lab.request(content)
    lab.work(job_id)
    await lab.until_said(job_id, "installing")
    await check_clean(lab, await cancel(lab, job_id))


@pytest.mark.parametrize("text", [STUBBORN, "#!/bin/sh\necho begun\nexec sleep 987\n"], ids=["ignores-term", "hangs"])
async def test_in_a_script(lab: Lab, text: str) -> None:
    job_id = await lab.request(content_of(("10-long.sh", text)))
    lab.work(job_id)
    await lab.until_said(job_id, "begun")
    await check_clean(lab, await cancel(lab, job_id))


async def test_what_lies_in_the_guest_may_be_cleared_for_as_long_as_the_stop_did_not_need(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "CLEAR_WITHIN_S", 0.0)
    job_id = await lab.request(content_of(("10-long.sh", "#!/bin/sh\necho begun\nexec sleep 987\n")))
    lab.work(job_id)
    await lab.until_said(job_id, "begun")
    await check_clean(lab, await cancel(lab, job_id))


async def test_while_services_are_looked_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "SCRIPT", "touch /root/looking; sleep 20")
    job_id = await lab.request(content_of(("10-short.sh", "true")))
    lab.work(job_id)
    await lab.until_said(job_id, "Finishing")
    job = await cancel(lab, job_id)
    assert lab.containers_named(job.hostname) == [job.vmid]
