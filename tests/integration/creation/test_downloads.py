"""A job downloads an OS template: one job per file for all users. Only a cancel stops it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import EventType, JobState
from lxc_dashboard.errors import NotFoundError, PrivilegeError
from lxc_dashboard.services.creation import downloads, service
from lxc_dashboard.services.creation.downloads import Order
from lxc_dashboard.services.creation.form import choices
from lxc_dashboard.services.jobs import service as jobs
from pve_sandbox.node import SandboxNode
from tests.integration.creation.cancelled import cancel
from tests.integration.creation.conftest import pve_alone
from tests.integration.endpoints import sign_in
from tests.worded import cause

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Job
    from tests.integration.creation.conftest import Lab

FEDORA = "fedora-42-default_20250428_amd64.tar.xz"
ORDER = Order("pve1", "local", FEDORA)


@pytest.fixture
async def guests() -> None:
    """No guests: these containers exist only in PVE."""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with pve_alone(tmp_path / "node", containers=0) as node:
        yield node


async def row(lab: Lab, job_id: UUID) -> Job:
    async with lab.rt.db.transaction() as tx:
        return await tx.jobs.get(job_id)


async def ended(lab: Lab, job_id: UUID) -> Job:
    async with asyncio.timeout(60):
        await lab.work(job_id)
    return await row(lab, job_id)


def tasks(lab: Lab) -> list[dict[str, Any]]:
    return [task for task in lab.sandbox.api.tasks.values() if task["type"] == "download"]


async def dies(worker: asyncio.Task[None]) -> None:
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


async def asks_for_it(lab: Lab) -> UUID:
    """Request a creation that first downloads the OS template."""
    return await lab.request(None, ostemplate=ORDER.volid, ostemplate_download=FEDORA)


async def test_it_tells_how_far_it_is_and_the_file_is_there_at_its_end(lab: Lab) -> None:
    lab.sandbox.api.time_scale = 0.3  # slow enough that the log arrives in parts
    job_id = await downloads.request(lab.rt, lab.session, ORDER)
    job = await ended(lab, job_id)
    assert (job.state, job.percent) == ("done", 100)
    assert text.in_words_of(job.result) == f"Downloaded {FEDORA} to local"
    told = [event.percent for event in await lab.events(job_id) if event.type is EventType.LOG]
    assert told == sorted(told)
    assert any(0 < percent < 100 for percent in told)
    found = (await choices.choices(lab.rt, lab.session, "pve1")).ostemplates
    assert ORDER.volid in [template.value for template in found if not template.is_download]
    again = await ended(lab, await downloads.request(lab.rt, lab.session, ORDER))
    assert text.in_words_of(again.result) == f"{FEDORA} is on local already"
    assert len(tasks(lab)) == 1
    async with lab.rt.db.transaction() as tx:
        entries = await tx.audit.list(action="ostemplate.download")
    assert {entry.subject for entry in entries} == {ORDER.volid}


async def test_two_who_ask_at_once_have_one_job(lab: Lab) -> None:
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    first, second = await asyncio.gather(
        downloads.request(lab.rt, lab.session, ORDER), downloads.request(lab.rt, operator, ORDER)
    )
    assert first == second
    other = await downloads.request(lab.rt, lab.session, Order("pve2", "local", FEDORA))
    assert other != first


async def test_one_who_may_not_write_to_the_storage_is_refused(lab: Lab) -> None:
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PrivilegeError, match=r"Datastore\.AllocateTemplate"):
        await downloads.request(lab.rt, viewer, ORDER)
    job_id = await downloads.request(lab.rt, lab.session, ORDER)
    with pytest.raises(PrivilegeError):
        await jobs.cancel(lab.rt, viewer, job_id)
    lab.sandbox.api.directory.acl[:] = [entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "viewer@pve"]
    lab.sandbox.api.directory.changed()
    anew = await sign_in(lab.rt, lab.sandbox, "viewer@pve")  # privileges are cached for seconds per session
    with pytest.raises(NotFoundError):
        await jobs.visible(lab.rt, anew, job_id)


async def test_a_worker_that_ends_leaves_the_task_to_the_next_one(lab: Lab) -> None:
    lab.sandbox.api.time_scale = 1.0
    job_id = await downloads.request(lab.rt, lab.session, ORDER)
    worker = lab.work(job_id)
    await lab.until(lambda: tasks(lab), "it is downloaded")
    await dies(worker)
    lab.sandbox.api.time_scale = 0.01
    assert (await ended(lab, job_id)).state == "done"
    assert len(tasks(lab)) == 1


async def test_a_cancel_stops_the_task(lab: Lab) -> None:
    lab.sandbox.api.time_scale = 100
    job_id = await downloads.request(lab.rt, lab.session, ORDER)
    worker = lab.work(job_id)
    await lab.until(lambda: tasks(lab), "it is downloaded")
    await jobs.cancel(lab.rt, lab.session, job_id)
    async with asyncio.timeout(30):
        await worker
    assert (await row(lab, job_id)).state == "cancelled"
    found = (await choices.choices(lab.rt, lab.session, "pve1")).ostemplates
    assert ORDER.volid not in [template.value for template in found]


async def test_the_newest_of_ones_own_that_goes_on_is_found_again(lab: Lab) -> None:
    assert await downloads.newest_of(lab.rt, lab.session) is None
    job_id = await downloads.request(lab.rt, lab.session, ORDER)
    found = await downloads.newest_of(lab.rt, lab.session)
    assert found is not None
    assert found.id == job_id
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert await downloads.newest_of(lab.rt, operator) is None


async def test_a_creation_works_off_the_download_that_no_worker_has_taken(lab: Lab) -> None:
    job_id = await downloads.request(lab.rt, lab.session, ORDER)
    await lab.finish(await asks_for_it(lab))
    assert (await row(lab, job_id)).state == "done"
    assert len(tasks(lab)) == 1


async def test_a_creation_tells_the_log_of_the_download_that_it_began(lab: Lab) -> None:
    job_id = await asks_for_it(lab)
    await lab.finish(job_id)
    assert any(line.endswith("%") or "%" in line for line in await lab.log_of(job_id))
    assert len(tasks(lab)) == 1


async def test_a_creation_whose_worker_ends_in_its_download_goes_on_with_the_same_one(lab: Lab) -> None:
    lab.sandbox.api.time_scale = 1.0
    job_id = await asks_for_it(lab)
    worker = lab.work(job_id)
    await lab.until(lambda: tasks(lab), "it is downloaded")
    await dies(worker)
    lab.sandbox.api.time_scale = 0.01
    await lab.finish(job_id)
    assert len(tasks(lab)) == 1


async def test_a_creation_begins_its_own_download_where_the_one_it_waited_for_is_cancelled(lab: Lab) -> None:
    lab.sandbox.hang_task("download")
    first = await asks_for_it(lab)
    lab.work(first)
    await lab.until(lambda: tasks(lab), "it is downloaded")
    second = await asks_for_it(lab)
    waiting = lab.work(second)
    await lab.until_said(second, "Another job downloads")
    await cancel(lab, first)
    async with asyncio.timeout(60):
        await waiting
    assert (await row(lab, second)).state == "done"
    assert [task["status"] for task in tasks(lab)] == ["stopped", "stopped"]


async def test_a_download_that_waits_for_a_sign_in_holds_up_nobody_else(lab: Lab) -> None:
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    waiting = await downloads.request(lab.rt, operator, ORDER)
    async with lab.rt.db.transaction() as tx:
        await tx.tickets.wipe_of_session(operator.id)
    assert (await row(lab, waiting)).state == "waiting"
    await lab.finish(await asks_for_it(lab))
    assert (await row(lab, waiting)).state == "cancelled"


async def test_a_download_that_fails_fails_its_creation_with_the_cause_and_a_retry_begins_another(lab: Lab) -> None:
    lab.sandbox.hang_task("download")
    job_id = await asks_for_it(lab)
    work = lab.work(job_id)
    await lab.until(lambda: tasks(lab), "it is downloaded")
    client = await lab.pve()
    await client.tasks.stop(tasks(lab)[0]["upid"])
    async with asyncio.timeout(60):
        await work
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert "interrupt" in cause(job.error)
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id)
    assert len(tasks(lab)) == 2


async def test_what_pve_refuses_and_a_full_storage_are_the_causes_of_its_failure(lab: Lab) -> None:
    refused = await ended(lab, await downloads.request(lab.rt, lab.session, Order("pve1", "local-lvm", FEDORA)))
    assert (refused.state, "local-lvm" in text.in_words_of(refused.error)) == ("failed", True)
    lab.sandbox.fill_storage("local")
    full = await ended(lab, await downloads.request(lab.rt, lab.session, ORDER))
    assert (full.state, "No space left on device" in text.in_words_of(full.error)) == ("failed", True)


def test_the_share_is_read_out_of_a_downloaders_lines() -> None:
    lines = ["Length: 100 (100%)", " 1K .... .... 20% 58.1M 3s", " 2K .... 40% 1.5M 1s", "speed 140%"]
    assert downloads.share(lines[1:]) == 0.4
    assert downloads.share(["nothing", "3.7% of it", "150%"]) == 0
